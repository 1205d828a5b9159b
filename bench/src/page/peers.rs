//! What the page says of others, beside whom this was measured.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::{Page, short};
use crate::chart::{Bar, Chart, Group};
use crate::results::{Bout, Hunt, Passing, Peers, Rivals, Runner, Specs, Tasks, median};

/// Colours: who is ours has the first.
fn colour(who: &str) -> usize {
    usize::from(!(who.starts_with("deadheat") || who == "task lab" || who == "gate"))
}

fn bar(runner: &Runner) -> Bar {
    Bar {
        label: runner.who.clone(),
        parts: vec![(colour(&runner.who), runner.median())],
        range: Some(runner.range()),
        figure: short(runner.median()),
    }
}

/// Ratios of two, round by round.
fn ratio(one: &Runner, other: &Runner) -> f64 {
    let rounds = one.rounds.iter().zip(&other.rounds);
    median(&rounds.map(|(one, other)| one / other).collect::<Vec<_>>())
}

/// A bout as a group of bars.
fn group(bout: &Bout) -> Group {
    Group {
        label: bout.what.clone(),
        bars: bout.runners.iter().map(bar).collect(),
    }
}

/// A table of bouts: each runner with its median, its range, and its ratio to the last.
fn table(text: &mut String, unit: &str, bouts: &[Bout]) {
    let _ = write!(
        text,
        "\n| | who | {unit} | least to most | ratio to the last |\n| --- | --- | --: | --: | --: |\n"
    );
    for bout in bouts {
        for runner in &bout.runners {
            let (least, most) = runner.range();
            let against = bout.runners.last().map_or(1.0, |last| ratio(runner, last));
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} to {} | {} |",
                bout.what,
                runner.who,
                short(runner.median()),
                short(least),
                short(most),
                short(against)
            );
        }
    }
}

/// frontrun.
pub fn rivals(page: &mut Page, rivals: &Rivals) {
    page.text.push_str(
        "\n## The same race, found by others\n\nThe lost update of two and of three clients, all of its orders: the same \
         statements over psycopg2, in threads that [frontrun](https://github.com/lucaswiman/frontrun) moves, with an invariant \
         that says what must hold; and the scenarios of `examples/sql`, with nothing said. Both go on after the first race, \
         for twenty seconds at most. frontrun opens connections in each run, and Deadheat does not, which is part of what \
         is compared; Deadheat's runs include the serial orders, by which it knows what is right. interleave, another one of \
         its kind, is on no registry under its name, and was not measured.\n",
    );
    let bouts: Vec<Bout> = clients(rivals)
        .into_iter()
        .map(|clients| Bout {
            what: format!("{clients} clients"),
            runners: ["deadheat", "frontrun"]
                .map(|who| Runner {
                    who: who.to_owned(),
                    rounds: of(rivals, who, clients)
                        .map(|hunt| hunt.runs as f64 / hunt.seconds)
                        .collect(),
                })
                .into(),
        })
        .collect();
    page.draw(
        "rivals",
        &Chart {
            title: "The lost update, runs a second".to_owned(),
            unit: "runs a second; more is better".to_owned(),
            colours: vec!["deadheat", "frontrun"],
            groups: bouts.iter().map(group).collect(),
        },
    );
    page.text.push_str(
        "\n| clients | who | runs | all of them | seconds | runs a second | first race at run |\n\
         | --: | --- | --: | --- | --: | --: | --: |\n",
    );
    for (clients, bout) in clients(rivals).into_iter().zip(&bouts) {
        for runner in &bout.runners {
            let hunts: Vec<&Hunt> = of(rivals, &runner.who, clients).collect();
            let middle = |value: fn(&Hunt) -> f64| {
                median(&hunts.iter().map(|hunt| value(hunt)).collect::<Vec<_>>())
            };
            let ended = hunts.iter().all(|hunt| hunt.ended);
            let first = hunts.iter().find_map(|hunt| hunt.first_race);
            let _ = writeln!(
                page.text,
                "| {clients} | {} | {:.0} | {} | {} | {} | {} |",
                runner.who,
                middle(|hunt| hunt.runs as f64),
                if ended {
                    "yes"
                } else {
                    "no: its time was over"
                },
                short(middle(|hunt| hunt.seconds)),
                short(runner.median()),
                first.map_or_else(String::new, |run| run.to_string()),
            );
        }
    }
}

