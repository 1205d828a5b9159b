//! How far a run is from each serial order: whether clocks are all that is between them, and what is told beside a race.
//!
//! Five actors have 120 orders, and the many schedules of a search come to few different outcomes. So which orders are
//! the nearest is found out once for an outcome; what differs from those is told of each run, in its own values.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use deadheat_explore::Actor;
use deadheat_lab::record::Record;

use crate::canon::Outcome;
use crate::differ::{Difference, differences};
use crate::faults::Absence;
use crate::finding::SerialOrder;
use crate::oracle::Oracle;
use crate::words;

/// Serial orders that a finding tells of: all there are with four actors.
const MOST_ORDERS: usize = 24;
/// Differences told of each.
const MOST_DIFFERENCES: usize = 12;

/// A run as it is compared: without these actors, as it is and without what reads like a clock.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Face {
    absent: Absence,
    outcome: Outcome,
    without_clocks: Outcome,
}

/// The actors' names, and the run with each of its absences.
type Key = (Vec<String>, Vec<Face>);

/// What all runs of one outcome have in common.
#[derive(Default)]
struct Rank {
    /// Some order differs in nothing but what reads like a clock.
    only_clocks: bool,
    /// The nearest orders, with the place of the absence that they are near by; the nearest first.
    orders: Vec<(usize, Vec<Actor>)>,
}

/// The ranks of the outcomes that were judged, as long as nothing new is learned.
#[derive(Default)]
pub(crate) struct Ranked(Mutex<BTreeMap<Key, Arc<Rank>>>);

impl Ranked {
    /// An order, or a rule of comparing, is new.
    pub fn forget(&mut self) {
        let known = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        known.clear();
    }

    fn get(&self, key: Key, rank: impl FnOnce(&[Face]) -> Rank) -> Arc<Rank> {
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(rank) = known().get(&key) {
            return Arc::clone(rank);
        }
        let new = Arc::new(rank(&key.1));
        known().insert(key, Arc::clone(&new));
        new
    }
}

/// What a run has otherwise than the serial order that is nearest to it.
pub(crate) struct Distance {
    /// Some order differs in nothing but what reads like a clock.
    pub only_clocks: bool,
    /// The nearest order.
    pub nearest: Option<(Vec<Actor>, Vec<Difference>)>,
}

impl Oracle {
    /// What a run has otherwise than each known serial order, the nearest first; of many, only so many. It takes long where
    /// the orders are many, so that [`Finding::orders`](crate::Finding) are found out only for what is kept.
    pub fn orders(&self, record: &Record) -> Vec<SerialOrder> {
        let faces = self.faces(record);
        let rank = self.ranked(record, &faces);
        let told = |(order, mut differs): (&Vec<Actor>, Vec<Difference>)| {
            let more = differs.len().saturating_sub(MOST_DIFFERENCES);
            differs.truncate(MOST_DIFFERENCES);
            SerialOrder {
                order: order.iter().map(|a| words::name(record, *a)).collect(),
                differs,
                more,
            }
        };
        self.differing(&faces, &rank).map(told).collect()
    }

    /// The known serial orders that are nearest to a run, the nearest first.
    pub fn nearest_orders(&self, record: &Record) -> Vec<Vec<Actor>> {
        let rank = self.ranked(record, &self.faces(record));
        rank.orders.iter().map(|(_, order)| order.clone()).collect()
    }

    /// How far a run is from the known serial orders.
    pub(crate) fn distance(&self, record: &Record) -> Distance {
        let faces = self.faces(record);
        let rank = self.ranked(record, &faces);
        let nearest = self.differing(&faces, &rank).next();
        Distance {
            only_clocks: rank.only_clocks,
            nearest: nearest.map(|(order, differs)| (order.clone(), differs)),
        }
    }

    fn faces(&self, record: &Record) -> Vec<Face> {
        let absences = self.absences(record).into_iter();
        let face = absences.map(|absent| {
            let silent = absent.silent();
            Face {
                outcome: self.outcome_but(record, &silent),
                without_clocks: self.outcome_without_clocks(record, &silent),
                absent,
            }
        });
        face.collect()
    }

    fn differing<'a>(
        &'a self,
        faces: &'a [Face],
        rank: &'a Rank,
    ) -> impl Iterator<Item = (&'a Vec<Actor>, Vec<Difference>)> {
        rank.orders.iter().filter_map(move |(at, order)| {
            let face = faces.get(*at)?;
            let serial = self.canon(self.serial(order)?, &face.absent);
            Some((order, differences(&face.outcome, &serial)))
        })
    }

    fn ranked(&self, record: &Record, faces: &[Face]) -> Arc<Rank> {
        let key = (record.actors.clone(), faces.to_vec());
        self.ranked.get(key, |faces| self.rank(record, faces))
    }

    fn rank(&self, record: &Record, faces: &[Face]) -> Rank {
        let mut rank = Rank::default();
        let mut all = Vec::new();
        for (at, face) in faces.iter().enumerate() {
            for (order, serial) in self.of_the_rest(record, &face.absent) {
                rank.only_clocks |=
                    *self.canon_without_clocks(serial, &face.absent) == face.without_clocks;
                let serial = self.canon(serial, &face.absent);
                all.push((differences(&face.outcome, &serial).len(), at, order));
            }
        }
        all.sort_by_key(|(differs, _, _)| *differs);
        all.truncate(MOST_ORDERS);
        rank.orders = all
            .into_iter()
            .map(|(_, at, order)| (at, order.clone()))
            .collect();
        rank
    }
}
