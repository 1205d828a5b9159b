//! Why a test failed, in words: what is wrong, a timeline, and how to see it again.

use std::fmt::{self, Write};

use deadheat_explore::Actor;

use crate::record::{Outcome, Played, Step, Wrong};
use crate::runner::Early;
use crate::schedule;
use crate::seat::{Place, Where};

/// Why a test failed; its `Display` is what `cargo test` shows.
#[derive(Clone, Debug)]
pub struct Failure {
    text: String,
    schedule: Option<String>,
}

impl Failure {
    /// The schedule that fails, as `DEADHEAT_REPLAY` takes it; none if no schedule is to blame.
    pub fn schedule(&self) -> Option<&str> {
        self.schedule.as_deref()
    }

    /// For what has no schedule.
    pub(crate) fn plain(text: String) -> Self {
        Self {
            text,
            schedule: None,
        }
    }

    pub(crate) fn early(early: &Early) -> Self {
        Self::plain(match early {
            Early::Panicked(message) => {
                format!("the test panicked before its actors moved: {message}")
            }
            Early::Waits => "the test waits for something before its actors move, and it does not come: actors move at \
                             the end of the test, or at `lab.run().await`"
                .to_owned(),
            Early::Returned | Early::NoSockets(_) => {
                "the test returned before its end, where its actors would have run".to_owned()
            }
            Early::Runtime(error) => format!("there is no runtime to run in: {error}"),
        })
    }

    /// Two runs of one schedule differ.
    pub(crate) fn unrepeatable(how: &str) -> Self {
        Self::plain(format!(
            "the same schedule gave different runs: {how}\nSomething else decides too: a clock, a random number, the \
             order of a HashMap, `tokio::select!` without `biased;`, a thread that the lab does not know of."
        ))
    }

    pub(crate) fn found(test: &str, fault: &Fault, played: &Played, how: &str) -> Self {
        let schedule = schedule::write(test, &played.explored.schedule());
        let mut text = format!("{fault}\n\n");
        timeline(&mut text, played);
        let name = test.rsplit("::").next().unwrap_or(test);
        let variable = schedule::VARIABLE;
        // Writing into a string does not fail.
        let _ = write!(
            text,
            "\n{how}\nagain:  {variable}='{schedule}' cargo test {name}\n"
        );
        Self {
            text,
            schedule: Some(schedule),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Failure {}

/// What is wrong with a run, once it was judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is wrong in itself.
    Wrong(Wrong),
    /// No serial order gives its outcome; how it differs from the nearest, line by line.
    NotSerial {
        orders: usize,
        /// Who crashed or came twice, and what is right then.
        faults: Vec<String>,
        nearest: String,
        differences: Vec<String>,
    },
}

impl Fault {
    /// Compares an outcome with that of the nearest serial order.
    pub fn not_serial(
        played: &Played,
        orders: usize,
        nearest: Option<(&Outcome, &[Actor])>,
    ) -> Self {
        let name = |actor: &Actor| &*played.names[usize::from(actor.0)];
        let mut differences = Vec::new();
        let crashed = played.crashed.iter().map(name);
        let twice = played.twice.iter().map(name);
        let faults = crashed
            .map(|name| {
                format!("{name} crashed: it may be there with all that it does, or not at all")
            })
            .chain(twice.map(|name| format!("{name} came twice: it may be there once")))
            .collect();
        let Some((other, order)) = nearest else {
            return Self::NotSerial {
                orders,
                faults,
                nearest: "none comes to its end".to_owned(),
                differences,
            };
        };
        let heard = played.outcome.returned.iter();
        for (actor, value) in heard.filter(|(actor, _)| !played.twice.contains(actor)) {
            let there = other.returned.get(actor).map_or("nothing", String::as_str);
            if there != value {
                let name = name(actor);
                differences.push(format!("{name} returned {value}, not {there}"));
            }
        }
        for (here, there) in played.outcome.state.iter().zip(&other.state) {
            if here != there {
                differences.push(format!("the state is {here}, not {there}"));
            }
        }
        for (table, rows) in &played.outcome.tables {
            let none = Vec::new();
            let others = other.tables.get(table).unwrap_or(&none);
            for row in without(rows, others) {
                differences.push(format!("table {table} has a row {row}"));
            }
            for row in without(others, rows) {
                differences.push(format!("table {table} has no row {row}"));
            }
        }
        let order: Vec<&str> = order.iter().map(name).collect();
        Self::NotSerial {
            orders,
            faults,
            nearest: match order.as_slice() {
                [] => "of nobody".to_owned(),
                order => order.join(", "),
            },
            differences,
        }
    }

    /// Whether both are the same thing going wrong.
    pub fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Wrong(one), Self::Wrong(other)) => one.is_like(other),
            (Self::NotSerial { .. }, Self::NotSerial { .. }) => true,
            _ => false,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (orders, faults, nearest, differences) = match self {
            Self::Wrong(wrong) => return write!(f, "{wrong}"),
            Self::NotSerial {
                orders,
                faults,
                nearest,
                differences,
            } => (orders, faults, nearest, differences),
        };
        let plural = if *orders == 1 { "" } else { "s" };
        writeln!(
            f,
            "a race: no order of the actors, one after the other, gives this ({orders} order{plural} tried)"
        )?;
        for fault in faults {
            writeln!(f, "{fault}")?;
        }
        write!(f, "nearest order: {nearest}")?;
        for difference in differences {
            write!(f, "\n  {difference}")?;
        }
        Ok(())
    }
}

