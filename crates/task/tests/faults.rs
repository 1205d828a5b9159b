//! What a search says when something else than a race is wrong, or the test itself is.

mod common;

use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};

use common::{found, options};
use deadheat_point::point;
use deadheat_task::{Lab, check, replay};
use tokio::task::yield_now;

/// Two that count, each in two steps.
fn counting(lab: &Lab) -> Rc<Cell<u32>> {
    let count = Rc::new(Cell::new(0));
    for name in ["ben", "tom"] {
        let count = Rc::clone(&count);
        lab.actor(name, async move {
            let seen = count.get();
            point!("counted", seen).await;
            count.set(seen + 1);
        });
    }
    count
}

#[test]
fn a_count_is_lost() {
    let failure = found(&options("a_count_is_lost"), |lab: Lab| async move {
        let count = counting(&lab);
        lab.state(move || count.get());
    });
    insta::assert_snapshot!(failure);
}

#[test]
fn an_assertion_behind_the_run_fails() {
    let failure = found(&options("an_assertion"), |lab: Lab| async move {
        let count = counting(&lab);
        lab.run().await;
        assert_eq!(count.get(), 2, "a count is lost");
    });
    let text = failure.to_string();
    assert!(text.contains("a count is lost"), "{text}");
    assert!(failure.schedule().is_some());
}

#[test]
fn an_actor_panics_in_one_order() {
    let failure = found(&options("panics"), |lab: Lab| async move {
        let count = counting(&lab);
        lab.actor("checks", async move {
            assert!(count.get() != 1, "one was counted");
        });
    });
    let text = failure.to_string();
    assert!(
        text.starts_with("checks panicked: one was counted (crates/task/tests/faults.rs:"),
        "{text}"
    );
    // The timeline ends where it happened.
    assert!(
        text.contains("checks  starts        → panics\n\nfound in run"),
        "{text}"
    );
}

#[test]
fn a_task_in_the_background_panics() {
    let failure = found(&options("background"), |lab: Lab| async move {
        lab.actor("spawns", async {
            tokio::spawn(async { panic!("in the background") });
        });
    });
    let text = failure.to_string();
    assert!(text.contains("panicked: in the background"), "{text}");
}

#[test]
fn a_point_blocks_in_async_code() {
    let failure = found(&options("blocks"), |lab: Lab| async move {
        lab.actor("ben", async {
            point!("here");
        });
    });
    let text = failure.to_string();
    assert!(
        text.starts_with("ben came to `point!(\"here\")`, which blocks"),
        "{text}"
    );
}

#[test]
fn an_actor_goes_on_for_ever() {
    let failure = found(&options("for_ever"), |lab: Lab| async move {
        lab.actor("ben", async {
            loop {
                yield_now().await;
            }
        });
    });
    let text = failure.to_string();
    assert!(text.starts_with("after 10000 steps"), "{}", &text[..80]);
}

#[test]
fn something_else_decides_too() {
    static DICE: AtomicU32 = AtomicU32::new(0);
    let failure = found(&options("dice"), |lab: Lab| async move {
        lab.actor("ben", async { DICE.fetch_add(1, Ordering::SeqCst) });
    });
    insta::assert_snapshot!(failure);
    let failure = found(&options("dice"), |lab: Lab| async move {
        lab.actor("ben", async {
            for _ in 0..DICE.fetch_add(1, Ordering::SeqCst) % 5 {
                yield_now().await;
            }
        });
    });
    assert!(failure.schedule().is_none());
}

#[test]
fn the_test_itself_fails_before_anybody_moves() {
    let failure = found(&options("early"), |_: Lab| async { panic!("no game") });
    let text = failure.to_string();
    assert!(
        text.starts_with("the test panicked before its actors moved: no game ("),
        "{text}"
    );
    let failure = found(&options("waits"), |lab: Lab| async move {
        lab.actor("ben", async {});
        std::future::pending::<()>().await;
    });
    assert!(
        failure
            .to_string()
            .starts_with("the test waits for something")
    );
}

#[test]
fn a_cap_is_not_taken_for_all() {
    let mut options = options("capped");
    options.runs = 3;
    options.serial = false;
    let test = |lab: Lab| async move {
        counting(&lab);
    };
    let report = check(&options, test).expect("nothing is asked");
    assert!(!report.is_exhausted());
    assert_eq!(report.runs, 3);
    assert!(
        report
            .to_string()
            .starts_with("no race found in 3 runs: the cap"),
        "{report}"
    );
    options.exhaust = true;
    let failure = found(&options, test).to_string();
    assert!(
        failure.starts_with("not every schedule was explored"),
        "{failure}"
    );
    options.runs = 100;
    let report = check(&options, test).expect("all of them");
    assert_eq!(report.to_string(), "all 6 schedules explored");
    options.exhaust = false;
    options.preemptions = Some(1);
    let report = check(&options, test).expect("nothing is asked");
    assert!(!report.is_exhausted());
    assert!(
        report.to_string().contains("of at most 1 preemptions"),
        "{report}"
    );
}

#[test]
fn a_schedule_does_not_fit() {
    let test = |lab: Lab| async move {
        counting(&lab);
    };
    let mut options = options("fit");
    options.serial = false;
    replay(&options, "fit:0x2.1x2", test).expect("it fits");
    let error = replay(&options, "fit:0x3.1", test)
        .expect_err("three steps")
        .to_string();
    assert!(
        error.contains("at step 3 its actor could not move"),
        "{error}"
    );
    let error = replay(&options, "fit:0;1", test)
        .expect_err("misspelt")
        .to_string();
    assert!(error.contains("is no part of a schedule"), "{error}");
    // A schedule of another test is none of this one's: it is searched as ever.
    let report = replay(&options, "other:0", test).expect("it is searched");
    assert!(report.is_exhausted());
}
