//! What people read, and what programs read: everything here turns findings into text. Nothing prints.
//!
//! [`Report`] is the outcome of a search, as `--json` has it; [`summary`] says it in words, [`race`] draws one race,
//! [`page`] shows it in a browser, [`junit`] and [`annotation`] tell other programs.

mod cures;
mod github;
mod heading;
mod junit;
mod lanes;
mod listing;
mod moments;
mod outcome;
mod page;
mod race;
mod result;
mod style;
mod summary;

pub use cures::{Advice, Change, Cures, NotTried, Tried, cures};
pub use github::{annotation, step_summary};
pub use junit::{JunitError, junit};
pub use outcome::outcome;
pub use page::{live_page, page, race_title, race_view};
pub use race::{race, replayed, timeline};
pub use result::{
    Ended, OutcomeEntry, Phases, RaceEntry, Report, StepEntry, Stopped, Unrepeatable, Verdict,
};
pub use style::Style;
pub use summary::{still_there, summary};

#[cfg(test)]
mod tests;
