//! Actors that crash, come twice, or are given up by their clients.

mod common;

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use common::{found, options};
use deadheat_point::point;
use deadheat_task::{Lab, Options, check};
use tokio::sync::{Mutex, mpsc};
use tokio::task::yield_now;
use tokio::time::sleep;

/// A shop with its orders, and the tasks that it leaves to a worker.
#[derive(Clone, Default)]
struct Shop {
    orders: Rc<Cell<u32>>,
    tasks: Rc<Cell<u32>>,
    mails: Rc<Cell<u32>>,
}

impl Shop {
    /// The task is left behind the order.
    async fn order_then_task(self) {
        self.orders.set(self.orders.get() + 1);
        point!("ordered").await;
        self.tasks.set(self.tasks.get() + 1);
    }

    /// Both at once.
    async fn order_with_task(self) {
        point!("asked").await;
        self.orders.set(self.orders.get() + 1);
        self.tasks.set(self.tasks.get() + 1);
    }

    fn work(&self) {
        self.mails.set(self.mails.get() + self.tasks.take());
    }

    /// Whether there is a mail, or a task for one, for every order.
    fn is_whole(&self) -> bool {
        self.orders.get() == self.tasks.get() + self.mails.get()
    }
}

fn shop(lab: &Lab, inside: bool) {
    let shop = Shop::default();
    if inside {
        lab.actor("shop", shop.clone().order_with_task());
    } else {
        lab.actor("shop", shop.clone().order_then_task());
    }
    lab.crash("shop");
    let works = shop.clone();
    lab.actor("worker", async move { works.work() });
    lab.state(move || shop.is_whole());
}

#[test]
fn a_task_that_is_left_behind_its_order_is_lost() {
    let failure = found(&options("task_lost"), |lab: Lab| async move {
        shop(&lab, false);
    });
    insta::assert_snapshot!(failure);
    let schedule = failure.schedule().expect("a schedule");
    let again = deadheat_task::replay(&options("task_lost"), schedule, |lab: Lab| async move {
        shop(&lab, false);
    });
    let again = again.expect_err("it still happens");
    assert_eq!(again.schedule(), Some(schedule));
}

#[test]
fn a_task_that_is_left_with_its_order_is_not_lost() {
    let mut options = options("task_inside");
    options.exhaust = true;
    let report = check(&options, |lab: Lab| async move { shop(&lab, true) });
    report.expect("all or nothing");
}

#[test]
fn without_faults_nobody_crashes() {
    let mut options = options("no_faults");
    options.faults = 0;
    let report = check(&options, |lab: Lab| async move { shop(&lab, false) });
    report.expect("no crash, no loss");
}

#[test]
fn who_waits_for_ever_for_one_who_crashed_is_stuck() {
    let failure = found(&options("stuck"), |lab: Lab| async move {
        let (send, mut receive) = mpsc::channel::<()>(1);
        // It is kept by the test, so that the channel stays open.
        let kept = send.clone();
        lab.actor("sends", async move {
            yield_now().await;
            send.send(()).await.expect("somebody receives");
        });
        lab.crash("sends");
        lab.actor("receives", async move { receive.recv().await });
        lab.always(move || kept.max_capacity() == 1);
    });
    let text = failure.to_string();
    assert!(
        text.starts_with("stuck: nobody can move\n  receives waits"),
        "{text}"
    );
    assert!(
        text.contains("sends           goes on  → crashes"),
        "{text}"
    );
}

#[test]
fn a_crash_lets_go_of_what_was_held() {
    let mut options = options("lock");
    options.exhaust = true;
    let report = check(&options, |lab: Lab| async move {
        let seats = Rc::new(Mutex::new(0));
        for name in ["ben", "tom"] {
            let seats = Rc::clone(&seats);
            lab.actor(name, async move {
                let mut taken = seats.lock().await;
                yield_now().await;
                *taken += 1;
                *taken
            });
        }
        lab.crash("ben");
        lab.state(move || seats.try_lock().map(|taken| *taken).ok());
    });
    report.expect("a lock of tokio's is not poisoned");
}

#[test]
fn somebody_crashes_while_he_sleeps_or_behind_it() {
    let seen = Rc::new(RefCell::new(BTreeSet::new()));
    let mut options = options("sleeps");
    options.serial = false;
    options.exhaust = true;
    let all = Rc::clone(&seen);
    check(&options, move |lab: Lab| {
        let seen = Rc::clone(&all);
        let steps = Rc::new(Cell::new(0));
        let counted = Rc::clone(&steps);
        lab.actor("sleeper", async move {
            counted.set(1);
            sleep(Duration::from_hours(1)).await;
            counted.set(2);
            yield_now().await;
            counted.set(3);
        });
        lab.crash("sleeper");
        async move {
            lab.run().await;
            seen.borrow_mut().insert(steps.get());
        }
    })
    .expect("nothing is asked");
    assert_eq!(*seen.borrow(), BTreeSet::from([1, 2, 3]));
}

