//! A gate with no lab attached: bytes, both ways.
//!
//! What is read goes to the other side at once, from a buffer that all sessions of a thread use in turn: it stays in the
//! processor's cache, and a session keeps something only when the other side takes less than was read.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::stream::{Stream, Upstream};

const BUFFER: usize = 128 * 1024;
/// Pause after a failed accept (out of file descriptors, mostly), so that it does not spin.
const BREATH: Duration = Duration::from_millis(20);

thread_local! {
    static SCRATCH: RefCell<Box<[MaybeUninit<u8>]>> = RefCell::new(Box::new_uninit_slice(BUFFER));
}

/// Serves `listener` until dropped; every connection is copied to one of its own at `upstream`, whatever is spoken on it.
///
/// # Errors
///
/// When the listener is unusable.
pub async fn plain(listener: TcpListener, upstream: Upstream) -> io::Result<()> {
    listener.local_addr()?;
    let mut sessions = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((client, _)) => {
                let upstream = upstream.clone();
                sessions.spawn(async move {
                    if let Err(error) = copy(client, &upstream).await {
                        tracing::debug!(%error, "a plain session broke");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept");
                tokio::time::sleep(BREATH).await;
            }
        }
        while sessions.try_join_next().is_some() {}
    }
}

async fn copy(mut client: TcpStream, upstream: &Upstream) -> io::Result<()> {
    client.set_nodelay(true)?;
    let mut server = upstream.connect().await?;
    let (mut up, mut down) = (Way::default(), Way::default());
    poll_fn(|cx| {
        let up = up.poll(&mut client, &mut server, cx)?;
        let down = down.poll(&mut server, &mut client, cx)?;
        if up.is_ready() && down.is_ready() {
            return Poll::Ready(Ok(()));
        }
        Poll::Pending
    })
    .await
}

/// One direction of a session.
#[derive(Default)]
struct Way {
    /// Read, and not written yet.
    left: BytesMut,
    /// Written, but perhaps not sent: streams that encrypt keep something back.
    unsent: bool,
    /// Nothing more comes.
    ended: bool,
    /// The other side has been told.
    over: bool,
}

impl Way {
    /// Moves what can be moved; ready when there will be nothing more.
    fn poll(
        &mut self,
        from: &mut impl Stream,
        to: &mut impl Stream,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.over {
            while !self.left.is_empty() {
                let count = ready!(give(to, &self.left, cx))?;
                self.left.advance(count);
                self.unsent = true;
            }
            if self.ended {
                ready!(Pin::new(&mut *to).poll_shutdown(cx))?;
                self.over = true;
            } else if self.pass(from, to, cx)?.is_pending() {
                if self.unsent {
                    ready!(Pin::new(&mut *to).poll_flush(cx))?;
                    self.unsent = false;
                }
                return Poll::Pending;
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Reads once, and writes as much of it as the other side takes.
    fn pass(
        &mut self,
        from: &mut impl Stream,
        to: &mut impl Stream,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut read = ReadBuf::uninit(scratch);
            ready!(AsyncRead::poll_read(Pin::new(from), cx, &mut read))?;
            let mut rest = read.filled();
            self.ended = rest.is_empty();
            while !rest.is_empty() {
                match give(to, rest, cx)? {
                    Poll::Ready(count) => {
                        rest = &rest[count..];
                        self.unsent = true;
                    }
                    Poll::Pending => {
                        self.left.extend_from_slice(rest);
                        break;
                    }
                }
            }
            Poll::Ready(Ok(()))
        })
    }
}

/// Writes some bytes, at least one.
fn give(to: &mut impl Stream, bytes: &[u8], cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
    match ready!(AsyncWrite::poll_write(Pin::new(to), cx, bytes))? {
        0 => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
        count => Poll::Ready(Ok(count)),
    }
}
