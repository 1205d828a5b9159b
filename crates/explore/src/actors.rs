//! A small ordered set of actors. Runs have few actors, so a sorted vector beats a tree.

use crate::Actor;

/// Sorted, without duplicates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Actors(Vec<Actor>);

impl Actors {
    pub(crate) fn contains(&self, actor: Actor) -> bool {
        self.0.binary_search(&actor).is_ok()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Actor> + '_ {
        self.0.iter().copied()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Actor> for Actors {
    fn from_iter<I: IntoIterator<Item = Actor>>(actors: I) -> Self {
        let mut all: Vec<Actor> = actors.into_iter().collect();
        all.sort_unstable();
        all.dedup();
        Self(all)
    }
}
