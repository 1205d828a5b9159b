//! Many actors: which of their serial orders must be run.

use deadheat_explore::Actor;
use deadheat_lab::record::Record;

use super::judged::race;
use super::story::Story;
use crate::{Judgement, Oracle, Rules};

/// Five actors; each order leaves a list in the order in which they came.
fn queue(order: &[u16]) -> Record {
    let mut story = Story::of(&["a", "b", "c", "d", "e"]);
    let mut places: Vec<[String; 2]> = Vec::new();
    for (n, actor) in order.iter().enumerate() {
        story = story
            .sql(*actor, "insert into q")
            .writes("q", None, "INSERT 0 1")
            .gap(*actor);
        places.push([n.to_string(), actor.to_string()]);
    }
    let rows: Vec<Vec<&str>> = places
        .iter()
        .map(|p| p.iter().map(String::as_str).collect())
        .collect();
    let rows: Vec<&[&str]> = rows.iter().map(Vec::as_slice).collect();
    story.table("q", &["place", "who"], &rows).done()
}

#[test]
fn with_many_actors_the_order_of_commits_is_asked_for_first() {
    let record = queue(&[3, 1, 4, 0, 2]);
    let mut oracle = Oracle::new(Rules::default());
    oracle.add_serial((0..5).map(Actor).collect(), queue(&[0, 1, 2, 3, 4]));
    let Judgement::NeedsSerial(orders) = oracle.judge(&record) else {
        panic!("cannot know yet")
    };
    assert_eq!(orders[0], [3, 1, 4, 0, 2].map(Actor));
    assert_eq!(
        orders[1],
        [3, 1, 4, 2, 0].map(Actor),
        "then those with one pair turned round"
    );
    oracle.add_serial(orders[0].clone(), queue(&[3, 1, 4, 0, 2]));
    assert!(matches!(oracle.judge(&record), Judgement::Clean));
}

#[test]
fn all_orders_of_many_actors_are_asked_for_before_a_race_is_called() {
    let mut record = queue(&[3, 1, 4, 0, 2]);
    record.tables.get_mut("q").unwrap().rows.pop();
    record.steps.swap(1, 2);
    let mut oracle = Oracle::new(Rules::default());
    let mut asked = 0;
    while let Judgement::NeedsSerial(orders) = oracle.judge(&record) {
        for order in orders {
            asked += 1;
            let numbers: Vec<u16> = order.iter().map(|a| a.0).collect();
            oracle.add_serial(order, queue(&numbers));
        }
    }
    assert_eq!(asked, 120);
    assert_eq!(race(oracle.judge(&record)).checks, ["serial"]);
}

/// Six ask for one of four seats, in this order; every one of `sneaks` gets one in any case.
fn seats(order: &[u16], sneaks: &[u16]) -> Record {
    let mut story = Story::of(&["a", "b", "c", "d", "e", "f"]);
    let mut seated = Vec::new();
    for actor in order {
        let free = seated.len() < 4 || sneaks.contains(actor);
        if free {
            seated.push(actor.to_string());
        }
        story = story
            .sql(*actor, "insert into seat values ($1)")
            .gap(*actor)
            .told(
                usize::from(*actor),
                "POST /seat",
                if free { 201 } else { 409 },
                "{}",
            );
    }
    let rows: Vec<Vec<&str>> = seated.iter().map(|who| vec![who.as_str()]).collect();
    let rows: Vec<&[&str]> = rows.iter().map(Vec::as_slice).collect();
    story.table("seat", &["who"], &rows).done()
}

/// How many orders are asked for, one at a time, until it is certain.
fn orders_asked_for(oracle: &mut Oracle, record: &Record, run: impl Fn(&[u16]) -> Record) -> usize {
    let mut asked = 0;
    while let Judgement::NeedsSerial(orders) = oracle.judge(record) {
        asked += 1;
        let order = orders[0].clone();
        let numbers: Vec<u16> = order.iter().map(|a| a.0).collect();
        oracle.add_serial(order, run(&numbers));
    }
    asked
}

