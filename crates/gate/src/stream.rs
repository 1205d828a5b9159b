//! The two ends of a session: anything that bytes go in and out of.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::tls::ToServer;

/// What the system may keep of what the server is not ready for, in bytes. A client that sends too much too early has to
/// notice, as it would without the gate.
const UNSENT: u32 = 64 * 1024;

/// Where the server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upstream {
    /// An address.
    Tcp(SocketAddr),
    /// A socket file (`/…/.s.PGSQL.5432`).
    Unix(PathBuf),
    /// An address where everything is encrypted.
    Tls(SocketAddr, ToServer),
}

/// A byte stream of any kind.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Upstream {
    pub(crate) async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        Ok(match self {
            Upstream::Tcp(addr) => Box::new(tcp(*addr).await?),
            Upstream::Tls(addr, tls) => tls.wrap(tcp(*addr).await?).await?,
            Upstream::Unix(path) => Box::new(UnixStream::connect(path).await?),
        })
    }
}

async fn tcp(addr: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT)?;
    Ok(stream)
}
