//! `[[actor]]` and `[[before]]`.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use schemars::{Schema, SchemaGenerator};
use serde::Serialize;
use toml::Spanned;
use toml::de::DeValue;

use crate::decode::{At, Context, Decode, Node, Number};
use crate::fault::{Fault, FaultKind};
use crate::names::Names;
use crate::problem::Problem;
use crate::section::{section, suggest};
use crate::template::number;
use crate::work::{Work, WorkKeys};

/// How many copies there may be.
type Copies = Number<1, 100>;

section! {
    /// One of the things that run at the same time: one of `request`, `requests`, `run` and `sql`.
    struct ActorKeys {
        /// Its name in schedules and reports; no two are the same.
        name: At<String>,
        /// How many there are of it. `{n}` in its strings is 1, 2, …
        copies: Option<Copies>,
        /// It may crash between two of its steps: its command is killed, its SQL session ended; of a request, the
        /// service's connections to the database that work for it are closed.
        crash: bool = false,
        /// It may be delivered twice: a second time at any moment after its start, whether or not it is done.
        repeat: bool = false,
        /// The client may lose patience while its request is under way, hang up and send it again; the service still
        /// works on the first. For one `request`.
        timeout: Option<At<bool>>,
        /// It is played by a test that has attached itself to `deadheat serve`, instead of one of `request`, `requests`,
        /// `run` and `sql`. The test is told DATABASE_URL, PGHOST, PGPORT, PGUSER and PGDATABASE of the gate.
        attached: Option<At<bool>>,
        ..work: WorkKeys,
    }
}

section! {
    /// What is done once before all runs, one after the other, not gated: one of `request`, `requests`, `run`
    /// and `sql`. What it leaves in the database and in cookies is where every run starts.
    struct BeforeKeys {
        /// Shares cookies and saved values with the actor of this name.
        r#as: Option<At<String>>,
        /// Do it again before every run: what it leaves is outside the database.
        each_run: bool = false,
        /// How often it is done. `{n}` in its strings is 1, 2, …
        copies: Option<Copies>,
        ..work: WorkKeys,
    }
}

/// One of the things that run at the same time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Actor {
    /// Its name; no two are the same.
    pub name: String,
    /// What it does.
    pub work: Work,
    /// If it is no actor of the file but one of its faults: which.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
}

/// What is done before the runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Before {
    /// With whom it shares cookies and saved values: an actor, or other `[[before]]`s. Alone if `None`.
    #[serde(rename = "as")]
    pub shared_with: Option<String>,
    /// Whether it is done again before every run.
    pub each_run: bool,
    /// What it does.
    pub work: Work,
}

/// The tables of a list, with copies made; those that could not be read are left out.
#[derive(Clone, Debug)]
pub(crate) struct Listed<T>(pub Vec<T>);

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// A table that can stand for several.
pub(crate) trait Copied: Decode {
    /// How many copies are asked for.
    fn copies(&self) -> Option<u64>;
}

impl Copied for ActorKeys {
    fn copies(&self) -> Option<u64> {
        self.copies.map(|copies| copies.0)
    }
}

impl Copied for BeforeKeys {
    fn copies(&self) -> Option<u64> {
        self.copies.map(|copies| copies.0)
    }
}

impl<T: Copied> Decode for Listed<T> {
    fn decode(node: Node<'_>, cx: &mut Context) -> Option<Self> {
        let Some(array) = node.value.get_ref().as_array() else {
            let problem =
                Problem::at(node.span(), format!("`{}` is a list", node.key)).label("this is not");
            cx.report(problem.help(format!("write `[[{}]]`, with two brackets", node.key)));
            return None;
        };
        if array.is_empty() {
            cx.report(Problem::at(
                node.span(),
                format!("there is no {} in this list", node.key),
            ));
        }
        let mut list = Vec::new();
        for item in array {
            // The table as it stands is read for its problems and the number of copies.
            let keys = T::decode(node.inner(item), cx);
            match keys.as_ref().and_then(T::copies) {
                None => list.extend(keys),
                Some(copies) => {
                    let copies = (1..=copies).map(|n| numbered(item, n));
                    list.extend(copies.filter_map(|copy| T::decode(node.inner(&copy), cx)));
                }
            }
        }
        Some(Self(list))
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        Vec::<T>::schema(generator)
    }
}

/// The table as its `n`th copy.
fn numbered<'a>(item: &Spanned<DeValue<'a>>, n: u64) -> Spanned<DeValue<'a>> {
    let value = match item.get_ref() {
        DeValue::String(text) => DeValue::String(Cow::Owned(number(text, n))),
        DeValue::Array(array) => {
            DeValue::Array(array.iter().map(|item| numbered(item, n)).collect())
        }
        DeValue::Table(table) => DeValue::Table(
            table
                .iter()
                .map(|(key, item)| (key.clone(), numbered(item, n)))
                .collect(),
        ),
        plain => plain.clone(),
    };
    Spanned::new(item.span(), value)
}

