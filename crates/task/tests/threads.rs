//! Blocking code as an actor.

mod common;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use common::{found, options};
use deadheat_point::point;
use deadheat_task::{Lab, check};

#[test]
fn two_threads_lose_a_count() {
    let failure = found(
        &options("two_threads_lose_a_count"),
        |lab: Lab| async move {
            let count = Arc::new(AtomicU32::new(0));
            for name in ["ben", "tom"] {
                let count = Arc::clone(&count);
                lab.thread(name, move || {
                    let seen = count.load(Ordering::SeqCst);
                    point!("seen", seen);
                    count.store(seen + 1, Ordering::SeqCst);
                });
            }
            lab.state(move || count.load(Ordering::SeqCst));
        },
    );
    insta::assert_snapshot!(failure);
}

#[test]
fn threads_and_tasks_take_turns() {
    let mut options = options("threads_and_tasks");
    options.exhaust = true;
    options.serial = false;
    let report = check(&options, |lab: Lab| async move {
        lab.thread("thread", || {
            point!("between");
        });
        lab.actor("task", async { point!("between").await });
    })
    .expect("nothing is asked");
    assert_eq!(report.runs, 6);
}

#[test]
fn a_thread_panics_in_one_order() {
    let failure = found(&options("thread_panics"), |lab: Lab| async move {
        let told = Arc::new(AtomicU32::new(0));
        let heard = Arc::clone(&told);
        lab.thread("ben", move || {
            point!("before_looking");
            assert_eq!(heard.load(Ordering::SeqCst), 0, "tom was faster");
        });
        lab.thread("tom", move || told.store(1, Ordering::SeqCst));
    });
    let text = failure.to_string();
    assert!(text.starts_with("ben panicked: "), "{text}");
    assert!(text.contains("tom was faster"), "{text}");
}

#[test]
fn a_mutex_that_nobody_sees_is_waited_for_and_nothing_is_called_complete() {
    let report = check(&options("mutex"), |lab: Lab| async move {
        let seats = Arc::new(Mutex::new(0));
        for name in ["ben", "tom"] {
            let seats = Arc::clone(&seats);
            lab.thread(name, move || {
                let mut seats = seats.lock().expect("nobody panics");
                point!("locked");
                *seats += 1;
                *seats
            });
        }
    })
    .expect("the mutex keeps them apart");
    assert!(report.stalled && !report.is_exhausted(), "{report}");
    let text = report.to_string();
    assert!(
        text.ends_with("a thread waited where the lab does not see it"),
        "{text}"
    );
}
