//! How a test is searched.

/// How a test is searched; `#[deadheat::test(…)]` has the same words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The test, as `cargo test` names it: `lobby::the_lobby_never_overfills`.
    pub name: String,
    /// Runs at most. When they are used up and nothing was found, the test passes, and says how far it came.
    pub runs: u64,
    /// Preemptions in a schedule at most; none: no bound.
    pub preemptions: Option<u32>,
    /// Random schedules instead of all.
    pub random: bool,
    /// Where random choices begin.
    pub seed: u64,
    /// Whether what the actors return, and the state, must be what some order of the actors, one after the other, gives.
    pub serial: bool,
    /// The most faults that one run may have, of those that `lab.crash`, `lab.repeat` and `lab.timeout` allow.
    pub faults: u32,
    /// Whether the test fails unless every schedule was explored.
    pub exhaust: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name: String::new(),
            runs: 10_000,
            preemptions: None,
            random: false,
            seed: 0,
            serial: true,
            faults: 1,
            exhaust: false,
        }
    }
}
