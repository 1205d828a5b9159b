//! Encryption towards a server the user named, as far as its address asks for it.
//!
//! The words are libpq's: `require` encrypts and trusts whoever answers, `verify-ca` wants a certificate that an
//! authority vouches for, `verify-full` one that bears the server's name as well. `prefer` and what is below it do not
//! encrypt: what may be left out is left out.

use std::fmt;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect};
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::{
    CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    self, CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use tokio_rustls::{Connect, TlsConnector};

use crate::error::Error;

/// How far the server is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Require,
    VerifyCa,
    VerifyFull,
}

impl Mode {
    /// Reads `sslmode`; `None` is without encryption.
    fn read(text: &str) -> Result<Option<Self>, Error> {
        match text {
            "disable" | "allow" | "prefer" => Ok(None),
            "require" => Ok(Some(Self::Require)),
            "verify-ca" => Ok(Some(Self::VerifyCa)),
            "verify-full" => Ok(Some(Self::VerifyFull)),
            other => Err(Error::Address(format!(
                "sslmode={other} is none of disable, prefer, require, verify-ca, verify-full"
            ))),
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }
}

/// How a server is spoken to in secret.
#[derive(Clone)]
pub struct Tls {
    mode: Mode,
    roots: Option<PathBuf>,
    name: ServerName<'static>,
    config: Arc<ClientConfig>,
}

impl Tls {
    /// What a server with this name has to show.
    fn new(mode: Mode, roots: Option<PathBuf>, host: &str) -> Result<Self, Error> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| {
            Error::Address(format!("{host} is no name that a certificate can have"))
        })?;
        let provider = Arc::new(ring::default_provider());
        let verifier: Arc<dyn ServerCertVerifier> = if mode == Mode::Require {
            Arc::new(Lenient {
                chain: None,
                provider: Arc::clone(&provider),
            })
        } else {
            let store = Arc::new(authorities(roots.as_deref())?);
            let chain = WebPkiServerVerifier::builder_with_provider(store, Arc::clone(&provider))
                .build()
                .map_err(|error| Error::Address(format!("sslrootcert: {error}")))?;
            if mode == Mode::VerifyFull {
                chain
            } else {
                Arc::new(Lenient {
                    chain: Some(chain),
                    provider: Arc::clone(&provider),
                })
            }
        };
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::Address(error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        Ok(Self {
            mode,
            roots,
            name,
            config: Arc::new(config),
        })
    }

    /// The name that the server is called by.
    pub fn name(&self) -> ServerName<'static> {
        self.name.clone()
    }

    /// How to speak to it.
    pub fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.config)
    }

    /// The same as parameters of a connection URL, each with its environment variable.
    pub(crate) fn parameters(&self) -> Vec<(&'static str, &'static str, String)> {
        let mut all = vec![("sslmode", "PGSSLMODE", self.mode.word().to_owned())];
        if let Some(roots) = &self.roots {
            all.push(("sslrootcert", "PGSSLROOTCERT", roots.display().to_string()));
        }
        all
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("mode", &self.mode)
            .field("roots", &self.roots)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl PartialEq for Tls {
    fn eq(&self, other: &Self) -> bool {
        (self.mode, &self.roots, &self.name) == (other.mode, &other.roots, &other.name)
    }
}

impl Eq for Tls {}

/// Whose word counts: those of `sslrootcert`, or of libpq's usual file; `system` is everybody this machine trusts.
fn authorities(file: Option<&Path>) -> Result<RootCertStore, Error> {
    let mut store = RootCertStore::empty();
    if file == Some(Path::new("system")) {
        let found = rustls_native_certs::load_native_certs();
        store.add_parsable_certificates(found.certs);
        return Ok(store);
    }
    let usual = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".postgresql/root.crt"));
    let Some(file) = file.map(Path::to_path_buf).or_else(usual) else {
        return Err(Error::Address("sslrootcert=FILE is missing".to_owned()));
    };
    let unusable = |error: &dyn fmt::Display| {
        Error::Address(format!(
            "the authorities in {} cannot be read ({error}); name a file of certificates with sslrootcert=FILE, or \
             sslrootcert=system",
            file.display()
        ))
    };
    for certificate in CertificateDer::pem_file_iter(&file).map_err(|error| unusable(&error))? {
        let certificate = certificate.map_err(|error| unusable(&error))?;
        store.add(certificate).map_err(|error| unusable(&error))?;
    }
    Ok(store)
}

