//! A client of the gate: what it says goes through at once, what it hears is kept until the driver lets it flow.

use std::io::{ErrorKind, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream as Socket;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, split};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinSet;

/// Pause after a failed accept, so that it does not spin.
const BREATH: Duration = Duration::from_millis(20);

/// Read at once.
const CHUNK: usize = 16 * 1024;

/// All clients of a gate. Dropping it closes them.
#[derive(Default)]
pub(super) struct Links {
    all: Vec<Arc<Link>>,
    tasks: JoinSet<()>,
    /// Bytes that clients have sent.
    heard: Arc<AtomicU64>,
}

/// One client.
struct Link {
    /// Written to without waiting; reading is another handle's.
    client: Socket,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    bytes: Vec<u8>,
    /// The gate has said all it will say.
    ended: bool,
    /// And the client has been told.
    closed: bool,
}

impl Link {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Links {
    /// Joins a client and its end at the gate.
    pub fn join(&mut self, client: UnixStream, inside: DuplexStream) -> std::io::Result<()> {
        let client = client.into_std()?;
        let reading = UnixStream::from_std(client.try_clone()?)?;
        let link = Arc::new(Link {
            client,
            kept: Mutex::default(),
        });
        let (from_gate, to_gate) = split(inside);
        let heard = Arc::clone(&self.heard);
        self.tasks.spawn(towards_gate(reading, to_gate, heard));
        self.tasks.spawn(keep(from_gate, Arc::clone(&link)));
        self.all.push(link);
        Ok(())
    }

    /// Bytes that clients have sent so far.
    pub fn heard(&self) -> u64 {
        self.heard.load(Ordering::Relaxed)
    }

    /// Lets the clients hear what was kept; whether there was anything. What a client's socket does not take now comes
    /// when the client has read what is before it.
    pub fn flow(&mut self) -> bool {
        let mut moved = false;
        for link in &self.all {
            let mut kept = link.kept();
            while !kept.bytes.is_empty() {
                match (&link.client).write(&kept.bytes) {
                    Ok(written) => {
                        kept.bytes.drain(..written);
                        moved = true;
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    // The client has left.
                    Err(_) => kept.bytes.clear(),
                }
            }
            if kept.ended && kept.bytes.is_empty() && !kept.closed {
                kept.closed = true;
                // It may have left already.
                let _ = link.client.shutdown(Shutdown::Both);
                moved = true;
            }
        }
        self.all.retain(|link| !link.kept().closed);
        while self.tasks.try_join_next().is_some() {}
        moved
    }

    /// Closes all.
    pub fn close(&mut self) {
        self.tasks.abort_all();
        self.all.clear();
    }
}

async fn towards_gate(
    mut client: UnixStream,
    mut gate: WriteHalf<DuplexStream>,
    heard: Arc<AtomicU64>,
) {
    let mut bytes = vec![0; CHUNK];
    while let Ok(count @ 1..) = client.read(&mut bytes).await {
        heard.fetch_add(count as u64, Ordering::Relaxed);
        if gate.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
    heard.fetch_add(1, Ordering::Relaxed);
    // The gate may have ended the session first.
    let _ = gate.shutdown().await;
}

async fn keep(mut gate: ReadHalf<DuplexStream>, link: Arc<Link>) {
    let mut bytes = vec![0; CHUNK];
    while let Ok(count @ 1..) = gate.read(&mut bytes).await {
        link.kept().bytes.extend_from_slice(&bytes[..count]);
    }
    link.kept().ended = true;
}

/// Lets clients in, one after the other.
pub(super) async fn accept(listener: UnixListener, clients: UnboundedSender<UnixStream>) {
    loop {
        match listener.accept().await {
            Ok((client, _)) => {
                if clients.send(client).is_err() {
                    return;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept");
                tokio::time::sleep(BREATH).await;
            }
        }
    }
}
