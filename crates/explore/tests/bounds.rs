//! Few preemptions first, and only where they can matter.

mod common;

use common::brute;
use common::drive::{drive, exhaust, follow};
use common::known;
use common::machine::{Machine, Op};
use deadheat_explore::{Config, Exhaustive, Explorer, Next};

fn at_most(preemptions: u32) -> Config {
    Config {
        preemptions: Some(preemptions),
        ..Config::default()
    }
}

/// Two requests of 72 steps, of which every sixth touches something that the other one touches.
fn long_requests() -> Machine {
    let step = |own: usize, at: usize| match at % 18 {
        0 => Op::Read(at / 18 % 3),
        6 => Op::Write(at / 18 % 3, 1),
        12 => Op::Read(3),
        _ => Op::Write(10 + own, 1),
    };
    known::lines(
        (0..2)
            .map(|own| (0..72).map(|at| step(own, at)).collect())
            .collect(),
    )
}

#[test]
fn one_preemption_costs_as_many_runs_as_there_are_places_that_matter() {
    let serial = exhaust(&long_requests(), at_most(0));
    assert_eq!(serial.progress.runs, 2);
    let one = exhaust(&long_requests(), at_most(1));
    assert_eq!(one.progress.runs, one.progress.traces, "none is made twice");
    // Each request has 8 steps that conflict with one of the other's.
    assert!(one.progress.runs <= 2 + 2 * 8, "{} runs", one.progress.runs);
}

#[test]
fn serial_orders_come_first_and_each_once() {
    let machine = known::sql_lost_update(4);
    let found = exhaust(&machine, at_most(0));
    assert_eq!((found.progress.runs, found.classes.len()), (24, 24));
}

#[test]
fn runs_come_in_order_of_preemptions() {
    let machine = known::sql_lost_update(3);
    let mut explorer = Exhaustive::new(at_most(4));
    let mut made = Vec::new();
    loop {
        match explorer.next() {
            Next::Run(cursor) => {
                let (run, _) = follow(&machine, cursor);
                made.push((run.index(), run.preemptions()));
                explorer.report(run);
            }
            Next::Wait => panic!("every run was reported"),
            Next::Done(_) => break,
        }
    }
    let preemptions = |from: u64| made.iter().filter(move |m| m.0 >= from).map(|m| m.1);
    assert!(
        made.iter()
            .all(|&(index, count)| count < 2 || preemptions(index).all(|later| later >= count)),
        "{made:?}"
    );
    assert_eq!(
        made[..2],
        [(0, 0), (1, 1)],
        "one preemption comes before the other serial orders"
    );
    assert_eq!(made.last().map(|m| m.1), Some(4));
}

#[test]
fn each_bound_covers_what_its_schedules_reach() {
    for machine in [
        known::sql_lost_update(3),
        known::sql_two_row_deadlock(),
        known::lobby(2),
        known::fib_bench(1),
    ] {
        for bound in 0..6 {
            let found = drive(&machine, &mut Exhaustive::new(at_most(bound)), 4, |out| {
                out / 2
            });
            let within = brute::classes(&machine, bound, 1_000_000).expect("they are small");
            assert_eq!(found.classes, within, "bound {bound}");
        }
    }
}
