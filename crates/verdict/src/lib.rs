//! Judges runs: which outcomes the serial orders allow, what a race is called, why it happened.
//!
//! Everything here is pure. It reads [`deadheat_lab::record::Record`]s and answers; the same records give the same
//! answer, byte for byte. The way through: [`Calibration`] learns which values move from run to run, [`Outcome`] is a
//! record with those values renamed, [`Oracle`] compares outcomes with those of the serial orders and, when none
//! matches, names the anomaly ([`graph`], [`anomaly`]), explains it, and the finding is saved as [`Saved`].

pub mod anomaly;
mod body;
mod brief;
mod calibration;
mod canon;
mod changes;
mod differ;
mod distance;
pub mod errors;
mod explain;
mod faults;
mod finding;
pub mod graph;
mod history;
mod iso;
mod layout;
mod listing;
mod oracle;
mod orders;
mod pattern;
mod refusals;
mod rules;
mod saved;
mod settled;
mod spelled;
pub mod words;

pub use anomaly::{Anomaly, Kind};
pub use calibration::{Calibration, offset};
pub use canon::Outcome;
pub use differ::Difference;
pub use finding::{Finding, SerialOrder};
pub use history::{Change, History, Row};
pub use oracle::{Judgement, Oracle, STUCK};
pub use orders::{all_orders, likely_order};
pub use rules::{Mask, MaskError, Rules};
pub use saved::{
    Answered, FORMAT, FirstDifference, LoadError, Saved, SavedStep, Written, compare_steps,
    fingerprint_of_text, schema,
};

#[cfg(test)]
mod tests;
