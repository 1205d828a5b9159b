//! Every trace, or every trace within a number of preemptions.
//!
//! # Without a bound: source-DPOR
//!
//! After each run, also one that was cut, its races are planned for: at the place of the earlier step a branch is
//! added that begins with what did not depend on that step (Abdulla, Aronis, Jonsson, Sagonas: Source sets,
//! JACM 2017). The racing step itself is not trusted to stay what it was, because a statement may touch other
//! rows, or block, when it runs earlier. Branches that were there first are asleep in those added later, until a
//! step that does not commute with theirs, or that wakes them.
//!
//! *Why it is enough that a branch was added earlier*, not explored earlier: a run is left out only in favour of
//! one through an earlier branch of some node on its way. Order the runs of the finished tree by their branches'
//! places, node by node: each step from a run that was left out to the one that stands for it goes strictly down,
//! and the tree is finite, so that it ends at a run that was made. All that is asked of the timing is that an
//! earlier branch's step is known when a later one is run, which is why a branch waits for those before it.
//!
//! # With a bound
//!
//! See [`Seen::conservative`]. Nobody sleeps: two schedules of one trace can differ in how many preemptions they
//! leave for the rest.
//!
//! # Order
//!
//! Branches wait in order of the preemptions their schedule has (one before none, see [`rank`]), then of their age. Reports
//! are worked up in the order in which their runs were handed out, and only when the next run cannot be named without:
//! when nothing is ready, when too many runs are out ([`WINDOW`]), or when what is ready has more preemptions than some run
//! that is out ([`EARLY`]). So which run comes next depends on what was found and not on when, and the search is the same
//! however many labs there are; and no lab has to wait for the slowest of a batch.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::agenda::{Agenda, Place};
use crate::cursor::Policy;
use crate::optimal::Trust;
use crate::outlook::Outlook;
use crate::plan::Seen;
use crate::tree::{NodeId, Tree};
use crate::{Actor, Cursor, End, Ending, Explorer, Footprint, Next, Progress, Run};

/// Runs that are out at most. Large enough to keep many labs busy, small enough that later ones gain from what earlier ones
/// found.
const WINDOW: usize = 32;

/// Runs that are out at most when the next one has more preemptions than one of them. Enough for two labs, and a run that
/// waits for each; a report may still show branches that should come first. Under a bound there are none of these, so that
/// no run has more preemptions than one that is handed out later, and the first race found has the fewest (without
/// a bound a sleeping actor can force further switches within a run anyway).
const EARLY: usize = 4;

/// What an exhaustive search may cost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Explore only what schedules of at most so many preemptions reach.
    pub preemptions: Option<u32>,
    /// Stop after so many runs.
    pub runs: Option<u64>,
    /// Stop after so many runs that were cut because all they could go on to was known …
    pub blocked_runs: Option<u64>,
    /// … and only when there are so many of them for each trace that was seen.
    pub blocked_runs_per_trace: u64,
    /// Plan by source sets alone, as if what a step touches always depended on what ran before. For comparing.
    pub source_sets: bool,
    /// Go on after so many runs that diverged or failed (whatever is below them stays unexplored, so that the
    /// search can no longer end well).
    pub lost_runs: u64,
}

/// See the [module's notes](self) on the algorithm.
#[derive(Debug)]
pub struct Exhaustive<F> {
    config: Config,
    tree: Tree<F>,
    /// `None` under a bound, and once a step was not what it was expected to be.
    trust: Option<Trust<F>>,
    /// Branches still to be run.
    agenda: Agenda,
    /// Runs that were handed out and not worked up yet, by index, with their ranks.
    out: BTreeMap<u64, (u32, Place)>,
    /// Those of them that were reported.
    reported: BTreeMap<u64, Run<F>>,
    /// Index of the next run.
    index: u64,
    traces: BTreeSet<u64>,
    progress: Progress,
    outlook: Outlook,
    /// Whether the bound kept a branch from being added.
    bounded: bool,
    /// What first kept the search from being complete, in words.
    lost: Option<String>,
    lost_runs: u64,
    ending: Option<Ending>,
}

/// Branches of lower rank run first: fewer preemptions, but one before none. A schedule without any is a serial one
/// (unless an actor has to wait), and there are as many of these as there are orders of the actors: what they do is
/// what others are judged by, a race they are not.
fn rank(preemptions: u32) -> u32 {
    match preemptions {
        0 => 1,
        1 => 0,
        more => more,
    }
}

impl<F: Footprint> Exhaustive<F> {
    /// A search that starts from nothing.
    pub fn new(config: Config) -> Self {
        let trusts = config.preemptions.is_none() && !config.source_sets;
        Self {
            config,
            trust: trusts.then(Trust::new),
            tree: Tree::new(),
            agenda: Agenda::new(),
            out: BTreeMap::new(),
            reported: BTreeMap::new(),
            index: 0,
            traces: BTreeSet::new(),
            progress: Progress::default(),
            outlook: Outlook::default(),
            bounded: false,
            lost: None,
            lost_runs: 0,
            ending: None,
        }
    }

