//! No order is left out: on generated programs, the outcomes that a search sees are those of all interleavings, which are
//! counted here by a machine that knows nothing of futures.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use deadheat_task::{Lab, Options, check};
use tokio::task::yield_now;

/// What an actor does in one step, on three cells.
#[derive(Clone, Copy, Debug)]
enum Op {
    /// Adds to a cell.
    Add(usize, u32),
    /// Copies a cell.
    Copy(usize, usize),
    /// Doubles a cell if another is odd.
    DoubleIfOdd(usize, usize),
}

type Cells = [u32; 3];

fn apply(cells: &mut Cells, op: Op) {
    match op {
        Op::Add(cell, by) => cells[cell] += by,
        Op::Copy(from, to) => cells[to] = cells[from],
        Op::DoubleIfOdd(cell, other) if cells[other] % 2 == 1 => cells[cell] *= 2,
        Op::DoubleIfOdd(..) => {}
    }
}

/// Two or three actors with one to three steps each.
fn program(mut seed: u64) -> Vec<Vec<Op>> {
    let mut below = move |limit: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) % limit
    };
    let shapes: [&[usize]; 6] = [
        &[1, 1],
        &[3, 2],
        &[1, 1, 1],
        &[2, 2, 2],
        &[3, 1, 2],
        &[3, 3],
    ];
    let shape = shapes[below(6) as usize];
    let mut op = || {
        let (one, other) = (below(3) as usize, below(3) as usize);
        match below(3) {
            0 => Op::Add(one, 1 + below(3) as u32),
            1 => Op::Copy(one, other),
            _ => Op::DoubleIfOdd(one, other),
        }
    };
    let actor = |steps: &usize| (0..*steps).map(|_| op()).collect();
    shape.iter().map(actor).collect()
}

/// All outcomes, and the number of interleavings.
fn all(program: &[Vec<Op>], at: &mut Vec<usize>, cells: Cells, seen: &mut BTreeSet<Cells>) -> u64 {
    let mut orders = 0;
    for actor in 0..program.len() {
        if let Some(op) = program[actor].get(at[actor]) {
            let mut cells = cells;
            apply(&mut cells, *op);
            at[actor] += 1;
            orders += all(program, at, cells, seen);
            at[actor] -= 1;
        }
    }
    if orders == 0 {
        seen.insert(cells);
        return 1;
    }
    orders
}

#[test]
fn every_outcome_of_every_order_is_seen() {
    let mut most = 0;
    for seed in 0..60 {
        let program = program(seed);
        let mut expected = BTreeSet::new();
        let orders = all(
            &program,
            &mut vec![0; program.len()],
            [1, 2, 3],
            &mut expected,
        );
        let seen = Rc::new(RefCell::new(BTreeSet::new()));
        let options = Options {
            serial: false,
            ..Options::default()
        };
        let report = check(&options, |lab: Lab| {
            let cells = Rc::new(RefCell::new([1, 2, 3]));
            for (number, ops) in program.iter().cloned().enumerate() {
                let cells = Rc::clone(&cells);
                lab.actor(format!("actor {number}"), async move {
                    for (step, op) in ops.into_iter().enumerate() {
                        if step > 0 {
                            yield_now().await;
                        }
                        apply(&mut cells.borrow_mut(), op);
                    }
                });
            }
            let seen = Rc::clone(&seen);
            async move {
                lab.run().await;
                seen.borrow_mut().insert(*cells.borrow());
            }
        })
        .expect("nothing is asked");
        assert!(report.is_exhausted(), "{program:?}: {report}");
        assert_eq!(report.runs, orders, "{program:?}");
        assert_eq!(*seen.borrow(), expected, "{program:?}");
        most = most.max(expected.len());
    }
    assert!(most > 5, "the programs are too simple to tell anything");
}
