//! A gate with no lab attached: bytes, both ways.

use std::io;
use std::time::Duration;

use tokio::io::copy_bidirectional_with_sizes;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::stream::Upstream;

const BUFFER: usize = 128 * 1024;
/// Pause after a failed accept (out of file descriptors, mostly), so that it does not spin.
const BREATH: Duration = Duration::from_millis(20);

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
    copy_bidirectional_with_sizes(&mut client, &mut server, BUFFER, BUFFER).await?;
    Ok(())
}
