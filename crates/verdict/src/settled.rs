//! Serial orders that need not be run, because those that were have shown what they come to.
//!
//! With six actors there are 720 orders. Two things are known of most of them when some have run. *How it begins*: the
//! actors before a place do the same whoever comes after it, so that an order which begins like a known one tells its
//! first actors the same; where that is not what the run told them, no order with this beginning has the outcome. *Who
//! changes places*: an order in which two neighbours that touch nothing in common are swapped comes to the same. That
//! they touch nothing is what the gate has seen; what services keep in memory it does not see, so that it counts only
//! when two orders that differ in nothing else have come to the same.

use std::collections::BTreeSet;

use deadheat_explore::Actor;

/// Two actors, the lower first.
pub(crate) type Pair = (Actor, Actor);

/// What is known without a run.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    /// Beginnings after which the last actor was told something else than in the run that is judged.
    ruled_out: BTreeSet<Vec<Actor>>,
    /// Orders that have run, with the pairs that may change places in them.
    traces: Vec<(Vec<Actor>, BTreeSet<Pair>)>,
}

impl Settled {
    /// No order that begins like this can have the outcome.
    pub fn rule_out(&mut self, beginning: &[Actor]) {
        self.ruled_out.insert(beginning.to_vec());
    }

    /// These pairs may change places in an order that has run.
    pub fn may_swap(&mut self, order: &[Actor], pairs: BTreeSet<Pair>) {
        if !pairs.is_empty() {
            self.traces.push((order.to_vec(), pairs));
        }
    }

    /// Whether no order that begins like this can have the outcome. Asked of each beginning of an order, from the
    /// shortest on.
    pub fn is_ruled_out(&self, beginning: &[Actor]) -> bool {
        self.ruled_out.contains(beginning)
    }

    /// Whether an order comes to the same as one that has run.
    pub fn is_known(&self, order: &[Actor]) -> bool {
        self.traces
            .iter()
            .any(|(known, pairs)| leads_to(known, order, pairs))
    }
}

/// Whether one order becomes the other when only these pairs change places: all others stay as they are.
fn leads_to(one: &[Actor], other: &[Actor], pairs: &BTreeSet<Pair>) -> bool {
    let place = |actor: &Actor| one.iter().position(|known| known == actor);
    let Some(places) = other.iter().map(place).collect::<Option<Vec<_>>>() else {
        return false;
    };
    let turned = |n: usize| {
        (0..n).all(|m| places[m] < places[n] || pairs.contains(&pair(other[m], other[n])))
    };
    one.len() == other.len() && (0..other.len()).all(turned)
}

/// Two actors, whichever comes first.
pub(crate) fn pair(one: Actor, other: Actor) -> Pair {
    (one.min(other), one.max(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(actors: &[u16]) -> Vec<Actor> {
        actors.iter().copied().map(Actor).collect()
    }

    #[test]
    fn who_touches_nothing_of_his_neighbour_may_go_before_him() {
        let mut settled = Settled::default();
        let pairs = BTreeSet::from([(Actor(0), Actor(1)), (Actor(0), Actor(2))]);
        settled.may_swap(&order(&[0, 1, 2]), pairs);
        assert!(settled.is_known(&order(&[1, 0, 2])));
        assert!(settled.is_known(&order(&[1, 2, 0])));
        assert!(
            !settled.is_known(&order(&[0, 2, 1])),
            "these two do not commute"
        );
        assert!(!settled.is_known(&order(&[2, 0, 1])));
        assert!(!settled.is_known(&order(&[1, 0])), "somebody is missing");
    }

    #[test]
    fn what_begins_wrong_stays_wrong() {
        let mut settled = Settled::default();
        settled.rule_out(&order(&[3]));
        assert!(settled.is_ruled_out(&order(&[3])));
        assert!(!settled.is_ruled_out(&order(&[0])));
    }
}
