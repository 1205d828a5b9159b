//! TLS: to the server where its address asks for it, to clients with a certificate of the gate's own.
//!
//! The gate reads what passes, so encryption ends at it and begins anew behind it. What is bound to one encrypted channel
//! (SCRAM with channel binding) cannot cross: see `session::server`.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use tokio_rustls::rustls::{self, ClientConfig, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::stream::Stream;

/// The request for encryption: its length and its code.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
/// What PostgreSQL is called in a TLS handshake (IANA's list of ALPN protocols).
const ALPN: &[u8] = b"postgresql";

/// How to encrypt towards a server, and what its certificate has to say.
#[derive(Clone)]
pub struct ToServer {
    name: ServerName<'static>,
    config: Arc<ClientConfig>,
}

impl ToServer {
    /// Checks the server by these rules, under this name.
    pub fn new(name: ServerName<'static>, config: Arc<ClientConfig>) -> Self {
        Self { name, config }
    }

    /// Asks the server to encrypt, and does.
    pub(crate) async fn wrap(&self, mut stream: TcpStream) -> io::Result<Box<dyn Stream>> {
        stream.write_all(&SSL_REQUEST).await?;
        // One byte and no more: nothing that came in plain text may count as encrypted.
        match stream.read_u8().await? {
            b'S' => {
                let connector = TlsConnector::from(Arc::clone(&self.config));
                Ok(Box::new(
                    connector.connect(self.name.clone(), stream).await?,
                ))
            }
            b'N' => Err(io::Error::other(
                "the server does not encrypt, and its address asks for it (sslmode)",
            )),
            other => Err(io::Error::other(format!(
                "the server answered 0x{other:02x} when asked to encrypt"
            ))),
        }
    }
}

impl fmt::Debug for ToServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ToServer").field(&self.name).finish()
    }
}

impl PartialEq for ToServer {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && Arc::ptr_eq(&self.config, &other.config)
    }
}

impl Eq for ToServer {}

/// Encryption for clients that ask for it. Others are served in plain text as before.
#[derive(Clone)]
pub struct ToClients {
    acceptor: TlsAcceptor,
    /// The certificate, for whoever wants to check it.
    pem: Arc<str>,
}

/// Why there is no certificate.
#[derive(Debug, Error)]
pub enum CertificateError {
    /// It could not be made.
    #[error("cannot make a certificate: {0}")]
    Made(#[from] rcgen::Error),
    /// It cannot be used.
    #[error("cannot use the certificate: {0}")]
    Used(#[from] rustls::Error),
}

impl ToClients {
    /// A certificate that vouches for itself, for these names; its key never leaves the process.
    ///
    /// # Errors
    /// When a name is not one that a certificate can have.
    pub fn self_signed(names: Vec<String>) -> Result<Self, CertificateError> {
        let made = rcgen::generate_simple_self_signed(names)?;
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let provider = Arc::new(ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], PrivateKeyDer::from(key))?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            pem: made.cert.pem().into(),
        })
    }

    /// The certificate, in the form of a file that clients can check it with (`sslrootcert`).
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Takes over a stream of which `read` has been read already. Where no request came before it (`direct`), the client
    /// has to say that it means PostgreSQL.
    pub(crate) async fn wrap(
        &self,
        stream: Box<dyn Stream>,
        read: BytesMut,
        direct: bool,
    ) -> io::Result<Box<dyn Stream>> {
        let stream = Rewound { read, stream };
        let stream = self.acceptor.accept(stream).await?;
        if direct && stream.get_ref().1.alpn_protocol() != Some(ALPN) {
            return Err(io::Error::other(
                "TLS without asking for it first, and not for postgresql (ALPN)",
            ));
        }
        Ok(Box::new(stream))
    }
}

impl fmt::Debug for ToClients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToClients").finish_non_exhaustive()
    }
}

/// A stream of which something has been read already.
struct Rewound {
    read: BytesMut,
    stream: Box<dyn Stream>,
}

impl AsyncRead for Rewound {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let count = self.read.len().min(buf.remaining());
        buf.put_slice(&self.read[..count]);
        self.read.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Rewound {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
