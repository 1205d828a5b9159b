//! From a socket to a session: who we are, and proof of it.

use bytes::BytesMut;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::backend::{ErrorResponseBody, Message};
use postgres_protocol::message::frontend;

use super::socket::Socket;
use super::{Target, WireError};

/// Sends who we are, and which settings the session begins with.
pub(super) fn begin(
    socket: &mut Socket,
    target: &Target,
    settings: &[(String, String)],
) -> Result<(), WireError> {
    let mut parameters = vec![
        ("user", target.user.as_str()),
        ("database", target.database.as_str()),
    ];
    parameters.extend(
        settings
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str())),
    );
    let mut bytes = BytesMut::new();
    frontend::startup_message(parameters, &mut bytes).map_err(WireError::io("write the start"))?;
    socket.write(&bytes)
}

/// Answers what the server asks until it is ready; returns its process id and the key for cancels.
pub(super) fn finish(socket: &mut Socket, target: &Target) -> Result<(i32, i32), WireError> {
    let mut key = (0, 0);
    loop {
        match socket.next()? {
            Message::AuthenticationCleartextPassword => {
                let password = password(target)?;
                answer(socket, |out| {
                    frontend::password_message(password.as_bytes(), out)
                })?;
            }
            Message::AuthenticationMd5Password(body) => {
                let hash = md5_hash(
                    target.user.as_bytes(),
                    password(target)?.as_bytes(),
                    body.salt(),
                );
                answer(socket, |out| {
                    frontend::password_message(hash.as_bytes(), out)
                })?;
            }
            Message::AuthenticationSasl(_) => sasl(socket, target)?,
            Message::BackendKeyData(body) => key = (body.process_id(), body.secret_key()),
            Message::ReadyForQuery(_) => return Ok(key),
            Message::ErrorResponse(body) => return Err(refused(&body)),
            Message::AuthenticationOk
            | Message::ParameterStatus(_)
            | Message::NoticeResponse(_) => {}
            _ => {
                return Err(WireError::Unsupported(
                    "another kind of authentication".to_owned(),
                ));
            }
        }
    }
}

fn password(target: &Target) -> Result<&str, WireError> {
    let missing =
        || WireError::Refused("it asks for a password, and there is none in the URL".to_owned());
    target.password.as_deref().ok_or_else(missing)
}

fn answer(
    socket: &mut Socket,
    write: impl FnOnce(&mut BytesMut) -> std::io::Result<()>,
) -> Result<(), WireError> {
    let mut bytes = BytesMut::new();
    write(&mut bytes).map_err(WireError::io("write the password"))?;
    socket.write(&bytes)
}

fn sasl(socket: &mut Socket, target: &Target) -> Result<(), WireError> {
    let wrong = || WireError::io("authenticate");
    let mut scram = ScramSha256::new(password(target)?.as_bytes(), ChannelBinding::unsupported());
    answer(socket, |out| {
        frontend::sasl_initial_response(SCRAM_SHA_256, scram.message(), out)
    })?;
    loop {
        match socket.next()? {
            Message::AuthenticationSaslContinue(body) => {
                scram.update(body.data()).map_err(wrong())?;
                answer(socket, |out| frontend::sasl_response(scram.message(), out))?;
            }
            Message::AuthenticationSaslFinal(body) => {
                return scram.finish(body.data()).map_err(wrong());
            }
            Message::ErrorResponse(body) => return Err(refused(&body)),
            _ => {
                return Err(WireError::Unsupported(
                    "another kind of authentication".to_owned(),
                ));
            }
        }
    }
}

fn refused(body: &ErrorResponseBody) -> WireError {
    let message = super::session::message(body.fields(), "");
    WireError::Refused(message.primary())
}