fn clients(rivals: &Rivals) -> BTreeSet<u64> {
    rivals.hunts.iter().map(|hunt| hunt.clients).collect()
}

fn of<'r>(rivals: &'r Rivals, who: &'r str, clients: u64) -> impl Iterator<Item = &'r Hunt> {
    let wanted = move |hunt: &&Hunt| hunt.who == who && hunt.clients == clients;
    rivals.hunts.iter().filter(wanted)
}

/// isolationtester.
pub fn specs(page: &mut Page, specs: &Specs) {
    page.text.push_str(
        "\n## PostgreSQL's isolation schedule\n\nAll specs of the server's own suite, with the same output byte for byte: \
         `pg_isolation_regress` with isolationtester, and [`deadheat spec`](spec.md), which starts its servers in that time.\n",
    );
    let bout = Bout {
        what: String::new(),
        runners: specs.seconds.clone(),
    };
    page.draw(
        "specs",
        &Chart {
            title: "The whole isolation schedule".to_owned(),
            unit: "seconds; less is better".to_owned(),
            colours: vec!["deadheat", "the original"],
            groups: vec![group(&bout)],
        },
    );
    page.text.push_str("\n| program | seconds | rounds | times as fast as the original |\n| --- | --: | --- | --: |\n");
    for runner in &specs.seconds {
        let rounds: Vec<String> = runner
            .rounds
            .iter()
            .map(|time| format!("{time:.1}"))
            .collect();
        let faster = specs
            .seconds
            .first()
            .map_or(1.0, |original| ratio(original, runner));
        let _ = writeln!(
            page.text,
            "| `{}` | {:.1} | {} | {} |",
            runner.who,
            runner.median(),
            rounds.join(", "),
            short(faster)
        );
    }
}

/// shuttle and loom.
pub fn peers(page: &mut Page, peers: &Peers) {
    page.text.push_str(
        "\n## Rust tests, beside shuttle and loom\n\nA lobby that is an actor with a mailbox, and clients that ask it: the same \
         program for each. loom also reorders memory accesses, which the [task lab](rust-tests.md) does not, so that its runs \
         are more for that.\n",
    );
    page.draw(
        "peers",
        &Chart {
            title: "Schedules a second".to_owned(),
            unit: "a second of processor time; more is better".to_owned(),
            colours: vec!["deadheat", "shuttle"],
            groups: vec![group(&peers.random)],
        },
    );
    table(
        &mut page.text,
        "schedules a second",
        std::slice::from_ref(&peers.random),
    );
    page.text
        .push_str("\n| three clients, all schedules | runs | seconds |\n| --- | --: | --: |\n");
    for one in &peers.exhausted {
        let _ = writeln!(
            page.text,
            "| {} | {} | {} |",
            one.who,
            one.runs,
            short(one.seconds)
        );
    }
}

