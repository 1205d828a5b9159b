//! Whether an outcome is that of a serial order.

use std::collections::{BTreeMap, BTreeSet};

use deadheat_explore::{Actor, Cursor};

use super::Kind;
use super::outcome::{Outcome, Part};
use super::play::Player;
use crate::conduct::Stop;
use crate::model::Spec;

/// The most sessions of which all orders are run: 120.
const MOST: usize = 5;

/// The outcomes of serial orders, run when they are first asked for.
pub(super) struct Serial<'a> {
    spec: &'a Spec,
    volatile: &'a BTreeSet<Part>,
    /// For sets of sessions: each order with its outcome.
    known: BTreeMap<BTreeSet<usize>, Vec<(Vec<usize>, Outcome)>>,
}

impl<'a> Serial<'a> {
    pub(super) fn new(spec: &'a Spec, volatile: &'a BTreeSet<Part>) -> Self {
        Self {
            spec,
            volatile,
            known: BTreeMap::new(),
        }
    }

    /// What an outcome is.
    pub(super) fn judge(
        &mut self,
        player: &mut Player<'_>,
        outcome: &Outcome,
    ) -> Result<Kind, Stop> {
        if !outcome.stuck.is_empty() {
            let waiting = self.names(outcome.stuck.iter());
            return Ok(Kind::Stuck { waiting });
        }
        let all = 0..self.spec.sessions.len();
        let rest: BTreeSet<usize> = all
            .filter(|session| !outcome.aborted.contains(session))
            .collect();
        if rest.len() > MOST {
            return Ok(Kind::Unjudged);
        }
        let failed = self.names(outcome.aborted.iter());
        let outcome = outcome.clone().of(&rest);
        let orders = self.orders(player, &rest)?;
        let mut nearest: Option<(usize, &Vec<usize>, String)> = None;
        for (order, theirs) in orders {
            let (far, differs) = outcome.against(theirs);
            if far == 0 {
                let order = order.clone();
                let order = self.names(order.iter());
                return Ok(Kind::Serial { order, failed });
            }
            if nearest.as_ref().is_none_or(|(least, ..)| far < *least) {
                nearest = Some((far, order, differs));
            }
        }
        let Some((_, order, differs)) =
            nearest.map(|(far, order, differs)| (far, order.clone(), differs))
        else {
            return Ok(Kind::Unjudged);
        };
        let nearest = self.names(order.iter());
        Ok(Kind::Anomaly {
            nearest,
            differs,
            failed,
        })
    }

    fn names<'s>(&self, sessions: impl Iterator<Item = &'s usize>) -> Vec<String> {
        sessions
            .map(|session| self.spec.sessions[*session].name.clone())
            .collect()
    }

    fn orders(
        &mut self,
        player: &mut Player<'_>,
        of: &BTreeSet<usize>,
    ) -> Result<&Vec<(Vec<usize>, Outcome)>, Stop> {
        if !self.known.contains_key(of) {
            let mut run = Vec::new();
            for order in orders(&of.iter().copied().collect::<Vec<usize>>()) {
                let actors = order.iter().map(|session| Actor(*session as u16)).collect();
                let (_, outcome) = player.play(Cursor::order(actors), &order)?;
                // One that does not come to its end is no measure.
                if outcome.stuck.is_empty() && outcome.aborted.is_empty() {
                    run.push((order, outcome.without(self.volatile).of(of)));
                }
            }
            self.known.insert(of.clone(), run);
        }
        Ok(&self.known[of])
    }
}

/// All orders of some sessions.
fn orders(sessions: &[usize]) -> Vec<Vec<usize>> {
    if sessions.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for (at, first) in sessions.iter().enumerate() {
        let rest: Vec<usize> = sessions
            .iter()
            .enumerate()
            .filter(|(i, _)| *i != at)
            .map(|(_, one)| *one)
            .collect();
        for order in orders(&rest) {
            all.push([vec![*first], order].concat());
        }
    }
    all
}
