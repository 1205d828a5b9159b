//! Wakeup trees: what is to be run, as sequences of steps that are known from other runs.
//!
//! Abdulla, Aronis, Jonsson, Sagonas: Optimal dynamic partial order reduction (POPL 2014; JACM 2017). A branch that
//! knows its first step only may come to a place where all are asleep: the run was in vain. A branch that
//! knows enough steps to wake everybody cannot. It takes that steps stay what they were when they are made in another
//! place, which [`drift`](crate::drift) watches over.

use crate::cursor::commutes;
use crate::{Actor, Footprint};

/// A step of a reversal.
#[derive(Clone, Debug)]
pub(crate) struct Step<F> {
    pub actor: Actor,
    pub footprint: F,
    /// Whether the reversed step is it, or depends on it. The others are only of use for waking.
    pub needed: bool,
}

/// A step that is to be made, and what after it: the first of these first, all of them in the end; anything if
/// there are none.
#[derive(Clone, Debug)]
pub(crate) struct Wake<F> {
    pub actor: Actor,
    pub footprint: F,
    pub below: Vec<Wake<F>>,
}

/// Whether some run that does these steps, and maybe more, is equivalent to one that begins with this step of `actor`:
/// it is among them and follows none, or it commutes with all.
pub(crate) fn can_begin<F: Footprint>(steps: &[Step<F>], actor: Actor, footprint: &F) -> bool {
    for step in steps {
        if step.actor == actor {
            return true;
        }
        if step.footprint.conflicts(footprint) {
            return false;
        }
    }
    true
}

/// Leaves out the first step of an actor, if there is one.
pub(crate) fn without<F>(steps: &mut Vec<Step<F>>, actor: Actor) {
    if let Some(at) = steps.iter().position(|step| step.actor == actor) {
        steps.remove(at);
    }
}

/// Those who sleep on after a step.
pub(crate) fn still_asleep<F: Footprint>(
    asleep: &mut Vec<(Actor, F)>,
    actor: Actor,
    footprint: &F,
) {
    asleep.retain(|(sleeper, theirs)| commutes(*sleeper, theirs, actor, footprint));
}

/// Sees to it that the steps are among what is to be made. `wakes` are what is to be made so far; none: anything, so that
/// nothing is missing.
pub(crate) fn insert<F: Footprint>(
    wakes: &mut Vec<Wake<F>>,
    mut asleep: Vec<(Actor, F)>,
    mut steps: Vec<Step<F>>,
) {
    let mut wakes = wakes;
    while !wakes.is_empty() {
        let begins = wakes
            .iter()
            .position(|wake| can_begin(&steps, wake.actor, &wake.footprint));
        let earlier = &wakes[..begins.unwrap_or(wakes.len())];
        asleep.extend(earlier.iter().map(|w| (w.actor, w.footprint.clone())));
        let Some(at) = begins else {
            wakes.extend(chain(steps, &asleep));
            return;
        };
        let wake = &mut wakes[at];
        without(&mut steps, wake.actor);
        still_asleep(&mut asleep, wake.actor, &wake.footprint);
        wakes = &mut wake.below;
    }
}

/// The needed steps and as many more as it takes to wake everybody, one below the other.
pub(crate) fn chain<F: Footprint>(
    mut steps: Vec<Step<F>>,
    asleep: &[(Actor, F)],
) -> Option<Wake<F>> {
    let mut length = steps.iter().take_while(|step| step.needed).count();
    let sleeps_on = |length: usize| {
        let so_far = &steps[..length];
        asleep
            .iter()
            .any(|(actor, footprint)| can_begin(so_far, *actor, footprint))
    };
    while length < steps.len() && sleeps_on(length) {
        length += 1;
    }
    steps.truncate(length);
    let below = |below: Option<Wake<F>>, step: Step<F>| {
        Some(Wake {
            actor: step.actor,
            footprint: step.footprint,
            below: below.into_iter().collect(),
        })
    };
    steps.into_iter().rev().fold(None, below)
}

/// The first way down.
pub(crate) fn guide<F>(wakes: &[Wake<F>]) -> Vec<Actor> {
    let first = std::iter::successors(wakes.first(), |wake| wake.below.first());
    first.map(|wake| wake.actor).collect()
}
