//! When two outcomes are the same.

use std::collections::{BTreeMap, BTreeSet};

use deadheat_explore::Actor;
use deadheat_lab::record::Record;

use super::story::Story;
use crate::{Calibration, Outcome, Rules, offset};

fn outcome(record: &Record, calibration: &Calibration, rules: &Rules) -> Outcome {
    Outcome::of(record, calibration, rules, &BTreeSet::new())
}

fn learned(pairs: &[(Record, Record)], offsets: &[i64]) -> Calibration {
    let mut calibration = Calibration::default();
    for (first, second) in pairs {
        assert_eq!(
            calibration.learn(first, second, offsets, &Rules::default()),
            Vec::<String>::new()
        );
    }
    calibration
}

fn same(a: &Record, b: &Record, calibration: &Calibration) -> bool {
    outcome(a, calibration, &Rules::default()) == outcome(b, calibration, &Rules::default())
}

/// An order of `ben`'s, one of `amy`'s, each with a line that refers to it, and replies with links.
fn shop(ben: i64, amy: i64) -> Record {
    let (b, a) = (ben.to_string(), amy.to_string());
    Story::of(&["ben", "amy"])
        .table("orders", &["id", "who"], &[&[&b, "ben"], &[&a, "amy"]])
        .table(
            "lines",
            &["order_id", "what"],
            &[&[&b, "tea"], &[&a, "rum"]],
        )
        .told(0, "POST /orders", 201, &format!(r#"{{"id":{b}}}"#))
        .header(0, "location", &format!("/orders/{b}"))
        .told(1, "POST /orders", 201, &format!(r#"{{"id":{a}}}"#))
        .header(1, "location", &format!("/orders/{a}"))
        .done()
}

#[test]
fn ids_swapped_between_actors_are_equal() {
    let calibration = learned(&[(shop(5, 6), shop(1014, 1015))], &[offset(0)]);
    assert!(same(&shop(5, 6), &shop(6, 5), &calibration));
    assert!(
        same(&shop(5, 6), &shop(9, 7), &calibration),
        "rolled-back inserts burn ids"
    );
}

#[test]
fn a_line_that_hangs_on_the_wrong_order_is_noticed() {
    let calibration = learned(&[(shop(5, 6), shop(1014, 1015))], &[offset(0)]);
    let mut wrong = shop(5, 6);
    wrong.tables.get_mut("lines").unwrap().rows[0][0] = Some("6".to_owned());
    let found = outcome(&wrong, &calibration, &Rules::default());
    let serial = outcome(&shop(5, 6), &calibration, &Rules::default());
    assert_ne!(found, serial);
    let words: Vec<String> = crate::differ::differences(&found, &serial)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert!(
        words
            .iter()
            .any(|w| w.contains("generated values in lines belong to other rows")),
        "{words:?}"
    );
}

#[test]
fn a_link_to_the_other_ones_order_is_noticed() {
    let calibration = learned(&[(shop(5, 6), shop(1014, 1015))], &[offset(0)]);
    let wrong = {
        let b = "5";
        let mut record = shop(5, 6);
        record.replies[1] = Story::of(&["ben", "amy"])
            .told(1, "POST /orders", 201, r#"{"id":6}"#)
            .header(1, "location", &format!("/orders/{b}"))
            .done()
            .replies[1]
            .clone();
        record
    };
    assert!(!same(&wrong, &shop(5, 6), &calibration));
}

/// Two rows that refer to each other and nothing else: there is no telling which is which, and no need to.
#[test]
fn rows_that_are_each_others_mirror_are_equal_either_way_round() {
    let ring = |a: i64, b: i64, c: i64| {
        let (a, b, c) = (a.to_string(), b.to_string(), c.to_string());
        Story::of(&["x"])
            .table(
                "friends",
                &["of", "with"],
                &[&[&a, &b], &[&b, &c], &[&c, &a]],
            )
            .done()
    };
    let calibration = learned(&[(ring(1, 2, 3), ring(1010, 1011, 1012))], &[offset(0)]);
    assert!(same(&ring(1, 2, 3), &ring(3, 1, 2), &calibration));
    assert!(same(&ring(1, 2, 3), &ring(3, 2, 1), &calibration));
    assert!(!same(&ring(1, 2, 3), &ring(1, 2, 1), &calibration));
}

fn session(token: &str, again: &str) -> Record {
    let body = format!(r#"{{"session":"{token}","csrf":"{again}"}}"#);
    Story::of(&["ben"])
        .table("sessions", &["token"], &[&[token]])
        .told(0, "POST /login", 200, &body)
        .done()
}

#[test]
fn random_tokens_are_not_compared_but_whether_it_is_the_same_one_is() {
    let twice = (
        session("d41d8cd98f", "7215ee9c7d"),
        session("9e107d9d37", "e4d909c290"),
    );
    let calibration = learned(&[twice], &[offset(0)]);
    assert!(same(
        &session("aaaaaaaaaa", "bbbbbbbbbb"),
        &session("cccccccccc", "dddddddddd"),
        &calibration
    ));
    assert!(
        !same(
            &session("aaaaaaaaaa", "aaaaaaaaaa"),
            &session("cccccccccc", "dddddddddd"),
            &calibration
        ),
        "the same token twice is not two tokens"
    );
    assert!(
        !same(
            &session("aaaaaaaaaa", "aaaaaaaaaa"),
            &session("cccccccccc", "cccccccccc").stranger(),
            &calibration
        ),
        "the token that was told is the one that is kept"
    );
}

trait Stranger {
    /// The same, but the table keeps another token than was told.
    fn stranger(self) -> Self;
}

impl Stranger for Record {
    fn stranger(mut self) -> Self {
        self.tables.get_mut("sessions").unwrap().rows[0][0] = Some("eeeeeeeeee".to_owned());
        self
    }
}

#[test]
fn a_cookie_signed_in_the_same_second_twice_is_a_token_still() {
    let calibration = learned(
        &[
            (
                session("eyJtYWlu:1xV9k8:8L2mVwEGr8", "eyJtYWlu:1xV9k8:8L2mVwEGr8"),
                session("eyJtYWlu:1xV9k8:8L2mVwEGr8", "eyJtYWlu:1xV9k8:8L2mVwEGr8"),
            ),
            (
                session("eyJtYWlu:1xV9k8:8L2mVwEGr8", "eyJtYWlu:1xV9k8:8L2mVwEGr8"),
                session("eyJtYWlu:1xV9kz:Bh1IfWYK6f", "eyJtYWlu:1xV9kz:Bh1IfWYK6f"),
            ),
        ],
        &[1000],
    );
    assert!(same(
        &session("eyJtYWlu:1xV9k8:8L2mVwEGr8", "eyJtYWlu:1xV9k8:8L2mVwEGr8"),
        &session("other:1xV9zz:tokentoken", "other:1xV9zz:tokentoken"),
        &calibration
    ));
}

#[test]
fn a_time_in_a_signature_that_moved_by_a_digit_is_part_of_the_token() {
    let twice = |a: &str, b: &str| (session(a, a), session(b, b));
    let moved_by_a_digit = twice("eyJtYWlu:1xV9k8:8L2mVwEGr8", "eyJtYWlu:1xV9k9:Bh1IfWYK6f");
    let other_content = twice("eyJhIjox:1xV9k8:QuVw7m2Lk1", "eyJiIjoy:1xV9kz:Zp0sWqEr5t");
    for learned_from in [
        vec![moved_by_a_digit.clone()],
        vec![moved_by_a_digit, other_content],
    ] {
        let calibration = learned(&learned_from, &[1000]);
        let (short, long) = (
            "eyJtYWlu:1xV9k7:YtReWq3uIo",
            "b3RoZXI-tZ_x:1xV9zz:tokentoken",
        );
        assert!(same(
            &session(short, short),
            &session(long, long),
            &calibration
        ));
    }
}

#[test]
fn a_signed_value_is_a_token_whatever_it_is_made_of() {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    // Knuth's multiplier: any will do, as long as it is the same each time.
    let mut state = 1_u64;
    let mut letters = |count: usize, of: usize| -> String {
        let one = |_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            char::from(LETTERS[(state >> 33) as usize % of])
        };
        (0..count).map(one).collect()
    };
    for _ in 0..5_000 {
        let payload = letters(40, 64);
        let minute = letters(4, 62);
        let mut signed = || format!(".{payload}:1{minute}{}:{}", letters(1, 62), letters(43, 64));
        let (first, second) = (signed(), signed());
        let pattern = crate::pattern::learn(&first, &second, &[1009].into());
        assert_eq!(
            pattern,
            Some(vec![crate::pattern::Piece::Token]),
            "{first} {second}"
        );
    }
}

#[test]
fn columns_that_hold_the_time_are_not_compared() {
    let joined = |at: &str, left: &str| {
        Story::of(&["ben"])
            .table("players", &["nick", "at", "gone"], &[&["ben", at, left]])
            .done()
    };
    let twice = (
        joined("2026-01-01 10:00:00.123456+00", "null"),
        joined("2026-01-01 10:00:01.5+00", "null"),
    );
    let calibration = learned(&[twice], &[]);
    let later = joined("2026-03-09 23:59:59.000001+00", "null");
    assert!(same(
        &joined("2026-01-01 10:00:00.9+00", "null"),
        &later,
        &calibration
    ));
    let gone = joined("2026-01-01 10:00:00.9+00", "2026-01-01 10:00:00.9+00");
    assert!(
        !same(&gone, &later, &calibration),
        "whether there is a time is compared"
    );
}

#[test]
fn a_count_of_five_is_no_id_five() {
    let run = |id: i64, count: i64| {
        let (id, count) = (id.to_string(), count.to_string());
        Story::of(&["ben"])
            .table("games", &["id", "players"], &[&[&id, &count]])
            .done()
    };
    let calibration = learned(&[(run(5, 5), run(1014, 5))], &[offset(0)]);
    assert!(
        same(&run(5, 5), &run(8, 5), &calibration),
        "the id is renamed"
    );
    assert!(
        !same(&run(5, 5), &run(5, 6), &calibration),
        "the count is compared"
    );
}

#[test]
fn what_was_there_before_keeps_its_id() {
    let bought = |id: i64, by: &str| {
        Story::of(&["ben"])
            .table("orders", &["id", "user_id"], &[&[&id.to_string(), by]])
            .done()
    };
    let signed_up = |id: i64| {
        let text = id.to_string();
        Story::of(&["ben"])
            .table("orders", &["id", "user_id"], &[&["3", &text]])
            .done()
    };
    let calibration = learned(
        &[
            (bought(3, "1"), bought(1012, "1")),
            (signed_up(7), signed_up(1023)),
        ],
        &[offset(0), offset(1)],
    );
    assert!(
        same(&signed_up(7), &signed_up(9), &calibration),
        "a user who signed up in the run"
    );
    assert!(
        !same(&bought(3, "1"), &bought(3, "2"), &calibration),
        "two users who were there before"
    );
}

#[test]
fn player_five_and_order_five_have_nothing_to_do_with_each_other() {
    let run = |player: i64, order: i64| {
        let (p, o) = (player.to_string(), order.to_string());
        Story::of(&["ben"])
            .table("players", &["id"], &[&[&p]])
            .table("orders", &["id"], &[&[&o]])
            .done()
    };
    let calibration = learned(
        &[(run(5, 5), run(5 + offset(0), 5 + offset(1)))],
        &[offset(0), offset(1)],
    );
    assert!(same(&run(5, 5), &run(5, 6), &calibration));
}

#[test]
fn tables_are_bags() {
    let rows = |rows: &[&[&str]]| Story::of(&["ben"]).table("t", &["n"], rows).done();
    let calibration = Calibration::default();
    assert!(same(
        &rows(&[&["1"], &["2"], &["2"]]),
        &rows(&[&["2"], &["1"], &["2"]]),
        &calibration
    ));
    assert!(!same(
        &rows(&[&["1"], &["2"], &["2"]]),
        &rows(&[&["1"], &["1"], &["2"]]),
        &calibration
    ));
}

#[test]
fn order_numbers_inside_texts_are_ids_too() {
    let page = |n: i64, csrf: &str| {
        let html = format!(
            "<h1>Order SO-{n} placed</h1>\n<input name=\"csrf\" value=\"{csrf}\">\n<p>2 left</p>"
        );
        Story::of(&["ben"])
            .table("orders", &["number"], &[&[&format!("SO-{n}")]])
            .told(0, "POST /checkout", 200, &html)
            .done()
    };
    let twice = (
        page(100_001, "Zm9v/mFy+g=="),
        page(100_001 + offset(0), "cXV4Yn/+kQ=="),
    );
    let calibration = learned(&[twice], &[offset(0)]);
    assert!(same(
        &page(100_001, "aaaaaaaaaaaa"),
        &page(100_002, "bbbb+bbbbbbb"),
        &calibration
    ));
    let mut sold_out = page(100_001, "aaaaaaaaaaaa");
    if let Some(deadheat_lab::record::Reply::Http { body, .. }) = sold_out.replies[0].last_mut() {
        *body = body.replace("2 left", "1 left");
    }
    assert!(!same(
        &sold_out,
        &page(100_001, "aaaaaaaaaaaa"),
        &calibration
    ));
}

#[test]
fn a_line_that_is_a_clock_says_nothing_about_the_other_lines() {
    let page = |took: &str, says: &str| {
        Story::of(&["ben"])
            .told(0, "GET /", 200, &format!("took {took}ms\n{took}\n{says}"))
            .done()
    };
    let calibration = learned(&[(page("12", "hello"), page("317", "hello"))], &[]);
    assert!(same(
        &page("1", "hello"),
        &page("88", "hello"),
        &calibration
    ));
    assert!(!same(
        &page("1", "hello"),
        &page("1", "sold out"),
        &calibration
    ));
}

#[test]
fn two_readings_of_a_clock_that_were_equal_by_luck_are_a_clock_still() {
    let run = |at: &str| Story::of(&["ben"]).table("t", &["at"], &[&[at]]).done();
    let (early, late) = (run("2026-01-01 10:00:00+00"), run("2026-01-01 10:00:01+00"));
    let calibration = learned(
        &[
            (early.clone(), early.clone()),
            (early.clone(), late.clone()),
        ],
        &[],
    );
    assert!(same(&early, &late, &calibration));
}

#[test]
fn masked_values_are_blank() {
    let rules = Rules {
        mask: ["t.at", "json:$.items[*].at", "header:x-request-id"]
            .map(|m| m.parse().unwrap())
            .to_vec(),
        ..Rules::default()
    };
    let run = |x: &str| {
        Story::of(&["ben"])
            .table("t", &["id", "at"], &[&["1", x]])
            .told(0, "GET /", 200, &format!(r#"{{"items":[{{"at":"{x}"}}]}}"#))
            .header(0, "x-request-id", x)
            .done()
    };
    let plain = Calibration::default();
    assert_eq!(
        outcome(&run("a"), &plain, &rules),
        outcome(&run("b"), &plain, &rules)
    );
    assert!(!same(&run("a"), &run("b"), &plain));
    assert!("nonsense".parse::<crate::Mask>().is_err());
}

#[test]
fn a_table_that_was_not_written_is_as_it_was() {
    let record = Story::of(&["ben"]).table("t", &["n"], &[&["1"]]).done();
    let rules = Rules {
        start: record.tables.clone(),
        ..Rules::default()
    };
    let mut untouched = record.clone();
    untouched.tables = BTreeMap::new();
    let plain = Calibration::default();
    assert_eq!(
        outcome(&record, &plain, &rules),
        outcome(&untouched, &plain, &rules)
    );
}

#[test]
fn a_run_that_does_not_repeat_is_said_to() {
    let run = |rows: &[&[&str]], status| {
        Story::of(&["ben"])
            .table("t", &["n"], rows)
            .told(0, "GET /", status, "{}")
            .done()
    };
    let mut calibration = Calibration::default();
    let said = calibration.learn(&run(&[&["1"]], 200), &run(&[], 500), &[], &Rules::default());
    assert_eq!(
        said,
        [
            "t had 1 rows after the first run and 0 after the second",
            "reply 1 of ben: 200, then 500"
        ]
    );
}

#[test]
fn replies_of_absent_actors_do_not_count() {
    let run = |status| {
        Story::of(&["ben", "amy"])
            .told(0, "GET /", 200, "{}")
            .told(1, "GET /", status, "{}")
            .done()
    };
    let without = |record: &Record| {
        Outcome::of(
            record,
            &Calibration::default(),
            &Rules::default(),
            &BTreeSet::from([Actor(1)]),
        )
    };
    assert_eq!(without(&run(200)), without(&run(503)));
}
