//! Cancel requests: each comes on a connection of its own and names a session by process id and key.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;

use crate::session::{CancelTo, Command};
use crate::{Shared, Upstream};

/// How long the server may take to act on a request before the session goes on without knowing.
const PATIENCE: Duration = Duration::from_secs(5);

/// Routes a request: a held statement ends at the gate, a running one at the server, and what comes later is spared.
pub(crate) async fn cancel(shared: Arc<Shared>, pid: i32, key: Vec<u8>, packet: BytesMut) {
    let Some((session, upstream)) = shared.find(pid, &key) else {
        // Not one of ours as far as known: the server decides.
        return report(forward(&shared.upstream(), &packet).await);
    };
    let (answer, to) = oneshot::channel();
    session.send(Command::Cancel(answer));
    if to.await == Ok(CancelTo::Server) {
        report(forward(&upstream, &packet).await);
        session.send(Command::Cancelled);
    }
}

fn report(result: io::Result<()>) {
    if let Err(error) = result {
        tracing::warn!(%error, "a cancel request did not reach the server");
    }
}

/// Hands the packet on and waits until the server has closed the connection: by then it has sent the signal.
async fn forward(upstream: &Upstream, packet: &[u8]) -> io::Result<()> {
    let work = async {
        let mut server = upstream.connect().await?;
        server.write_all(packet).await?;
        server.read_to_end(&mut Vec::new()).await?;
        Ok(())
    };
    tokio::time::timeout(PATIENCE, work)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
