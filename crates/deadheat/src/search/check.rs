//! Single runs, judged: what a replay needs of a search.

use deadheat_explore::Cursor;
use deadheat_lab::Options;
use deadheat_lab::record::Record;
use deadheat_sql::Footprint;
use deadheat_verdict::{Finding, Written};

use super::hunt::Seen;
use super::{Hunt, Stop};

/// Makes runs and judges them by the serial orders.
pub struct Check<'h, 'a> {
    hunt: &'h mut Hunt<'a>,
}

impl<'a> Hunt<'a> {
    /// Learns what the serial orders do, to judge single runs by.
    ///
    /// # Errors
    /// When the serial orders do not repeat, or a lab cannot run.
    pub fn check(&mut self) -> Result<Check<'_, 'a>, Stop> {
        self.learn_serial_orders()?;
        Ok(Check { hunt: self })
    }
}

impl Check<'_, '_> {
    /// Makes one run.
    ///
    /// # Errors
    /// When the lab cannot run.
    pub fn run(&mut self, cursor: Cursor<Footprint>) -> Result<Record, Stop> {
        Ok(self.hunt.labs.run(cursor, Options::default())?.0)
    }

    /// What is wrong with the run, if it is a race.
    ///
    /// # Errors
    /// When a serial order is needed and does not repeat, or a lab cannot run.
    pub fn finding(&mut self, record: &Record) -> Result<Option<Finding>, Stop> {
        Ok(match self.hunt.judge(record)? {
            Seen::Race(finding) => Some(*finding),
            Seen::Fine | Seen::BrokenSerially => None,
        })
    }

    /// From now on, just these tables are taken as written.
    pub fn take_written(&mut self, written: &Written) {
        self.hunt.labs.take_written(written);
    }
}