    /// The next run, if it can be named as things are.
    fn choose(&mut self) -> Option<Cursor<F>> {
        let rank = self.agenda.next_rank()?;
        let lowest = self.out.values().map(|(rank, _)| *rank).min();
        let most = match lowest {
            Some(lowest) if lowest < rank && self.config.preemptions.is_some() => 0,
            Some(lowest) if lowest < rank => EARLY,
            _ => WINDOW,
        };
        if self.out.len() >= most || self.config.runs.is_some_and(|cap| self.index >= cap) {
            return None;
        }
        let place = self.agenda.take()?;
        // Runs show branches with fewer preemptions too. And where nothing is left but serial schedules, one is too many for
        // a moment.
        self.progress.preemptions = self.progress.preemptions.max(rank).max(1);
        self.out.insert(self.index, (rank, place));
        self.index += 1;
        Some(self.cursor(self.index - 1, place))
    }

    /// Works up the first run that is out; `false` if it is not reported yet.
    fn work_up_next(&mut self) -> bool {
        let first = self.out.first_key_value().map(|(index, _)| *index);
        let Some(run) = first.and_then(|index| self.reported.remove(&index)) else {
            return false;
        };
        if let Some((_, place)) = self.out.remove(&run.index) {
            self.work_up(place, run);
        }
        let waiting = self.agenda.len();
        self.outlook
            .note(self.progress.runs, self.agenda.ever_added());
        self.progress.runs_left = Some(self.outlook.left(waiting, self.tree.size()));
        if self.is_redundant() && waiting > 0 {
            let blocked_runs = self.progress.blocked_runs;
            self.ending
                .get_or_insert(Ending::Redundant { blocked_runs });
        }
        true
    }

    /// How the search ends when nothing is out and no run can be named.
    fn end(&mut self) -> Ending {
        let open = self.agenda.len();
        if self.agenda.ready() > 0 {
            self.stop(format!(
                "the cap of {} runs is reached, with {open} branches still to run",
                self.index
            ));
        } else if open > 0 && self.lost.is_none() {
            // Those left wait for others whose runs were lost; whatever else it may be, the search is not exhausted.
            self.stop(format!("{open} branches were never begun"));
        }
        let ending = self.ending.clone().unwrap_or_else(|| self.finished());
        let ending = match ending {
            // Runs were still out when it was decided.
            Ending::Redundant { .. } => Ending::Redundant {
                blocked_runs: self.progress.blocked_runs,
            },
            other => other,
        };
        self.ending.insert(ending).clone()
    }

    fn finished(&self) -> Ending {
        match (&self.lost, self.config.preemptions) {
            (Some(lost), _) => Ending::Stopped(lost.clone()),
            (None, Some(preemptions)) if self.bounded => Ending::Bounded { preemptions },
            (None, _) => Ending::Exhausted,
        }
    }

    fn stop(&mut self, why: String) {
        self.ending.get_or_insert(Ending::Stopped(why));
    }

    fn cursor(&self, index: u64, place: Place) -> Cursor<F> {
        let script = place.map_or_else(Vec::new, |(node, branch)| self.tree.script(node, branch));
        let policy = match (self.config.preemptions, place) {
            (Some(_), _) => Policy::Keep,
            (None, None) => Policy::Awake {
                asleep: Vec::new(),
                guide: Vec::new(),
            },
            (None, Some((node, branch))) => Policy::Awake {
                asleep: self.tree.asleep(node, branch),
                guide: self.tree.guide(node, branch),
            },
        };
        Cursor::new(index, script, policy)
    }

    fn is_redundant(&self) -> bool {
        let per_trace = self.config.blocked_runs_per_trace;
        self.config.blocked_runs.is_some_and(|cap| {
            self.progress.blocked_runs >= cap.max(per_trace * self.progress.traces)
        })
    }

    /// The index of the next run, and the traces seen so far, for another search to go on from.
    pub(crate) fn hand_over(&mut self) -> (u64, BTreeSet<u64>) {
        (self.index, std::mem::take(&mut self.traces))
    }

