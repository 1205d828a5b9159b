//! Actors: a lobby with four seats, and accounts that send money to each other.
#![allow(missing_docs)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use common::Ground;
use deadheat_cure::actor::{
    self, Address, CallError, CastError, Durable, Handle, Receive, Sent, Settings, Turn,
};
use deadheat_cure::retry::{Error, Policy};
use deadheat_cure::schema::migrate;
use deadheat_cure::tasks::{Task, Worker};
use deadheat_cure::{Pool, Source};
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, oneshot};

/// A game that checks, lets others run, and acts.
#[derive(Default)]
struct Lobby {
    players: u32,
    /// Whom to call, or who is called.
    other: Option<Address<Lobby>>,
}

struct Join;
struct Meet(Address<Lobby>);
struct Ask;
struct Ring(Arc<Semaphore>);
struct Wait(oneshot::Sender<()>, Arc<Semaphore>);
struct Break;
struct Fill(Address<Lobby>);

impl Handle<Join> for Lobby {
    type Reply = Result<u32, &'static str>;

    async fn handle(&mut self, _: Join) -> Self::Reply {
        let before = self.players;
        tokio::task::yield_now().await;
        if before == 4 {
            return Err("the game is full");
        }
        self.players = before + 1;
        Ok(self.players)
    }
}

impl Handle<Meet> for Lobby {
    type Reply = ();

    async fn handle(&mut self, Meet(other): Meet) {
        self.other = Some(other);
    }
}

impl Handle<Ask> for Lobby {
    type Reply = Result<(), CallError>;

    async fn handle(&mut self, _: Ask) -> Self::Reply {
        match self.other.take() {
            Some(other) => other.call(Ask).await?,
            None => Ok(()),
        }
    }
}

impl Handle<Ring> for Lobby {
    type Reply = ();

    async fn handle(&mut self, Ring(rings): Ring) {
        rings.add_permits(1);
    }
}

impl Handle<Wait> for Lobby {
    type Reply = u32;

    async fn handle(&mut self, Wait(begun, end): Wait) -> u32 {
        begun.send(()).expect("it is waited for");
        end.acquire().await.expect("never closed").forget();
        self.players += 100;
        self.players
    }
}

impl Handle<Break> for Lobby {
    type Reply = ();

    async fn handle(&mut self, _: Break) {
        self.players = 99;
        panic!("broken");
    }
}

impl Handle<Fill> for Lobby {
    type Reply = CastError;

    async fn handle(&mut self, Fill(own): Fill) -> CastError {
        loop {
            if let Err(error) = own.cast(Join).await {
                return error;
            }
        }
    }
}

fn lobby(settings: Settings) -> Address<Lobby> {
    actor::start(async || Ok(Lobby::default()), settings)
}

