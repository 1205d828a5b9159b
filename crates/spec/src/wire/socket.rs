//! The bytes: a Unix or TCP socket, a buffer of what was read, waiting with a limit.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use postgres_protocol::message::backend::Message;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{Target, WireError};

/// How much is read at once.
const PIECE: usize = 16 * 1024;

enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Unix(stream) => stream.as_fd(),
            Self::Tcp(stream) => stream.as_fd(),
        }
    }
}

/// A socket with what was read from it and not yet understood.
pub(super) struct Socket {
    stream: Stream,
    buffer: BytesMut,
    /// The server has closed its side.
    ended: bool,
}

impl Socket {
    pub(super) fn connect(target: &Target) -> Result<Self, WireError> {
        let failed = WireError::io("connect to the server");
        let stream = match &target.socket {
            Some(folder) => {
                let path = folder.join(format!(".s.PGSQL.{}", target.port));
                Stream::Unix(UnixStream::connect(path).map_err(failed)?)
            }
            None => {
                let stream =
                    TcpStream::connect((target.host.as_str(), target.port)).map_err(failed)?;
                stream
                    .set_nodelay(true)
                    .map_err(WireError::io("set up the connection"))?;
                Stream::Tcp(stream)
            }
        };
        Ok(Self {
            stream,
            buffer: BytesMut::new(),
            ended: false,
        })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), WireError> {
        let written = match &mut self.stream {
            Stream::Unix(stream) => stream.write_all(bytes),
            Stream::Tcp(stream) => stream.write_all(bytes),
        };
        written.map_err(|_| WireError::Closed)
    }

    /// The next message that was read completely.
    pub(super) fn message(&mut self) -> Result<Option<Message>, WireError> {
        Message::parse(&mut self.buffer).map_err(WireError::io("understand the server"))
    }

    /// The next message, waited for.
    pub(super) fn next(&mut self) -> Result<Message, WireError> {
        loop {
            if let Some(message) = self.message()? {
                return Ok(message);
            }
            self.read()?;
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Waits until there is something to read, at most so long, and reads it. Whether there was.
    pub(super) fn wait(&mut self, most: Duration) -> Result<bool, WireError> {
        let end = Instant::now() + most;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let left = Timespec::try_from(left).ok();
            let mut one = [PollFd::from_borrowed_fd(self.stream.as_fd(), PollFlags::IN)];
            match poll(&mut one, left.as_ref()) {
                Ok(0) => return Ok(false),
                Ok(_) => break,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(WireError::io("wait for the server")(error.into())),
            }
        }
        match self.read() {
            Ok(()) | Err(WireError::Closed) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Reads what is there, or waits for it.
    pub(super) fn read(&mut self) -> Result<(), WireError> {
        let mut piece = [0; PIECE];
        let read = loop {
            let read = match &mut self.stream {
                Stream::Unix(stream) => stream.read(&mut piece),
                Stream::Tcp(stream) => stream.read(&mut piece),
            };
            match read {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        match read {
            Ok(0) | Err(_) => {
                self.ended = true;
                Err(WireError::Closed)
            }
            Ok(count) => {
                self.buffer.extend_from_slice(&piece[..count]);
                Ok(())
            }
        }
    }
}