    fn work_up(&mut self, place: Place, run: Run<F>) {
        self.progress.runs += 1;
        let index = run.index;
        let lost = match (run.diverged, run.end) {
            (Some(at), _) => Some(format!(
                "run {index} diverged at step {at}: it is not the same every time"
            )),
            (None, End::Failed) => Some(format!("run {index} failed")),
            (None, End::Cut) if !run.blocked => {
                Some(format!("run {index} was cut short by its driver"))
            }
            (None, _) => None,
        };
        if let Some(lost) = lost {
            self.lost_runs += 1;
            let lost = format!("{lost}, and what is below it was not explored");
            let lost = self.lost.get_or_insert(lost).clone();
            if self.lost_runs > self.config.lost_runs {
                self.stop(lost);
            }
            return;
        }
        if run.end == End::Cut {
            self.progress.blocked_runs += 1;
        }
        let complete = run.end != End::Cut;
        let moved = run.schedule();
        let Some((node, branch)) = place.or_else(|| {
            moved
                .first()
                .map(|&a| (Tree::<F>::ROOT, self.tree.add(Tree::<F>::ROOT, a)))
        }) else {
            // Nobody ever moves: the empty trace.
            self.traces.insert(0);
            self.progress.traces = 1;
            return;
        };
        if self
            .trust
            .as_mut()
            .is_some_and(|trust| !trust.survives(&run))
        {
            self.lose_trust();
        }
        let seen = Seen::grow(&mut self.tree, node, branch, run);
        self.agenda.made(&self.tree, node, branch);
        if complete {
            self.traces.insert(seen.causality.id());
            self.progress.traces = self.traces.len() as u64;
        }
        self.plan(index, &seen, &moved);
        self.tree
            .close(node, branch, &seen.grown.path, self.trust.is_some());
    }

    /// Adds the branches that a run asks for.
    fn plan(&mut self, index: u64, seen: &Seen<F>, moved: &[Actor]) {
        for &(node, branch) in &seen.grown.added {
            self.queue(node, branch);
        }
        if self.trust.is_some() {
            if self.plan_with_trust(seen) {
                return;
            }
            self.lose_trust();
        }
        let (wanted, unexplained) = match self.config.preemptions {
            None => seen.reduced(&self.tree),
            Some(_) => (seen.conservative(&self.tree, moved), false),
        };
        if unexplained {
            let why =
                "an actor could not move where its footprints say it could: traces may be missing";
            self.lost.get_or_insert(format!("in run {index} {why}"));
        }
        // The latest reversals first: what went before is then as it should be, and the fifth of five is the one whose
        // check comes too early.
        for (node, actor) in wanted.into_iter().rev() {
            self.want(node, actor);
        }
    }

    /// The same where steps can be foreseen; `false` if they cannot.
    fn plan_with_trust(&mut self, seen: &Seen<F>) -> bool {
        if seen.grown.strayed {
            return false;
        }
        let (added, unexplained) = seen.optimal(&mut self.tree);
        for (node, branch) in added {
            self.queue(node, branch);
        }
        let trust = self.trust.as_mut();
        let owed = trust.is_some_and(|trust| trust.owe(seen, &mut self.tree));
        owed && !unexplained
    }

    fn lose_trust(&mut self) {
        for owed in self.trust.take().map_or_else(Vec::new, Trust::debts) {
            let begun = |actor: &Actor| self.tree.has_branch(owed.node, *actor);
            if !owed.initials.iter().any(begun) {
                for actor in owed.begins {
                    if !self.tree.has_branch(owed.node, actor) {
                        self.want(owed.node, actor);
                    }
                }
            }
            self.tree.release(owed.node);
        }
    }

    /// Whether steps could be foreseen so far, so that no run was cut.
    pub fn is_optimal(&self) -> bool {
        self.trust.is_some()
    }

    fn want(&mut self, node: NodeId, actor: Actor) {
        let preemptions = self.tree.preemptions(node, actor);
        if self
            .config
            .preemptions
            .is_some_and(|bound| preemptions > bound)
        {
            self.bounded = true;
            return;
        }
        let branch = self.tree.add(node, actor);
        self.queue(node, branch);
    }

    fn queue(&mut self, node: NodeId, branch: usize) {
        let preemptions = self.tree.preemptions(node, self.tree.actor(node, branch));
        let ready = self.tree.is_ready(node, branch);
        self.agenda.add(rank(preemptions), (node, branch), ready);
    }
}

impl<F: Footprint> Explorer<F> for Exhaustive<F> {
    fn next(&mut self) -> Next<F> {
        loop {
            if self.ending.is_none()
                && let Some(cursor) = self.choose()
            {
                return Next::Run(cursor);
            }
            if self.out.is_empty() {
                return Next::Done(self.end());
            }
            if !self.work_up_next() {
                return Next::Wait;
            }
        }
    }

    /// Runs of cursors that this explorer did not hand out are ignored.
    fn report(&mut self, run: Run<F>) {
        if self.out.contains_key(&run.index) {
            self.reported.insert(run.index, run);
        }
    }

    fn finish(&mut self) -> Progress {
        while self.work_up_next() {}
        self.progress
    }

    fn progress(&self) -> Progress {
        self.progress
    }
}
