//! Measures what the project promises about speed, beside its peers, and makes the page of measurements.
//!
//! Run it through `make bench`, from the root of the repository: it needs the release builds of what it measures. What
//! each figure is and how it is taken is told in `bench/README.md`.

mod bed;
mod chart;
mod finding;
mod labs;
mod machine;
mod offline;
mod others;
mod page;
mod passing;
mod reset;
mod results;
mod rivals;
mod specs;
mod straight;

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use results::Measured;
use serde::Serialize;

/// Any failure ends the measurement.
type Fallible<T> = Result<T, Box<dyn Error>>;

/// What can be asked for.
const PARTS: &str = "labs, passing, specs, peers, tasks and rivals are measured and kept in bench/results; `page` makes the \
                     page of them; direct, scaling and thinking are printed alone";

fn main() -> Fallible<()> {
    if !Path::new("examples/sql").exists() {
        return Err("run this from the root of the repository".into());
    }
    let part = std::env::args().nth(1).unwrap_or_default();
    match part.as_str() {
        "labs" => keep(&part, BTreeMap::new, labs::measure),
        "passing" => keep(&part, passing::versions, passing::measure),
        "specs" => keep(&part, BTreeMap::new, specs::measure),
        "peers" => keep(&part, others::versions_of_peers, others::peers),
        "tasks" => keep(&part, others::versions_of_tasks, others::tasks),
        "rivals" => keep(&part, rivals::versions, rivals::measure),
        "page" => page::write(Path::new(".")),
        "direct" | "scaling" | "thinking" => alone(&part),
        _ => Err(format!("`{part}` is no part: {PARTS}").into()),
    }
}

/// Measures a piece of `labs` and prints it; nothing is kept.
fn alone(piece: &str) -> Fallible<()> {
    match piece {
        "direct" => println!("{:#?}", labs::direct()?),
        "scaling" => println!("{:#?}", labs::scaling()?),
        _ => println!("{:#?}", labs::thinking(&labs::scaling()?)?),
    }
    Ok(())
}

/// Measures a part and writes it down, with the machine as it was.
fn keep<F: Serialize>(
    part: &str,
    versions: impl FnOnce() -> BTreeMap<String, String>,
    measure: impl FnOnce() -> Fallible<F>,
) -> Fallible<()> {
    let before = machine::load();
    let figures = measure()?;
    let measured = Measured {
        machine: machine::look(before)?,
        versions: versions(),
        figures,
    };
    measured.keep(part)
}
