//! What a finished run says about the runs still to make: every race it shows is to be seen the other way round.

use crate::Footprint;
use crate::actors::Actors;
use crate::causality::{Causality, Race};
use crate::tree::{Grown, NodeId, Tree};
use crate::{Actor, Run};

/// A run worked up so far that its races can be planned for.
pub(crate) struct Seen<F> {
    pub causality: Causality,
    /// Where it is in the tree.
    pub grown: Grown,
    /// Who could move at each node on its way.
    pub enabled: Vec<Actors>,
    /// Steps that a lock kept from being made, until the end.
    pub pending: Vec<(Actor, F)>,
}

/// A reversal that is to be begun.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Missing {
    pub node: NodeId,
    /// Who can begin it, if footprints are true.
    pub initials: Vec<Actor>,
    /// Who is to: best one of these; all that could move at `node` where none of them could.
    pub begins: Vec<Actor>,
}

impl<F: Footprint> Seen<F> {
    /// Hangs a run into the tree, below the branch it was made for.
    pub(crate) fn grow(tree: &mut Tree<F>, node: NodeId, branch: usize, run: Run<F>) -> Self {
        let causality = Causality::new(&run.events, &run.pending);
        let steps = run.events.len();
        let preempting: Vec<bool> = (0..steps).map(|at| run.preempts(at)).collect();
        let goes_on = |at: usize| {
            run.enabled
                .get(at + 1)
                .is_some_and(|e| e.contains(run.events[at].actor))
        };
        let running: Vec<bool> = (0..steps).map(goes_on).collect();
        let grown = tree.grow(
            node,
            branch,
            run.events,
            &preempting,
            &running,
            &run.enabled,
        );
        Self {
            causality,
            grown,
            enabled: run.enabled,
            pending: run.pending,
        }
    }

    /// The branches that source-DPOR with sleep sets wants: for each race one of the actors that can begin the
    /// reversal, unless one of them is there already or asleep (and so explored elsewhere).
    ///
    /// The flag says that none of them could move, which no true footprints allow; then everybody is wanted.
    pub(crate) fn reduced(&self, tree: &Tree<F>) -> (Vec<(NodeId, Actor)>, bool) {
        let (missing, unexplained) = self.missing(tree);
        let mut wanted: Vec<(NodeId, Actor)> = Vec::new();
        for Missing {
            node,
            initials,
            begins,
        } in missing
        {
            if !initials.iter().any(|&one| wanted.contains(&(node, one))) {
                let more = begins.into_iter().map(|one| (node, one));
                let more: Vec<_> = more.filter(|one| !wanted.contains(one)).collect();
                wanted.extend(more);
            }
        }
        (wanted, unexplained)
    }

    /// The reversals that no branch begins yet.
    pub(crate) fn missing(&self, tree: &Tree<F>) -> (Vec<Missing>, bool) {
        let asleep = tree.sleep_sets(&self.grown.path);
        let (mut missing, mut unexplained) = (Vec::new(), false);
        for &race in self.causality.races().iter().filter(|race| race.reversible) {
            let (node, _) = self.grown.path[race.first];
            let asleep = &asleep[race.first];
            let known = |actor: Actor| {
                asleep.iter().any(|(a, _)| *a == actor) || tree.has_branch(node, actor)
            };
            let initials = self.causality.initials(race);
            if initials.iter().any(|&actor| known(actor)) || self.is_foreseen(tree, race, asleep) {
                continue;
            }
            let begins = self.beginning(race, &initials);
            unexplained |= begins.is_none();
            let begins: Vec<Actor> = match begins {
                Some(one) => vec![one],
                None => self.enabled[race.first]
                    .iter()
                    .filter(|&a| !known(a))
                    .collect(),
            };
            missing.push(Missing {
                node,
                initials,
                begins,
            });
        }
        (missing, unexplained)
    }

    /// Whether the reversed step can be trusted after all: its actor's next step at the place of the earlier one
    /// is known, from a run that made it there or in a place as good, and commutes with everything that is kept.
    /// Then the reversal begins with it as well, and is explored there.
    fn is_foreseen(&self, tree: &Tree<F>, race: Race, asleep: &[(Actor, &F)]) -> bool {
        if !self.causality.is_next(race) {
            return false;
        }
        let of_sleep = asleep
            .iter()
            .find(|(actor, _)| *actor == race.actor)
            .map(|(_, footprint)| *footprint);
        let known = of_sleep.or_else(|| tree.footprint(self.grown.path[race.first].0, race.actor));
        known.is_some_and(|known| {
            let mut kept = self
                .causality
                .kept(race)
                .filter_map(|at| tree.event(self.grown.path[at]));
            kept.all(|event| {
                !event.footprint.conflicts(known) && !event.wakes.contains(&race.actor)
            })
        })
    }

    /// The one to begin the reversal of a race: best the later step's actor itself.
    fn beginning(&self, race: Race, initials: &[Actor]) -> Option<Actor> {
        let able = |actor: &&Actor| self.enabled[race.first].contains(**actor);
        let preferred = initials.iter().find(|&&actor| actor == race.actor);
        preferred
            .filter(able)
            .or_else(|| initials.iter().find(able))
            .copied()
    }

    /// The branches that a search under a bound on preemptions wants: the later actor of each race, both right
    /// before the earlier step and where that step's actor was last switched to. There a switch costs no
    /// preemption more, and the reduction may have dropped the only cheap schedule of a trace (Coons,
    /// Musuvathi, McKinley: Bounded partial-order reduction, OOPSLA 2013). Where it cannot move, everybody else.
    /// A step that enabled another counts here as well: coming to a closed lock is a switch without a preemption.
    pub(crate) fn conservative(&self, tree: &Tree<F>, moved: &[Actor]) -> Vec<(NodeId, Actor)> {
        let mut wanted: Vec<(NodeId, Actor)> = Vec::new();
        for race in self.causality.races() {
            let mut start = race.first;
            while start > 0 && moved[start - 1] == moved[race.first] {
                start -= 1;
            }
            for at in [race.first, start] {
                let (node, _) = self.grown.path[at];
                let able = self.enabled[at].contains(race.actor);
                let actors = self.enabled[at]
                    .iter()
                    .filter(|&actor| !able || actor == race.actor);
                for actor in actors {
                    if !tree.has_branch(node, actor) && !wanted.contains(&(node, actor)) {
                        wanted.push((node, actor));
                    }
                }
            }
        }
        wanted
    }
}
