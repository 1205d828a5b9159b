//! What the actors give one after the other: the measure of all other runs.

use std::collections::{BTreeMap, BTreeSet};

use deadheat_explore::{Actor, Cursor, End};

use crate::record::{Outcome, Played};
use crate::stage::Guide;
use crate::touch::Touch;

/// Orders tried at most: all of them up to six actors. A test with more may be left undecided, and says so.
const ORDERS: usize = 720;
/// Tasks that may be spawned in a run; in a serial order they go on before any actor does.
const TASKS: u16 = 256;

/// Serial outcomes known so far.
#[derive(Debug, Default)]
pub(crate) struct Serial {
    /// An order for each outcome, by who has no part in it.
    known: BTreeMap<Vec<Actor>, BTreeMap<Outcome, Vec<Actor>>>,
    /// How many have no part, who they are, and then the order of the others.
    tried: BTreeSet<(usize, Vec<Actor>)>,
}

/// What there is to say about an outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Some order gives it.
    Serial,
    /// No order does.
    Race,
    /// There are more orders than can be tried.
    Undecided,
}

impl Serial {
    /// Judges a run; `make` makes the runs that takes. Whoever crashed was there with all that it does, or not at all.
    pub fn judge<E>(
        &mut self,
        played: &Played,
        mut make: impl FnMut(Guide) -> Result<Played, E>,
    ) -> Result<Verdict, E> {
        let mut verdict = Verdict::Race;
        for absent in absences(&played.crashed) {
            match self.judge_without(&absent, played, &mut make)? {
                Verdict::Serial => return Ok(Verdict::Serial),
                Verdict::Undecided => verdict = Verdict::Undecided,
                Verdict::Race => {}
            }
        }
        Ok(verdict)
    }

    fn judge_without<E>(
        &mut self,
        absent: &[Actor],
        played: &Played,
        make: &mut impl FnMut(Guide) -> Result<Played, E>,
    ) -> Result<Verdict, E> {
        let there = |actor: &&Actor| !absent.contains(actor);
        let actors: Vec<Actor> = played.actors.iter().filter(there).copied().collect();
        let finished = played.finished.iter().filter(there).copied();
        // The order in which they came to their ends is the one that explains most runs.
        let mut orders = Orders::new(finished.collect(), &actors);
        while !self.is_known(absent, played) {
            let Some(order) = orders.next() else {
                return Ok(Verdict::Race);
            };
            let of_all: Vec<Actor> = absent.iter().chain(&order).copied().collect();
            let named = (absent.len(), of_all);
            if self.tried.contains(&named) {
                continue;
            }
            if self.tried.len() == ORDERS {
                return Ok(Verdict::Undecided);
            }
            let serial = make(Guide {
                cursor: Self::cursor(&order, played),
                absent: absent.to_vec(),
            })?;
            self.tried.insert(named);
            if serial.explored.end() == End::Finished {
                let known = self.known.entry(absent.to_vec()).or_default();
                known.entry(serial.outcome).or_insert(order);
            }
        }
        Ok(Verdict::Serial)
    }

    fn is_known(&self, absent: &[Actor], played: &Played) -> bool {
        let Some(known) = self.known.get(absent) else {
            return false;
        };
        let unheard = unheard(played);
        if unheard.is_empty() {
            return known.contains_key(&played.outcome);
        }
        let outcome = played.outcome.unheard(&unheard);
        known.keys().any(|one| one.unheard(&unheard) == outcome)
    }

    /// A run of the actors in this order. Tasks move as soon as they can, and so do faults: before there is anybody to whom
    /// they could happen.
    pub fn cursor(order: &[Actor], like: &Played) -> Cursor<Touch> {
        let seats = like.names.len() as u16;
        let tasks = (0..seats + TASKS)
            .map(Actor)
            .filter(|actor| !like.actors.contains(actor));
        Cursor::order(tasks.chain(order.iter().copied()).collect())
    }

    /// The serial outcome that differs least from that of a run, and its order.
    pub fn nearest(&self, played: &Played) -> Option<(&Outcome, &[Actor])> {
        let unheard = unheard(played);
        let outcome = &played.outcome;
        let distance = |other: &Outcome| {
            let returned = outcome.returned.iter();
            let differs = |(actor, value)| other.returned.get(actor) != Some(value);
            let state = outcome.state.iter().zip(&other.state);
            let tables = outcome.tables.iter();
            let heard = returned.filter(|(actor, _)| !unheard.contains(actor));
            heard.filter(|pair| differs(*pair)).count()
                + state.filter(|(one, other)| one != other).count()
                + tables
                    .filter(|(table, rows)| other.tables.get(*table) != Some(*rows))
                    .count()
        };
        let known = absences(&played.crashed).into_iter();
        let known = known.filter_map(|absent| self.known.get(&absent));
        let nearest = known.flatten().min_by_key(|(known, _)| distance(known));
        nearest.map(|(known, order)| (known, order.as_slice()))
    }

    /// Orders that were tried.
    pub fn orders(&self) -> usize {
        self.tried.len()
    }
}

/// Which of those who crashed have no part: all choices, first that all have.
fn absences(crashed: &[Actor]) -> Vec<Vec<Actor>> {
    let mut all = vec![Vec::new()];
    for actor in crashed {
        let with = all.clone();
        all.extend(with.into_iter().map(|mut absent| {
            absent.push(*actor);
            absent
        }));
    }
    all
}

/// Those whose returned values are not compared: a crash cuts them short, and which of two deliveries has which is chance.
fn unheard(played: &Played) -> Vec<Actor> {
    played
        .crashed
        .iter()
        .chain(&played.twice)
        .copied()
        .collect()
}

/// All orders of the actors: a good guess, then the others as in a dictionary.
struct Orders {
    guess: Option<Vec<Actor>>,
    next: Option<Vec<Actor>>,
}

impl Orders {
    fn new(guess: Vec<Actor>, actors: &[Actor]) -> Self {
        let mut first = actors.to_vec();
        first.sort_unstable();
        let guess: Vec<Actor> = guess
            .into_iter()
            .filter(|actor| first.contains(actor))
            .collect();
        Self {
            guess: Some(guess).filter(|guess| guess.len() == first.len()),
            next: Some(first),
        }
    }
}

impl Iterator for Orders {
    type Item = Vec<Actor>;

    fn next(&mut self) -> Option<Vec<Actor>> {
        if let Some(guess) = self.guess.take() {
            return Some(guess);
        }
        let order = self.next.take()?;
        let mut following = order.clone();
        if let Some(at) = (1..order.len()).rev().find(|&at| order[at - 1] < order[at]) {
            let greater = (at..order.len()).rev().find(|&i| order[i] > order[at - 1]);
            if let Some(greater) = greater {
                following.swap(at - 1, greater);
                following[at..].reverse();
                self.next = Some(following);
            }
        }
        Some(order)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_comes_once_and_the_guess_comes_first() {
        let actors = [0, 2, 3, 7].map(Actor);
        let guess = [7, 0, 3, 2].map(Actor).to_vec();
        let orders: Vec<_> = Orders::new(guess.clone(), &actors).collect();
        assert_eq!(orders[0], guess);
        assert_eq!(orders.len(), 25);
        assert_eq!(orders.iter().collect::<BTreeSet<_>>().len(), 24);
    }
}
