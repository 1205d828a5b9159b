//! The orders in which the steps of a spec are run.

use crate::model::{Entry, Spec, StepId};

/// The permutations of a spec: those it lists, or all interleavings of its sessions, depth first, the next step from
/// the sessions in their order. They are made one by one: there may be very many.
pub fn permutations(spec: &Spec) -> impl Iterator<Item = Vec<Entry>> + '_ {
    let listed = spec.permutations.iter().cloned();
    let all = spec.permutations.is_empty().then(|| All::new(spec));
    listed.chain(all.into_iter().flatten())
}

/// How many interleavings there are; `None` beyond a 64 bit number.
pub fn interleavings(spec: &Spec) -> Option<u64> {
    let (mut count, mut placed): (u128, u128) = (1, 0);
    for session in &spec.sessions {
        // One factor at a time, so that each division comes out even.
        for step in 1..=session.steps.len() as u128 {
            placed += 1;
            count = count.checked_mul(placed)? / step;
        }
    }
    u64::try_from(count).ok()
}

/// Goes from one interleaving to the next in the order of the sessions: the next permutation of a multiset.
struct All {
    /// Whose step it is, place by place; `None` when all were seen.
    order: Option<Vec<usize>>,
}

impl All {
    fn new(spec: &Spec) -> Self {
        Self {
            order: Some(spec.steps().map(|id| id.session).collect()),
        }
    }
}

impl Iterator for All {
    type Item = Vec<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        let order = self.order.take()?;
        let entries = entries(&order);
        self.order = following(order);
        Some(entries)
    }
}

/// The steps behind an order of sessions, each session's steps in their order.
pub(crate) fn entries(order: &[usize]) -> Vec<Entry> {
    let mut taken = vec![0; order.iter().max().map_or(0, |most| most + 1)];
    let mut entries = Vec::with_capacity(order.len());
    for &session in order {
        let step = taken[session];
        taken[session] += 1;
        entries.push(Entry {
            step: StepId { session, step },
            markers: Vec::new(),
        });
    }
    entries
}

/// The lexically next order of the same sessions.
fn following(mut order: Vec<usize>) -> Option<Vec<usize>> {
    let pivot = (1..order.len())
        .rev()
        .find(|&at| order[at - 1] < order[at])?;
    let larger = (pivot..order.len())
        .rev()
        .find(|&at| order[at] > order[pivot - 1])?;
    order.swap(pivot - 1, larger);
    order[pivot..].reverse();
    Some(order)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;

    fn spec(steps: &[usize]) -> Spec {
        let mut text = String::new();
        for (session, count) in steps.iter().enumerate() {
            text.push_str(&format!("session s{session}\n"));
            for step in 0..*count {
                text.push_str(&format!("step s{session}_{step} {{ SELECT 1; }}\n"));
            }
        }
        parse(&text).unwrap_or_else(|problem| panic!("{problem}"))
    }

    fn orders(spec: &Spec) -> Vec<Vec<usize>> {
        let sessions =
            |entries: Vec<Entry>| entries.iter().map(|entry| entry.step.session).collect();
        permutations(spec).map(sessions).collect()
    }

    #[test]
    fn interleavings_come_depth_first_in_the_order_of_the_sessions() {
        assert_eq!(
            orders(&spec(&[2, 2])),
            [
                [0, 0, 1, 1],
                [0, 1, 0, 1],
                [0, 1, 1, 0],
                [1, 0, 0, 1],
                [1, 0, 1, 0],
                [1, 1, 0, 0]
            ]
        );
        assert_eq!(orders(&spec(&[3])), [[0, 0, 0]]);
    }

    #[test]
    fn they_are_counted_without_being_made() {
        for steps in [&[1][..], &[2, 2], &[1, 2, 3], &[2, 2, 2, 1]] {
            let spec = spec(steps);
            assert_eq!(
                interleavings(&spec),
                Some(orders(&spec).len() as u64),
                "{steps:?}"
            );
        }
        assert_eq!(interleavings(&spec(&[200, 200])), None);
    }

    #[test]
    fn steps_of_one_session_keep_their_order() {
        let spec = spec(&[2, 1]);
        let names: Vec<Vec<&str>> = permutations(&spec)
            .map(|entries| {
                entries
                    .iter()
                    .map(|entry| spec.step(entry.step).name.as_str())
                    .collect()
            })
            .collect();
        assert_eq!(
            names,
            [
                ["s0_0", "s0_1", "s1_0"],
                ["s0_0", "s1_0", "s0_1"],
                ["s1_0", "s0_0", "s0_1"]
            ]
        );
    }
}
