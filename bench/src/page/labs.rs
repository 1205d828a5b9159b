//! What the page says of the project's own speed.

use std::fmt::Write as _;

use super::{Page, promises, short};
use crate::chart::{Bar, Chart, Group};
use crate::results::{Labs, Phases, Search, median};

/// Tells of it.
pub fn tell(page: &mut Page, labs: &Labs) {
    page.text.push_str(
        "\n## What was promised\n\n| figure | promised | measured | |\n| --- | --- | --- | --- |\n",
    );
    for promise in promises::all(labs) {
        let _ = writeln!(page.text, "{promise}");
    }
    runs(page, labs);
    time(page, labs);
    searches(page, labs);
    let _ = write!(
        page.text,
        "\n## Samplers\n\nMean number of schedules to the first bug in 50 trials of at most 5,000; in brackets, trials that \
         hit, where not all did. In each cell: ours | published. The programs are our own, after those that are named, so \
         that a row is compared from column to column.\n\n```text,sketch\n{}\n```\n",
        labs.samplers.trim_end()
    );
    let _ = write!(
        page.text,
        "\n## Reduction\n\nRuns until every class was seen, and those of them that were cut because they led only to what \
         was known: planned by source sets alone, and by wakeup trees as long as every step touches what was foreseen \
         (then by source sets). µs/run is the explorer's time and the model's. Published programs that take as many runs \
         either way are one line.\n\n{}\n",
        labs.reduction.trim_end()
    );
}

/// The name of a scenario as the tables have it.
pub fn name(search: &Search) -> &str {
    search
        .scenario
        .trim_start_matches("examples/")
        .trim_start_matches("sql/")
        .trim_end_matches(".toml")
}

fn bar(label: &str, colour: usize, rounds: &[f64]) -> Bar {
    let fold = |of: fn(f64, f64) -> f64, from| rounds.iter().copied().fold(from, of);
    Bar {
        label: label.to_owned(),
        parts: vec![(colour, median(rounds))],
        range: Some((fold(f64::min, f64::INFINITY), fold(f64::max, 0.0))),
        figure: short(median(rounds)),
    }
}

fn runs(page: &mut Page, labs: &Labs) {
    let (direct, scaling) = (&labs.direct, &labs.scaling);
    page.text.push_str(
        "\n## Runs a second\n\nTwo clients read a number and write it back, in all six traces, over and over: in labs, and \
         by clients that know the order and ask nothing. Below it, the same with three clients, in one lab and in two.\n",
    );
    page.draw(
        "runs",
        &Chart {
            title: "Runs a second".to_owned(),
            unit: "runs a second; more is better".to_owned(),
            colours: vec!["labs", "plain clients"],
            groups: vec![
                Group {
                    label: "(a) lost update, two clients".to_owned(),
                    bars: vec![
                        bar("two labs", 0, &direct.labs),
                        bar("one plain client", 1, &direct.alone),
                        bar("two plain clients", 1, &direct.plain),
                    ],
                },
                Group {
                    label: "(b) lost update, three clients".to_owned(),
                    bars: vec![
                        bar("one lab", 0, &scaling.one),
                        bar("two labs", 0, &scaling.two),
                    ],
                },
            ],
        },
    );
    let _ = write!(
        page.text,
        "\n| | a second |\n| --- | --: |\n| (a) in two labs | {} |\n| (a) one plain client | {} |\n| (a) two plain clients | \
         {} |\n| (b) in one lab | {} |\n| (b) in two labs | {} |\n\nRound by round, the time of a run in two labs is {} times \
         that of one plain client (from {} to {} in {} rounds), {} times that of two. In {} of the {} schedules of (a) a \
         statement waits; over the others it is {} times that of two plain clients. With one lab at work on (b), {} of {} \
         processors are busy (its server, its actors' sessions and the gate work side by side), with two {}.\n",
        short(median(&direct.labs)),
        short(median(&direct.alone)),
        short(median(&direct.plain)),
        short(median(&scaling.one)),
        short(median(&scaling.two)),
        short(median(&direct.ratios_alone)),
        short(
            direct
                .ratios_alone
                .iter()
                .copied()
                .fold(f64::INFINITY, f64::min)
        ),
        short(direct.ratios_alone.iter().copied().fold(0.0, f64::max)),
        direct.ratios_alone.len(),
        short(median(&direct.ratios)),
        direct.waiting,
        direct.schedules,
        short(median(&direct.ratios_without_waits)),
        short(median(&scaling.busy[0])),
        scaling.processors,
        short(median(&scaling.busy[1])),
    );
}

/// Where the time of a run goes.
fn time(page: &mut Page, labs: &Labs) {
    let direct = ("lost-update, over and over", &labs.direct.phases);
    let searches = labs
        .searches
        .iter()
        .map(|search| (name(search), &search.phases));
    let all: Vec<(&str, &Phases)> = std::iter::once(direct).chain(searches).collect();
    let whole = |phases: &Phases| phases.putting_back + phases.moving + phases.reading;
    page.text
        .push_str("\n## Where the time of a run goes\n\nMilliseconds a run, in one of two labs.\n");
    let bars = all.iter().map(|(name, phases)| Bar {
        label: (*name).to_owned(),
        parts: vec![
            (0, phases.moving),
            (1, phases.putting_back),
            (2, phases.reading),
        ],
        range: None,
        figure: short(whole(phases)),
    });
    page.draw(
        "time",
        &Chart {
            title: "Where the time of a run goes".to_owned(),
            unit: "ms; less is better".to_owned(),
            colours: vec!["moving the actors", "putting back", "reading the outcome"],
            groups: vec![Group {
                label: String::new(),
                bars: bars.collect(),
            }],
        },
    );
    page.text
        .push_str("\n| scenario | moving the actors | putting back | reading the outcome |\n| --- | --: | --: | --: |\n");
    for (name, phases) in all {
        let _ = writeln!(
            page.text,
            "| {name} | {:.3} | {:.3} | {:.3} |",
            phases.moving, phases.putting_back, phases.reading
        );
    }
    let _ = write!(
        page.text,
        "\nThe explorer takes {} µs a run of (b), of {:.0} µs that a run takes in one lab.\n",
        short(labs.thinking.micros_a_run),
        labs.thinking.lab_micros_a_run
    );
}

fn searches(page: &mut Page, labs: &Labs) {
    page.text.push_str(
        "\n## Searches\n\n`deadheat find --keep-going --labs 2`, as a user calls it.\n\n| scenario | verdict | classes | runs \
         | traces | cut | serial runs | first race | s | runs/s |\n\
         | --- | --- | --: | --: | --: | --: | --: | --: | --: | --: |\n",
    );
    let or_none = |count: Option<u64>| count.map_or_else(String::new, |count| count.to_string());
    for search in &labs.searches {
        let _ = writeln!(
            page.text,
            "| {} | {}{} | {} | {} | {} | {} | {} | {} | {:.2} | {:.0} |",
            name(search),
            search.verdict,
            if search.exhausted { ", exhausted" } else { "" },
            or_none(search.classes),
            search.runs,
            search.traces,
            search.blocked_runs,
            search.serial_runs,
            or_none(search.first_race),
            search.seconds,
            search.runs_per_second
        );
    }
}
