//! What the project promises about its speed, and whether it is kept.

use std::fmt;

use super::labs::name;
use super::short;
use crate::results::{Labs, Scaling, median};

/// A line of the table.
pub struct Promise {
    figure: String,
    promised: String,
    measured: String,
    kept: Kept,
}

/// Whether a promise is kept.
#[derive(Clone, Copy)]
enum Kept {
    Yes,
    No,
    /// The machine is too small to tell: more than this cannot be had on it.
    AtMost(f64),
}

impl From<bool> for Kept {
    fn from(kept: bool) -> Self {
        if kept { Kept::Yes } else { Kept::No }
    }
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            figure,
            promised,
            measured,
            kept,
        } = self;
        let kept = match kept {
            Kept::Yes => "kept".to_owned(),
            Kept::No => "**missed**".to_owned(),
            Kept::AtMost(most) => format!("cannot be more than {} here", short(*most)),
        };
        write!(f, "| {figure} | {promised} | {measured} | {kept} |")
    }
}

/// Every promise.
pub fn all(labs: &Labs) -> Vec<Promise> {
    let direct = &labs.direct;
    let mut promises = vec![
        least("(a) runs a second, two labs", 600.0, median(&direct.labs)),
        most(
            "(a) time a run in two labs, against one plain client",
            2.5,
            median(&direct.ratios_alone),
        ),
        most("reset of three written tables, ms", 1.0, labs.reset),
        two_labs(&labs.scaling),
        most(
            "the explorer's share of a run, %",
            5.0,
            labs.thinking.share * 100.0,
        ),
    ];
    for search in &labs.searches {
        let name = name(search);
        if search.scenario.contains("lobby/rust") {
            let what = format!("{name}: runs a second, five HTTP actors, two labs");
            promises.push(least(&what, 100.0, search.runs_per_second));
        }
        if let Some(at_most) = search.at_most {
            promises.push(Promise {
                figure: format!("{name}: runs to exhaust"),
                promised: format!("at most {at_most}"),
                measured: search.runs.to_string(),
                kept: (search.exhausted && search.runs <= at_most).into(),
            });
        }
        if name == "lobby-5-cured" {
            let seconds = format!("{:.1}", search.seconds);
            promises.push(Promise {
                figure: format!("{name}: exhausted within, s"),
                promised: "at most 60".to_owned(),
                measured: if search.exhausted {
                    seconds
                } else {
                    "not".to_owned()
                },
                kept: (search.exhausted && search.seconds <= 60.0).into(),
            });
        }
    }
    promises
}

/// One lab may leave too little of the processors for a second.
fn two_labs(scaling: &Scaling) -> Promise {
    const PROMISED: f64 = 1.7;
    let factor = median(&scaling.factors);
    let mut promise = least(
        "(b) two labs against one, where processors allow it",
        PROMISED,
        factor,
    );
    let most = scaling.at_most();
    if factor < PROMISED && most < PROMISED {
        promise.kept = Kept::AtMost(most);
    }
    promise
}

fn least(figure: &str, promised: f64, measured: f64) -> Promise {
    Promise {
        figure: figure.to_owned(),
        promised: format!("at least {promised}"),
        measured: short(measured),
        kept: (measured >= promised).into(),
    }
}

fn most(figure: &str, promised: f64, measured: f64) -> Promise {
    Promise {
        figure: figure.to_owned(),
        promised: format!("at most {promised}"),
        measured: short(measured),
        kept: (measured <= promised).into(),
    }
}
