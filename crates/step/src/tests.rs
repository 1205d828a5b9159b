//! What keys do, on a run that is made up: two who each read and write a row.

use std::collections::BTreeMap;

use deadheat_explore::Actor;
use deadheat_lab::record::{Record, Step, Table};
use serde_json::json;

use crate::{Key, Panel, Played, Scene, Seat, Stepper, Verdict, Wish};

const ANN: Actor = Actor(0);
const BEN: Actor = Actor(1);

fn step(actor: Actor, sql: &str) -> Step {
    let step = json!({
        "actor": actor, "statements": [{ "sql": sql, "params": [] }], "gate": "postgres", "kind": "work", "session": 1,
        "in_transaction": true, "isolation": "read committed", "blocked_by": [], "wakes": [], "error": null,
        "tags": ["SELECT 1"], "rows": [["1"]], "columns": ["v"], "accesses": [], "fingerprint": sql.len(),
    });
    serde_json::from_value(step).expect("is a step")
}

fn record(steps: Vec<Step>, looks: Vec<BTreeMap<String, Table>>) -> Record {
    let table = json!({ "columns": [], "rows": [] });
    let reply = json!([{ "sql": { "sql": "", "table": table, "tag": "UPDATE 1", "error": null } }]);
    let record = json!({
        "actors": ["ann", "ben"], "steps": [], "replies": [reply, reply], "tables": {}, "invariants": [],
        "end": "finished",
    });
    let record: Record = serde_json::from_value(record).expect("is a record");
    Record {
        steps,
        looks,
        ..record
    }
}

fn table(values: &[&str]) -> BTreeMap<String, Table> {
    let rows = values.iter().map(|value| vec![Some((*value).to_owned())]);
    let table = Table {
        columns: vec!["v".to_owned()],
        rows: rows.collect(),
    };
    BTreeMap::from([("counter".to_owned(), table)])
}

/// Each reads and then writes; this plays a schedule and then whoever moved last, else the first.
fn play(schedule: &[Actor]) -> Played {
    let mut left = [2, 2];
    let (mut steps, mut enabled, mut looks) = (Vec::new(), Vec::new(), vec![table(&["0"])]);
    let mut chosen = schedule.iter().copied();
    let mut last = ANN;
    loop {
        let able: Vec<Actor> = [ANN, BEN]
            .into_iter()
            .filter(|actor| left[usize::from(actor.0)] > 0)
            .collect();
        if able.is_empty() {
            break;
        }
        let keep = if able.contains(&last) { last } else { able[0] };
        last = chosen
            .next()
            .filter(|one| able.contains(one))
            .unwrap_or(keep);
        enabled.push(able);
        let rest = &mut left[usize::from(last.0)];
        *rest -= 1;
        let sql = if *rest == 1 {
            "select v from counter"
        } else {
            "update counter set v = 1"
        };
        steps.push(step(last, sql));
        looks.push(table(if *rest == 1 { &["0"] } else { &["1"] }));
    }
    Played {
        record: record(steps, looks),
        enabled,
        diverged: None,
    }
}

/// A stepper at its beginning.
fn begun() -> Stepper {
    let mut stepper = Stepper::new("Two count", vec!["ann".to_owned(), "ben".to_owned()]);
    stepper.played(Vec::new(), play(&[]));
    stepper
}

/// Presses a key and plays what it wishes for.
fn press(stepper: &mut Stepper, key: Key) -> Option<Wish> {
    let wish = stepper.press(key);
    if let Some(Wish::Play(schedule)) = &wish {
        stepper.played(schedule.clone(), play(schedule));
    }
    wish
}

fn next(statement: &str, starts: bool) -> Seat {
    Seat::Next {
        statement: statement.to_owned(),
        starts,
    }
}

#[test]
fn both_are_seen_with_their_first_statements() {
    let stepper = begun();
    let first = next("select v from counter", true);
    assert_eq!(stepper.scene.seats, [first.clone(), first]);
    assert!(stepper.scene.done.is_empty());
    assert!(!stepper.is_over());
    assert!(!stepper.scene.tables["counter"].rows[0].fresh);
}

#[test]
fn the_chosen_one_moves_and_a_step_is_taken_back() {
    let mut stepper = begun();
    press(&mut stepper, Key::Down);
    assert_eq!(press(&mut stepper, Key::Enter), Some(Wish::Play(vec![BEN])));
    assert_eq!(stepper.scene.seats[0], next("select v from counter", true));
    assert_eq!(
        stepper.scene.seats[1],
        next("update counter set v = 1", false)
    );
    assert_eq!(stepper.scene.done.len(), 1);
    assert_eq!(stepper.scene.done[0].outcome, "v = 1");
    assert_eq!(
        press(&mut stepper, Key::Char('1')),
        Some(Wish::Play(vec![BEN, ANN]))
    );
    assert_eq!(stepper.chosen, 0);
    assert_eq!(press(&mut stepper, Key::Back), Some(Wish::Play(vec![BEN])));
    assert_eq!(stepper.schedule(), [BEN]);
    assert_eq!(
        press(&mut stepper, Key::Char('u')),
        Some(Wish::Play(Vec::new()))
    );
    assert_eq!(press(&mut stepper, Key::Back), None);
    assert_eq!(stepper.message, "nobody has moved yet");
}

