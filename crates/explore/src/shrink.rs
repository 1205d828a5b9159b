//! Simpler schedules to try once a race is found.

use crate::Actor;

/// Schedules with fewer switches than one that showed a race, for a driver to try one after the other.
///
/// ```
/// use deadheat_explore::{Actor, fewer_switches};
///
/// let (a, b) = (Actor(0), Actor(1));
/// let mut shrink = fewer_switches(vec![a, b, a, b, a]);
/// while let Some(candidate) = shrink.candidate() {
///     // Replay it here; this race only needs that `b` moves between two steps of `a`.
///     let first = candidate.iter().position(|&who| who == b);
///     if first > Some(0) && candidate.last() == Some(&a) {
///         shrink.persisted(candidate);
///     }
/// }
/// assert_eq!(shrink.best(), [a, a, b, b, a]);
/// ```
#[derive(Clone, Debug)]
pub struct FewerSwitches {
    best: Vec<Actor>,
    /// Which way of joining two blocks of `best` comes next.
    attempt: usize,
}

/// Begins to shrink a schedule. See [`FewerSwitches`].
pub fn fewer_switches(schedule: Vec<Actor>) -> FewerSwitches {
    FewerSwitches {
        best: schedule,
        attempt: 0,
    }
}

impl FewerSwitches {
    /// The next schedule to try; `None` when none is left. Unless [`persisted`](Self::persisted) is called
    /// before the next one is asked for, the race is taken to be gone.
    pub fn candidate(&mut self) -> Option<Vec<Actor>> {
        let blocks: Vec<&[Actor]> = self.best.chunk_by(PartialEq::eq).collect();
        loop {
            let (at, backwards) = (self.attempt / 2, self.attempt % 2 == 1);
            let block = blocks.get(at)?;
            self.attempt += 1;
            let Some(again) = blocks[at + 1..]
                .iter()
                .position(|b| b[0] == block[0])
                .map(|b| at + 1 + b)
            else {
                continue;
            };
            // The later block joins the earlier one, or the earlier one waits for the later.
            let (from, to) = if backwards { (at, again) } else { (again, at) };
            let joined = blocks
                .iter()
                .enumerate()
                .filter(|(b, _)| *b != from)
                .flat_map(|(b, steps)| {
                    let more = if b == to { blocks[from] } else { &[] };
                    steps.iter().chain(more)
                });
            return Some(joined.copied().collect());
        }
    }

    /// The last candidate still showed the race, in a run with this schedule (which differs from the candidate
    /// where that could not be followed). Kept if it has fewer switches than the best so far.
    pub fn persisted(&mut self, schedule: Vec<Actor>) {
        if switches(&schedule) < switches(&self.best) {
            self.best = schedule;
            self.attempt = 0;
        }
    }

    /// The simplest schedule that showed the race.
    pub fn best(&self) -> &[Actor] {
        &self.best
    }
}

fn switches(schedule: &[Actor]) -> usize {
    schedule.chunk_by(PartialEq::eq).count()
}
