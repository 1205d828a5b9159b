//! `#[deadheat::test]`, as a user writes it.

use std::cell::RefCell;
use std::process::Command;
use std::rc::Rc;

use deadheat::{Lab, point};

/// A lobby that looks and then takes; `careful` looks again.
#[derive(Clone)]
struct GameServer {
    seats: usize,
    careful: bool,
    players: Rc<RefCell<Vec<&'static str>>>,
}

impl GameServer {
    fn spawn(seats: usize, careful: bool) -> Self {
        Self {
            seats,
            careful,
            players: Rc::default(),
        }
    }

    fn players(&self) -> Vec<&'static str> {
        self.players.borrow().clone()
    }

    async fn add_player(&self, nick: &'static str) -> bool {
        let free = self.players.borrow().len() < self.seats;
        point!("seat_checked", free).await;
        let free = free && !(self.careful && self.players.borrow().len() == self.seats);
        if free {
            self.players.borrow_mut().push(nick);
        }
        free
    }
}

#[deadheat::test(preemptions = 2)]
async fn the_lobby_never_overfills(lab: Lab) {
    let game = GameServer::spawn(4, true);
    for nick in ["ben", "harry", "ralph", "tom", "richard"] {
        let game = game.clone();
        lab.actor(nick, async move { game.add_player(nick).await });
    }
    lab.always(|| game.players().len() <= 4);
}

/// Run by the tests below, and then expected to fail.
#[deadheat::test(serial = false)]
#[ignore = "it is to fail"]
async fn the_lobby_overfills(lab: Lab) {
    let game = GameServer::spawn(1, false);
    for nick in ["ben", "harry"] {
        let game = game.clone();
        lab.actor(nick, async move { game.add_player(nick).await });
    }
    lab.always(|| game.players().len() <= 1);
}

#[deadheat::test(exhaust)]
async fn the_state_is_that_of_some_order(lab: Lab) {
    let game = GameServer::spawn(1, true);
    for nick in ["ben", "harry"] {
        let game = game.clone();
        lab.actor(nick, async move { game.add_player(nick).await });
    }
    lab.state(|| game.players());
    lab.run().await;
    assert_eq!(game.players().len(), 1);
}

#[deadheat::test(random, seed = 7, runs = 50)]
async fn schedules_are_drawn(lab: Lab) {
    for nick in ["ben", "harry"] {
        lab.actor(nick, async { tokio::task::yield_now().await });
    }
}

#[deadheat::test]
#[should_panic = "the test returned before its end"]
async fn a_test_returns_too_early(lab: Lab) {
    lab.actor("ben", async {});
    if std::env::args().count() > 0 {
        return;
    }
}

/// Runs the failing test in a process of its own; whether it passed, and what it said.
fn overfill(replay: Option<&str>) -> (bool, String) {
    let mut command = Command::new(std::env::current_exe().expect("the path of this test"));
    command.args(["--exact", "the_lobby_overfills", "--ignored", "--nocapture"]);
    if let Some(schedule) = replay {
        command.env("DEADHEAT_REPLAY", schedule);
    }
    let output = command.output().expect("the test starts itself");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8(said).expect("text");
    (output.status.success(), said)
}

#[test]
fn a_failing_schedule_is_replayed_from_the_environment() {
    let (passed, said) = overfill(None);
    assert!(!passed, "{said}");
    let line = said
        .lines()
        .find_map(|line| line.strip_prefix("again:  DEADHEAT_REPLAY='"));
    let schedule = line
        .and_then(|line| line.split('\'').next())
        .expect("a schedule");
    assert!(schedule.starts_with("the_lobby_overfills:"), "{said}");
    let timeline = |said: &str| -> Vec<String> {
        let steps = said.lines().filter(|line| line.contains(" → "));
        steps.map(str::to_owned).collect()
    };
    for _ in 0..3 {
        let (passed, again) = overfill(Some(schedule));
        assert!(!passed, "{again}");
        assert!(again.contains("\nreplayed\n"), "{again}");
        assert_eq!(timeline(&again), timeline(&said));
    }
    let (passed, said) = overfill(Some("the_lobby_overfills:0x2.1x2"));
    assert!(passed, "{said}");
    assert!(
        said.contains("one schedule was replayed, and nothing is wrong"),
        "{said}"
    );
    let (passed, said) = overfill(Some("the_lobby_overfills:0x9"));
    assert!(
        !passed && said.contains("no longer fits the code"),
        "{said}"
    );
}
