//! Whether an outcome is one that some serial order has. How far it is from each is [`crate::distance`]'s matter.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use deadheat_explore::Actor;
use deadheat_lab::record::{End, Invariant, LeftOpen, Record, Reply, SqlError, Step};

use crate::anomaly::Kind;
use crate::calibration::Calibration;
use crate::canon::{Heard, Outcome};
use crate::distance::{Distance, Ranked};
use crate::errors::{self, Reached};
use crate::faults::{self, Absence};
use crate::finding::{Finding, Wrong, finding, first_broken};
use crate::orders::{likely_order, nearest_unknown};
use crate::rules::Rules;
use crate::settled::{Pair, Settled, pair};
use crate::{explain, words};

/// How many serial orders are asked for at a time.
const ORDERS_AT_A_TIME: usize = 24;

/// Name under which [`Oracle::broken_serially`] tells of a serial order in which an actor waits for ever.
pub const STUCK: &str = "stuck";

/// What a run turned out to be.
#[derive(Clone, Debug)]
pub enum Judgement {
    /// Some serial order has this outcome, and every check holds.
    Clean,
    /// These serial orders must be run and given before it can be said; the most likely first.
    NeedsSerial(Vec<Vec<Actor>>),
    /// No serial order has this outcome, or a check is broken.
    Race(Box<Finding>),
    /// The invariants that are broken are broken in a serial order too, or actors wait for ever there as well ([`STUCK`]): a
    /// bug, but not a race.
    BrokenSerially(Vec<String>),
    /// It cannot be said; why, in words.
    Inconclusive(String),
}

/// A serial order that has run. What is made of its record is made again when more has been learned.
pub(crate) struct Serial {
    pub record: Record,
    /// Pairs of actors that touch nothing in common in it.
    apart: BTreeSet<Pair>,
    outcome: OnceLock<Outcome>,
    without_clocks: OnceLock<Outcome>,
    /// What each actor was told, as far as it cannot be noise.
    heard: OnceLock<Heard>,
}

impl Serial {
    fn of(record: Record) -> Self {
        Self {
            record,
            apart: BTreeSet::new(),
            outcome: OnceLock::new(),
            without_clocks: OnceLock::new(),
            heard: OnceLock::new(),
        }
    }
}

/// Knows the serial orders it was given, and compares.
pub struct Oracle {
    rules: Rules,
    calibration: Calibration,
    serial: BTreeMap<Vec<Actor>, Serial>,
    pub(crate) ranked: Ranked,
}

enum Compared {
    Equal,
    Needs(Vec<Vec<Actor>>),
    Clocks(Distance),
    Differs(Distance),
}

