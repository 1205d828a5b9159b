//! Reports on races written by hand, as they look.

#[path = "../../verdict/src/tests/races.rs"]
mod races;
#[path = "../../verdict/src/tests/story.rs"]
mod story;

use std::collections::{BTreeMap, BTreeSet};

use deadheat_explore::Actor;
use deadheat_lab::record::Record;
use deadheat_verdict::{Judgement, Kind, Oracle, Rules, Saved, compare_steps, offset};

use crate::{RaceEntry, Report, Stopped, Style, Unrepeatable, Verdict};
use story::Story;

fn saved(scenario: &str, record: &Record, serially: &[(Vec<Actor>, Record)]) -> Saved {
    let mut oracle = Oracle::new(Rules::default());
    for (order, record) in serially {
        oracle.add_serial(order.clone(), record.clone());
    }
    if scenario == "lobby.toml" {
        for first in 0..2 {
            let (a, b) = (
                races::lobby_serially(first, 0),
                races::lobby_serially(first, offset(0)),
            );
            oracle.learn(&a, &b, &[offset(0)]);
        }
    }
    let Judgement::Race(finding) = oracle.judge(record) else {
        panic!("a race")
    };
    Saved::new(scenario, "", record, &finding, 1)
}

fn both(serially: impl Fn(u16) -> Record) -> Vec<(Vec<Actor>, Record)> {
    races::BOTH
        .iter()
        .map(|order| (order.to_vec(), serially(order[0].0)))
        .collect()
}

fn lobby() -> Saved {
    saved(
        "lobby.toml",
        &races::fifth_player(),
        &both(|first| races::lobby_serially(first, 0)),
    )
}

fn deadlock() -> Saved {
    let mut serially: Vec<_> = races::BOTH
        .iter()
        .map(|order| (order.to_vec(), races::locks_serially(order)))
        .collect();
    serially.push((vec![Actor(0)], races::locks_serially(&[Actor(0)])));
    saved("locks.toml", &races::deadlock(), &serially)
}

fn drawn(saved: &Saved, width: usize) -> String {
    crate::race(saved, Some(".deadheat/race-1.json"), Style::plain(width))
}

fn no_line_is_wider(text: &str, width: usize) {
    use unicode_width::UnicodeWidthStr;
    for line in text.lines() {
        assert!(line.width() <= width, "{} columns: {line}", line.width());
    }
}

#[test]
fn fifth_player_wide() {
    insta::assert_snapshot!(drawn(&lobby(), 120));
}

#[test]
fn fifth_player_narrow() {
    insta::assert_snapshot!(drawn(&lobby(), 80));
}

#[test]
fn fifth_player_in_a_corner_of_the_screen() {
    insta::assert_snapshot!(drawn(&lobby(), 48));
}

#[test]
fn lost_deposit() {
    let race = saved(
        "bank.toml",
        &races::lost_update(),
        &both(races::deposits_serially),
    );
    insta::assert_snapshot!(drawn(&race, 100));
}

#[test]
fn both_doctors_leave() {
    let race = saved(
        "doctors.toml",
        &races::write_skew(),
        &both(races::shifts_serially),
    );
    insta::assert_snapshot!(drawn(&race, 120));
}

#[test]
fn two_orders_for_the_last_unit() {
    let race = saved(
        "last-unit.toml",
        &races::last_unit(),
        &both(races::units_serially),
    );
    insta::assert_snapshot!(drawn(&race, 100));
}

#[test]
fn two_rows_two_orders() {
    insta::assert_snapshot!(drawn(&deadlock(), 100));
}

#[test]
fn nobody_can_move() {
    insta::assert_snapshot!(drawn(&saved("jobs.toml", &races::stuck(), &[]), 100));
}