/// The rows of one that the other has not, or not as often.
fn without<'r>(one: &'r [String], other: &[String]) -> Vec<&'r String> {
    let mut left: Vec<&String> = other.iter().collect();
    let mut only = Vec::new();
    for row in one {
        match left.iter().position(|there| *there == row) {
            Some(index) => drop(left.swap_remove(index)),
            None => only.push(row),
        }
    }
    only
}

/// One line a step.
fn timeline(text: &mut String, played: &Played) {
    let name = |actor: &Actor| &*played.names[usize::from(actor.0)];
    let rows: Vec<[String; 3]> = played
        .steps
        .iter()
        .map(|step| [name(&step.actor).to_owned(), from(step), to(step, name)])
        .collect();
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0)
    };
    let (names, froms) = (width(0), width(1));
    let digits = rows.len().to_string().len();
    for (number, [name, from, to]) in rows.iter().enumerate() {
        let number = number + 1;
        let line = format!("  {number:>digits$}  {name:names$}  {from:froms$}  {to}");
        text.push_str(line.trim_end());
        text.push('\n');
    }
}

fn from(step: &Step) -> String {
    match &step.from {
        _ if step.to == Place::Idle => "does not happen".to_owned(),
        _ if step.to == Place::Struck => "happens".to_owned(),
        _ if step.ran.is_some() => step.ran.clone().unwrap_or_default().0,
        Place::Start => "starts".to_owned(),
        Place::Point(at) => format!("from {}", at.name),
        Place::Await | Place::Gate if step.to == Place::Left => "was given up".to_owned(),
        _ => "goes on".to_owned(),
    }
}

fn to<'a>(step: &Step, name: impl Fn(&Actor) -> &'a str) -> String {
    let to = match &step.to {
        Place::Point(Where { name, values }) if values == "{}" => format!("→ point {name}"),
        Place::Point(Where { name, values }) => format!("→ point {name} {values}"),
        Place::End if step.returned.as_deref().is_none_or(str::is_empty) => "→ end".to_owned(),
        Place::End => format!("→ returns {}", step.returned.as_deref().unwrap_or_default()),
        Place::Panic => "→ panics".to_owned(),
        Place::Crashed => "→ crashes".to_owned(),
        Place::Left => "→ end".to_owned(),
        Place::Struck | Place::Idle | Place::Absent => String::new(),
        Place::Gate => "→ asks the database".to_owned(),
        Place::Start | Place::Await if step.able => "→ pauses".to_owned(),
        Place::Start | Place::Await => "→ waits".to_owned(),
    };
    let mut line = match &step.ran {
        Some((_, answer)) if answer.is_empty() => to,
        // Where it goes on is told by its next step, that it is at its end was told by an earlier one.
        Some((_, answer))
            if matches!(step.to, Place::Gate | Place::Await) || step.from == step.to =>
        {
            format!("→ {answer}")
        }
        Some((_, answer)) => format!("→ {answer} {to}"),
        None => to,
    };
    if step.time_passed {
        line.push_str(" · time passes");
    }
    if !step.woke.is_empty() {
        let woke: Vec<&str> = step.woke.iter().map(name).collect();
        line.push_str(&format!(" · wakes {}", woke.join(", ")));
    }
    line
}