impl Oracle {
    /// An oracle that has seen nothing.
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            calibration: Calibration::default(),
            serial: BTreeMap::new(),
            ranked: Ranked::default(),
        }
    }

    /// The rules it judges by.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// What it has learned.
    pub fn calibration(&self) -> &Calibration {
        &self.calibration
    }

    /// Takes the run of a serial order: `order` has the actors that ran, in order (a subset if some were left out).
    pub fn add_serial(&mut self, order: Vec<Actor>, record: Record) {
        self.serial.insert(order, Serial::of(record));
        self.ranked.forget();
    }

    /// These actors touch nothing in common in a serial order that is known: neighbours that changed places would do the
    /// same. Believed of a pair once that was seen.
    pub fn set_apart(&mut self, order: &[Actor], pairs: impl IntoIterator<Item = (Actor, Actor)>) {
        if let Some(serial) = self.serial.get_mut(order) {
            serial.apart = pairs.into_iter().map(|(a, b)| pair(a, b)).collect();
        }
    }

    /// Learns from two runs of one schedule; see [`Calibration::learn`]. Do so for every serial order (`offsets`:
    /// how far the sequences were advanced in the second), and for a race and its replay (no offsets) before it is
    /// believed: a value that only then turns out to move is noise.
    pub fn learn(&mut self, first: &Record, second: &Record, offsets: &[i64]) -> Vec<String> {
        let before = self.calibration.clone();
        let surprises = self.calibration.learn(first, second, offsets, &self.rules);
        if self.calibration != before {
            for serial in self.serial.values_mut() {
                serial.outcome = OnceLock::new();
                serial.without_clocks = OnceLock::new();
                serial.heard = OnceLock::new();
            }
            self.ranked.forget();
        }
        surprises
    }

    /// Learns from a run that is a known serial order once more: what differs between the two moves from run to run.
    pub fn learn_repeat(&mut self, record: &Record) {
        let Some(known) = self.repeated(record).map(|serial| serial.record.clone()) else {
            return;
        };
        self.learn(&known, record, &[]);
    }

    /// The known serial order of the actors of these names.
    pub fn order_of(&self, names: &[String]) -> Option<Vec<Actor>> {
        let named = |(order, serial): &(&Vec<Actor>, &Serial)| {
            order.len() == names.len()
                && order
                    .iter()
                    .zip(names)
                    .all(|(actor, name)| words::name(&serial.record, *actor) == *name)
        };
        self.serial
            .iter()
            .find(named)
            .map(|(order, _)| order.clone())
    }

    /// The known serial order that this run repeats: its actors moved one after the other, by the same steps. Reads of
    /// what nobody writes are no steps in the runs of a search, so that some of the order's own may be missing.
    fn repeated(&self, record: &Record) -> Option<&Serial> {
        let made: Vec<&Step> = record
            .steps
            .iter()
            .filter(|step| !step.is_idle_fault())
            .collect();
        let mut order: Vec<Actor> = made.iter().map(|step| step.actor).collect();
        order.dedup();
        let serial = self.serial.get(&order)?;
        let mut all = serial.record.steps.iter();
        let comes = |step: &&Step| all.any(|one| one.identity() == step.identity());
        made.iter().all(comes).then_some(serial)
    }

    /// The serial orders that are known.
    pub fn known(&self) -> impl Iterator<Item = &Vec<Actor>> {
        self.serial.keys()
    }

    /// Invariants that do not hold in some serial order, and [`STUCK`] where nobody can move in one, each with the first such
    /// order: bugs that need no race.
    pub fn broken_serially(&self) -> BTreeMap<String, Vec<Actor>> {
        let mut out = BTreeMap::new();
        for (order, serial) in &self.serial {
            if matches!(serial.record.end, End::Stuck(_)) {
                out.entry(STUCK.to_owned()).or_insert_with(|| order.clone());
            }
            for invariant in serial.record.invariants.iter().filter(|i| !i.holds) {
                out.entry(invariant.name.clone())
                    .or_insert_with(|| order.clone());
            }
        }
        out
    }

    /// A statement of an SQL actor that the server understands in no known serial order: the actor, its words, what the
    /// server said. Such a scenario tests nothing of what it seems to.
    pub fn not_understood(&self) -> Option<(String, String, SqlError)> {
        let mut said: BTreeMap<(&str, &str), Option<&SqlError>> = BTreeMap::new();
        for serial in self.serial.values() {
            let told = serial.record.actors.iter().zip(&serial.record.replies);
            for (actor, reply) in
                told.flat_map(|(actor, all)| all.iter().map(move |one| (actor, one)))
            {
                if let Reply::Sql { sql, error, .. } = reply {
                    let error = error.as_ref().filter(|error| {
                        errors::is_misunderstanding(&error.code) && !self.rules.allows(&error.code)
                    });
                    said.entry((actor, sql))
                        .and_modify(|known| *known = known.and(error))
                        .or_insert(error);
                }
            }
        }
        let never = |((actor, sql), error): ((&str, &str), Option<&SqlError>)| {
            Some((actor.to_owned(), sql.to_owned(), error?.clone()))
        };
        said.into_iter().find_map(never)
    }

    /// The canonical outcome of a run: equal for runs that nobody could tell apart.
    pub fn outcome(&self, record: &Record) -> Outcome {
        let absent = errors::cleanly_failed(record, &self.rules);
        Outcome::of(record, &self.calibration, &self.rules, &absent)
    }

    /// Judges a finished run. A finding leaves [`Finding::orders`] to [`Oracle::orders`].
    pub fn judge(&self, record: &Record) -> Judgement {
        match record.end {
            End::Cut => return Judgement::Inconclusive("the run was cut short".to_owned()),
            End::Stuck(_) if self.broken_serially().contains_key(STUCK) => {
                return Judgement::BrokenSerially(vec![STUCK.to_owned()]);
            }
            End::Stuck(_) => return Judgement::Race(Box::new(self.stuck(record))),
            End::Finished => {}
        }
        let known = self.broken_serially();
        let (serially, broken): (Vec<&Invariant>, Vec<&Invariant>) = first_broken(record)
            .into_iter()
            .partition(|i| known.contains_key(&i.name));
        let compared = if self.rules.serial && self.repeated(record).is_none() {
            self.compare(record)
        } else {
            Compared::Equal
        };
        let mut errors = self.new_errors(record);
        if let Compared::Needs(orders) = &compared {
            // No serial order deadlocks; any other error may yet turn out to be one of a serial order.
            errors.retain(Reached::is_retryable);
            if self.serial.is_empty() || (broken.is_empty() && errors.is_empty()) {
                return Judgement::NeedsSerial(orders.clone());
            }
        }
        let left_open = self.new_left_open(record);
        if broken.is_empty() && errors.is_empty() && left_open.is_empty() {
            match compared {
                Compared::Equal if serially.is_empty() => return Judgement::Clean,
                Compared::Equal => {
                    return Judgement::BrokenSerially(
                        serially.iter().map(|i| i.name.clone()).collect(),
                    );
                }
                Compared::Clocks(distance) => {
                    return Judgement::Inconclusive(clocks(&distance));
                }
                _ => {}
            }
        }
        let (accused, nearest) = match compared {
            Compared::Differs(distance) => (true, distance.nearest),
            // Not all serial orders are known: good enough to show, not to accuse.
            Compared::Needs(_) => (false, self.distance(record).nearest),
            Compared::Equal | Compared::Clocks(_) => (false, None),
        };
        let nearest = nearest
            .as_ref()
            .map(|(order, differs)| (order.as_slice(), differs.as_slice()));
        let serial = nearest.and_then(|(order, _)| self.serial(order));
        let serial = serial.map(|serial| &serial.record);
        let wrong = Wrong {
            broken: &broken,
            errors: &errors,
            left_open: &left_open,
        };
        let found = finding(record, serial, &wrong, (accused, nearest));
        Judgement::Race(Box::new(found))
    }

    fn stuck(&self, record: &Record) -> Finding {
        let errors = self.new_errors(record);
        Finding {
            kind: Kind::Stuck,
            anomaly: None,
            checks: vec!["stuck".to_owned()],
            cycle: Vec::new(),
            matters: explain::matters(record, &[], &errors),
            why: explain::stuck(record),
            differs: Vec::new(),
            nearest: Vec::new(),
            orders: Vec::new(),
        }
    }

    /// Transactions left open by actors that close theirs in every known serial order.
    fn new_left_open(&self, record: &Record) -> Vec<LeftOpen> {
        let serially: BTreeSet<Actor> = self
            .serial
            .values()
            .flat_map(|serial| serial.record.left_open.iter().map(|open| open.actor))
            .collect();
        let mut out = record.left_open.clone();
        out.retain(|open| !serially.contains(&open.actor));
        out
    }

    /// Errors that are not allowed and that the actor gets in no known serial order.
    fn new_errors(&self, record: &Record) -> Vec<Reached> {
        let mut serially: BTreeSet<(Actor, String)> = BTreeSet::new();
        for serial in self.serial.values() {
            serially.extend(
                errors::reached(&serial.record)
                    .into_iter()
                    .map(|e| (e.actor, e.code)),
            );
        }
        // Whoever crashes is told so, or told nothing.
        let crashed = faults::crashed(record);
        let mut out = errors::reached(record);
        out.retain(|e| {
            let known = (faults::original(record, e.actor), e.code.clone());
            !e.is_allowed(&self.rules) && !crashed.contains(&e.actor) && !serially.contains(&known)
        });
        out
    }

    pub(crate) fn serial(&self, order: &[Actor]) -> Option<&Serial> {
        self.serial.get(order)
    }

    /// Who may be taken as absent, the most likely first. Who got an error that is reported anyway, and
    /// wrote nothing, need not have been there for what the others did.
    pub(crate) fn absences(&self, record: &Record) -> Vec<Absence> {
        faults::absences(record, self.clean_absences(record))
    }

    fn clean_absences(&self, record: &Record) -> Vec<BTreeSet<Actor>> {
        let mut failed = errors::cleanly_failed(record, &self.rules);
        let told = self.new_errors(record).into_iter().map(|error| error.actor);
        failed.extend(told.filter(|actor| !errors::wrote(record, *actor)));
        if failed.is_empty() {
            return vec![failed];
        }
        let certain = errors::reached(record)
            .iter()
            .any(|e| failed.contains(&e.actor) && e.is_retryable());
        if certain {
            vec![failed]
        } else {
            vec![failed, BTreeSet::new()]
        }
    }

    fn compare(&self, record: &Record) -> Compared {
        let mut unknown = Vec::new();
        let swapped = self.seen_swapped();
        for absent in self.absences(record) {
            let outcome = self.outcome_but(record, &absent.silent());
            if self
                .of_the_rest(record, &absent)
                .any(|(_, serial)| *self.canon(serial, &absent) == outcome)
            {
                return Compared::Equal;
            }
            let likely = likely_order(record, &absent.out);
            let has_run = |order: &[Actor]| self.serial.contains_key(order);
            let settled = self.settled(record, &absent, &swapped);
            let most = ORDERS_AT_A_TIME;
            unknown.extend(nearest_unknown(&likely, has_run, &settled, most));
        }
        if !unknown.is_empty() {
            return Compared::Needs(unknown);
        }
        let distance = self.distance(record);
        if distance.only_clocks {
            Compared::Clocks(distance)
        } else {
            Compared::Differs(distance)
        }
    }

    /// What the orders that have run say of others, for a run in which these are absent.
    fn settled(&self, record: &Record, absent: &Absence, swapped: &BTreeSet<Pair>) -> Settled {
        let mut settled = Settled::default();
        let silent = absent.silent();
        let nobody = Absence::default();
        let told = self.outcome_without_clocks(record, &nobody.out).heard();
        for (order, serial) in &self.serial {
            let heard = || self.canon_without_clocks(serial, &nobody).heard();
            let heard = serial.heard.get_or_init(heard);
            let otherwise =
                |actor: &Actor| !silent.contains(actor) && told.get(actor) != heard.get(actor);
            if let Some(at) = order.iter().position(otherwise) {
                settled.rule_out(&order[..=at]);
            }
            settled.may_swap(order, serial.apart.intersection(swapped).copied().collect());
        }
        settled
    }

    /// The pairs that have been seen to change places as neighbours without a difference.
    fn seen_swapped(&self) -> BTreeSet<Pair> {
        let mut seen = BTreeSet::new();
        let nobody = Absence::default();
        for (order, serial) in &self.serial {
            for at in 1..order.len() {
                let neighbours = pair(order[at - 1], order[at]);
                if seen.contains(&neighbours) || !serial.apart.contains(&neighbours) {
                    continue;
                }
                let mut turned = order.clone();
                turned.swap(at - 1, at);
                let other = self.serial.get(&turned);
                if other
                    .is_some_and(|other| self.canon(other, &nobody) == self.canon(serial, &nobody))
                {
                    seen.insert(neighbours);
                }
            }
        }
        seen
    }

    /// The known serial orders of the actors that are not absent.
    pub(crate) fn of_the_rest<'a>(
        &'a self,
        record: &Record,
        absent: &Absence,
    ) -> impl Iterator<Item = (&'a Vec<Actor>, &'a Serial)> {
        let rest: BTreeSet<Actor> = (0..record.actors.len() as u16)
            .map(Actor)
            .filter(|a| !absent.out.contains(a))
            .collect();
        self.serial.iter().filter(move |(order, _)| {
            order.len() == rest.len() && order.iter().all(|a| rest.contains(a))
        })
    }

    pub(crate) fn canon<'a>(&self, serial: &'a Serial, absent: &Absence) -> Cow<'a, Outcome> {
        let build = |silent: &_| self.outcome_but(&serial.record, silent);
        kept(&serial.outcome, absent, build)
    }

    pub(crate) fn canon_without_clocks<'a>(
        &self,
        serial: &'a Serial,
        absent: &Absence,
    ) -> Cow<'a, Outcome> {
        let build = |silent: &_| self.outcome_without_clocks(&serial.record, silent);
        kept(&serial.without_clocks, absent, build)
    }

    pub(crate) fn outcome_without_clocks(
        &self,
        record: &Record,
        silent: &BTreeSet<Actor>,
    ) -> Outcome {
        Outcome::without_clocks(record, &self.calibration, &self.rules, silent)
    }

    pub(crate) fn outcome_but(&self, record: &Record, silent: &BTreeSet<Actor>) -> Outcome {
        Outcome::of(record, &self.calibration, &self.rules, silent)
    }
}

/// The outcome of a serial order, which is kept as long as every reply in it is compared. Actors left out of the order
/// have none.
fn kept<'a>(
    place: &'a OnceLock<Outcome>,
    absent: &Absence,
    build: impl Fn(&BTreeSet<Actor>) -> Outcome,
) -> Cow<'a, Outcome> {
    if absent.unheard.is_empty() {
        Cow::Borrowed(place.get_or_init(|| build(&BTreeSet::new())))
    } else {
        Cow::Owned(build(&absent.unheard))
    }
}

fn clocks(distance: &Distance) -> String {
    let nearest = distance.nearest.as_ref();
    let first = nearest.and_then(|(_, differs)| differs.first());
    let first = first.map(ToString::to_string).unwrap_or_default();
    format!(
        "inconclusive: an outcome differs from every serial order only in what reads like a clock; mask it if it is one ({first})"
    )
}