#[test]
fn orders_that_begin_wrong_are_not_run() {
    // Five sat down: the fifth of them is refused in each order, whoever comes sixth; and so is whoever was refused here,
    // in each order in which four came before.
    let mut record = seats(&[0, 1, 2, 3, 4, 5], &[4]);
    record.steps.swap(1, 2);
    let mut oracle = Oracle::new(Rules::default());
    let asked = orders_asked_for(&mut oracle, &record, |order| seats(order, &[]));
    let fours = 5 * 4 * 3 * 2;
    let too_early = 1 + 5 + 5 * 4 + 5 * 4 * 3;
    assert!(asked <= 2 * fours + too_early, "{asked} of 720");
    assert_eq!(race(oracle.judge(&record)).checks, ["serial"]);
    // And still an order that has the outcome is found, wherever it is.
    let mut late = seats(&[5, 4, 3, 2, 1, 0], &[]);
    late.steps.swap(1, 2);
    orders_asked_for(&mut oracle, &late, |order| seats(order, &[]));
    assert!(matches!(oracle.judge(&late), Judgement::Clean));
}

/// Five note when they came, each in a row of its own; the first of them writes what no order has.
fn notes(order: &[u16], wrong: bool) -> Record {
    let mut story = Story::of(&["a", "b", "c", "d", "e"]);
    for actor in order {
        story = story
            .sql(*actor, "insert into note values ($1)")
            .gap(*actor);
    }
    let value = if wrong { "2" } else { "1" };
    story.table("note", &["n"], &[&[value]]).done()
}

/// As [`orders_asked_for`], where these pairs touch nothing in common as far as the gate can see.
fn asked_with(apart: &[(u16, u16)], record: &Record, run: impl Fn(&[u16]) -> Record) -> usize {
    let mut oracle = Oracle::new(Rules::default());
    let mut asked = 0;
    while let Judgement::NeedsSerial(orders) = oracle.judge(record) {
        asked += 1;
        let order = orders[0].clone();
        let numbers: Vec<u16> = order.iter().map(|a| a.0).collect();
        oracle.add_serial(order.clone(), run(&numbers));
        oracle.set_apart(&order, apart.iter().map(|(a, b)| (Actor(*a), Actor(*b))));
    }
    assert_eq!(race(oracle.judge(record)).checks, ["serial"]);
    asked
}

#[test]
fn orders_that_differ_only_in_who_does_not_matter_are_run_once() {
    let all: Vec<(u16, u16)> = (0..5)
        .flat_map(|a| (a + 1..5).map(move |b| (a, b)))
        .collect();
    let mut record = notes(&[0, 1, 2, 3, 4], true);
    record.steps.swap(1, 2);
    let asked = asked_with(&all, &record, |order| notes(order, false));
    assert!(asked <= 1 + 2 * all.len(), "{asked}");
    // Two that depend on each other: both orders of theirs are run.
    let asked = asked_with(&all[1..], &record, |order| notes(order, false));
    assert!((2..=60).contains(&asked), "{asked}");
}

#[test]
fn what_no_gate_sees_may_still_matter() {
    // A number that the service counts in its memory: no two have the same.
    let counted = |order: &[u16], from: usize| {
        let mut story = Story::of(&["a", "b", "c", "d", "e"]);
        for (n, actor) in order.iter().enumerate() {
            story = story.sql(*actor, "select 1").told(
                usize::from(*actor),
                "GET /number",
                200,
                &format!("{{\"n\": {}}}", n + from),
            );
        }
        story.done()
    };
    let all: Vec<(u16, u16)> = (0..5)
        .flat_map(|a| (a + 1..5).map(move |b| (a, b)))
        .collect();
    let run = counted(&[4, 3, 2, 1, 0], 1);
    let mut oracle = Oracle::new(Rules::default());
    let first: Vec<Actor> = (0..5).map(Actor).collect();
    oracle.add_serial(first.clone(), counted(&[0, 1, 2, 3, 4], 1));
    oracle.set_apart(&first, all.iter().map(|(a, b)| (Actor(*a), Actor(*b))));
    let asked = orders_asked_for(&mut oracle, &run, |order| counted(order, 1));
    assert_eq!(asked, 1, "the nearest has it");
    assert!(matches!(oracle.judge(&run), Judgement::Clean));
}
