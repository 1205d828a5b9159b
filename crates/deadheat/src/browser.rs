//! A page in whatever browser there is.

use std::io::{Write, stderr};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use deadheat_live::{Server, Site};

use crate::problem::Problem;
use crate::signals::{self, Interrupted};

/// How long to wait before looking whether a signal came.
const TICK: Duration = Duration::from_millis(50);

/// A page that is served, and shown in the browser where there is one.
///
/// # Errors
/// When nothing can be served on this machine.
pub fn serve(site: Arc<dyn Site>) -> Result<Server, Problem> {
    let server = Server::open(site)
        .map_err(|error| Problem::other(format!("the page cannot be served: {error}"), None))?;
    show(server.address());
    Ok(server)
}

/// Leaves the page where it is until the user wants it to end.
pub fn stay(server: &Server, interrupted: &Interrupted) {
    if interrupted.load(Ordering::SeqCst) {
        return;
    }
    signals::at_rest();
    // Standard error may be closed; the page stays all the same.
    let _ = writeln!(
        stderr(),
        "the page stays until Ctrl-C: {}",
        server.address()
    );
    while !interrupted.load(Ordering::SeqCst) {
        std::thread::sleep(TICK);
    }
}

/// Says where the page is, and opens it if there is a display to open it on.
fn show(address: &str) {
    // Standard error may be closed; the page is there all the same.
    let _ = writeln!(stderr(), "page: {address}");
    let opener = if cfg!(target_os = "macos") {
        "open"
    } else if has_display() {
        "xdg-open"
    } else {
        return;
    };
    // The browser is the user's: it outlives us. Where there is none, the address was said.
    let _ = Command::new(opener)
        .arg(address)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
}

fn has_display() -> bool {
    ["WAYLAND_DISPLAY", "DISPLAY"]
        .iter()
        .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}