/// A lobby that is busy until the semaphore gets a permit.
async fn busy(
    lobby: &Address<Lobby>,
) -> (
    Arc<Semaphore>,
    tokio::task::JoinHandle<Result<u32, CallError>>,
) {
    let (begin, begun) = oneshot::channel();
    let end = Arc::new(Semaphore::new(0));
    let (lobby, wait) = (lobby.clone(), Wait(begin, Arc::clone(&end)));
    let call = tokio::spawn(async move { lobby.call(wait).await });
    begun.await.expect("it begins");
    (end, call)
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_fifth() {
    let lobby = lobby(Settings::default());
    let joins = (0..20).map(|_| {
        let lobby = lobby.clone();
        tokio::spawn(async move { lobby.call(Join).await })
    });
    let mut seats = Vec::new();
    for join in joins.collect::<Vec<_>>() {
        seats.extend(join.await.expect("no panic").expect("a reply"));
    }
    seats.sort_unstable();
    assert_eq!(seats, [1, 2, 3, 4]);
}

#[tokio::test]
async fn a_call_that_was_not_begun_in_time_never_will_be() {
    let lobby = lobby(Settings::default());
    let (end, first) = busy(&lobby).await;
    let late = lobby.call_within(Duration::from_millis(10), Join).await;
    assert_eq!(late, Err(CallError::Withdrawn));
    end.add_permits(1);
    assert_eq!(first.await.expect("no panic"), Ok(100), "nobody joined");
    assert_eq!(lobby.call(Join).await, Ok(Ok(101)));
}

#[tokio::test]
async fn a_call_that_takes_too_long_says_that_it_was_begun() {
    let lobby = lobby(Settings::default().patience(Duration::from_millis(10)));
    let (begin, _begun) = oneshot::channel();
    let end = Arc::new(Semaphore::new(0));
    let long = lobby.call(Wait(begin, Arc::clone(&end))).await;
    assert_eq!(long, Err(CallError::TimedOut));
    end.add_permits(1);
    lobby.stop().await;
    assert_eq!(end.available_permits(), 0, "it went on");
}

#[tokio::test]
async fn a_full_mailbox_holds_its_senders_back() {
    let lobby = lobby(Settings::default().mailbox(2));
    let (end, _first) = busy(&lobby).await;
    let rings = Arc::new(Semaphore::new(0));
    for _ in 0..2 {
        lobby
            .cast(Ring(Arc::clone(&rings)))
            .await
            .expect("there is room");
    }
    let third = lobby.cast(Ring(Arc::clone(&rings)));
    let held = tokio::time::timeout(Duration::from_millis(20), third).await;
    assert!(held.is_err(), "there is no room");
    end.add_permits(1);
    lobby
        .cast(Ring(Arc::clone(&rings)))
        .await
        .expect("there is room again");
    rings
        .acquire_many(3)
        .await
        .expect("all are handled")
        .forget();
    assert_eq!(
        rings.available_permits(),
        0,
        "the one that was given up was not left"
    );
}

#[tokio::test]
async fn an_actor_does_not_wait_for_itself() {
    let one = lobby(Settings::default());
    one.call(Meet(one.clone())).await.expect("a reply");
    assert_eq!(one.call(Ask).await, Ok(Err(CallError::SelfCall)));

    let (a, b, c) = (
        lobby(Settings::default()),
        lobby(Settings::default()),
        lobby(Settings::default()),
    );
    for (from, to) in [(&a, &b), (&b, &c), (&c, &a)] {
        from.call(Meet(to.clone())).await.expect("a reply");
    }
    assert_eq!(
        a.call(Ask).await,
        Ok(Err(CallError::SelfCall)),
        "by way of two others"
    );
    // A chain that is no circle is none.
    a.call(Meet(b.clone())).await.expect("a reply");
    assert_eq!(a.call(Ask).await, Ok(Ok(())));

    let small = lobby(Settings::default().mailbox(3));
    assert_eq!(small.call(Fill(small.clone())).await, Ok(CastError::Full));
}

#[tokio::test]
async fn a_broken_actor_is_made_anew_but_not_for_ever() {
    let made = Arc::new(AtomicU32::new(0));
    let counts = Arc::clone(&made);
    let make = move || {
        counts.fetch_add(1, Ordering::Relaxed);
        async { Ok(Lobby::default()) }
    };
    let lobby = actor::start(
        make,
        Settings::default().restarts(2, Duration::from_hours(1)),
    );
    for _ in 0..2 {
        assert_eq!(lobby.call(Break).await, Err(CallError::Panicked));
        assert_eq!(
            lobby.call(Join).await,
            Ok(Ok(1)),
            "nothing is left of the broken one"
        );
    }
    let (end, first) = busy(&lobby).await;
    let waiting = {
        let lobby = lobby.clone();
        lobby.cast(Break).await.expect("there is room");
        tokio::spawn(async move { lobby.call(Join).await })
    };
    end.add_permits(1);
    assert_eq!(first.await.expect("no panic"), Ok(101));
    assert_eq!(waiting.await.expect("no panic"), Err(CallError::Stopped));
    lobby.stopped().await;
    assert_eq!(made.load(Ordering::Relaxed), 3);
    assert_eq!(lobby.cast(Join).await, Err(CastError::Stopped));
}

#[tokio::test]
async fn an_actor_that_cannot_be_made_is_given_up() {
    let lobby: Address<Lobby> = actor::start(
        async || Err(Source::from("no seats")),
        Settings::default().restarts(1, Duration::from_hours(1)),
    );
    assert_eq!(lobby.call(Join).await, Err(CallError::Stopped));
}

#[derive(Default, Serialize, Deserialize)]
struct Account {
    balance: i64,
}

impl Durable for Account {
    const KIND: &'static str = "account";
}

#[derive(Serialize, Deserialize)]
struct Credit {
    amount: i64,
}

impl Task for Credit {
    const KIND: &'static str = "credit";
}

struct Transfer {
    to: String,
    amount: i64,
    /// To be told after the commit.
    done: Option<Arc<AtomicU32>>,
}

impl Receive<Credit> for Account {
    type Reply = i64;
    type Error = Source;

    async fn receive(&mut self, credit: &Credit, _: &Turn<'_>) -> Result<i64, Source> {
        self.balance += credit.amount;
        Ok(self.balance)
    }
}

impl Receive<Transfer> for Account {
    type Reply = i64;
    type Error = Source;

    async fn receive(&mut self, transfer: &Transfer, turn: &Turn<'_>) -> Result<i64, Source> {
        self.balance -= transfer.amount;
        let amount = transfer.amount;
        turn.send::<Account, _>(&transfer.to, &Credit { amount })
            .await?;
        if let Some(done) = transfer.done.clone() {
            turn.tx().on_commit(async move {
                done.fetch_add(1, Ordering::Relaxed);
            });
        }
        if self.balance < 0 {
            return Err("not enough".into());
        }
        Ok(self.balance)
    }
}

const BALANCE: &str =
    "select (state->>'balance')::bigint from cure.actors where kind = 'account' and id = ";

async fn deliver(pool: &Pool) -> usize {
    let worker = Worker::new(pool.clone(), ()).handles::<Sent<Account, Credit>>();
    worker.drain().await.expect("it can claim")
}

#[tokio::test(flavor = "multi_thread")]
async fn money_is_neither_made_nor_lost() {
    let ground = Ground::new("").await;
    let pool = &ground.pool;
    migrate(pool).await.expect("the tables are made");
    // The same account in two processes, as it were.
    let seats = [0, 1].map(|_| actor::durable::<Account>(pool, "ann", Settings::default()));
    seats[0]
        .call(Credit { amount: 50 })
        .await
        .expect("a reply")
        .expect("it commits");
    let told = Arc::new(AtomicU32::new(0));
    let transfers = (0..20).map(|number| {
        let (seat, done) = (seats[number % 2].clone(), Some(Arc::clone(&told)));
        let transfer = Transfer {
            to: "ben".to_owned(),
            amount: 5,
            done,
        };
        tokio::spawn(async move { seat.call(transfer).await })
    });
    let (mut done, mut refused) = (0, 0);
    for transfer in transfers.collect::<Vec<_>>() {
        match transfer.await.expect("no panic").expect("a reply") {
            Ok(_) => done += 1,
            Err(Error::Failed { error, .. }) if error.to_string() == "not enough" => refused += 1,
            Err(error) => panic!("{error:?}"),
        }
    }
    assert_eq!((done, refused, told.load(Ordering::Relaxed)), (10, 10, 10));
    assert_eq!(ground.number(&format!("{BALANCE}'ann'")).await, 0);
    assert_eq!(
        ground.number("select count(*) from cure.tasks").await,
        10,
        "nothing of what was refused"
    );
    assert_eq!(deliver(pool).await, 10);
    assert_eq!(ground.number(&format!("{BALANCE}'ben'")).await, 50);
}

#[tokio::test]
async fn the_reply_comes_after_the_commit() {
    let ground = Ground::new("").await;
    let pool = &ground.pool;
    migrate(pool).await.expect("the tables are made");
    // COMMIT fails: by then the actor has long returned its reply.
    ground
        .run("create function refuse() returns trigger language plpgsql as 'begin raise ''no''; end';
              create constraint trigger refuses after insert or update on cure.actors
                deferrable initially deferred for each row execute function refuse()")
        .await;
    let seat = actor::durable::<Account>(pool, "ann", Settings::default());
    let reply = seat.call(Credit { amount: 50 }).await.expect("an answer");
    assert!(matches!(reply, Err(Error::Refused { .. })), "{reply:?}");
    let policy = Policy::default();
    let amount = 1;
    let reply = actor::turn::<Account, _>(pool, &policy, "ann", &Credit { amount }).await;
    assert!(matches!(reply, Err(Error::Refused { .. })), "{reply:?}");
    assert_eq!(ground.number("select count(*) from cure.actors").await, 0);
}
