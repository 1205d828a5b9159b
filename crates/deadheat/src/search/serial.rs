//! What the serial orders do: the oracle's measure.

use std::collections::BTreeSet;

use deadheat_explore::{Actor, Cursor, Footprint as _, Run};
use deadheat_lab::record::Record;
use deadheat_lab::{Difference, Options, Trouble, first_difference};
use deadheat_sql::Footprint;
use deadheat_verdict::{Oracle, all_orders};

use super::{Labs, Stop};

/// Up to so many actors, all serial orders are run at the start; with more, on demand.
const ALL_ORDERS_UP_TO: usize = 4;
/// Pairs of runs of one serial order that may differ before it is believed that it does not repeat.
const TRIES: usize = 4;

/// Runs serial orders and teaches the oracle.
pub(crate) struct Serial {
    actors: Vec<Actor>,
    /// Those that stand for faults: no serial order has one.
    faults: Vec<Actor>,
    /// Orders that were run once only: what moves from run to run in them is known from others.
    once: BTreeSet<Vec<Actor>>,
    /// Runs made.
    pub runs: u64,
}

impl Serial {
    /// For so many actors, of which these stand for faults.
    pub fn new(actors: usize, faults: &BTreeSet<Actor>) -> Self {
        let all = (0..actors as u16).map(Actor);
        let (faults, actors) = all.partition(|actor| faults.contains(actor));
        Self {
            actors,
            faults,
            once: BTreeSet::new(),
            runs: 0,
        }
    }

    /// The orders to begin with: all of them when they are few, else one and its reverse.
    pub fn first_orders(&self) -> Vec<Vec<Actor>> {
        if self.actors.len() <= ALL_ORDERS_UP_TO {
            return all_orders(&self.actors);
        }
        let mut reverse = self.actors.clone();
        reverse.reverse();
        vec![self.actors.clone(), reverse]
    }

    /// Runs each order twice, the second time with every sequence moved on, and gives both to the oracle.
    pub fn teach(
        &mut self,
        orders: &[Vec<Actor>],
        labs: &mut Labs,
        oracle: &mut Oracle,
    ) -> Result<(), Stop> {
        let offsets: Vec<i64> = (0..labs.start.sequences)
            .map(deadheat_verdict::offset)
            .collect();
        let mut due: Vec<Vec<Actor>> = orders.to_vec();
        let mut last = None;
        for _ in 0..TRIES {
            let mut runs = Vec::new();
            for order in &due {
                runs.push((Cursor::order(order.clone()), self.options(order, false)));
                runs.push((Cursor::order(order.clone()), self.options(order, true)));
            }
            self.runs += runs.len() as u64;
            let mut results = labs.run_all(runs)?.into_iter();
            let mut again = Vec::new();
            let mut difference = None;
            for order in due {
                let (Some(first), Some((second, _))) = (results.next(), results.next()) else {
                    return Err(Trouble::Bug("a serial run left nothing".to_owned()).into());
                };
                match learn(oracle, &order, first, &second, &offsets) {
                    Ok(()) => {
                        self.once.remove(&order);
                    }
                    Err(found) => {
                        difference = Some(found);
                        again.push(order);
                    }
                }
            }
            if difference.is_none() {
                return Ok(());
            }
            tracing::debug!(?difference, "a serial order is run again");
            due = again;
            last = difference;
        }
        self.last_word(&due, labs, last)
    }

    /// Runs each order once, and gives it to the oracle: for the many that are run when values that move are known
    /// from others.
    pub fn show(
        &mut self,
        orders: Vec<Vec<Actor>>,
        labs: &mut Labs,
        oracle: &mut Oracle,
    ) -> Result<(), Stop> {
        self.runs += orders.len() as u64;
        let run = |order: &Vec<Actor>| (Cursor::order(order.clone()), self.options(order, false));
        let results = labs.run_all(orders.iter().map(run).collect())?;
        for (order, (record, run)) in orders.into_iter().zip(results) {
            oracle.add_serial(order.clone(), record);
            oracle.set_apart(&order, apart(&order, &run));
            self.once.insert(order);
        }
        Ok(())
    }

    /// Whether the order was run once only.
    pub fn is_known_from_one_run(&self, order: &[Actor]) -> bool {
        self.once.contains(order)
    }

    /// Runs an order that is known once more.
    pub fn once_more(&mut self, order: &[Actor], labs: &mut Labs) -> Result<Record, Stop> {
        self.runs += 1;
        let run = (Cursor::order(order.to_vec()), self.options(order, false));
        Ok(labs.run(run.0, run.1)?.0)
    }

    /// An order that never repeated is run twice more, to show how it differs.
    fn last_word(
        &mut self,
        due: &[Vec<Actor>],
        labs: &mut Labs,
        difference: Option<Difference>,
    ) -> Result<(), Stop> {
        let Some(order) = due.first() else {
            return Ok(());
        };
        let run = || (Cursor::order(order.clone()), self.options(order, false));
        let results = labs.run_all(vec![run(), run()])?;
        let [(first, _), (second, _)] = results.as_slice() else {
            return Err(Trouble::Bug("a serial run left nothing".to_owned()).into());
        };
        let difference = first_difference(first, second).or(difference);
        Err(difference.map_or_else(
            || Trouble::Bug("a serial order differs from itself nowhere".to_owned()).into(),
            Stop::Unrepeatable,
        ))
    }

    fn options(&self, order: &[Actor], advance: bool) -> Options {
        let present: BTreeSet<Actor> = order.iter().copied().collect();
        Options {
            advance,
            serial: true,
            known: None,
            part: None,
            absent: self
                .actors
                .iter()
                .chain(&self.faults)
                .copied()
                .filter(|actor| !present.contains(actor))
                .collect(),
            look: false,
        }
    }
}

/// The pairs of actors of which no step conflicts with one of the other.
fn apart(order: &[Actor], run: &Run<Footprint>) -> Vec<(Actor, Actor)> {
    let steps = |actor: Actor| {
        run.events()
            .iter()
            .filter(move |event| event.actor == actor)
    };
    let conflict = |one: Actor, other: Actor| {
        steps(one).any(|a| steps(other).any(|b| a.footprint.conflicts(&b.footprint)))
    };
    let pairs = order.iter().enumerate();
    pairs
        .flat_map(|(n, one)| order[n + 1..].iter().map(move |other| (*one, *other)))
        .filter(|(one, other)| !conflict(*one, *other))
        .collect()
}

fn learn(
    oracle: &mut Oracle,
    order: &[Actor],
    (first, run): (Record, Run<Footprint>),
    second: &Record,
    offsets: &[i64],
) -> Result<(), Difference> {
    if let Some(difference) = first_difference(&first, second) {
        return Err(difference);
    }
    let surprises = oracle.learn(&first, second, offsets);
    if let Some(surprise) = surprises.into_iter().next() {
        return Err(Difference::at(
            &first,
            first.steps.len(),
            surprise,
            "in another run of the same serial order it was otherwise".to_owned(),
        ));
    }
    oracle.add_serial(order.to_vec(), first);
    oracle.set_apart(order, apart(order, &run));
    Ok(())
}