/// All states in which a run can end where the actor of so many steps may crash and another reads how far it is.
fn by_hand(steps: u32) -> BTreeSet<(u32, u32)> {
    let mut ends = BTreeSet::new();
    for done in 1..=steps {
        for read in 0..=done {
            ends.insert((done, read));
        }
    }
    ends
}

#[test]
fn every_moment_of_a_crash_is_tried() {
    for steps in 1..=4 {
        let seen = Rc::new(RefCell::new(BTreeSet::new()));
        let options = Options {
            serial: false,
            exhaust: true,
            ..options("every_moment")
        };
        let all = Rc::clone(&seen);
        check(&options, move |lab: Lab| {
            let seen = Rc::clone(&all);
            let (done, read) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
            let counted = Rc::clone(&done);
            lab.actor("counts", async move {
                for step in 1..=steps {
                    if step > 1 {
                        yield_now().await;
                    }
                    counted.set(step);
                }
            });
            lab.crash("counts");
            let (from, to) = (Rc::clone(&done), Rc::clone(&read));
            lab.actor("reads", async move { to.set(from.get()) });
            async move {
                lab.run().await;
                seen.borrow_mut().insert((done.get(), read.get()));
            }
        })
        .expect("nothing is asked");
        assert_eq!(*seen.borrow(), by_hand(steps), "{steps} steps");
    }
}

/// Charges an account, with or without a look at whether this payment was charged before.
fn payments(lab: &Lab, once: bool) {
    let charged = Rc::new(RefCell::new(Vec::new()));
    let book = Rc::clone(&charged);
    lab.repeat("payment 7", move || {
        let book = Rc::clone(&book);
        async move {
            point!("taken").await;
            if once && book.borrow().contains(&7) {
                return "charged before";
            }
            book.borrow_mut().push(7);
            "charged"
        }
    });
    lab.state(move || charged.borrow().len());
}

#[test]
fn a_payment_that_comes_twice_is_charged_twice() {
    let failure = found(&options("twice"), |lab: Lab| async move {
        payments(&lab, false);
    });
    insta::assert_snapshot!(failure);
}

#[test]
fn a_payment_that_is_known_is_charged_once() {
    let mut options = options("once");
    options.exhaust = true;
    check(&options, |lab: Lab| async move { payments(&lab, true) }).expect("once");
}

/// A clerk who works on what he is sent, whether or not somebody waits for the answer.
fn bookings(lab: &Lab, with_key: bool) {
    let (send, mut receive) = mpsc::channel::<&'static str>(4);
    let booked = Rc::new(RefCell::new(Vec::new()));
    let book = Rc::clone(&booked);
    let clerk = async move {
        while let Some(key) = receive.recv().await {
            if !with_key || !book.borrow().contains(&key) {
                book.borrow_mut().push(key);
            }
        }
    };
    drop(lab.spawn("clerk", clerk));
    lab.timeout("ben", move || {
        let send = send.clone();
        async move {
            send.send("seat 1").await.expect("the clerk is there");
            sleep(Duration::from_secs(1)).await;
            "told"
        }
    });
    lab.state(move || booked.borrow().clone());
}

#[test]
fn a_client_that_gives_up_books_twice() {
    let failure = found(&options("gives_up"), |lab: Lab| async move {
        bookings(&lab, false);
    });
    insta::assert_snapshot!(failure);
}

#[test]
fn a_client_that_gives_up_with_a_key_books_once() {
    let mut options = options("with_key");
    options.exhaust = true;
    check(&options, |lab: Lab| async move { bookings(&lab, true) }).expect("once");
}

#[test]
fn two_crash_where_two_faults_are_allowed() {
    let lost = |faults| {
        let seen = Rc::new(Cell::new(0));
        let most = Rc::clone(&seen);
        let options = Options {
            serial: false,
            exhaust: true,
            faults,
            ..options("two")
        };
        check(&options, move |lab: Lab| {
            let left = Rc::new(Cell::new(2));
            for name in ["ben", "tom"] {
                let left = Rc::clone(&left);
                lab.actor(name, async move {
                    yield_now().await;
                    left.set(left.get() - 1);
                });
                lab.crash(name);
            }
            let most = Rc::clone(&most);
            async move {
                lab.run().await;
                most.set(most.get().max(left.get()));
            }
        })
        .expect("nothing is asked");
        seen.get()
    };
    assert_eq!([0, 1, 2].map(lost), [0, 1, 2]);
}

#[test]
fn nobody_of_that_name_can_crash() {
    let failure = found(&options("nobody"), |lab: Lab| async move {
        lab.actor("ben", async {});
        lab.crash("tom");
    });
    let text = failure.to_string();
    assert!(
        text.contains("`lab.crash(\"tom\")`: nobody of that name was brought before (ben)"),
        "{text}"
    );
    let failure = found(&options("thread"), |lab: Lab| async move {
        lab.thread("ben", || ());
        lab.crash("ben");
    });
    let text = failure.to_string();
    assert!(text.contains("a thread cannot be dropped"), "{text}");
}
