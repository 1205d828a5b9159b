//! What actors wait for: channels, notifies, timers, each other, and what never comes.

mod common;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use common::{found, options};
use deadheat_task::{Lab, check};
use tokio::sync::{Mutex, Notify, mpsc};
use tokio::time::{Instant, interval, sleep, timeout};

#[test]
fn time_passes_only_when_nobody_can_move() {
    let report = check(&options("time"), |lab: Lab| async move {
        let busy = Rc::new(Cell::new(0));
        let seen = Rc::clone(&busy);
        lab.actor("sleeper", async move {
            let start = Instant::now();
            sleep(Duration::from_hours(1)).await;
            assert_eq!(start.elapsed().as_secs(), 3600);
            seen.get()
        });
        lab.actor("worker", async move {
            for _ in 0..3 {
                tokio::task::yield_now().await;
                busy.set(busy.get() + 1);
            }
        });
        lab.run().await;
    })
    .expect("no race: the sleeper always sees the work done");
    assert!(report.is_exhausted());
    assert_eq!(report.outcomes, 1);
}

#[test]
fn an_answer_comes_before_the_time_limit_in_every_order() {
    let report = check(&options("limit"), |lab: Lab| async move {
        let (send, mut receive) = mpsc::channel::<u32>(1);
        lab.actor("asks", async move {
            timeout(Duration::from_secs(1), receive.recv()).await.ok()
        });
        lab.actor("answers", async move {
            sleep(Duration::from_millis(999)).await;
            send.send(7).await.expect("somebody waits");
        });
    })
    .expect("no race");
    assert!(report.is_exhausted());
}

#[test]
fn two_mutexes_are_locked_in_two_orders() {
    let failure = found(&options("two_mutexes"), |lab: Lab| async move {
        let accounts = [(); 2].map(|()| Arc::new(Mutex::new(100)));
        for (name, from, to) in [("ben", 0, 1), ("tom", 1, 0)] {
            let (from, to) = (Arc::clone(&accounts[from]), Arc::clone(&accounts[to]));
            lab.actor(name, async move {
                let mut from = from.lock().await;
                deadheat_point::point!("one_locked").await;
                let mut to = to.lock().await;
                *from -= 10;
                *to += 10;
            });
        }
    });
    insta::assert_snapshot!(failure);
}

#[test]
fn a_notification_is_lost() {
    let failure = found(&options("lost_notification"), |lab: Lab| async move {
        let (ready, bell) = (Rc::new(Cell::new(false)), Arc::new(Notify::new()));
        let (is_ready, rings) = (Rc::clone(&ready), Arc::clone(&bell));
        lab.actor("waits", async move {
            if !is_ready.get() {
                tokio::task::yield_now().await;
                rings.notified().await;
            }
        });
        lab.actor("rings", async move {
            ready.set(true);
            bell.notify_waiters();
        });
    });
    insta::assert_snapshot!(failure);
}

#[test]
fn a_ticking_task_keeps_nobody_from_being_stuck() {
    let failure = found(&options("ticking"), |lab: Lab| async move {
        tokio::spawn(async {
            let mut ticks = interval(Duration::from_millis(10));
            loop {
                ticks.tick().await;
            }
        });
        lab.actor("waits", std::future::pending::<()>());
    });
    insta::assert_snapshot!(failure, @r"
    stuck: nobody can move
      waits waits since step 1

      1  waits  starts  → waits

    found in run 1, with 0 preemptions
    again:  DEADHEAT_REPLAY='ticking:0' cargo test ticking
    ");
}

#[test]
fn a_ready_await_is_no_choice() {
    let report = check(&options("ready"), |lab: Lab| async move {
        for name in ["a", "b"] {
            lab.actor(name, async move {
                let (send, mut receive) = mpsc::unbounded_channel();
                for number in 0..10 {
                    send.send(number).expect("it is open");
                    receive.recv().await.expect("it is there");
                }
            });
        }
    })
    .expect("no race");
    assert_eq!(report.runs, 2);
}

/// What a task does that is spawned: it pours out what it is given, one a turn.
async fn pour(mut from: mpsc::UnboundedReceiver<u32>, into: Rc<RefCell<Vec<u32>>>) {
    while let Some(number) = from.recv().await {
        into.borrow_mut().push(number);
    }
}

#[test]
fn a_task_takes_turns_when_the_lab_spawns_it() {
    let program = |chosen: bool| {
        move |lab: Lab| async move {
            let (send, receive) = mpsc::unbounded_channel();
            let poured = Rc::new(RefCell::new(Vec::new()));
            let pouring = pour(receive, Rc::clone(&poured));
            let local = tokio::task::LocalSet::new();
            if chosen {
                lab.spawn("pourer", pouring);
            } else {
                local.spawn_local(pouring);
            }
            for number in [1, 2] {
                let (send, poured) = (send.clone(), Rc::clone(&poured));
                lab.actor(format!("sends {number}"), async move {
                    send.send(number).expect("it is open");
                    tokio::task::yield_now().await;
                    poured.borrow().contains(&number)
                });
            }
            local.run_until(lab.run()).await;
        }
    };
    let options = options("a_task_takes_turns");
    let without = check(&options, program(false)).expect("it pours whenever it can");
    assert!(without.is_exhausted());
    // One that is chosen may come too late.
    let failure = found(&options, program(true)).to_string();
    assert!(
        failure.contains("sends 2 returned false, not true"),
        "{failure}"
    );
}

#[test]
fn a_spawned_task_hands_over_what_it_made() {
    let report = check(&options("spawned"), |lab: Lab| async move {
        let lab_too = lab.clone();
        lab.actor("asks", async move {
            let made = lab_too.spawn("makes", async {
                tokio::task::yield_now().await;
                7
            });
            made.await.expect("it does not panic")
        });
    })
    .expect("no race");
    assert!(report.is_exhausted());
}
