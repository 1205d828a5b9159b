//! A spec as it was read: what is set up, who the sessions are, which steps they have, in which orders those are run.

/// A spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Run one after the other on the control connection before each permutation.
    pub setups: Vec<String>,
    /// Run on the control connection after each permutation.
    pub teardown: Option<String>,
    /// Those who run steps; at least one.
    pub sessions: Vec<Session>,
    /// The orders to run; none: all interleavings.
    pub permutations: Vec<Vec<Entry>>,
}

/// A session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its name.
    pub name: String,
    /// Run on its connection before each permutation.
    pub setup: Option<String>,
    /// At least one.
    pub steps: Vec<Step>,
    /// Run on its connection after each permutation.
    pub teardown: Option<String>,
}

/// A step: one simple query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its name, which no other step of the spec has.
    pub name: String,
    /// What is sent.
    pub sql: String,
}

/// A step by its place: the session's index, and the step's within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepId {
    /// Index of the session.
    pub session: usize,
    /// Index of the step in its session.
    pub step: usize,
}

/// A step of a permutation, and what its report waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Which one.
    pub step: StepId,
    /// Its markers, in their order.
    pub markers: Vec<Marker>,
}

/// What delays the report of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marker {
    /// `*`: reported as waiting at once, whatever it does.
    Waits,
    /// Not complete while this step is under way.
    After(StepId),
    /// Not complete until the session of this step has sent so many notices since the marked step was launched.
    Notices(StepId, u64),
}

impl Spec {
    /// The step with this place.
    pub fn step(&self, id: StepId) -> &Step {
        &self.sessions[id.session].steps[id.step]
    }

    /// Every step, session by session.
    pub fn steps(&self) -> impl Iterator<Item = StepId> {
        let sessions = self.sessions.iter().enumerate();
        sessions.flat_map(|(session, one)| {
            (0..one.steps.len()).map(move |step| StepId { session, step })
        })
    }

    /// The steps that no permutation has, sorted by name; none where there are no permutations.
    pub fn unused(&self) -> Vec<&str> {
        if self.permutations.is_empty() {
            return Vec::new();
        }
        let used = |id: &StepId| {
            let mut entries = self.permutations.iter().flatten();
            entries.any(|entry| entry.step == *id)
        };
        let unused = self.steps().filter(|id| !used(id));
        let mut names: Vec<&str> = unused.map(|id| self.step(id).name.as_str()).collect();
        names.sort_unstable();
        names
    }

    /// Whether one of the words stands anywhere in its SQL, in whatever case.
    pub fn mentions(&self, words: &[&str]) -> bool {
        let of_sessions = self.sessions.iter().flat_map(|session| {
            let steps = session.steps.iter().map(|step| &step.sql);
            session.setup.iter().chain(steps).chain(&session.teardown)
        });
        let mut texts = self.setups.iter().chain(&self.teardown).chain(of_sessions);
        texts.any(|text| {
            let text = text.to_ascii_lowercase();
            words.iter().any(|word| text.contains(word))
        })
    }
}