#[test]
fn rows_that_a_step_changed_are_marked() {
    let mut stepper = begun();
    press(&mut stepper, Key::Char('1'));
    press(&mut stepper, Key::Char('1'));
    let rows = &stepper.scene.tables["counter"].rows;
    assert_eq!((rows[0].cells[0].as_str(), rows[0].fresh), ("1", true));
    assert_eq!(
        stepper.scene.seats[0],
        Seat::Finished {
            reply: "UPDATE 1".to_owned()
        }
    );
    assert_eq!(stepper.chosen, 1, "who has finished is not chosen any more");
    assert_eq!(press(&mut stepper, Key::Char('1')), None);
    assert_eq!(stepper.message, "ann has finished");
    assert_eq!(press(&mut stepper, Key::Char('7')), None);
    assert_eq!(stepper.message, "there is no actor 7");
}

#[test]
fn only_a_race_that_is_over_is_saved() {
    let mut stepper = begun();
    press(&mut stepper, Key::Char('1'));
    assert_eq!(press(&mut stepper, Key::Char('s')), None);
    assert!(stepper.message.contains("not over"), "{}", stepper.message);
    press(&mut stepper, Key::Char('2'));
    press(&mut stepper, Key::Char('e'));
    assert!(stepper.is_over());
    assert_eq!(stepper.schedule(), [ANN, BEN, BEN, ANN]);
    stepper.judged(Verdict::Fine);
    assert_eq!(press(&mut stepper, Key::Char('s')), None);
    assert!(stepper.message.contains("no race"), "{}", stepper.message);
    stepper.judged(Verdict::Race {
        kind: "lost-update".to_owned(),
        why: Vec::new(),
    });
    let saved = press(&mut stepper, Key::Char('s'));
    assert_eq!(saved, Some(Wish::Save(vec![ANN, BEN, BEN, ANN])));
    press(&mut stepper, Key::Back);
    assert_eq!(stepper.verdict, None, "another run, not judged yet");
}

#[test]
fn a_run_that_does_not_repeat_is_taken_back_to_where_it_differs() {
    let mut stepper = begun();
    press(&mut stepper, Key::Char('1'));
    press(&mut stepper, Key::Char('2'));
    let mut other = play(&[ANN, BEN, ANN]);
    other.record.steps[1].fingerprint += 1;
    stepper.played(vec![ANN, BEN, ANN], other);
    assert_eq!(stepper.schedule(), [ANN]);
    assert!(
        stepper.message.starts_with("step 2 went otherwise"),
        "{}",
        stepper.message
    );
    let mut left = play(&[ANN, BEN]);
    left.diverged = Some(0);
    stepper.played(vec![ANN, BEN], left);
    assert_eq!(stepper.schedule(), []);
}

#[test]
fn who_waits_is_seen_to_wait_until_it_is_woken() {
    let mut played = play(&[ANN, BEN]);
    played.record.steps[1].blocked_by = vec![ANN];
    let waits = Scene::after(&played.record, &[ANN], 2);
    assert_eq!(
        waits.seats[1],
        Seat::Waits {
            statement: "select v from counter".to_owned(),
            blocked_by: vec!["ann".to_owned()],
        }
    );
    assert_eq!(waits.done[1].outcome, "waits for ann");
    played.record.steps[2].wakes = vec![BEN];
    let woken = Scene::after(&played.record, &[ANN, BEN], 3);
    assert!(matches!(woken.seats[1], Seat::Next { .. }));
    assert_eq!(woken.done[1].outcome, "v = 1");
}

#[test]
fn a_run_has_more_actors_than_the_scenario_names() {
    let mut stepper = Stepper::new("Two count", vec!["ann".to_owned()]);
    stepper.played(Vec::new(), play(&[]));
    assert_eq!(stepper.actors.len(), stepper.scene.seats.len());
    assert_eq!(
        press(&mut stepper, Key::Char('2')),
        Some(Wish::Play(vec![BEN]))
    );
}

#[test]
fn panels_are_changed_and_scrolled() {
    let mut stepper = begun();
    press(&mut stepper, Key::PageUp);
    assert_eq!(stepper.scrolled, 5);
    press(&mut stepper, Key::PageDown);
    assert_eq!(stepper.scrolled, 0);
    press(&mut stepper, Key::Tab);
    assert_eq!(stepper.panel, Panel::Tables);
    press(&mut stepper, Key::PageDown);
    assert_eq!(stepper.scrolled, 5);
    assert_eq!(press(&mut stepper, Key::Char('q')), Some(Wish::Quit));
}
