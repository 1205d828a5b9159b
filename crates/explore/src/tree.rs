//! The tree of all that was run: one node for each place where somebody had to be chosen.
//!
//! Only what runs still to be made can need is kept: when nothing is left to do below a branch, the nodes below
//! it go.

use crate::Footprint;
use crate::actors::Actors;
use crate::cursor::{Planned, stays_asleep};
use crate::wakeup::{self, Step, Wake};
use crate::{Actor, Event};

/// Index of a [`Node`] in its [`Tree`].
pub(crate) type NodeId = usize;

/// A place where somebody has to be chosen.
#[derive(Debug)]
pub(crate) struct Node<F> {
    /// The node before, and which of its branches leads here; `None` at the root.
    parent: Option<(NodeId, usize)>,
    /// In the order they were added. Invariant: only ever grows, and those added earlier are asleep in those
    /// added later.
    branches: Vec<Branch<F>>,
    /// Preemptions up to here.
    preemptions: u32,
    /// Who moved last, if he could go on: choosing another is a preemption.
    running: Option<Actor>,
    /// Who could move.
    enabled: Actors,
}

/// A choice that was made or is to be made.
#[derive(Debug)]
pub(crate) struct Branch<F> {
    pub actor: Actor,
    /// The step, once it was made.
    event: Option<Event<F>>,
    /// What the step is expected to touch, if that is known before it is made.
    foreseen: Option<F>,
    /// What is to be made after the step. Invariant: empty once the step was made.
    wakes: Vec<Wake<F>>,
    /// Where it leads. Invariant: `None` unless the step was made and something is left to do below.
    child: Option<NodeId>,
    /// Runs still to be made through this branch.
    open: u64,
    /// Reasons to keep what is below even so.
    held: u64,
    /// Estimate of the runs through this branch, those made included; `None` until there is one.
    size: Option<f64>,
}

/// What came of [`Tree::provide`].
pub(crate) enum Provided {
    /// It was seen to before.
    Already,
    /// A branch was added.
    By(NodeId, usize),
    /// It would take a step of an actor that could not move.
    Impossible,
}

/// What became of a run that was hung into the tree.
pub(crate) struct Grown {
    /// Its way through the tree.
    pub path: Vec<(NodeId, usize)>,
    /// Branches on its way that are to be run as well, as was known before.
    pub added: Vec<(NodeId, usize)>,
    /// Whether it did not do what it was to do.
    pub strayed: bool,
}

#[derive(Debug)]
pub(crate) struct Tree<F> {
    nodes: Vec<Node<F>>,
    free: Vec<NodeId>,
}

impl<F: Footprint> Tree<F> {
    pub(crate) const ROOT: NodeId = 0;

    pub(crate) fn new() -> Self {
        let root = Node {
            parent: None,
            branches: Vec::new(),
            preemptions: 0,
            running: None,
            enabled: Actors::default(),
        };
        Self {
            nodes: vec![root],
            free: Vec::new(),
        }
    }

    pub(crate) fn has_branch(&self, node: NodeId, actor: Actor) -> bool {
        self.nodes[node].branches.iter().any(|b| b.actor == actor)
    }

    /// What the choice of `actor` at `node` turned out to touch, if it was made.
    pub(crate) fn footprint(&self, node: NodeId, actor: Actor) -> Option<&F> {
        let branch = self.nodes[node]
            .branches
            .iter()
            .find(|b| b.actor == actor)?;
        branch.event.as_ref().map(|event| &event.footprint)
    }

    pub(crate) fn event(&self, (node, branch): (NodeId, usize)) -> Option<&Event<F>> {
        self.nodes[node].branches[branch].event.as_ref()
    }

    /// Preemptions of a schedule that comes to `node` and chooses `actor` there.
    pub(crate) fn preemptions(&self, node: NodeId, actor: Actor) -> u32 {
        let node = &self.nodes[node];
        node.preemptions + u32::from(node.running.is_some_and(|running| running != actor))
    }

    pub(crate) fn actor(&self, node: NodeId, branch: usize) -> Actor {
        self.nodes[node].branches[branch].actor
    }

    /// Adds a branch that is still to be run; its place among the branches is returned.
    pub(crate) fn add(&mut self, node: NodeId, actor: Actor) -> usize {
        let branches = &mut self.nodes[node].branches;
        branches.push(Branch::new(actor));
        let branch = branches.len() - 1;
        self.change_open(node, branch, 1);
        branch
    }