/// Checks less than everything: that somebody vouches for the certificate, or nothing but that its owner is there.
#[derive(Debug)]
struct Lenient {
    chain: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(chain) = &self.chain else {
            return Ok(ServerCertVerified::assertion());
        };
        match chain.verify_server_cert(certificate, between, name, ocsp, now) {
            // The name is looked at last: all else is in order.
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// What the driver does not understand of an address, taken out of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    mode: Option<String>,
    roots: Option<String>,
}

impl Asked {
    /// The address without `sslmode` and `sslrootcert`, and what they said.
    pub(crate) fn split(address: &str) -> (String, Self) {
        let mut asked = Self::default();
        let rest = if address.contains("://") {
            let Some((front, query)) = address.split_once('?') else {
                return (address.to_owned(), asked);
            };
            let kept: Vec<&str> = query
                .split('&')
                .filter(|pair| {
                    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                    !asked.take(key, || decoded(value))
                })
                .collect();
            let mark = if kept.is_empty() { "" } else { "?" };
            format!("{front}{mark}{}", kept.join("&"))
        } else {
            let kept: Vec<&str> = address
                .split_ascii_whitespace()
                .filter(|pair| {
                    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                    !asked.take(key, || value.trim_matches('\'').to_owned())
                })
                .collect();
            // Blanks may be part of a quoted value: what has nothing to take stays as it is.
            if asked == Self::default() {
                return (address.to_owned(), asked);
            }
            kept.join(" ")
        };
        (rest, asked)
    }

    fn take(&mut self, key: &str, value: impl FnOnce() -> String) -> bool {
        match key {
            "sslmode" => self.mode = Some(value()),
            "sslrootcert" => self.roots = Some(value()),
            _ => return false,
        }
        true
    }

    /// What it comes to for a host reached over the network.
    pub(crate) fn settle(self, host: &str) -> Result<Option<Tls>, Error> {
        let mode = self.mode.as_deref().map_or(Ok(None), Mode::read)?;
        mode.map(|mode| Tls::new(mode, self.roots.map(PathBuf::from), host))
            .transpose()
    }
}

/// A part of a URL without its escapes.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let escaped = (byte == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        out.push(escaped.unwrap_or(byte));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Encrypts the driver's connections.
#[derive(Clone)]
pub(crate) struct Encrypt(pub(crate) Tls);

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> MakeTlsConnect<S> for Encrypt {
    type Stream = Encrypted<S>;
    type TlsConnect = Self;
    type Error = io::Error;

    fn make_tls_connect(&mut self, _host: &str) -> io::Result<Self> {
        Ok(self.clone())
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> TlsConnect<S> for Encrypt {
    type Stream = Encrypted<S>;
    type Error = io::Error;
    type Future = Connecting<S>;

    fn connect(self, stream: S) -> Connecting<S> {
        let connector = TlsConnector::from(self.0.config());
        Connecting(connector.connect(self.0.name(), stream))
    }
}

/// A handshake.
pub(crate) struct Connecting<S>(Connect<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> Future for Connecting<S> {
    type Output = io::Result<Encrypted<S>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map_ok(Encrypted)
    }
}

/// An encrypted connection of the driver.
pub(crate) struct Encrypted<S>(TlsStream<S>);

impl<S> tokio_postgres::tls::TlsStream for Encrypted<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Encrypted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Encrypted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::Asked;

    #[test]
    fn what_is_asked_is_taken_out_of_the_address() {
        for (address, rest, mode, roots) in [
            ("postgres://a@h/d", "postgres://a@h/d", None, None),
            (
                "postgres://a@h/d?sslmode=require",
                "postgres://a@h/d",
                Some("require"),
                None,
            ),
            (
                "postgres://h/?options=-cx%3D1&sslmode=verify-full&sslrootcert=%2Ftmp%2Fa%20b.crt",
                "postgres://h/?options=-cx%3D1",
                Some("verify-full"),
                Some("/tmp/a b.crt"),
            ),
            (
                "host=h sslmode=verify-ca user=u",
                "host=h user=u",
                Some("verify-ca"),
                None,
            ),
            (
                "host=h password='a  b'",
                "host=h password='a  b'",
                None,
                None,
            ),
        ] {
            let (left, asked) = Asked::split(address);
            assert_eq!(left, rest);
            assert_eq!(
                (asked.mode.as_deref(), asked.roots.as_deref()),
                (mode, roots)
            );
        }
    }

    #[test]
    fn modes_that_may_do_without_do_without() {
        for (mode, encrypts) in [("disable", false), ("prefer", false), ("require", true)] {
            let (_, asked) = Asked::split(&format!("postgres://h/?sslmode={mode}"));
            assert_eq!(
                asked.settle("h").expect("a mode").is_some(),
                encrypts,
                "{mode}"
            );
        }
        let (_, asked) = Asked::split("postgres://h/?sslmode=perhaps");
        assert!(asked.settle("h").is_err());
        let (_, asked) =
            Asked::split("postgres://h/?sslmode=verify-full&sslrootcert=/nowhere/at/all");
        let said = asked.settle("h").expect_err("no such file").to_string();
        assert!(
            said.contains("/nowhere/at/all") && said.contains("sslrootcert=FILE"),
            "{said}"
        );
    }
}
