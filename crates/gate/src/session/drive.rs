//! Moves a session's bytes: one task, one wake-up, as many reads and writes as are possible.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWrite};
use tokio::sync::mpsc;

use super::{Command, Machine};
use crate::backend::put_error;
use crate::busy::Busy;
use crate::frame::Malformed;
use crate::stream::Stream;

/// Room to read into.
const CHUNK: usize = 64 * 1024;

struct Driver {
    machine: Machine,
    client: Box<dyn Stream>,
    server: Box<dyn Stream>,
    from_client: BytesMut,
    from_server: BytesMut,
    client_eof: bool,
    server_shut: bool,
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
        commands,
        busy,
    };
    if let Err(error) = driver.machine.client_bytes(&mut driver.from_client) {
        driver.broken("client", &error);
    }
    poll_fn(|cx| driver.poll(cx)).await;
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
                && (self.machine.to_client.is_empty() || self.machine.client_is_gone())
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
        match write(&mut *self.server, &mut self.machine.to_server, cx) {
            // The server may have said why before it closed: reading will tell.
            Err(_) => self.machine.to_server.clear(),
            Ok(true) => return true,
            Ok(false) => {}
        }
        if self.machine.leaving() && !self.server_shut && self.machine.to_server.is_empty() {
            self.server_shut = Pin::new(&mut self.server).poll_shutdown(cx).is_ready();
        }
        false
    }

    fn write_client(&mut self, cx: &mut Context<'_>) -> bool {
        match write(&mut *self.client, &mut self.machine.to_client, cx) {
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
        self.session.id
    }

    fn break_off(&mut self, reason: &str) {
        if !self.client_gone {
            put_error(&mut self.to_client, "FATAL", "08P01", reason);
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

/// Writes what can be written; returns whether anything was.
fn write(stream: &mut dyn Stream, output: &mut BytesMut, cx: &mut Context<'_>) -> io::Result<bool> {
    let mut moved = false;
    while !output.is_empty() {
        match AsyncWrite::poll_write(Pin::new(&mut *stream), cx, output) {
            Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
            Poll::Ready(Ok(count)) => output.advance(count),
            Poll::Ready(Err(error)) => return Err(error),
            Poll::Pending => break,
        }
        moved = true;
    }
    Ok(moved)
}
