//! The tree of all that was run: one node for each place where somebody had to be chosen.
//!
//! Only what runs still to be made can need is kept: when nothing is left to do below a branch, the nodes below
//! it go.

use crate::Footprint;
use crate::cursor::{Planned, stays_asleep};
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
}

/// A choice that was made or is to be made.
#[derive(Debug)]
pub(crate) struct Branch<F> {
    pub actor: Actor,
    /// The step, once it was made.
    event: Option<Event<F>>,
    /// Where it leads. Invariant: `None` unless the step was made and something is left to do below.
    child: Option<NodeId>,
    /// Runs still to be made through this branch.
    open: u64,
    /// Estimate of the runs through this branch, those made included; `None` until there is one.
    size: Option<f64>,
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

    /// Adds a branch that is still to be run; its place among the branches is returned.
    pub(crate) fn add(&mut self, node: NodeId, actor: Actor) -> usize {
        let branches = &mut self.nodes[node].branches;
        branches.push(Branch::new(actor));
        let branch = branches.len() - 1;
        self.change_open(node, branch, 1);
        branch
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
    /// preemption, `running` whether its actor could go on after it. Returns the run's way through the tree.
    pub(crate) fn grow(
        &mut self,
        node: NodeId,
        branch: usize,
        events: Vec<Event<F>>,
        preempting: &[bool],
        running: &[bool],
    ) -> Vec<(NodeId, usize)> {
        let mut path = self.path(node);
        let (mut node, mut branch) = (node, branch);
        let known = path.len();
        let mut rest = events.into_iter().enumerate().skip(known).peekable();
        while let Some((at, event)) = rest.next() {
            let actor = event.actor;
            self.nodes[node].branches[branch].event = Some(event);
            path.push((node, branch));
            if let Some((_, following)) = rest.peek() {
                let child = self.insert(Node {
                    parent: Some((node, branch)),
                    branches: vec![Branch::new(following.actor)],
                    preemptions: self.nodes[node].preemptions + u32::from(preempting[at]),
                    running: Some(actor).filter(|_| running[at]),
                });
                self.nodes[node].branches[branch].child = Some(child);
                (node, branch) = (child, 0);
            }
        }
        path
    }

    fn insert(&mut self, node: Node<F>) -> NodeId {
        if let Some(id) = self.free.pop() {
            self.nodes[id] = node;
            return id;
        }
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    /// The run that was made for this branch has been worked up; `path` is its way through the tree.
    pub(crate) fn close(&mut self, node: NodeId, branch: usize, path: &[(NodeId, usize)]) {
        self.change_open(node, branch, -1);
        for (at, &(node, branch)) in path.iter().enumerate().rev() {
            let below = path
                .get(at + 1)
                .map_or(1.0, |&(child, _)| self.nodes[child].size());
            let taken = &mut self.nodes[node].branches[branch];
            taken.size = Some(below);
            if taken.open == 0
                && let Some(child) = taken.child.take()
            {
                self.nodes[child].branches.clear();
                self.free.push(child);
            }
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
            child: None,
            open: 0,
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
