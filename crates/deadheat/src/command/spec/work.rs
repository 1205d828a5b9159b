//! Workers, each in its place, and the order in which their results are shown.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock, mpsc};
use std::time::{Duration, Instant};

use deadheat_spec::{Patience, Server, Stop, Stream, keeps_time, preamble, run};

use super::files::Loaded;
use super::place::{Ground, Place};
use crate::problem::Problem;
use crate::signals::Interrupted;

/// What became of a spec.
pub struct Worked {
    pub output: Vec<(Stream, Vec<u8>)>,
    /// It ended early.
    pub died: bool,
    pub took: Duration,
}

/// After how long a step is cancelled.
const STEP: Duration = Duration::from_mins(5);

/// Words of statements whose effects reach beyond their database: snapshots and serializable transactions wait for
/// those in others, roles and prepared transactions belong to all, notifications share a queue.
const FAR: [&str; 8] = [
    "serializable",
    "notify",
    "prepare transaction",
    "role",
    "user",
    "database",
    "vacuum",
    "alter system",
];

/// How patient the original would be: `PGISOLATIONTIMEOUT` is in seconds.
pub fn patience() -> Result<Duration, Problem> {
    let Some(set) = std::env::var_os("PGISOLATIONTIMEOUT") else {
        return Ok(STEP);
    };
    let seconds = set.to_str().and_then(|text| text.trim().parse().ok());
    let seconds = seconds.ok_or_else(|| {
        let message = format!("PGISOLATIONTIMEOUT is {}", set.display());
        Problem::other(
            message,
            Some("it says after how many seconds a step is cancelled: 300"),
        )
    })?;
    Ok(Duration::from_secs(seconds))
}

/// Runs all specs; `show` is told of each in the order in which they were named.
pub fn all(
    specs: &[Loaded],
    ground: &Ground,
    interrupted: &Interrupted,
    show: &mut dyn FnMut(&Loaded, &Worked) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let step = patience()?;
    let next = AtomicUsize::new(0);
    // Those that reach far run while nobody else does, where places share a server.
    let alone = RwLock::new(());
    let (send, receive) = mpsc::channel();
    std::thread::scope(|scope| {
        for place in &ground.places {
            let send = send.clone();
            let (next, alone) = (&next, &alone);
            scope.spawn(move || {
                while !interrupted.load(Ordering::SeqCst) {
                    let at = next.fetch_add(1, Ordering::SeqCst);
                    let Some(spec) = specs.get(at) else { return };
                    let reaches_far = ground.shared && spec.spec.mentions(&FAR);
                    let _beside = (!reaches_far)
                        .then(|| alone.read().unwrap_or_else(PoisonError::into_inner));
                    let _alone =
                        reaches_far.then(|| alone.write().unwrap_or_else(PoisonError::into_inner));
                    let worked = one(spec, place, step, interrupted);
                    let broken = worked.is_err();
                    if send.send((at, worked)).is_err() || broken {
                        return;
                    }
                }
            });
        }
        drop(send);
        let mut early = BTreeMap::new();
        let mut shown = 0;
        let mut told = Ok(());
        for (at, worked) in receive {
            early.insert(at, worked);
            while let Some(worked) = early.remove(&shown).filter(|_| told.is_ok()) {
                told = worked.and_then(|worked| show(&specs[shown], &worked));
                shown += 1;
            }
            if told.is_err() {
                next.store(specs.len(), Ordering::SeqCst);
            }
        }
        told
    })
}

fn one(
    loaded: &Loaded,
    place: &Place,
    step: Duration,
    interrupted: &Interrupted,
) -> Result<Worked, Problem> {
    let start = Instant::now();
    let spec = &loaded.spec;
    let mut output = Vec::new();
    let mut sink = |stream: Stream, bytes: &[u8]| output.push((stream, bytes.to_vec()));
    preamble(spec, &mut sink);
    let connected = Server::connect(spec, &loaded.name, &place.target, place.terms);
    let mut server = connected.map_err(|error| {
        let help = "the server's log says more; it needs a connection for each session of the spec, and one more";
        Problem::other(format!("{}: {error}", loaded.path.display()), Some(help))
    })?;
    let patience = Patience {
        step,
        steady: keeps_time(spec),
    };
    let goes_on = || !interrupted.load(Ordering::SeqCst);
    let ran = run(spec, &mut server, patience, &mut sink, &goes_on);
    server.close();
    if ran.is_err() {
        place.renew()?;
    }
    Ok(Worked {
        output,
        died: matches!(ran, Err(Stop::Died(_) | Stop::Wire(_))),
        took: start.elapsed(),
    })
}
