//! Generated programs, small enough that all their interleavings can be tried.

use std::sync::Arc;

use super::machine::{Machine, Op, Sql};

/// SplitMix64, so that a seed means the same program for ever.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0xd134_2543_de82_ef95))
    }

    pub fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % (n as u64)).expect("less than n")
    }

    fn value(&mut self) -> i64 {
        i64::try_from(self.below(3)).expect("small")
    }
}

/// What a program is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Cells,
    Swaps,
    Locks,
    Mailboxes,
    Rows,
    Mixed,
}

pub const KINDS: [Kind; 6] = [
    Kind::Cells,
    Kind::Swaps,
    Kind::Locks,
    Kind::Mailboxes,
    Kind::Rows,
    Kind::Mixed,
];

/// A generated program: what each actor does, and what instead if its last reply was 0.
#[derive(Clone, Debug)]
pub struct Generated {
    pub seed: u64,
    pub kind: Kind,
    pub actors: Vec<Vec<(Op, Op)>>,
}

impl Generated {
    pub fn new(seed: u64) -> Self {
        let dice = &mut Dice::new(seed);
        let kind = KINDS[dice.below(KINDS.len())];
        let actors = 2 + dice.below(3);
        let longest = [5, 4, 2][actors - 2];
        let actors = (0..actors).map(|_| line(dice, kind, longest)).collect();
        Self { seed, kind, actors }
    }

    pub fn machine(&self) -> Machine {
        let actors = self.actors.clone();
        Machine::new(
            actors.len(),
            Arc::new(move |t, log: &[i64]| match actors[t].get(log.len()) {
                Some((_, instead)) if log.last() == Some(&0) => *instead,
                Some((op, _)) => *op,
                None => Op::End,
            }),
        )
    }
}

fn line(dice: &mut Dice, kind: Kind, longest: usize) -> Vec<(Op, Op)> {
    let steps = 1 + dice.below(longest);
    let mut line: Vec<(Op, Op)> = Vec::new();
    for _ in 0..steps {
        let op = op(dice, kind);
        let instead = if dice.below(3) == 0 {
            self::op(dice, kind)
        } else {
            op
        };
        line.push((op, instead));
    }
    let last = line.len() - 1;
    // Most programs let go of what they hold.
    if matches!(kind, Kind::Rows | Kind::Mixed) && dice.below(4) > 0 {
        line.push((Op::Sql(Sql::Commit), Op::Sql(Sql::Commit)));
    }
    if kind == Kind::Locks
        && let (Op::Lock(lock), _) = line[last]
    {
        line.push((Op::Unlock(lock), Op::Unlock(lock)));
    }
    line
}

fn op(dice: &mut Dice, kind: Kind) -> Op {
    let cell = dice.below(2);
    match kind {
        Kind::Cells if dice.below(2) == 0 => Op::Read(cell),
        Kind::Cells => Op::Write(cell, dice.value()),
        Kind::Swaps => match dice.below(4) {
            0 => Op::Read(cell),
            1 => Op::AddIf(cell, dice.value(), 1),
            _ => Op::Swap(cell, dice.value(), dice.value()),
        },
        // Locks are cells of their own.
        Kind::Locks => match dice.below(5) {
            0 | 1 => Op::Lock(2 + cell),
            2 => Op::Unlock(2 + cell),
            3 => Op::Read(cell),
            _ => Op::Write(cell, dice.value()),
        },
        // Mailbox bits begin at 16 times their number, clear of the cells.
        Kind::Mailboxes => match dice.below(5) {
            0 | 1 => Op::Send(1 + cell, dice.value()),
            2 | 3 => Op::Receive(1 + cell),
            _ => Op::Swap(cell, dice.value(), dice.value()),
        },
        Kind::Rows => Op::Sql(statement(dice, cell)),
        Kind::Mixed => {
            let kind = [Kind::Swaps, Kind::Rows, Kind::Rows][dice.below(3)];
            // Rows' bits are their own only beyond the first ones.
            match op(dice, kind) {
                Op::Swap(cell, old, new) => Op::Swap(16 + cell, old, new),
                Op::AddIf(cell, least, by) => Op::AddIf(16 + cell, least, by),
                Op::Read(cell) => Op::Read(16 + cell),
                other => other,
            }
        }
    }
}

fn statement(dice: &mut Dice, row: usize) -> Sql {
    match dice.below(10) {
        0 | 1 => Sql::Select(row),
        2 | 3 => Sql::Add(row, 1),
        4 => Sql::Set(row, dice.value()),
        5 | 6 => Sql::SetWhere(row, dice.value(), dice.value()),
        7 => Sql::Snapshot,
        8 => Sql::Commit,
        _ if dice.below(3) == 0 => Sql::Rollback,
        _ => Sql::Commit,
    }
}
