//! The results as a page.

use std::fmt::Write as _;

use crate::results::{Phases, Results, Search, median};

/// `results.md`.
pub fn of(results: &Results) -> String {
    let mut page = String::from(
        "# Speed\n\nWritten by `make bench`; what each figure is, and how it is taken, is told in [README.md](README.md).\n\n",
    );
    let machine = &results.machine;
    for (what, value) in [
        (
            "Processor",
            format!("{}, {} cores", machine.processor, machine.cores),
        ),
        ("Memory", machine.memory.clone()),
        ("System", machine.system.clone()),
        ("PostgreSQL", machine.postgres.clone()),
        ("Built with", machine.rust.clone()),
        ("Version", machine.deadheat.clone()),
        ("Load at the end", machine.load.clone()),
    ] {
        let _ = writeln!(page, "- {what}: {value}");
    }
    page.push_str("\n## Against what was promised\n\n| figure | promised | measured | |\n| --- | --- | --- | --- |\n");
    for (figure, promised, measured, kept) in promises(results) {
        let kept = if kept { "kept" } else { "**missed**" };
        let _ = writeln!(page, "| {figure} | {promised} | {measured} | {kept} |");
    }
    searches(&mut page, results);
    profile(&mut page, results);
    let _ = write!(
        page,
        "\n## Samplers\n\nMean number of schedules to the first bug in 50 trials of at most 5,000; in brackets, trials that \
         hit, where not all did. In each cell: ours | published. The programs are our own, after those that are named, so \
         that a row is compared from column to column.\n\n```text\n{}\n```\n",
        results.samplers.trim_end()
    );
    let _ = write!(
        page,
        "\n## Reduction\n\nRuns until every class was seen, and those of them that were cut because they led only to what \
         was known: planned by source sets alone, and by wakeup trees as long as every step touches what was foreseen \
         (then by source sets). µs/run is the explorer's time and the model's. Published programs that take as many runs \
         either way are one line.\n\n{}\n",
        results.reduction.trim_end()
    );
    page
}

/// Figure, promise, what was measured, and whether it is kept.
type Promise = (String, String, String, bool);

fn promises(results: &Results) -> Vec<Promise> {
    let direct = &results.direct;
    let (rate, ratio) = (median(&direct.labs), median(&direct.ratios_alone));
    let factor = median(&results.scaling.factors);
    let share = results.thinking.share * 100.0;
    let mut promises = vec![
        least("(a) runs a second, two labs", 600.0, rate),
        most(
            "(a) time a run in two labs, against one plain client",
            2.5,
            ratio,
        ),
        most("reset of three written tables, ms", 1.0, results.reset),
        least("(b) two labs against one", 1.7, factor),
        most("the explorer's share of a run, %", 5.0, share),
    ];
    for search in &results.searches {
        let name = name(search);
        if search.scenario.contains("lobby/rust") {
            let what = format!("{name}: runs a second, five HTTP actors, two labs");
            promises.push(least(&what, 100.0, search.runs_per_second));
        }
        if let Some(at_most) = search.at_most {
            promises.push((
                format!("{name}: runs to exhaust"),
                format!("at most {at_most}"),
                search.runs.to_string(),
                search.exhausted && search.runs <= at_most,
            ));
        }
        if name == "lobby-5-cured" {
            promises.push((
                format!("{name}: exhausted within, s"),
                "at most 60".to_owned(),
                if search.exhausted {
                    format!("{:.1}", search.seconds)
                } else {
                    "not".to_owned()
                },
                search.exhausted && search.seconds <= 60.0,
            ));
        }
    }
    promises
}

fn least(figure: &str, promised: f64, measured: f64) -> Promise {
    (
        figure.to_owned(),
        format!("at least {promised}"),
        short(measured),
        measured >= promised,
    )
}

fn most(figure: &str, promised: f64, measured: f64) -> Promise {
    (
        figure.to_owned(),
        format!("at most {promised}"),
        short(measured),
        measured <= promised,
    )
}

fn short(value: f64) -> String {
    if value >= 100.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}

fn name(search: &Search) -> &str {
    search
        .scenario
        .trim_start_matches("examples/")
        .trim_start_matches("sql/")
        .trim_end_matches(".toml")
}

fn searches(page: &mut String, results: &Results) {
    page.push_str(
        "\n## Searches\n\n| scenario | verdict | classes | runs | traces | cut | serial runs | first race | s | runs/s |\n\
         | --- | --- | --: | --: | --: | --: | --: | --: | --: | --: |\n",
    );
    for search in &results.searches {
        let or_none =
            |count: Option<u64>| count.map_or_else(String::new, |count| count.to_string());
        let _ = writeln!(
            page,
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

fn profile(page: &mut String, results: &Results) {
    page.push_str(
        "\n## Where the time goes\n\nMilliseconds a run, in one of two labs.\n\n\
         | scenario | putting back | moving the actors | reading the outcome |\n| --- | --: | --: | --: |\n",
    );
    let mut line = |name: &str, phases: &Phases| {
        let Phases {
            putting_back,
            moving,
            reading,
        } = phases;
        let _ = writeln!(
            page,
            "| {name} | {putting_back:.3} | {moving:.3} | {reading:.3} |"
        );
    };
    line("lost-update, over and over", &results.direct.phases);
    for search in &results.searches {
        line(name(search), &search.phases);
    }
    let (direct, thinking) = (&results.direct, &results.thinking);
    let _ = write!(
        page,
        "\n(a) over and over: {:.0} runs a second in two labs, {:.0} by one plain client, {:.0} by two; against two of them \
         the time a run is {:.2} times as long \
         (median of {} rounds, from {:.2} to {:.2}). In {} of its {} schedules a statement waits; over the others alone the \
         factor is {:.2}.\n\nThe explorer takes {:.1} µs a run of (b), of {:.0} µs that a run takes in one lab.\n\
         (b) runs at {:.0} a second in one lab and {:.0} in two.\n",
        median(&direct.labs),
        median(&direct.alone),
        median(&direct.plain),
        median(&direct.ratios),
        direct.ratios.len(),
        direct.ratios.iter().copied().fold(f64::INFINITY, f64::min),
        direct.ratios.iter().copied().fold(0.0, f64::max),
        direct.waiting,
        direct.schedules,
        median(&direct.ratios_without_waits),
        thinking.micros_a_run,
        thinking.lab_micros_a_run,
        median(&results.scaling.one),
        median(&results.scaling.two),
    );
}
