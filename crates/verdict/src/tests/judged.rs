//! What the oracle says about runs.

use deadheat_explore::Actor;
use deadheat_lab::record::{End, Record};

use super::races::{self, BOTH};
use super::story::Story;
use crate::{Anomaly, Finding, Judgement, Kind, Oracle, Rules, STUCK, offset};

pub fn oracle(rules: Rules, serially: impl Fn(u16) -> Record) -> Oracle {
    let mut oracle = Oracle::new(rules);
    for order in BOTH {
        oracle.add_serial(order.to_vec(), serially(order[0].0));
    }
    oracle
}

fn lobby() -> Oracle {
    let mut oracle = oracle(Rules::default(), |first| races::lobby_serially(first, 0));
    for first in 0..2 {
        let (a, b) = (
            races::lobby_serially(first, 0),
            races::lobby_serially(first, offset(0)),
        );
        assert!(oracle.learn(&a, &b, &[offset(0)]).is_empty());
    }
    oracle
}

pub fn race(judgement: Judgement) -> Finding {
    match judgement {
        Judgement::Race(finding) => *finding,
        other => panic!("no race: {other:?}"),
    }
}

#[test]
fn fifth_player_sneaks_in() {
    let finding = race(lobby().judge(&races::fifth_player()));
    assert_eq!(
        (finding.kind, finding.anomaly),
        (Kind::CheckThenAct, Some(Anomaly::G2))
    );
    assert_eq!(finding.checks, ["serial", "at most four"]);
    insta::assert_snapshot!(finding.why.join("\n"), @r#"
    ben read count = 3 with `select count(*) from players where game = 1` (step 2).
    p1, too, read count = 3 with `select count(*) from players where game = 1` (step 4).
    Each went on with what it had read: ben ran `insert into players(game, nick) values (1, 'ben') returning id` (step 3) and p1 ran `insert into players(game, nick) values (1, 'p1') returning id` (step 6).
    Neither could see what the other did: one after the other, the later of ben and p1 would have read something else.
    "at most four" does not hold in the end (it said false).
    "#);
    let differs: Vec<String> = finding.differs.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(differs.join("\n"), @r#"
    players has a row more: id=5 nick=p1
    p1 was told 201, header location /players/5, $.id 5, $.seat 4 to POST /games/1/players, serially 409, $.error "full"
    "#);
}

#[test]
fn an_outcome_that_comes_again_is_told_in_its_own_values() {
    let oracle = lobby();
    for (ben, p1) in [("4", "5"), ("17", "18")] {
        let run = races::fifth_player_with(ben, p1);
        assert_eq!(oracle.outcome(&run), oracle.outcome(&races::fifth_player()));
        let finding = race(oracle.judge(&run));
        let first = finding.differs.first().map(ToString::to_string);
        let row = format!("players has a row more: id={p1} nick=p1");
        assert_eq!(first, Some(row));
    }
}

#[test]
fn what_was_judged_is_judged_anew_when_an_order_is_new() {
    let mut oracle = lobby();
    let nearest = |oracle: &Oracle| oracle.orders(&races::fifth_player()).len();
    assert_eq!(nearest(&oracle), 2);
    oracle.add_serial(vec![Actor(0)], races::lobby_serially(0, 0));
    assert_eq!(nearest(&oracle), 2, "that is no order of both");
    oracle.add_serial(BOTH[0].to_vec(), races::fifth_player());
    assert!(matches!(
        oracle.judge(&races::fifth_player()),
        Judgement::BrokenSerially(_)
    ));
}

#[test]
fn serial_runs_are_clean_whatever_ids_they_took() {
    for first in 0..2 {
        assert!(matches!(
            lobby().judge(&races::lobby_serially(first, 40)),
            Judgement::Clean
        ));
    }
}

#[test]
fn a_deposit_is_lost() {
    let oracle = oracle(Rules::default(), races::deposits_serially);
    let finding = race(oracle.judge(&races::lost_update()));
    assert_eq!(
        (finding.kind, finding.anomaly),
        (Kind::LostUpdate, Some(Anomaly::P4))
    );
    insta::assert_snapshot!(finding.why.join("\n"), @r#"
    ben read balance = 100 with `select balance from accounts where id = 1` (step 2).
    Then amy ran `update accounts set balance = 110 where id = 1` (step 3) and committed it (step 5): what ben had read was out of date.
    amy had read the same before (step 1).
    ben then wrote over it with `update accounts set balance = 120 where id = 1` (step 4): amy's update is lost.
    "#);
    assert_eq!(finding.cycle_steps(), [1, 2, 3]);
}

#[test]
fn both_doctors_leave() {
    let oracle = oracle(Rules::default(), races::shifts_serially);
    let finding = race(oracle.judge(&races::write_skew()));
    assert_eq!(
        (finding.kind, finding.anomaly),
        (Kind::WriteSkew, Some(Anomaly::G2))
    );
    insta::assert_snapshot!(finding.why.join("\n"), @r#"
    amy read count = 2 with `select count(*) from doctors where on_call` (step 1).
    ben, too, read count = 2 with `select count(*) from doctors where on_call` (step 2).
    Each went on with what it had read: amy ran `update doctors set on_call = false where id=1` (step 3) and ben ran `update doctors set on_call = false where id=2` (step 4).
    Neither could see what the other did: one after the other, the later of amy and ben would have read something else.
    "somebody is on call" does not hold in the end (it said false).
    "#);
}

fn locks(rules: Rules) -> Oracle {
    let mut oracle = Oracle::new(rules);
    for order in BOTH {
        oracle.add_serial(order.to_vec(), races::locks_serially(&order));
    }
    oracle
}

#[test]
fn a_deadlock_that_reaches_the_user_is_found_although_nothing_is_lost() {
    let mut oracle = locks(Rules::default());
    oracle.add_serial(vec![Actor(0)], races::locks_serially(&[Actor(0)]));
    let finding = race(oracle.judge(&races::deadlock()));
    assert_eq!((finding.kind, finding.anomaly), (Kind::Deadlock, None));
    assert_eq!(finding.checks, ["errors"]);
    insta::assert_snapshot!(finding.why.join("\n"), @r#"
    amy waits with `update rows set n = n + 1 where id = 2` (step 3) for what ben holds since `update rows set n = n + 1 where id = 2` (step 2).
    ben's `update rows set n = n + 1 where id = 1` (step 4) asks for what amy holds since `update rows set n = n + 1 where id = 1` (step 1): a circle, in which nobody can move.
    The database broke it by refusing ben (40P01, deadlock detected); ben got error 40P01, which happens in no serial order.
    "#);
}

#[test]
fn an_allowed_deadlock_is_compared_with_serial_orders_of_the_rest() {
    let rules = || Rules {
        allow: ["40P01".to_owned()].into(),
        ..Rules::default()
    };
    let mut oracle = locks(rules());
    let Judgement::NeedsSerial(orders) = oracle.judge(&races::deadlock()) else {
        panic!("the order of amy alone is not known yet");
    };
    assert_eq!(orders, [[Actor(0)]]);
    oracle.add_serial(vec![Actor(0)], races::locks_serially(&[Actor(0)]));
    assert!(matches!(oracle.judge(&races::deadlock()), Judgement::Clean));
}

#[test]
fn nobody_can_move() {
    let finding = race(Oracle::new(Rules::default()).judge(&races::stuck()));
    assert_eq!(finding.kind, Kind::Stuck);
    insta::assert_snapshot!(finding.why.join("\n"), @r#"
    No actor can move any more.
    amy, after `select * from jobs where id = 1 for update` (step 1), waits for something that no gate sees (all threads asleep).
    ben waits for a row lock that amy holds, with `update jobs set state = 'done' where id = 1` (step 2).
    "#);
}

#[test]
fn a_check_that_serial_runs_break_too_is_a_bug_and_no_race() {
    let broken = |_: u16| Story::of(&["ben", "amy"]).invariant("never", false).done();
    let oracle = oracle(Rules::default(), broken);
    let Judgement::BrokenSerially(names) = oracle.judge(&broken(0)) else {
        panic!("not said")
    };
    assert_eq!(names, ["never"]);
    assert_eq!(oracle.broken_serially()["never"], BOTH[0]);
}

#[test]
fn who_waits_for_ever_in_a_serial_order_too_is_a_bug_and_no_race() {
    let oracle = oracle(Rules::default(), |_| races::stuck());
    let Judgement::BrokenSerially(names) = oracle.judge(&races::stuck()) else {
        panic!("not said")
    };
    assert_eq!(names, [STUCK]);
    assert_eq!(oracle.broken_serially()[STUCK], BOTH[0]);
}

#[test]
fn told_apart_by_a_clock_alone_is_inconclusive() {
    let run = |at: &str| {
        Story::of(&["ben", "amy"])
            .table("t", &["at"], &[&[at]])
            .done()
    };
    let oracle = oracle(Rules::default(), |_| run("2026-01-01 10:00:00+00"));
    let Judgement::Inconclusive(why) = oracle.judge(&run("2026-01-01 10:00:01+00")) else {
        panic!("a second may have passed");
    };
    assert!(why.contains("reads like a clock"), "{why}");
}

#[test]
fn a_unique_violation_that_no_serial_order_has_is_found() {
    let run = |code: Option<&str>| {
        Story::of(&["ben", "amy"])
            .table("t", &["id"], &[&["1"]])
            .answered(0, "insert into t values (1)", "INSERT 0 1", None)
            .answered(1, "insert into t values (1)", "INSERT 0 0", code)
            .done()
    };
    let mut oracle = oracle(Rules::default(), |_| run(None));
    let refused = run(Some("23505"));
    // Amy wrote nothing: without her, is the rest as it should be?
    let Judgement::NeedsSerial(orders) = oracle.judge(&refused) else {
        panic!("what ben does alone is not known");
    };
    assert_eq!(orders, [[Actor(0)]]);
    let alone = Story::of(&["ben", "amy"]).table("t", &["id"], &[&["1"]]);
    let alone = alone.answered(0, "insert into t values (1)", "INSERT 0 1", None);
    oracle.add_serial(vec![Actor(0)], alone.done());
    let finding = race(oracle.judge(&refused));
    assert_eq!(finding.kind, Kind::UnhandledError);
    assert_eq!(finding.checks, ["errors"]);
}

#[test]
fn who_came_too_late_may_be_told_so_where_that_is_allowed() {
    let save =
        |story: Story, actor, status, body: &str| story.told(actor, "POST /save", status, body);
    let version = |story: Story, n: &str| story.table("page", &["version"], &[&[n]]);
    let serially = |_| {
        let story = save(Story::of(&["ben", "amy"]), 0, 200, r#"{"v": 1}"#);
        version(save(story, 1, 200, r#"{"v": 1}"#), "3").done()
    };
    let met = save(Story::of(&["ben", "amy"]), 0, 200, r#"{"v": 1}"#);
    let met = version(save(met, 1, 409, "{}"), "2").done();
    assert_eq!(
        race(oracle(Rules::default(), serially).judge(&met)).checks,
        ["serial"]
    );

    let rules = Rules {
        allow: ["409".to_owned()].into(),
        ..Rules::default()
    };
    let mut oracle = oracle(rules, serially);
    let alone = save(Story::of(&["ben", "amy"]), 0, 200, r#"{"v": 1}"#);
    oracle.add_serial(vec![Actor(0)], version(alone, "2").done());
    assert!(matches!(oracle.judge(&met), Judgement::Clean));
}

#[test]
fn who_gives_up_leaves_a_transaction_open() {
    let read = |story: Story, actor| {
        story
            .sql(actor, "begin; select v from page where id = 1")
            .reads("page", Some("id=1"))
            .gives("v", "1")
    };
    let serially = || read(read(Story::of(&["ben", "amy"]), 0).commit(0), 1);
    let oracle = oracle(Rules::default(), |_| serially().commit(1).done());
    let met = read(read(Story::of(&["ben", "amy"]), 0), 1).commit(0);
    let finding = race(oracle.judge(&met.leaves_open(1).done()));
    assert_eq!((finding.kind, finding.anomaly), (Kind::LeftOpen, None));
    assert_eq!(finding.checks, ["left open"]);
    insta::assert_snapshot!(finding.why.join("\n"), @"amy finished and left a transaction open after `select v from page where id = 1` (step 2): what it has locked stays locked and its connection is lost to the others. It does so in no serial order.");
}

#[test]
fn who_always_leaves_its_transaction_open_does_not_race() {
    let run = || Story::of(&["ben", "amy"]).leaves_open(1).done();
    let oracle = oracle(Rules::default(), |_| run());
    assert!(matches!(oracle.judge(&run()), Judgement::Clean));
}

#[test]
fn a_list_without_an_order_is_compared_without_one() {
    let run = |order: &str, ids: [&str; 3]| {
        let sql = format!("select id from note{order}");
        let story = Story::of(&["ben", "amy"])
            .sql(0, &sql)
            .gives_rows("id", &ids);
        let items: Vec<String> = ids.iter().map(|id| format!(r#"{{"id": {id}}}"#)).collect();
        let body = format!(r#"{{"notes": [{}]}}"#, items.join(", "));
        story.told(0, "GET /notes", 200, &body).done()
    };
    let judged = |order: &str, ids| {
        oracle(Rules::default(), |_| run(order, ["1", "2", "3"])).judge(&run(order, ids))
    };
    assert!(matches!(judged("", ["3", "1", "2"]), Judgement::Clean));
    let other = race(judged("", ["3", "1", "4"]));
    insta::assert_snapshot!(other.differs[0], @"ben was told $.notes[…] id 4 to GET /notes, serially $.notes[…] id 2");
    race(judged(" order by id", ["3", "1", "2"]));
}

#[test]
fn a_run_that_was_cut_says_nothing() {
    let mut record = races::lost_update();
    record.end = End::Cut;
    assert!(matches!(lobby().judge(&record), Judgement::Inconclusive(_)));
}

#[test]
fn the_same_row_is_inserted_twice_in_the_commit_gap() {
    let once =
        "insert into tags(name) select 'x' where not exists (select from tags where name = 'x')";
    let add = |story: Story, actor, tag| {
        story
            .sql(actor, once)
            .reads("tags", None)
            .writes("tags", None, tag)
    };
    let end = |story: Story, rows: &[&[&str]]| story.table("tags", &["name"], rows).done();
    let serial = |first: u16| {
        let story = add(Story::of(&["ben", "amy"]), first, "INSERT 0 1").gap(first);
        end(add(story, 1 - first, "INSERT 0 0"), &[&["x"]])
    };
    let story = add(Story::of(&["ben", "amy"]), 0, "INSERT 0 1");
    let twice = end(add(story, 1, "INSERT 0 1").gap(0).gap(1), &[&["x"], &["x"]]);
    let finding = race(oracle(Rules::default(), serial).judge(&twice));
    assert_eq!(
        (finding.kind, finding.anomaly),
        (Kind::DuplicateInsert, Some(Anomaly::G2))
    );
}

#[test]
fn half_old_half_new_is_read_skew() {
    let audit = |story: Story, row: &str, value: &str, begin: &str| {
        let story = story.sql(0, &format!("{begin}select n from t where {row}"));
        story.inside().reads("t", Some(row)).gives("n", value)
    };
    let shift = |story: Story| {
        let story = story.sql(1, "begin; update t set n = 4 where id=1").writes(
            "t",
            Some("id=1"),
            "UPDATE 1",
        );
        let story = story.sql(1, "update t set n = 6 where id=2").inside();
        story.writes("t", Some("id=2"), "UPDATE 1").commit(1)
    };
    let end = |story: Story, sum: &str| {
        story
            .table("t", &["id", "n"], &[&["1", "4"], &["2", "6"]])
            .told(0, "GET /sum", 200, sum)
            .done()
    };
    let serial = |first: u16| {
        if first == 0 {
            let story = audit(
                audit(Story::of(&["amy", "ben"]), "id=1", "5", "begin; "),
                "id=2",
                "5",
                "",
            );
            end(shift(story.commit(0)), "10")
        } else {
            let story = audit(shift(Story::of(&["amy", "ben"])), "id=1", "4", "begin; ");
            end(audit(story, "id=2", "6", "").commit(0), "10")
        }
    };
    let story = audit(Story::of(&["amy", "ben"]), "id=1", "5", "begin; ");
    let skewed = end(audit(shift(story), "id=2", "6", "").commit(0), "11");
    let finding = race(oracle(Rules::default(), serial).judge(&skewed));
    assert_eq!(
        (finding.kind, finding.anomaly),
        (Kind::ReadSkew, Some(Anomaly::GSingle))
    );
    insta::assert_snapshot!(finding.why.join("\n"), @r#"
    amy read n = 5 with `select n from t where id=1` (step 1).
    Then ben ran `update t set n = 4 where id=1` (step 2) and committed it (step 4): what amy had read was out of date.
    But amy also read n = 6 with `select n from t where id=2` (step 5), which already had ben's write: half old, half new.
    "#);
}

/// Both doctors' shifts over HTTP, at SERIALIZABLE: the database refuses the second, and the service answers 500.
fn refused() -> Record {
    let mut record = races::write_skew();
    let last = record.steps.last_mut().unwrap();
    last.error = Some(deadheat_lab::record::SqlError {
        code: "40001".to_owned(),
        message: "could not serialize access".to_owned(),
    });
    record.tables.get_mut("doctors").unwrap().rows[1][1] = Some("t".to_owned());
    record.invariants.clear();
    let told = Story::of(&["amy", "ben"])
        .told(0, "POST /leave", 200, "{}")
        .told(1, "POST /leave", 500, "oops");
    record.replies = told.done().replies;
    record
}

fn shifts_over_http(order: &[Actor]) -> Record {
    let mut record = races::shifts_serially(order[0].0);
    record.invariants.clear();
    let mut told = Story::of(&["amy", "ben"]);
    for actor in order {
        told = told.told(usize::from(actor.0), "POST /leave", 200, "{}");
    }
    record.replies = told.done().replies;
    record
}

#[test]
fn a_refused_transaction_that_the_user_sees_as_500_is_found() {
    let mut oracle = Oracle::new(Rules::default());
    for order in BOTH {
        oracle.add_serial(order.to_vec(), shifts_over_http(&order));
    }
    let finding = race(oracle.judge(&refused()));
    assert_eq!(
        (finding.kind, finding.anomaly),
        (Kind::SerializationFailure, None)
    );
    assert_eq!(finding.checks, ["errors"]);
}

#[test]
fn a_refused_transaction_is_fine_where_40001_is_allowed() {
    for allowed in ["40001", "500", "5xx"] {
        let mut oracle = Oracle::new(Rules {
            allow: [allowed.to_owned()].into(),
            ..Rules::default()
        });
        for order in BOTH {
            oracle.add_serial(order.to_vec(), shifts_over_http(&order));
        }
        oracle.add_serial(vec![Actor(0)], shifts_over_http(&[Actor(0)]));
        assert!(
            matches!(oracle.judge(&refused()), Judgement::Clean),
            "{allowed}"
        );
        let mut wrong = refused();
        wrong.tables.get_mut("doctors").unwrap().rows[1][1] = Some("f".to_owned());
        assert_eq!(
            race(oracle.judge(&wrong)).checks,
            ["serial"],
            "what the refused one wrote must not be there"
        );
    }
}

/// A cookie signed with the second in which it was made.
#[test]
fn a_serial_order_run_once_more_is_no_race_and_teaches_what_moves() {
    let run = |order: [u16; 2], signed: &str| {
        let mut story = Story::of(&["ben", "amy"]);
        for actor in order {
            story = story
                .sql(actor, "update visits set n = n + 1")
                .writes("visits", None, "UPDATE 1")
                .gap(actor)
                .told(usize::from(actor), "POST /visit", 200, "{}")
                .header(usize::from(actor), "set-cookie", signed);
        }
        story.table("visits", &["n"], &[&["2"]]).done()
    };
    let mut oracle = oracle(Rules::default(), |first| {
        run([first, 1 - first], "seen:1xV9FO:a1")
    });
    let later = run([0, 1], "seen:1xV9FP:b2");
    assert!(matches!(oracle.judge(&later), Judgement::Clean));
    let mut mixed = run([0, 1], "seen:1xV9FQ:c3");
    mixed.steps.swap(1, 2);
    assert!(matches!(oracle.judge(&mixed), Judgement::Race(_)));
    oracle.learn_repeat(&later);
    assert!(matches!(oracle.judge(&mixed), Judgement::Clean));
}
