//! Renaming against brute force: two outcomes are equal exactly when some renaming makes them so.

use deadheat_lab::record::Record;

use super::story::Story;
use crate::{Calibration, Outcome, Rules, offset};

const IDS: i64 = 4;

/// Small, fixed and good enough to shuffle with.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

type Rows = Vec<(i64, i64, u64)>;

fn rows(dice: &mut Dice) -> Rows {
    (0..5)
        .map(|_| (dice.below(4) as i64, dice.below(4) as i64, dice.below(2)))
        .collect()
}

fn record(rows: &Rows, by: i64) -> Record {
    let texts: Vec<[String; 3]> = rows
        .iter()
        .map(|(a, b, colour)| {
            [
                (a + 1 + by).to_string(),
                (b + 1 + by).to_string(),
                colour.to_string(),
            ]
        })
        .collect();
    let texts: Vec<Vec<&str>> = texts
        .iter()
        .map(|row| row.iter().map(String::as_str).collect())
        .collect();
    let texts: Vec<&[&str]> = texts.iter().map(Vec::as_slice).collect();
    Story::of(&["x"])
        .table("t", &["a", "b", "colour"], &texts)
        .done()
}

fn permutations(of: &[i64]) -> Vec<Vec<i64>> {
    if of.is_empty() {
        return vec![Vec::new()];
    }
    (0..of.len())
        .flat_map(|n| {
            let mut rest = of.to_vec();
            let first = rest.remove(n);
            permutations(&rest).into_iter().map(move |mut p| {
                p.insert(0, first);
                p
            })
        })
        .collect()
}

fn renamed(rows: &Rows, names: &[i64]) -> Rows {
    let mut rows: Rows = rows
        .iter()
        .map(|(a, b, c)| (names[*a as usize], names[*b as usize], *c))
        .collect();
    rows.sort_unstable();
    rows
}

#[test]
fn outcomes_are_equal_exactly_when_some_renaming_makes_them_so() {
    let mut calibration = Calibration::default();
    let all: Rows = (0..IDS).map(|n| (n, n, 0)).collect();
    calibration.learn(
        &record(&all, 0),
        &record(&all, offset(0)),
        &[offset(0)],
        &Rules::default(),
    );
    let outcome = |rows: &Rows| {
        Outcome::of(
            &record(rows, 0),
            &calibration,
            &Rules::default(),
            &std::collections::BTreeSet::new(),
        )
    };
    let ids: Vec<i64> = (0..IDS).collect();
    let mut dice = Dice(1);
    let mut equal = 0;
    for round in 0..2000 {
        let first = rows(&mut dice);
        let names = &permutations(&ids)[dice.below(24) as usize];
        let mut second = renamed(&first, names);
        if round % 3 != 0 {
            // One reference turned elsewhere: mostly another outcome, sometimes the same.
            let n = dice.below(5) as usize;
            second[n].1 = dice.below(4) as i64;
        }
        let mut sorted = second.clone();
        sorted.sort_unstable();
        let expected = permutations(&ids)
            .iter()
            .any(|names| renamed(&first, names) == sorted);
        assert_eq!(
            outcome(&first) == outcome(&second),
            expected,
            "{first:?} and {second:?}"
        );
        equal += usize::from(expected);
    }
    assert!(
        (700..1900).contains(&equal),
        "both answers are met: {equal} equal"
    );
}