impl Listed<ActorKeys> {
    /// The actors and behind them their faults and those of the services, or the problems with them.
    pub fn resolve(
        &self,
        names: &Names,
        of_services: Vec<(Range<usize>, Actor)>,
        cx: &mut Context,
    ) -> Vec<Actor> {
        let mut seen = BTreeSet::new();
        let (mut actors, mut faults) = (Vec::new(), Vec::new());
        for keys in &self.0 {
            let name = &keys.name.value;
            if name.trim().is_empty() || name.contains(char::is_control) {
                let problem = Problem::at(
                    keys.name.span.clone(),
                    "an actor's name is one line of text",
                );
                cx.report(problem.help("schedules and reports speak of the actor by its name"));
            } else if !seen.insert(name) {
                let problem = Problem::at(
                    keys.name.span.clone(),
                    format!("two actors are called `{name}`"),
                );
                cx.report(match &keys.copies {
                    Some(_) => {
                        problem.help(format!("put the number of the copy in: \"{name}{{n}}\""))
                    }
                    None => {
                        problem.help("schedules speak of actors by name: give this one another")
                    }
                });
            }
            let attached = keys.attached.as_ref().filter(|attached| attached.value);
            let work = match attached {
                Some(attached) => keys.work.attached(attached.span.clone(), names, cx),
                None => keys.work.resolve(keys.at.clone(), names, cx),
            };
            let Some(work) = work else {
                continue;
            };
            let of_it = keys.faults(&work, cx).into_iter();
            faults.extend(of_it.map(|fault| (keys.name.span.clone(), fault)));
            actors.push(Actor {
                name: name.clone(),
                work,
                fault: None,
            });
        }
        faults.extend(of_services);
        add_faults(&mut actors, faults, cx);
        actors
    }
}

/// Puts the actors that stand for faults behind the others.
fn add_faults(actors: &mut Vec<Actor>, faults: Vec<(Range<usize>, Actor)>, cx: &mut Context) {
    for (place, fault) in faults {
        if actors.iter().any(|actor| actor.name == fault.name) {
            let message = format!("something else is called `{}`", fault.name);
            let problem = Problem::at(place, message).label("what may happen to this one");
            cx.report(
                problem.help("schedules and reports call it so: give the other another name"),
            );
        }
        actors.push(fault);
    }
}

impl ActorKeys {
    /// The actors that stand for what may go wrong with this one.
    fn faults(&self, work: &Work, cx: &mut Context) -> Vec<Actor> {
        let timeout = self.timeout.as_ref().filter(|timeout| timeout.value);
        if let Some(timeout) = timeout
            && !matches!(work, Work::Requests(requests) if requests.len() == 1)
        {
            let message = "`timeout` goes with one `request`";
            let help = "a client hangs up on a request; to have the whole actor come twice, write `repeat = true`";
            cx.report(Problem::at(timeout.span.clone(), message).help(help));
        }
        let kinds = [
            (self.crash, FaultKind::Crash),
            (self.repeat, FaultKind::Repeat),
            (timeout.is_some(), FaultKind::Timeout),
        ];
        let allowed = kinds.into_iter().filter(|(allowed, _)| *allowed);
        if let (Work::Attached { .. }, Some(attached)) = (work, &self.attached)
            && allowed.clone().next().is_some()
        {
            let message = "an attached actor has no faults";
            let help = "faults go with requests, commands and SQL sessions";
            cx.report(Problem::at(attached.span.clone(), message).help(help));
            return Vec::new();
        }
        allowed
            .map(|(_, kind)| Actor {
                name: kind.name(&self.name.value),
                work: work.clone(),
                fault: Some(Fault {
                    kind,
                    of: self.name.value.clone(),
                }),
            })
            .collect()
    }
}

impl Listed<BeforeKeys> {
    /// What is done before, or the problems with it.
    pub fn resolve(&self, names: &Names, cx: &mut Context) -> Vec<Before> {
        let mut befores = Vec::new();
        for keys in &self.0 {
            let work = keys.work.resolve(keys.at.clone(), names, cx);
            befores.extend(work.map(|work| Before {
                shared_with: keys.r#as.as_ref().map(|name| name.value.clone()),
                each_run: keys.each_run,
                work,
            }));
        }
        befores
    }

    /// A name in `as` that nobody else has is a slip.
    pub fn check_shared(&self, actors: &Listed<ActorKeys>, cx: &mut Context) {
        let actors: Vec<_> = actors
            .0
            .iter()
            .map(|actor| actor.name.value.as_str())
            .collect();
        for keys in &self.0 {
            let Some(name) = &keys.r#as else {
                continue;
            };
            let others = self.0.iter().filter(|other| {
                other
                    .r#as
                    .as_ref()
                    .is_some_and(|other| other.value == name.value)
            });
            if actors.contains(&name.value.as_str()) || others.count() > 1 {
                continue;
            }
            let problem = Problem::at(
                name.span.clone(),
                format!("nobody else is called `{}`", name.value),
            );
            cx.report(problem.help(suggest(&name.value, &actors, "the actors are")));
        }
    }
}

/// Checks that requests use no value that nobody saved before.
pub(crate) fn check_saved(
    befores: &Listed<BeforeKeys>,
    actors: &Listed<ActorKeys>,
    cx: &mut Context,
) {
    let mut shared: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for keys in &befores.0 {
        let mut alone = Vec::new();
        let saved = match &keys.r#as {
            Some(name) => shared.entry(&name.value).or_default(),
            None => &mut alone,
        };
        keys.work.check_saved(saved, cx);
    }
    for keys in &actors.0 {
        let mut saved = shared
            .get(keys.name.value.as_str())
            .cloned()
            .unwrap_or_default();
        keys.work.check_saved(&mut saved, cx);
    }
}
