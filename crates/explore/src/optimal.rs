//! Optimal DPOR, as long as steps can be foreseen; and what is to be made up for when they turn out not to be.
//!
//! Each race that is not reversed elsewhere puts its whole reversal into the tree (see [`wakeup`](crate::wakeup)),
//! the reversed step included, trusted to stay what it was. Then no run is cut, and none is made twice.
//!
//! In the paper branches are run depth first, so that whatever is put beside a branch comes before that branch's
//! successors are run. Here they are run in order of preemptions, many at once, and two things make up for it:
//!
//! - A reversal is held against all branches before it at its node, those not run yet included, and branches are only ever
//!   added at the end. So what sleeps at a branch is settled when the branch is added.
//! - Where a branch that was run already can begin a reversal, the reversal goes down through it, and is put where it
//!   leaves the runs that were made. To call it covered would be wrong: what is asleep below that branch may keep these runs from
//!   coming to it, in favour of the very run that shows the race
//!   (`a_sleeping_reader_does_not_hide_a_reversal` in the tests). So a subtree that is done is kept until all that
//!   is before it in the tree is done too.
//!
//! # When a step drifts
//!
//! Every run is looked through for steps that touch something else than they did after the same replies, before
//! anything is made of it (see [`drift`](crate::drift)). One such step, or one that waits, and the search goes on with source sets,
//! for good. To lose nothing by what was trusted until then, the reversals that source sets would have asked
//! branches for are noted all along, run by run, and those that still have none get one then: from there on the tree is one that source-DPOR could have made, with
//! some branches it would have added later. Sleep sets need no mending, because they are made of steps that were run at
//! their very place; guides are dropped, where they were not followed yet.
//!
//! *Why a drift is seen before it does harm* (an argument, not a proof): say a step is trusted to touch `f`, and would touch `g` at the place
//! that it is moved to. The two differ because of something it read that an event before it changed; up to there both read
//! the same. The reversal is left out in favour of a branch that commutes with `f`. If that branch's step commutes with `g`
//! too, the step is made in a run through it and touches `g`; if not, the step still comes to read what made the difference
//! before it can meet that branch's change, and touches something that is not `f`. Either way a run shows it, and
//! what is owed is paid. The tests hold that against brute force, on programs with drift and without, of a model and on a
//! real server. It takes footprints that mean the same in whichever lab a step was made: sessions that were named by
//! numbers of their lab once made waits commute that do not, and an outcome was lost.

use std::collections::BTreeSet;

use crate::Footprint;
use crate::causality::Race;
use crate::drift::Drift;
use crate::plan::{Missing, Seen};
use crate::tree::{NodeId, Provided, Tree};
use crate::wakeup::{Step, can_begin};
use crate::{Actor, Run};

/// What is kept while steps are trusted.
#[derive(Debug)]
pub(crate) struct Trust<F> {
    drift: Drift<F>,
    /// Reversals that source sets would have asked branches for, each once.
    owed: BTreeSet<Missing>,
    /// The same in the order in which they came up, the latest of a run first.
    debts: Vec<Missing>,
}

impl<F: Footprint> Trust<F> {
    pub(crate) fn new() -> Self {
        Self {
            drift: Drift::new(),
            debts: Vec::new(),
            owed: BTreeSet::new(),
        }
    }

    /// Whether the steps of a run are as they were foreseen.
    pub(crate) fn survives(&mut self, run: &Run<F>) -> bool {
        !run.blocked && !self.drift.shows_in(run)
    }

    /// Notes what source sets ask for after a run. Returns `false` if no true footprints allow what happened.
    pub(crate) fn owe(&mut self, seen: &Seen<F>, tree: &mut Tree<F>) -> bool {
        let (missing, unexplained) = seen.missing(tree);
        for missing in missing.into_iter().rev() {
            if self.owed.insert(missing.clone()) {
                tree.hold(missing.node);
                self.debts.push(missing);
            }
        }
        !unexplained
    }

    /// What is owed, once trust is over. Each node is [released](Tree::release) by whoever is done with it.
    pub(crate) fn debts(self) -> Vec<Missing> {
        self.debts
    }
}

impl<F: Footprint> Seen<F> {
    /// Puts the reversals of the run's races into the tree, where they are missing. Returns the branches that took, in
    /// order. The flag says that one of them could not begin as it should, which no true footprints allow.
    pub(crate) fn optimal(&self, tree: &mut Tree<F>) -> (Vec<(NodeId, usize)>, bool) {
        let mut reversals = Vec::new();
        let sets = tree.sleep_sets(&self.grown.path);
        let races = self.causality.races().iter().rev();
        for &race in races.filter(|race| race.reversible) {
            let asleep = &sets[race.first];
            let Some(steps) = self.reversal(tree, race) else {
                continue;
            };
            if asleep.iter().any(|(a, f)| can_begin(&steps, *a, f)) {
                continue;
            }
            let asleep: Vec<(Actor, F)> = asleep.iter().map(|(a, f)| (*a, (*f).clone())).collect();
            reversals.push((self.grown.path[race.first].0, asleep, steps));
        }
        drop(sets);
        let (mut added, mut unexplained) = (Vec::new(), false);
        for (node, asleep, steps) in reversals {
            match tree.provide(node, asleep, steps) {
                Provided::Already => {}
                Provided::By(node, branch) => added.push((node, branch)),
                Provided::Impossible => unexplained = true,
            }
        }
        (added, unexplained)
    }

    /// The steps of a race's reversal: what the later step depends on, that step, and then what else is kept.
    fn reversal(&self, tree: &Tree<F>, race: Race) -> Option<Vec<Step<F>>> {
        let path = &self.grown.path;
        let made = path.len();
        let touches = |at: usize| {
            tree.event(path[at])
                .map(|event| (event.actor, &event.footprint))
        };
        let reversed = match race.second.checked_sub(made) {
            None => touches(race.second)?,
            Some(at) => self.pending.get(at).map(|(actor, f)| (*actor, f))?,
        };
        let mut needed = vec![reversed];
        let mut others = Vec::new();
        let kept: Vec<usize> = self.causality.kept(race).collect();
        for &at in kept.iter().rev() {
            let step = touches(at)?;
            let depends = |later: &(Actor, &F)| later.0 == step.0 || later.1.conflicts(step.1);
            if at < race.second && needed.iter().any(depends) {
                needed.push(step);
            } else {
                others.push(step);
            }
        }
        let step = |needed: bool| {
            move |(actor, footprint): (Actor, &F)| Step {
                actor,
                footprint: footprint.clone(),
                needed,
            }
        };
        let needed = needed.into_iter().rev().map(step(true));
        Some(
            needed
                .chain(others.into_iter().rev().map(step(false)))
                .collect(),
        )
    }
}