#[test]
fn nothing_is_wider_than_asked() {
    for race in [
        lobby(),
        deadlock(),
        saved("jobs.toml", &races::stuck(), &[]),
    ] {
        for width in [40, 57, 80, 99, 133, 200] {
            no_line_is_wider(&crate::race(&race, None, Style::plain(width)), width);
        }
    }
}

#[test]
fn colour_changes_no_text() {
    let style = Style {
        width: 100,
        colour: true,
    };
    let coloured = crate::race(&lobby(), None, style);
    assert!(coloured.contains("\u{1b}["));
    let mut plain = String::new();
    let mut escape = false;
    for c in coloured.chars() {
        match c {
            '\u{1b}' => escape = true,
            'm' if escape => escape = false,
            c if !escape => plain.push(c),
            _ => {}
        }
    }
    let trimmed: Vec<&str> = plain.lines().map(str::trim_end).collect();
    let expected = crate::race(&lobby(), None, Style::plain(100));
    assert_eq!(trimmed, expected.lines().collect::<Vec<_>>());
}

/// Six actors, each with many reads that do not matter.
fn crowd() -> Record {
    let mut story = Story::of(&["a", "b", "c", "d", "e", "the one with the long name"]);
    for actor in 0..6 {
        for n in 0..3 {
            story = story
                .sql(
                    actor,
                    &format!("select setting from config where key = {n}"),
                )
                .gives("setting", "on");
        }
        story = story
            .sql(actor, "update jobs set taken = true where id = 1")
            .writes("jobs", Some("id=1"), "UPDATE 1");
    }
    story.done()
}

#[test]
fn many_actors_are_listed() {
    let matters: BTreeSet<usize> = [3, 7, 22, 23].into();
    insta::assert_snapshot!(crate::timeline(&crowd(), &matters, Style::plain(80)));
}

fn report(verdict: Verdict) -> Report {
    Report {
        scenario: "lobby.toml".to_owned(),
        verdict,
        exhausted: verdict == Verdict::Clean,
        runs: 57,
        shrink_runs: 0,
        serial_runs: 4,
        traces: 42,
        outcomes: 3,
        blocked_runs: 0,
        preemption_bound: None,
        seconds: 0.4,
        runs_per_second: 142.5,
        labs: 2,
        seed: 1,
        races: Vec::new(),
        stopped: None,
        unrepeatable: None,
        broken_serially: BTreeMap::new(),
        background: Vec::new(),
        notes: Vec::new(),
        profile: None,
    }
}

fn raced() -> Report {
    Report {
        races: vec![RaceEntry::new(&lobby(), ".deadheat/lobby-1.json", 3, 1)],
        preemption_bound: Some(1),
        ..report(Verdict::Race)
    }
}

fn said(report: &Report) -> String {
    crate::summary(report, Style::plain(80))
}

#[test]
fn the_verdicts_in_words() {
    let mut all = said(&report(Verdict::Clean));
    all += &said(&Report {
        blocked_runs: 3,
        ..report(Verdict::Clean)
    });
    all += &said(&Report {
        traces: 1,
        ..report(Verdict::Clean)
    });
    all += &said(&raced());
    for stopped in [Stopped::Interrupted, Stopped::Preemptions(1)] {
        all += &said(&Report {
            stopped: Some(stopped),
            ..raced()
        });
    }
    for stopped in [
        Stopped::Runs(57),
        Stopped::Time(60.0),
        Stopped::Preemptions(1),
        Stopped::Random,
        Stopped::Redundant(900),
        Stopped::Interrupted,
    ] {
        all += &said(&Report {
            stopped: Some(stopped),
            ..report(Verdict::NoRaceFound)
        });
    }
    insta::assert_snapshot!(all);
}

#[test]
fn what_else_one_should_know() {
    insta::assert_snapshot!(said(&Report {
        broken_serially: ["at most four", "stuck"]
            .map(|name| (name.to_owned(), vec!["ben".to_owned(), "p1".to_owned()]))
            .into(),
        background: (1..8).map(|n| format!("select {n} -- ping")).collect(),
        notes: vec!["the reply to `select * from big` was too large to hold; its statement has no commit gap".to_owned()],
        ..report(Verdict::Bug)
    }));
}

