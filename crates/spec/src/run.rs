//! Runs a spec from its first line of output to its last.

use crate::conduct::{Patience, Sink, Stop, Stream, permutation};
use crate::connections::Connections;
use crate::model::Spec;
use crate::permute::permutations;

/// Words of settings that end a wait by themselves, all of which end alike.
const LIMITS: [&str; 1] = ["_timeout"];

/// Whether the spec sets time limits of its own, so that how long a wait is watched shows in the output.
pub fn keeps_time(spec: &Spec) -> bool {
    spec.mentions(&LIMITS)
}

/// Writes what comes before the first permutation.
pub fn preamble(spec: &Spec, sink: &mut Sink<'_>) {
    for name in spec.unused() {
        sink(
            Stream::Err,
            format!("unused step name: {name}\n").as_bytes(),
        );
    }
    let sessions = spec.sessions.len();
    sink(
        Stream::Out,
        format!("Parsed test spec with {sessions} sessions\n").as_bytes(),
    );
}

/// Runs all permutations, as long as `goes_on` says so.
///
/// # Errors
/// When the spec cannot go on; why was written already.
pub fn run<C: Connections>(
    spec: &Spec,
    connections: &mut C,
    patience: Patience,
    sink: &mut Sink<'_>,
    goes_on: &dyn Fn() -> bool,
) -> Result<(), Stop> {
    for entries in permutations(spec) {
        if !goes_on() {
            return Err(Stop::Interrupted);
        }
        let ran = permutation(spec, &entries, connections, patience, sink);
        if let Err(stop) = ran {
            let reason = match &stop {
                Stop::Died(reason) => reason.clone(),
                Stop::Wire(error) => format!("{error}\n"),
                Stop::Interrupted => String::new(),
            };
            sink(Stream::Err, reason.as_bytes());
            return Err(stop);
        }
    }
    Ok(())
}
