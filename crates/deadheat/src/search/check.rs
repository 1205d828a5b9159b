//! Single runs, judged: what a replay needs of a search.

use std::collections::BTreeMap;

use deadheat_explore::{Actor, Cursor, Run};
use deadheat_lab::record::Record;
use deadheat_lab::{Options, first_difference};
use deadheat_sql::Footprint;
use deadheat_verdict::{Finding, History, Written};

use super::hunt::Seen;
use super::{Hunt, Race, Stop};

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

    /// Makes one run along a schedule, and then on to its end, with a look at the tables after every step. Where it
    /// writes more than was known, it is made again: reads of that are steps then.
    ///
    /// # Errors
    /// When the lab cannot run.
    pub fn look(&mut self, schedule: &[Actor]) -> Result<(Record, Run<Footprint>), Stop> {
        loop {
            let looking = Options {
                look: true,
                ..Options::default()
            };
            let labs = &mut *self.hunt.labs;
            let played = labs.run(Cursor::replay(schedule.to_vec()), looking)?;
            if !labs.is_outgrown() {
                return Ok(played);
            }
            labs.take_as_known();
        }
    }

    /// Runs a whole schedule, and once more if it is a race; `None` if it is none that repeats.
    ///
    /// # Errors
    /// When it does not repeat, or a lab cannot run.
    pub fn race(&mut self, schedule: &[Actor]) -> Result<Option<Race>, Stop> {
        let cursor = Cursor::replay(schedule.to_vec());
        let (record, run) = self.hunt.labs.run(cursor, Options::default())?;
        let Some(finding) = self.finding(&record)? else {
            return Ok(None);
        };
        let Some(finding) = self.hunt.confirm(&record, &run, finding)? else {
            return Ok(None);
        };
        let (looked_at, _) = self.look(schedule)?;
        let same = first_difference(&record, &looked_at).is_none();
        Ok(Some(Race {
            run: self.hunt.labs.started(),
            preemptions: run.preemptions(),
            record,
            finding,
            written: self.hunt.labs.written(),
            left_out: Vec::new(),
            without_requests: BTreeMap::new(),
            history: same.then(|| History::of(&looked_at)).flatten(),
        }))
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