/// pgbouncer.
pub fn passing(page: &mut Page, passing: &Passing) {
    page.text.push_str(
        "\n## Passing through a gate\n\npgbench, directly, through a gate that no lab is attached to, and through pgbouncer in \
         session mode.\n",
    );
    let added = |line: &crate::results::PassingLine, way: usize| {
        line.times[way].median() - line.times[0].median()
    };
    let groups = passing
        .lines
        .iter()
        .filter(|line| line.clients == "1")
        .map(|line| Group {
            label: format!("{}, {} protocol", line.script, line.mode),
            bars: [1, 2]
                .map(|way| Bar {
                    label: line.times[way].who.clone(),
                    parts: vec![(colour(&line.times[way].who), added(line, way).max(0.0))],
                    range: None,
                    figure: short(added(line, way)),
                })
                .into(),
        });
    page.draw(
        "passing",
        &Chart {
            title: "What is added to a transaction, one client".to_owned(),
            unit: "µs; less is better".to_owned(),
            colours: vec!["gate", "pgbouncer"],
            groups: groups.collect(),
        },
    );
    page.text.push_str(
        "\n| script | protocol | clients | direct, tps | gate | pgbouncer | gate : pgbouncer | direct, µs | gate adds | \
         pgbouncer adds |\n| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
    );
    for line in &passing.lines {
        let _ = writeln!(
            page.text,
            "| {} | {} | {} | {:.0} | {:.0} | {:.0} | {:.2} | {:.0} | {:.0} | {:.0} |",
            line.script,
            line.mode,
            line.clients,
            line.rates[0].median(),
            line.rates[1].median(),
            line.rates[2].median(),
            ratio(&line.rates[1], &line.rates[2]),
            line.times[0].median(),
            added(line, 1),
            added(line, 2),
        );
    }
    let over_all = |clients: &str| {
        let lines = passing.lines.iter();
        let lines = lines.filter(|line| line.clients == clients);
        let ratios: Vec<f64> = lines.flat_map(gate_to_bouncer).collect();
        let (mean, error) = geometric(&ratios);
        let (least, most) = (mean / error.powi(2), mean * error.powi(2));
        format!("{mean:.2} times (from {least:.2} to {most:.2}, two standard errors)")
    };
    let _ = writeln!(
        page.text,
        "\nThe gate's throughput against pgbouncer's, the geometric mean of all rounds: {} with one client, {} with sixteen. \
         Promised is as much, and at most 40 µs added to a statement (the lines of select-only with one client; a \
         transaction of tpcb-like has seven statements).",
        over_all("1"),
        over_all("16")
    );
    let _ = write!(
        page.text,
        "\nMemory of `deadheat proxy`, which reads along: {:.0} MiB with one client, at most {:.0} MiB while 100 MB passed as \
         one row, as 100,000 rows, and by COPY out and in.\n",
        passing.memory.0, passing.memory.1
    );
}

/// The gate's throughput against pgbouncer's, round by round.
fn gate_to_bouncer(line: &crate::results::PassingLine) -> impl Iterator<Item = f64> {
    let rounds = line.rates[1].rounds.iter().zip(&line.rates[2].rounds);
    rounds.map(|(gate, bouncer)| gate / bouncer)
}

/// The geometric mean of ratios, and the factor that its standard error is.
fn geometric(ratios: &[f64]) -> (f64, f64) {
    let count = ratios.len() as f64;
    let mean = ratios.iter().map(|ratio| ratio.ln()).sum::<f64>() / count;
    let square = |ratio: &f64| (ratio.ln() - mean).powi(2);
    let variance = ratios.iter().map(square).sum::<f64>() / (count - 1.0);
    (mean.exp(), (variance / count).sqrt().exp())
}

/// Other queues.
pub fn tasks(page: &mut Page, tasks: &Tasks) {
    let _ = write!(
        page.text,
        "\n## Tasks a second\n\n{} tasks, {} at a time, on a private server that syncs nothing to disk, of \
         [deadheat-cure](cures.md) and of others. The row that a task of deadheat-cure writes is committed together with its \
         completion, once; what completes a task after its handler, in a transaction of its own, does it twice after a crash \
         in between.\n",
        tasks.count, tasks.at_once
    );
    page.draw(
        "tasks",
        &Chart {
            title: "Tasks a second".to_owned(),
            unit: "tasks a second; more is better".to_owned(),
            colours: vec!["deadheat-cure", "others"],
            groups: tasks.bouts.iter().map(group).collect(),
        },
    );
    table(&mut page.text, "tasks a second", &tasks.bouts);
}
