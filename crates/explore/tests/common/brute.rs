//! All interleavings, one by one: what the searches are measured against.

use std::collections::BTreeMap;

use deadheat_explore::{Actor, Event, trace_id};

use super::machine::{Machine, Print};

/// The traces that schedules of at most `bound` preemptions reach, with their outcomes; `None` if there are more
/// than `cap` schedules.
pub fn classes(machine: &Machine, bound: u32, cap: u64) -> Option<BTreeMap<u64, u64>> {
    let mut all = All {
        classes: BTreeMap::new(),
        events: Vec::new(),
        left: cap,
    };
    all.below(machine, bound).then_some(all.classes)
}

struct All {
    classes: BTreeMap<u64, u64>,
    events: Vec<Event<Print>>,
    left: u64,
}

impl All {
    fn below(&mut self, machine: &Machine, bound: u32) -> bool {
        let enabled = machine.enabled();
        if enabled.is_empty() {
            let outcome = machine.outcome();
            let known = *self
                .classes
                .entry(trace_id(&self.events))
                .or_insert(outcome);
            assert_eq!(
                known, outcome,
                "two interleavings of one trace came out differently"
            );
            if self.left == 0 {
                return false;
            }
            self.left -= 1;
        }
        let running: Option<Actor> = self
            .events
            .last()
            .map(|e| e.actor)
            .filter(|a| enabled.contains(a));
        for who in enabled {
            let cost = u32::from(running.is_some_and(|running| running != who));
            if cost > bound {
                continue;
            }
            let mut machine = machine.clone();
            self.events.push(machine.step(who));
            let complete = self.below(&machine, bound - cost);
            self.events.pop();
            if !complete {
                return false;
            }
        }
        true
    }
}
