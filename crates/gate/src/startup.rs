//! The first packets of a connection, before anybody knows who it is.

use std::collections::BTreeMap;
use std::io;

use bytes::{Buf, BytesMut};
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::stream::Stream;
use crate::tls::ToClients;

/// Longest packet before authentication (`MAX_STARTUP_PACKET_LENGTH`).
const LONGEST: usize = 10_000;
const SSL_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;
const CANCEL_REQUEST: u32 = 80_877_102;
/// First byte of a TLS handshake.
const TLS: u8 = 0x16;

/// What a connection turns out to be.
#[derive(Debug)]
pub(crate) enum First {
    /// A session. Its startup packet goes to the server as it is.
    Session {
        packet: BytesMut,
        parameters: BTreeMap<String, String>,
    },
    /// A cancel request, with the whole packet.
    Cancel {
        pid: i32,
        key: Vec<u8>,
        packet: BytesMut,
    },
}

/// Why there is no session.
#[derive(Debug, Error)]
pub(crate) enum Unfit {
    #[error("the connection ended before its startup packet")]
    Ended,
    #[error("TLS without asking for it first: the gate does not encrypt (use sslmode=disable)")]
    Tls,
    #[error("bytes in plain text behind a request for encryption")]
    Stuffed,
    #[error("startup packet with the impossible length {0}")]
    Length(u32),
    #[error("protocol version {0}.{1}")]
    Version(u32, u32),
    #[error("startup packet without its end")]
    Unterminated,
    #[error("cancel key of {0} bytes")]
    Key(usize),
    #[error("nothing that starts a session came in time")]
    Late,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads up to the startup packet; requests for encryption are declined on the way, or granted where there is a
/// certificate. What came behind the packet stays in `input`.
pub(crate) async fn first(
    stream: &mut Box<dyn Stream>,
    input: &mut BytesMut,
    tls: Option<&ToClients>,
) -> Result<First, Unfit> {
    // Encryption is granted once.
    let mut tls = tls;
    loop {
        while input.len() < 8 && input.first() != Some(&TLS) {
            if stream.read_buf(input).await? == 0 {
                return Err(Unfit::Ended);
            }
        }
        if input[0] == TLS {
            let tls = tls.take().ok_or(Unfit::Tls)?;
            encrypt(stream, input, tls, true).await?;
            continue;
        }
        let mut head = &input[..8];
        let (length, code) = (head.get_u32(), head.get_u32());
        if !(8..=LONGEST).contains(&(length as usize)) {
            return Err(Unfit::Length(length));
        }
        while input.len() < length as usize {
            if stream.read_buf(input).await? == 0 {
                return Err(Unfit::Ended);
            }
        }
        let packet = input.split_to(length as usize);
        match code {
            SSL_REQUEST => match tls.take() {
                None => stream.write_all(b"N").await?,
                // Whatever is here already was not encrypted, and must not count as if it were.
                Some(_) if !input.is_empty() => return Err(Unfit::Stuffed),
                Some(tls) => {
                    stream.write_all(b"S").await?;
                    encrypt(stream, input, tls, false).await?;
                }
            },
            GSS_REQUEST => stream.write_all(b"N").await?,
            CANCEL_REQUEST => return cancel(packet),
            version if version >> 16 == 3 => {
                let parameters = parameters(&packet[8..]).ok_or(Unfit::Unterminated)?;
                return Ok(First::Session { packet, parameters });
            }
            version => return Err(Unfit::Version(version >> 16, version & 0xffff)),
        }
    }
}

/// Goes on encrypted.
async fn encrypt(
    stream: &mut Box<dyn Stream>,
    input: &mut BytesMut,
    tls: &ToClients,
    direct: bool,
) -> io::Result<()> {
    let plain = std::mem::replace(stream, Box::new(tokio::io::empty()));
    *stream = tls.wrap(plain, input.split(), direct).await?;
    Ok(())
}

fn cancel(packet: BytesMut) -> Result<First, Unfit> {
    let mut body = &packet[8..];
    let pid = body
        .try_get_i32()
        .map_err(|_| Unfit::Length(packet.len() as u32))?;
    let key = body.to_vec();
    if !(4..=256).contains(&key.len()) {
        return Err(Unfit::Key(key.len()));
    }
    Ok(First::Cancel { pid, key, packet })
}

/// Names and values, each ended by a zero byte, and one more zero byte.
fn parameters(mut body: &[u8]) -> Option<BTreeMap<String, String>> {
    let mut text = || {
        let end = body.iter().position(|byte| *byte == 0)?;
        let text = String::from_utf8_lossy(&body[..end]).into_owned();
        body = &body[end + 1..];
        Some(text)
    };
    let mut parameters = BTreeMap::new();
    loop {
        let name = text()?;
        if name.is_empty() {
            return Some(parameters);
        }
        parameters.insert(name, text()?);
    }
}
