//! The part `labs`: what the project promises about its own speed.

use std::process::Command;
use std::time::Duration;

use crate::bed::Bed;
use crate::results::{Direct, Labs, Scaling, Thinking, median};
use crate::straight::{self, Straight};
use crate::{Fallible, finding, machine, offline, reset};

const LOST_UPDATE: &str = "examples/sql/lost-update.toml";
const LOST_UPDATE_3: &str = "examples/sql/lost-update-3.toml";
/// Labs in all figures that do not say otherwise.
const LABS: usize = 2;
/// Rounds in which two ways are measured in turn.
const ROUNDS: usize = 5;
/// How long one way is measured in one round.
const ROUND: Duration = Duration::from_secs(2);

/// Measures all of it.
pub fn measure() -> Fallible<Labs> {
    let reset = tell("reset of three written tables", reset::measure)?;
    let direct = tell("labs against plain connections", direct)?;
    let scaling = tell("one lab against two", scaling)?;
    let thinking = tell("time spent in the explorer", || thinking(&scaling))?;
    let searches = tell("searches", || finding::all(LABS))?;
    let samplers = tell("samplers", || example("samplers"))?;
    let reduction = tell("reduction", || example("reduction"))?;
    Ok(Labs {
        direct,
        reset,
        scaling,
        thinking,
        searches,
        samplers,
        reduction,
    })
}

/// Says what is being measured.
fn tell<T>(what: &str, measure: impl FnOnce() -> Fallible<T>) -> Fallible<T> {
    eprintln!("measuring: {what}");
    measure()
}

/// The schedules of scenario (a), in labs and straight to the server, in turn.
pub fn direct() -> Fallible<Direct> {
    let mut bed = Bed::open(LOST_UPDATE, LABS)?;
    let mut oracle = bed.oracle()?;
    let scripts = straight::scripts(&mut bed)?;
    let straight = Straight::open(LOST_UPDATE, &scripts)?;
    let mut direct = Direct {
        schedules: scripts.len(),
        waiting: scripts.iter().filter(|script| script.waits()).count(),
        ..Direct::default()
    };
    for _ in 0..ROUNDS {
        let labs = bed.sustained(LABS, Some(&mut oracle), ROUND)?;
        let plain = straight.sustained(&scripts, LABS, ROUND)?;
        let alone = straight.sustained(&scripts, 1, ROUND)?;
        direct.labs.push(labs);
        direct.plain.push(plain);
        direct.alone.push(alone);
        direct.ratios.push(plain / labs);
        direct.ratios_alone.push(alone / labs);
    }
    let unwaiting: Vec<_> = scripts
        .into_iter()
        .filter(|script| !script.waits())
        .collect();
    for _ in 0..ROUNDS {
        let schedules: Vec<_> = unwaiting.iter().map(straight::Script::schedule).collect();
        let labs = bed.replayed(&schedules, ROUND / 2)?;
        let plain = straight.sustained(&unwaiting, LABS, ROUND / 2)?;
        direct.ratios_without_waits.push(plain / labs);
    }
    direct.phases = bed.end().into();
    Ok(direct)
}

/// Scenario (b), searched over and over with one lab and with two, in turn.
pub fn scaling() -> Fallible<Scaling> {
    let mut one = Bed::open(LOST_UPDATE_3, 1)?;
    let mut two = Bed::open(LOST_UPDATE_3, 2)?;
    let mut judges = (one.oracle()?, two.oracle()?);
    let mut scaling = Scaling {
        processors: std::thread::available_parallelism()?.get(),
        ..Scaling::default()
    };
    for _ in 0..ROUNDS {
        let alone = machine::while_busy(|| one.sustained(1, Some(&mut judges.0), ROUND));
        let (alone, busy) = alone?;
        scaling.busy[0].push(busy);
        let both = machine::while_busy(|| two.sustained(1, Some(&mut judges.1), ROUND));
        let (both, busy) = both?;
        scaling.busy[1].push(busy);
        scaling.one.push(alone);
        scaling.two.push(both);
        scaling.factors.push(both / alone);
    }
    Ok(scaling)
}

/// The explorer alone, driven through the search of scenario (b) by what the server said once.
pub fn thinking(scaling: &Scaling) -> Fallible<Thinking> {
    let mut bed = Bed::open(LOST_UPDATE_3, 1)?;
    let known = offline::record(&mut bed)?;
    let micros = offline::micros_a_run(&known)?;
    let lab = 1e6 / median(&scaling.one);
    Ok(Thinking {
        micros_a_run: micros,
        lab_micros_a_run: lab,
        share: micros / lab,
    })
}

/// What an example of the explorer prints.
fn example(name: &str) -> Fallible<String> {
    let program = format!("target/release/examples/{name}");
    let run = Command::new(&program).output();
    let run = run.map_err(|error| format!("{program}: {error} (`tools/bench labs` builds it)"))?;
    if !run.status.success() {
        return Err(String::from_utf8_lossy(&run.stderr).into());
    }
    Ok(String::from_utf8(run.stdout)?)
}
