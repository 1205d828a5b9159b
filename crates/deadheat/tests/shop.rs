//! A real shop, unmodified: django-oscar under gunicorn with several workers, some 50 to 70 statements a request on a
//! connection of its own.
#![allow(missing_docs)]

mod common;

use common::{Bench, example, root, verdict};

fn has_shop() -> bool {
    let there = root().join("examples/oscar/.venv/bin/gunicorn").exists();
    if !there {
        eprintln!("skipped: the shop is not installed (make shops)");
    }
    there
}

#[test]
fn two_buyers_get_the_last_unit() {
    if !has_shop() {
        return;
    }
    let bench = Bench::new();
    let (said, json) = bench.find(&example("oscar/last-unit.toml"), &[]);
    assert_eq!(verdict(&json).0, "race", "{}\n{}", said.out, said.err);
    let checks = json["races"][0]["checks"]
        .as_array()
        .expect("the checks that failed");
    assert!(
        checks.len() > 1,
        "no invariant of the stock is broken: {checks:?}"
    );
    let race = bench.race(&json);
    let replay = bench.run(["replay", race.to_str().expect("UTF-8")]);
    assert_eq!(replay.code, 1, "{}\n{}", replay.out, replay.err);
}

#[test]
fn a_voucher_that_is_checked_twice_is_used_once() {
    if !has_shop() {
        return;
    }
    let bench = Bench::new();
    let (said, json) = bench.find(&example("oscar/voucher.toml"), &["--time", "300s"]);
    assert_eq!(
        verdict(&json).0,
        "no-race-found",
        "{}\n{}",
        said.out,
        said.err
    );
    assert_eq!(json["stopped"]["preemptions"], 1, "{json:#}");
}