    /// Sees to it that a run does these steps at `node`.
    pub(crate) fn provide(
        &mut self,
        mut node: NodeId,
        mut asleep: Vec<(Actor, F)>,
        mut steps: Vec<Step<F>>,
    ) -> Provided {
        'down: while steps.iter().any(|step| step.needed) {
            for branch in &mut self.nodes[node].branches {
                let made = branch.event.as_ref().map(|event| &event.footprint);
                let Some(touches) = made.or(branch.foreseen.as_ref()) else {
                    continue;
                };
                if !wakeup::can_begin(&steps, branch.actor, touches) {
                    asleep.push((branch.actor, touches.clone()));
                    continue;
                }
                wakeup::without(&mut steps, branch.actor);
                wakeup::still_asleep(&mut asleep, branch.actor, touches);
                if branch.event.is_none() {
                    wakeup::insert(&mut branch.wakes, asleep, steps);
                    return Provided::Already;
                }
                let Some(child) = branch.child else {
                    return Provided::Already;
                };
                node = child;
                continue 'down;
            }
            let Some(wake) = wakeup::chain(steps, &asleep) else {
                return Provided::Already;
            };
            return match self.hang(node, wake) {
                Some(branch) => Provided::By(node, branch),
                None => Provided::Impossible,
            };
        }
        Provided::Already
    }

    /// Adds a branch that knows what comes next, unless its actor could not move there.
    fn hang(&mut self, node: NodeId, wake: Wake<F>) -> Option<usize> {
        if !self.nodes[node].enabled.contains(wake.actor) {
            return None;
        }
        let place = self.add(node, wake.actor);
        let branch = &mut self.nodes[node].branches[place];
        branch.foreseen = Some(wake.footprint);
        branch.wakes = wake.below;
        Some(place)
    }

    /// Who moves first after the choice of a branch, as far as that is known.
    pub(crate) fn guide(&self, node: NodeId, branch: usize) -> Vec<Actor> {
        wakeup::guide(&self.nodes[node].branches[branch].wakes)
    }

    /// Keeps a node though nothing is left to do below it.
    pub(crate) fn hold(&mut self, node: NodeId) {
        let mut at = self.nodes[node].parent;
        while let Some((node, branch)) = at {
            self.nodes[node].branches[branch].held += 1;
            at = self.nodes[node].parent;
        }
    }

    /// Keeps it no longer than something is left to do below some branch before it.
    pub(crate) fn release(&mut self, node: NodeId) {
        let mut at = self.nodes[node].parent;
        while let Some((node, branch)) = at {
            self.nodes[node].branches[branch].held -= 1;
            at = self.nodes[node].parent;
        }
    }

    /// Lets go of what is below a branch if nothing is left to do there.
    fn prune(&mut self, node: NodeId, branch: usize) {
        let branch = &mut self.nodes[node].branches[branch];
        if branch.open > 0 || branch.held > 0 {
            return;
        }
        let mut below: Vec<NodeId> = branch.child.take().into_iter().collect();
        while let Some(node) = below.pop() {
            let branches = std::mem::take(&mut self.nodes[node].branches);
            below.extend(branches.into_iter().filter_map(|b| b.child));
            self.free.push(node);
        }
    }

    /// Lets go of what no reversal can come to any more. One that goes through a branch comes out of a run
    /// through an earlier branch of some node on the way, so what has something to do before it has to stay.
    fn prune_in_order(&mut self) {
        let mut at = Some(Self::ROOT);
        while let Some(node) = at {
            let branches = &self.nodes[node].branches;
            let done = branches.iter().take_while(|b| b.open == 0).count();
            at = branches.get(done).and_then(|b| b.child);
            for branch in 0..done {
                self.prune(node, branch);
            }
        }
    }

    fn change_open(&mut self, node: NodeId, branch: usize, by: i64) {
        let mut at = Some((node, branch));
        while let Some((node, branch)) = at {
            let open = &mut self.nodes[node].branches[branch].open;
            *open = open
                .checked_add_signed(by)
                .expect("a run is closed once, after it was opened");
            at = self.nodes[node].parent;
        }
    }

    /// Whether all branches added before this one were run, so that their footprints are known.
    pub(crate) fn is_ready(&self, node: NodeId, branch: usize) -> bool {
        self.nodes[node].branches[..branch]
            .iter()
            .all(|b| b.event.is_some())
    }

    /// The nodes from the root to `node`, each with the branch taken there; `node` itself is left out.
    fn path(&self, node: NodeId) -> Vec<(NodeId, usize)> {
        let mut path: Vec<_> =
            std::iter::successors(self.nodes[node].parent, |at| self.nodes[at.0].parent).collect();
        path.reverse();
        path
    }

    /// What a run through this branch has to do first.
    pub(crate) fn script(&self, node: NodeId, branch: usize) -> Vec<Planned> {
        let mut path = self.path(node);
        path.push((node, branch));
        let step = |&(node, branch): &(NodeId, usize)| {
            let branch = &self.nodes[node].branches[branch];
            Planned {
                actor: branch.actor,
                key: branch.event.as_ref().map(|e| e.key),
            }
        };
        path.iter().map(step).collect()
    }

    /// Who is asleep where this branch is chosen, with the steps they would make.
    pub(crate) fn asleep(&self, node: NodeId, branch: usize) -> Vec<(Actor, F)> {
        let mut path = self.path(node);
        path.push((node, branch));
        let sets = self.sleep_sets(&path);
        let asleep = sets.last().into_iter().flatten();
        asleep
            .map(|(actor, footprint)| (*actor, (*footprint).clone()))
            .collect()
    }

    /// The sleep set at each node of a path, including the branches added before the one that the path takes.
    pub(crate) fn sleep_sets(&self, path: &[(NodeId, usize)]) -> Vec<Vec<(Actor, &F)>> {
        let mut sets: Vec<Vec<(Actor, &F)>> = Vec::with_capacity(path.len());
        for (at, &(node, branch)) in path.iter().enumerate() {
            let mut asleep = Vec::new();
            if at > 0 {
                let (before, taken) = path[at - 1];
                if let Some(event) = &self.nodes[before].branches[taken].event {
                    let still = sets[at - 1]
                        .iter()
                        .filter(|(actor, footprint)| stays_asleep(*actor, *footprint, event));
                    asleep.extend(still.copied());
                }
            }
            for earlier in &self.nodes[node].branches[..branch] {
                asleep.extend(
                    earlier
                        .event
                        .as_ref()
                        .map(|event| (earlier.actor, &event.footprint)),
                );
            }
            sets.push(asleep);
        }
        sets
    }

    /// Hangs a run's steps below the branch it was made for. `preempting` says of each step whether it is a
    /// preemption, `running` whether its actor could go on after it.
    pub(crate) fn grow(
        &mut self,
        node: NodeId,
        branch: usize,
        events: Vec<Event<F>>,
        preempting: &[bool],
        running: &[bool],
        enabled: &[Actors],
    ) -> Grown {
        let mut path = self.path(node);
        let (mut added, mut strayed) = (Vec::new(), false);
        let (mut node, mut branch) = (node, branch);
        let known = path.len();
        let mut rest = events.into_iter().enumerate().skip(known).peekable();
        while let Some((at, event)) = rest.next() {
            let actor = event.actor;
            if node == Self::ROOT {
                self.nodes[node].enabled.clone_from(&enabled[at]);
            }
            let made = &mut self.nodes[node].branches[branch];
            made.event = Some(event);
            let wakes = std::mem::take(&mut made.wakes);
            path.push((node, branch));
            let next = rest.peek().map(|(_, following)| following.actor);
            strayed |= wakes.first().is_some_and(|wake| Some(wake.actor) != next);
            if let Some((_, following)) = rest.peek() {
                let child = self.insert(Node {
                    parent: Some((node, branch)),
                    branches: vec![Branch::new(following.actor)],
                    preemptions: self.nodes[node].preemptions + u32::from(preempting[at]),
                    running: Some(actor).filter(|_| running[at]),
                    enabled: enabled[at + 1].clone(),
                });
                self.nodes[node].branches[branch].child = Some(child);
                (node, branch) = (child, 0);
                for wake in wakes {
                    if Some(wake.actor) == next {
                        self.nodes[child].branches[0].wakes = wake.below;
                    } else if let Some(branch) = self.hang(child, wake) {
                        added.push((child, branch));
                    } else {
                        strayed = true;
                    }
                }
            }
        }
        Grown {
            path,
            added,
            strayed,
        }
    }

    fn insert(&mut self, node: Node<F>) -> NodeId {
        if let Some(id) = self.free.pop() {
            self.nodes[id] = node;
            return id;
        }
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    /// The run that was made for this branch has been worked up; `path` is its way through the tree. `in_order`: reversals
    /// are still [provided](Self::provide) for.
    pub(crate) fn close(
        &mut self,
        node: NodeId,
        branch: usize,
        path: &[(NodeId, usize)],
        in_order: bool,
    ) {
        self.change_open(node, branch, -1);
        for (at, &(node, branch)) in path.iter().enumerate().rev() {
            let below = path
                .get(at + 1)
                .map_or(1.0, |&(child, _)| self.nodes[child].size());
            self.nodes[node].branches[branch].size = Some(below);
            if !in_order {
                self.prune(node, branch);
            }
        }
        if in_order {
            self.prune_in_order();
        }
    }

    /// Estimate of all runs there are, those made included.
    pub(crate) fn size(&self) -> f64 {
        self.nodes[Self::ROOT].size()
    }
}

impl<F> Branch<F> {
    fn new(actor: Actor) -> Self {
        Self {
            actor,
            event: None,
            foreseen: None,
            wakes: Vec::new(),
            child: None,
            open: 0,
            held: 0,
            size: None,
        }
    }
}

impl<F> Node<F> {
    /// Estimate of the runs through this node: a branch not run yet counts as the mean of the others.
    fn size(&self) -> f64 {
        let known: Vec<f64> = self.branches.iter().filter_map(|b| b.size).collect();
        let sum: f64 = known.iter().sum();
        sum * self.branches.len() as f64 / known.len().max(1) as f64
    }
}
