//! The programs of `data/traces.toml`.

use std::sync::Arc;

use super::machine::{Machine, Op, Program, Sql};

fn program(f: impl Fn(usize, &[i64]) -> Op + Send + Sync + 'static) -> Program {
    Arc::new(f)
}

/// Straight-line actors: what they do does not depend on what they see.
pub fn lines(actors: Vec<Vec<Op>>) -> Machine {
    let count = actors.len();
    Machine::new(
        count,
        program(move |t, log| actors[t].get(log.len()).copied().unwrap_or(Op::End)),
    )
}

/// A program of `data/traces.toml` and one of its sizes.
pub fn named(program: &str, size: &str) -> Machine {
    let number = || size.parse().expect("sizes are numbers");
    match program {
        "readers" => readers(number()),
        "lastzero" => lastzero(number()),
        "filesystem" => filesystem(number()),
        "indexer" => indexer(number()),
        "mutex_increment" => mutex(number(), Unlock::Always),
        "mutex_one_never_unlocks" => mutex(number(), Unlock::NotTheFirst),
        "mutex_conditional_unlock" => mutex(number(), Unlock::IfOwnNumber),
        "cas_chain" => cas_chain(number()),
        "fib_bench" => fib_bench(number()),
        "litmus" => litmus(size),
        "lobby_actor" => lobby(number()),
        "sql_lost_update" => sql_lost_update(number()),
        "sql_atomic_update" => sql_atomic_update(number()),
        "sql_two_row_deadlock" => sql_two_row_deadlock(),
        other => panic!("no program is called {other}"),
    }
}

pub fn readers(n: usize) -> Machine {
    let mut actors = vec![vec![Op::Read(0)]; n];
    actors.push(vec![Op::Write(0, 42)]);
    lines(actors)
}

pub fn lastzero(n: usize) -> Machine {
    Machine::new(
        n + 1,
        program(move |t, log| match (t, log.len()) {
            (0, k) if k <= n && log.last() != Some(&0) => Op::Read(n - k),
            (0, _) => Op::End,
            (j, 0) => Op::Read(j - 1),
            (j, 1) => Op::Write(j, log[0] + 1),
            _ => Op::End,
        }),
    )
}

/// As `lastzero`, but the reader marks what it passes: what its steps touch depends on what they find, and nobody can
/// say it beforehand. No search does well here.
pub fn marked_lastzero(n: usize) -> Machine {
    Machine::new(
        n + 1,
        program(move |t, log| match (t, log.len()) {
            (0, k) if k <= n && log.last() != Some(&0) => Op::AddIf(n - k, 1, 0),
            (0, _) => Op::End,
            (j, 0) => Op::Read(j - 1),
            (j, 1) => Op::Write(j, log[0] + 1),
            _ => Op::End,
        }),
    )
}

pub fn filesystem(n: usize) -> Machine {
    let (inode_lock, block_lock, inode, busy) = (0, 32, 58, 90);
    Machine::new(
        n,
        program(move |t, log| {
            let i = t % 32;
            match log {
                [] => return Op::Lock(inode_lock + i),
                [_] => return Op::Read(inode + i),
                [_, 0, ..] => {}
                [_, _] => return Op::Unlock(inode_lock + i),
                _ => return Op::End,
            }
            let mut rest = &log[2..];
            let mut b = 2 * i % 26;
            loop {
                match rest {
                    [] => return Op::Lock(block_lock + b),
                    [_] => return Op::Read(busy + b),
                    [_, 0] => return Op::Write(busy + b, 1),
                    [_, 0, _] => return Op::Write(inode + i, i64::try_from(b).expect("small") + 1),
                    [_, 0, _, _] => return Op::Unlock(block_lock + b),
                    [_, 0, _, _, _] => return Op::Unlock(inode_lock + i),
                    [_, 0, ..] => return Op::End,
                    [_, _] => return Op::Unlock(block_lock + b),
                    [_, _, _, next @ ..] => {
                        b = (b + 1) % 26;
                        rest = next;
                    }
                }
            }
        }),
    )
}

