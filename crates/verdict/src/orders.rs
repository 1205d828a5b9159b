//! Serial orders: which there are, and which to look at first.

use std::collections::BTreeSet;

use deadheat_explore::Actor;
use deadheat_lab::record::{Record, StepKind};

use crate::settled::Settled;

/// All orders of the actors, beginning with the given one.
pub fn all_orders(actors: &[Actor]) -> Vec<Vec<Actor>> {
    if actors.is_empty() {
        return vec![Vec::new()];
    }
    let mut out = Vec::new();
    for n in 0..actors.len() {
        let mut rest = actors.to_vec();
        let first = rest.remove(n);
        for mut order in all_orders(&rest) {
            order.insert(0, first);
            out.push(order);
        }
    }
    out
}

/// The present actors in the order in which they last committed (or, without a commit, last moved): the serial order
/// that a correct program is most likely equivalent to.
pub fn likely_order(record: &Record, absent: &BTreeSet<Actor>) -> Vec<Actor> {
    let mut last: Vec<(usize, Actor)> = (0..record.actors.len() as u16)
        .map(Actor)
        .filter(|actor| !absent.contains(actor))
        .map(|actor| {
            let own = || {
                record
                    .steps
                    .iter()
                    .enumerate()
                    .filter(move |(_, s)| s.actor == actor)
            };
            let mut commits =
                own().filter(|(_, s)| matches!(s.kind, StepKind::Commit | StepKind::GapCommit));
            let at = commits
                .next_back()
                .or_else(|| own().next_back())
                .map_or(0, |(n, _)| n);
            (at, actor)
        })
        .collect();
    last.sort_unstable();
    last.into_iter().map(|(_, actor)| actor).collect()
}

/// Orders that must be run before it can be said that none has the outcome: the nearest to `first` (fewer pairs turned
/// round) first; lazily, as there may be very many.
pub(crate) fn nearest_unknown(
    first: &[Actor],
    has_run: impl Fn(&[Actor]) -> bool,
    settled: &Settled,
    most: usize,
) -> Vec<Vec<Actor>> {
    let mut search = Search {
        has_run,
        settled,
        most,
        out: Vec::new(),
    };
    let pairs = first.len() * first.len().saturating_sub(1) / 2;
    for turned in 0..=pairs {
        let mut prefix = Vec::with_capacity(first.len());
        search.extend(first, turned, &mut prefix);
        if search.out.len() >= most {
            break;
        }
    }
    search.out
}

struct Search<'a, K> {
    has_run: K,
    settled: &'a Settled,
    most: usize,
    out: Vec<Vec<Actor>>,
}

impl<K: Fn(&[Actor]) -> bool> Search<'_, K> {
    /// Permutations of `rest` with exactly `turned` inversions, appended to `prefix`.
    fn extend(&mut self, rest: &[Actor], turned: usize, prefix: &mut Vec<Actor>) {
        if self.out.len() >= self.most || turned > rest.len() * rest.len().saturating_sub(1) / 2 {
            return;
        }
        if rest.is_empty() {
            if !(self.has_run)(prefix) && !self.settled.is_known(prefix) {
                self.out.push(prefix.clone());
            }
            return;
        }
        for n in 0..rest.len().min(turned + 1) {
            let mut left = rest.to_vec();
            prefix.push(left.remove(n));
            if !self.settled.is_ruled_out(prefix) {
                self.extend(&left, turned - n, prefix);
            }
            prefix.pop();
        }
    }
}