#[test]
fn a_service_that_reads_the_clock_into_a_statement() {
    let at =
        |second| format!("insert into log(at, who) values ('2026-01-01 10:00:{second}', 'ben')");
    insta::assert_snapshot!(said(&Report {
        unrepeatable: Some(Unrepeatable {
            schedule: vec!["ben".to_owned(), "p1".to_owned()],
            step: 2,
            actor: "ben".to_owned(),
            first: at("01"),
            second: at("02"),
        }),
        ..report(Verdict::Unrepeatable)
    }));
}

#[test]
fn a_replay_that_meets_other_code() {
    let mut record = races::fifth_player();
    record.steps[3].fingerprint += 1;
    record.steps[3].statements[0].sql =
        "select count(*) from players where game = $1 for update".to_owned();
    let first = compare_steps(&lobby(), &record).unwrap();
    let mut text = crate::replayed(&lobby(), &first, Style::plain(100));
    text += &crate::still_there(true, Kind::CheckThenAct, Style::plain(80));
    text += &crate::still_there(false, Kind::CheckThenAct, Style::plain(80));
    insta::assert_snapshot!(text);
}

#[test]
fn the_json_result() {
    let text = raced().to_json().unwrap();
    insta::assert_snapshot!(text);
    let again: Report = serde_json::from_str(&text).unwrap();
    assert_eq!(again.to_json().unwrap(), text);
}

#[test]
fn junit_has_a_case_a_scenario() {
    let reports = [
        raced(),
        report(Verdict::Clean),
        report(Verdict::Bug),
        report(Verdict::Unrepeatable),
    ];
    let cases: Vec<_> = ["a.toml", "b.toml", "c.toml", "d.toml"]
        .map(str::to_owned)
        .into_iter()
        .zip(&reports)
        .collect();
    insta::assert_snapshot!(crate::junit(&cases).unwrap());
}

#[test]
fn the_summary_of_a_step_shows_the_race() {
    let races = [(lobby(), ".deadheat/lobby-1.json".to_owned())];
    insta::assert_snapshot!(crate::step_summary(&raced(), "tests/lobby.toml", &races));
}

#[test]
fn the_summary_of_a_step_stays_short_and_whole() {
    let races = vec![(lobby(), "race.json".to_owned()); 23];
    let mut named = report(Verdict::Clean);
    named.notes = vec!["a ```` in a statement".to_owned()];
    let text = crate::step_summary(&named, "odd`name.toml", &races);
    assert!(
        text.starts_with("### clean: ``odd`name.toml``\n\n`````text\n"),
        "{text}"
    );
    assert_eq!(text.matches("<details").count(), 20);
    assert!(text.contains("… and 3 more"));
}

#[test]
fn github_is_told_of_races_and_bugs_only() {
    let line = crate::annotation(&raced(), "tests/lobby.toml").unwrap();
    assert!(
        line.starts_with(
            "::error file=tests/lobby.toml,title=Race%3A check-then-act::ben read count = 3"
        ),
        "{line}"
    );
    assert_eq!(line.lines().count(), 1);
    let bug = crate::annotation(&report(Verdict::Bug), "tests/lobby.toml").unwrap();
    assert!(bug.contains("title=A bug%2C not a race::"), "{bug}");
    assert_eq!(
        crate::annotation(&report(Verdict::Clean), "tests/lobby.toml"),
        None
    );
}

#[test]
fn exit_codes() {
    let codes = [
        Verdict::Clean,
        Verdict::NoRaceFound,
        Verdict::Race,
        Verdict::Bug,
        Verdict::Unrepeatable,
    ]
    .map(Verdict::exit_code);
    assert_eq!(codes, [0, 0, 1, 1, 3]);
}