pub fn indexer(n: usize) -> Machine {
    Machine::new(
        n,
        program(|t, log| {
            let (mut m, mut tries) = (1, 0);
            for &swapped in log {
                (m, tries) = if swapped == 1 {
                    (m + 1, 0)
                } else {
                    (m, tries + 1)
                };
            }
            let w = 11 * m + t;
            if m > 4 {
                Op::End
            } else {
                Op::Swap((7 * w + tries) % 128, 0, i64::try_from(w).expect("small"))
            }
        }),
    )
}

/// What becomes of the lock after the increment.
#[derive(Clone, Copy)]
pub enum Unlock {
    Always,
    NotTheFirst,
    IfOwnNumber,
}

pub fn mutex(n: usize, unlock: Unlock) -> Machine {
    Machine::new(
        n,
        program(move |t, log| match log.len() {
            0 => Op::Lock(0),
            1 => Op::Read(1),
            2 => Op::Write(1, log[1] + 1),
            3 => match unlock {
                Unlock::NotTheFirst if t == 0 => Op::End,
                Unlock::IfOwnNumber if i64::try_from(t) != Ok(log[1]) => Op::End,
                _ => Op::Unlock(0),
            },
            _ => Op::End,
        }),
    )
}

pub fn cas_chain(n: usize) -> Machine {
    let number = |t: usize| i64::try_from(t).expect("small");
    lines(
        (0..n)
            .map(|t| vec![Op::Swap(0, number(t), number(t) + 1)])
            .collect(),
    )
}

pub fn fib_bench(k: usize) -> Machine {
    let adder = move |log: &[i64], own: usize| match log.len() {
        at if at >= 3 * k => Op::End,
        at if at % 3 == 0 => Op::Read(own),
        at if at % 3 == 1 => Op::Read(1 - own),
        at => Op::Write(own, log[at - 2] + log[at - 1]),
    };
    let fib = program(move |t, log| match (t, log.len()) {
        (0 | 1, _) => adder(log, t),
        (_, at @ (0 | 1)) => Op::Read(at),
        _ => Op::End,
    });
    Machine::new(3, fib).with_cells(1, &[0, 1])
}

pub fn litmus(name: &str) -> Machine {
    let (w, r) = (|c| Op::Write(c, 1), Op::Read);
    lines(match name {
        "SB" => vec![vec![w(0), r(1)], vec![w(1), r(0)]],
        "LB" => vec![vec![r(0), w(1)], vec![r(1), w(0)]],
        "MP" => vec![vec![w(0), w(1)], vec![r(1), r(0)]],
        "2+2W" => vec![vec![w(0), w(1)], vec![w(1), w(0)]],
        "IRIW" => vec![vec![w(0)], vec![w(1)], vec![r(0), r(1)], vec![r(1), r(0)]],
        other => panic!("no litmus test is called {other}"),
    })
}

/// Clients are actors 1 and up, each with its own mailbox; the lobby is actor 0.
pub fn lobby(n: usize) -> Machine {
    Machine::new(
        n + 1,
        program(move |t, log| match (t, log.len()) {
            (0, at) if at < 4 * n && at % 2 == 0 => Op::Receive(0),
            (0, at) if at < 4 * n => Op::Send(usize::try_from(log[at - 1]).expect("a client"), 0),
            (_, 0 | 2) if t > 0 => Op::Send(0, i64::try_from(t).expect("small")),
            (_, 1 | 3) if t > 0 => Op::Receive(t),
            _ => Op::End,
        }),
    )
}

pub fn sql_lost_update(n: usize) -> Machine {
    Machine::new(
        n,
        program(|_, log| match log {
            [] => Op::Sql(Sql::Select(0)),
            [v] => Op::Sql(Sql::Set(0, v + 1)),
            [_, _] => Op::Sql(Sql::Commit),
            _ => Op::End,
        }),
    )
}

pub fn sql_atomic_update(n: usize) -> Machine {
    lines(vec![vec![Op::Sql(Sql::Add(0, 1)), Op::Sql(Sql::Commit)]; n])
}

pub fn sql_two_row_deadlock() -> Machine {
    let session = |a, b| {
        vec![
            Op::Sql(Sql::Add(a, 1)),
            Op::Sql(Sql::Add(b, 1)),
            Op::Sql(Sql::Commit),
        ]
    };
    lines(vec![session(0, 1), session(1, 0)])
}
