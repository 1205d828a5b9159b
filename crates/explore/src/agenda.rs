//! Branches that are still to be run: those that can be begun, and those that wait for branches before them.

use std::collections::BTreeMap;

use crate::Footprint;
use crate::tree::{NodeId, Tree};

/// Where a run is to begin something new; `None` for the very first.
pub(crate) type Place = Option<(NodeId, usize)>;

/// Rank and age.
type Key = (u32, u64);

/// Branches of lower rank first, then those that were added earlier.
#[derive(Debug)]
pub(crate) struct Agenda {
    ready: BTreeMap<Key, Place>,
    /// Those of which a branch before them at their node was not run yet.
    waiting: BTreeMap<(NodeId, usize), Key>,
    added: u64,
}

impl Agenda {
    /// With the very first run on it.
    pub fn new() -> Self {
        Self {
            ready: BTreeMap::from([((0, 0), None)]),
            waiting: BTreeMap::new(),
            added: 1,
        }
    }

    pub fn add(&mut self, rank: u32, place: (NodeId, usize), ready: bool) {
        let key = (rank, self.added);
        self.added += 1;
        if ready {
            self.ready.insert(key, Some(place));
        } else {
            self.waiting.insert(place, key);
        }
    }

    /// The branch has been run: those behind it may be ready now.
    pub fn made<F: Footprint>(&mut self, tree: &Tree<F>, node: NodeId, branch: usize) {
        let behind = self.waiting.range((node, branch)..=(node, usize::MAX));
        let ready = behind.map(|(place, _)| *place);
        let ready: Vec<_> = ready
            .take_while(|(node, branch)| tree.is_ready(*node, *branch))
            .collect();
        for place in ready {
            if let Some(key) = self.waiting.remove(&place) {
                self.ready.insert(key, Some(place));
            }
        }
    }

    /// The rank of what [`take`](Self::take) returns.
    pub fn next_rank(&self) -> Option<u32> {
        self.ready.first_key_value().map(|((rank, _), _)| *rank)
    }

    pub fn take(&mut self) -> Option<Place> {
        self.ready.pop_first().map(|(_, place)| place)
    }

    /// Branches that can be begun.
    pub fn ready(&self) -> usize {
        self.ready.len()
    }

    /// All branches still to be run.
    pub fn len(&self) -> usize {
        self.ready.len() + self.waiting.len()
    }

    pub fn ever_added(&self) -> u64 {
        self.added
    }
}
