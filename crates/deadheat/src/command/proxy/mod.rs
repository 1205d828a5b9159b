//! `deadheat proxy`: a gate that holds nothing, and says what passes.
//!
//! ```text
//!   gate ──events──▶ watch (connections, transactions, bursts) ──▶ filter ──▶ lines (text or JSON)
//!                      │                                  └──────▶ summary (by shape, at the end)
//!                      └─ known (catalogues, footprints)
//! ```

mod filter;
mod known;
mod lines;
mod summary;
mod target;
mod watch;

use std::io::{Write, stderr};
use std::sync::atomic::Ordering;
use std::time::Duration;

use deadheat_gate::{Door, Gate, Seen, ToClients};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use self::filter::Filter;
use self::lines::{Form, Lines};
use self::summary::Summary;
use self::target::Target;
use self::watch::{Heard, Watch};
use super::style;
use crate::args::Proxy;
use crate::problem::{Failure, Problem};
use crate::signals::Interrupted;

/// How often it is looked whether the user wants to end.
const LOOK: Duration = Duration::from_millis(50);

/// Runs the command until the user ends it; returns the exit code.
pub fn run(proxy: &Proxy, interrupted: &Interrupted) -> Result<u8, Problem> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Problem::other(format!("cannot start: {error}"), None))?;
    runtime.block_on(serve(proxy, interrupted))
}

async fn serve(proxy: &Proxy, interrupted: &Interrupted) -> Result<u8, Problem> {
    let target = Target::read(&proxy.to)?;
    let listener = listen(proxy).await?;
    let (send, mut seen) = mpsc::unbounded_channel();
    let gate = Gate::watching(listener, target.upstream()?, send, door(proxy)?)
        .map_err(|error| Problem::other(format!("cannot listen: {error}"), None))?;
    announce(&gate, &target, proxy.tls);
    let form = if proxy.json {
        Form::Json
    } else {
        Form::Text(style())
    };
    let mut log = Log {
        watch: Watch::new(target),
        filter: Filter::new(proxy),
        lines: Lines::new(form),
        summary: Summary::default(),
        readable: true,
    };
    while log.readable && !interrupted.load(Ordering::SeqCst) {
        match tokio::time::timeout(LOOK, seen.recv()).await {
            Ok(Some(seen)) => log.take(seen).await?,
            Ok(None) => break,
            Err(_) => {}
        }
    }
    drop(gate);
    // What has passed is told, though the end has come; connections that end by it are not.
    log.watch.end();
    while let Ok(seen) = seen.try_recv() {
        if !matches!(seen, Seen::Closed { .. }) {
            log.take(seen).await?;
        }
    }
    log.sum_up()?;
    Ok(0)
}

/// What becomes of what is seen.
struct Log {
    watch: Watch,
    filter: Filter,
    lines: Lines,
    summary: Summary,
    /// Whether anybody still reads it.
    readable: bool,
}

impl Log {
    async fn take(&mut self, seen: Seen) -> Result<(), Problem> {
        for heard in self.watch.hear(seen).await {
            if let Heard::Statement(statement) = &heard {
                if !self.filter.wants(statement) {
                    continue;
                }
                self.summary.add(statement);
            }
            self.readable = self.readable && self.lines.print(&heard)?;
        }
        Ok(())
    }

    fn sum_up(&mut self) -> Result<(), Problem> {
        if self.readable {
            self.lines.sum_up(&self.summary)?;
        }
        Ok(())
    }
}

/// Opens the port, on this machine unless more is asked for expressly.
async fn listen(proxy: &Proxy) -> Result<TcpListener, Problem> {
    let asked = &proxy.listen;
    let place = if asked.contains(':') {
        asked.clone()
    } else {
        format!("127.0.0.1:{asked}")
    };
    let unusable = |error: std::io::Error| {
        Failure::new(format!("cannot listen on {asked}: {error}"))
            .mended_by("name another port: --listen 127.0.0.1:0 takes a free one")
    };
    let places: Vec<_> = tokio::net::lookup_host(&place)
        .await
        .map_err(unusable)?
        .collect();
    if let Some(open) = places.iter().find(|place| !place.ip().is_loopback())
        && !proxy.allow_remote_clients
    {
        return Err(Failure::new(format!(
            "{open} can be reached from other machines, which could then use the database with what the proxy passes on"
        ))
        .mended_by("listen on 127.0.0.1, or say --allow-remote-clients if that is meant")
        .into());
    }
    Ok(TcpListener::bind(&places[..]).await.map_err(unusable)?)
}

/// Who is let in, and how.
fn door(proxy: &Proxy) -> Result<Door, Problem> {
    let mut door = Door::default();
    if !proxy.tls {
        return Ok(door);
    }
    let names = ["localhost", "127.0.0.1", "::1"]
        .map(str::to_owned)
        .to_vec();
    let tls =
        ToClients::self_signed(names).map_err(|error| Problem::other(error.to_string(), None))?;
    if let Some(path) = &proxy.certificate {
        std::fs::write(path, tls.pem()).map_err(|error| Problem::file(path, "write", &error))?;
    }
    door.tls = Some(tls);
    Ok(door)
}

fn announce(gate: &Gate, target: &Target, tls: bool) {
    let encrypted = if tls { ", encrypted on request" } else { "" };
    // Standard error may be closed; the proxy serves all the same.
    let _ = writeln!(
        stderr(),
        "listening on {}{encrypted}, to {}; Ctrl-C ends with a summary",
        gate.addr(),
        target.shown()
    );
}
