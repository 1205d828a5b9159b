//! Moves a session's bytes: one task, one wake-up, as many reads and writes as are possible.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;

use super::{Command, Machine};
use crate::backend::put_error;
use crate::busy::Busy;
use crate::frame::Malformed;
use crate::stream::Stream;

/// Room to read into.
const CHUNK: usize = 64 * 1024;
/// How long a client may take to hear that the session is over.
const FAREWELL: Duration = Duration::from_secs(1);

#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own about one of two streams"
)]
struct Driver {
    machine: Machine,
    client: Box<dyn Stream>,
    server: Box<dyn Stream>,
    from_client: BytesMut,
    from_server: BytesMut,
    client_eof: bool,
    server_shut: bool,
    /// Written, but perhaps not sent: streams that encrypt keep something back.
    client_unsent: bool,
    server_unsent: bool,
    commands: mpsc::UnboundedReceiver<Command>,
    busy: Busy,
}

/// Runs a session to its end. `from_client` is what the client has sent behind its startup packet.
pub(crate) async fn drive(
    machine: Machine,
    client: Box<dyn Stream>,
    server: Box<dyn Stream>,
    from_client: BytesMut,
    commands: mpsc::UnboundedReceiver<Command>,
    busy: Busy,
) {
    let mut driver = Driver {
        machine,
        client,
        server,
        from_client,
        from_server: BytesMut::new(),
        client_eof: false,
        server_shut: false,
        client_unsent: false,
        server_unsent: false,
        commands,
        busy,
    };
    if let Err(error) = driver.machine.client_bytes(&mut driver.from_client) {
        driver.broken("client", &error);
    }
    poll_fn(|cx| driver.poll(cx)).await;
    // Where it is encrypted, the end has to be said; a client that does not listen is not waited for.
    let farewell = tokio::time::timeout(FAREWELL, driver.client.shutdown()).await;
    tracing::trace!(?farewell, "a session is over");
}

impl Driver {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let mut moved = false;
            // Commands first: they are about what was there before anything else is read.
            while let Poll::Ready(Some(command)) = self.commands.poll_recv(cx) {
                self.machine.command(command);
                moved = true;
            }
            moved |= self.read_server(cx);
            moved |= self.read_client(cx);
            moved |= self.write_server(cx);
            moved |= self.write_client(cx);
            if self.machine.closed()
                && (self.machine.client_is_gone()
                    || self.machine.to_client.is_empty() && !self.client_unsent)
            {
                return Poll::Ready(());
            }
            if !moved {
                self.busy.set(self.machine.busy());
                return Poll::Pending;
            }
        }
    }

    fn read_server(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.machine.wants_server() {
            return false;
        }
        match read(&mut *self.server, &mut self.from_server, cx) {
            Poll::Pending => return false,
            Poll::Ready(Ok(count)) if count > 0 => {
                if let Err(error) = self.machine.server_bytes(&mut self.from_server) {
                    self.broken("server", &error);
                }
            }
            Poll::Ready(_) => self.machine.server_ended(),
        }
        true
    }

    fn read_client(&mut self, cx: &mut Context<'_>) -> bool {
        if self.client_eof || !self.machine.wants_client() {
            return false;
        }
        match read(&mut *self.client, &mut self.from_client, cx) {
            Poll::Pending => return false,
            Poll::Ready(Ok(count)) if count > 0 => {
                if let Err(error) = self.machine.client_bytes(&mut self.from_client) {
                    self.broken("client", &error);
                }
            }
            Poll::Ready(end) => {
                self.client_eof = true;
                if end.is_ok() {
                    self.machine.client_ended();
                } else {
                    self.machine.client_vanished();
                }
            }
        }
        true
    }

    fn write_server(&mut self, cx: &mut Context<'_>) -> bool {
        let unsent = &mut self.server_unsent;
        match write(&mut *self.server, &mut self.machine.to_server, unsent, cx) {
            // The server may have said why before it closed: reading will tell.
            Err(_) => {
                self.machine.to_server.clear();
                self.server_unsent = false;
            }
            Ok(true) => return true,
            Ok(false) => {}
        }
        let sent = self.machine.to_server.is_empty() && !self.server_unsent;
        if self.machine.leaving() && !self.server_shut && sent {
            self.server_shut = Pin::new(&mut self.server).poll_shutdown(cx).is_ready();
        }
        false
    }

    fn write_client(&mut self, cx: &mut Context<'_>) -> bool {
        let unsent = &mut self.client_unsent;
        match write(&mut *self.client, &mut self.machine.to_client, unsent, cx) {
            Err(_) if !self.machine.client_is_gone() => {
                self.machine.client_vanished();
                true
            }
            Err(_) => false,
            Ok(moved) => moved,
        }
    }

    /// One side does not speak the protocol: the session ends, nothing else does.
    fn broken(&mut self, side: &str, error: &Malformed) {
        tracing::warn!(session = self.machine.id(), side, %error, "closing a connection that breaks the protocol");
        self.machine
            .break_off(&format!("the {side} broke the protocol: {error}"));
    }
}

impl Machine {
    fn id(&self) -> u32 {
        self.session.id()
    }

    fn break_off(&mut self, reason: &str) {
        self.end_with("08P01", reason);
    }

    /// Ends the session with an error of the gate's own.
    pub(super) fn end_with(&mut self, code: &str, reason: &str) {
        if !self.client_gone {
            put_error(&mut self.to_client, "FATAL", code, reason);
        }
        self.tell_closed(reason.to_owned());
    }
}

fn read(
    stream: &mut dyn Stream,
    input: &mut BytesMut,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    if input.capacity() - input.len() < CHUNK / 4 {
        input.reserve(CHUNK);
    }
    pin!(stream.read_buf(input)).poll(cx)
}

/// Writes what can be written and sends what was; returns whether anything was.
fn write(
    stream: &mut dyn Stream,
    output: &mut BytesMut,
    unsent: &mut bool,
    cx: &mut Context<'_>,
) -> io::Result<bool> {
    let mut moved = false;
    while !output.is_empty() {
        match AsyncWrite::poll_write(Pin::new(&mut *stream), cx, output) {
            Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
            Poll::Ready(Ok(count)) => output.advance(count),
            Poll::Ready(Err(error)) => return Err(error),
            Poll::Pending => return Ok(moved),
        }
        moved = true;
        *unsent = true;
    }
    if *unsent && let Poll::Ready(sent) = AsyncWrite::poll_flush(Pin::new(stream), cx) {
        *unsent = false;
        sent?;
        moved = true;
    }
    Ok(moved)
}
