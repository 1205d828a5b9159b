//! A file that uses every key, and what a run is told of it.

use std::collections::BTreeMap;
use std::path::Path;

use deadheat_scenario::{Body, MAIN, Scenario, Strategy, Work, load, parse};
use serde_json::json;

fn lobby() -> Scenario {
    load(Path::new("tests/lobby/lobby.toml"))
        .unwrap_or_else(|errors| panic!("{:?}", errors.problems()))
}

fn small(text: &str) -> Scenario {
    let text = format!("[database]\nengine = \"postgres\"\n[service.web]\nrun = \"serve\"\n{text}");
    parse("small.toml", &text, Path::new("tests/lobby"))
        .unwrap_or_else(|errors| panic!("{:?}", errors.problems()))
}

#[test]
fn every_key_is_read() {
    let lobby = Scenario {
        text: "(the file)".into(),
        ..lobby()
    };
    insta::assert_debug_snapshot!(lobby);
}

#[test]
fn a_small_file_gets_the_defaults() {
    let small = Scenario {
        text: "(the file)".into(),
        ..small("[[actor]]\nname = \"ben\"\nrequest = \"GET /\"\n")
    };
    insta::assert_debug_snapshot!(small);
}

#[test]
fn ben_posts_what_he_saved() {
    let scenario = lobby();
    let Work::Requests(requests) = &scenario.actors[0].work else {
        panic!("ben sends requests");
    };
    let mut saved = BTreeMap::from([("csrf".to_owned(), json!("x\"1"))]);
    let first = requests[0].fill(&saved).unwrap();
    assert_eq!(
        first.body.unwrap(),
        r#"{"nick":"ben","csrf":"x\"1","at":"1979-05-27","tags":[1,2.5,true]}"#
    );
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        first.headers,
        [
            header("Accept", "application/json"),
            header("content-type", "application/json")
        ]
    );

    assert_eq!(requests[1].fill(&saved).unwrap_err().name, "sid");
    saved.insert("next".into(), json!("http://127.0.0.1:80/seats/ä b"));
    saved.insert("seat".into(), json!(4));
    saved.insert("sid".into(), json!("s1"));
    let second = requests[1].fill(&saved).unwrap();
    assert_eq!(second.path, "/seats/%C3%A4%20b?seat=4");
    assert_eq!(
        second.headers,
        [header("accept", "text/html"), header("X-Session", "s1")]
    );
    assert_eq!(
        requests[2].fill(&saved).unwrap().body.unwrap(),
        r#"{"to":"4","literal":"{seat}"}"#
    );
}

#[test]
fn a_form_is_encoded_as_a_browser_does() {
    let scenario = small(
        "[[actor]]\nname = \"ben\"\nrequest = \"POST /\"\nform = { \"a b\" = \"c&d=ü*\", n = [1, 2] }\n",
    );
    let Work::Requests(requests) = &scenario.actors[0].work else {
        panic!("ben sends a request");
    };
    assert!(matches!(requests[0].body, Body::Form(_)));
    let sent = requests[0].fill(&BTreeMap::new()).unwrap();
    assert_eq!(sent.body.unwrap(), "a+b=c%26d%3D%C3%BC*&n=1&n=2");
    assert_eq!(sent.headers[0].1, "application/x-www-form-urlencoded");
}

#[test]
fn copies_are_players_of_their_own() {
    let scenario = lobby();
    let names: Vec<_> = scenario
        .actors
        .iter()
        .filter(|actor| actor.fault.is_none())
        .map(|actor| actor.name.as_str())
        .collect();
    assert_eq!(
        names,
        ["ben", "p1", "p2", "p3", "p4", "expire", "audit", "test"]
    );
    let Work::Requests(requests) = &scenario.actors[3].work else {
        panic!("p3 sends a request");
    };
    assert_eq!(requests[0].body, Body::Json(json!({ "nick": "p3" })));
}

#[test]
fn what_may_go_wrong_is_an_actor_behind_the_others() {
    let scenario = lobby();
    let faults: Vec<_> = scenario.actors[8..]
        .iter()
        .map(|actor| (actor.name.as_str(), actor.fault.clone().unwrap().of))
        .collect();
    let of = |name: &str| name.to_owned();
    assert_eq!(faults[0], ("repeat of p1", of("p1")));
    assert_eq!(faults[1], ("retry of p1", of("p1")));
    assert_eq!(faults[8], ("crash of expire", of("expire")));
    assert_eq!(faults[9..], [("crash of web", of("web"))]);
}

#[test]
fn copies_log_in_one_by_one_and_hand_on_what_they_saved() {
    let scenario = small(
        "[[before]]\ncopies = 2\nas = \"p{n}\"\nrequest = \"POST /login\"\nsave = { token = \"json:$.token\" }\n\
         [[actor]]\nname = \"p{n}\"\ncopies = 2\nrequest = \"POST /buy?t={token}\"\n",
    );
    let shared: Vec<_> = scenario
        .before
        .iter()
        .map(|before| before.shared_with.as_deref())
        .collect();
    assert_eq!(shared, [Some("p1"), Some("p2")]);
}

#[test]
fn the_title_is_the_files_name_where_none_is_given() {
    assert_eq!(
        small("[[actor]]\nname = \"ben\"\nrequest = \"GET /\"\n").title,
        "small"
    );
}

#[test]
fn one_named_database_needs_no_choice() {
    let text =
        "[database.shop]\nengine = \"postgres\"\n[[actor]]\nname = \"a\"\nsql = \"select 1\"\n";
    let scenario = parse("x.toml", text, Path::new(".")).unwrap();
    assert!(matches!(&scenario.actors[0].work, Work::Sql { database, .. } if database == "shop"));
    assert!(!scenario.databases.contains_key(MAIN));
}

const BEN: &str = "[[actor]]\nname = \"ben\"\nrequest = \"GET /\"\n";

#[test]
fn a_race_stays_the_same_when_only_the_search_changes() {
    let before = small(BEN).fingerprint();
    assert_eq!(before.len(), 16);
    let same = small(&format!(
        "# a note\n{BEN}follow = false\n[check]\nserial = true\n[explore]\nseed = 9\n"
    ));
    assert_eq!(same.fingerprint(), before);
    for change in [
        "json = 1\n",
        "follow = true\n",
        "[check]\nallow = [409]\n",
        "[database.b]\nengine = \"postgres\"\n",
    ] {
        assert_ne!(
            small(&format!("{BEN}{change}")).fingerprint(),
            before,
            "{change}"
        );
    }
    // How many faults a run may have decides what the actors that stand for them do.
    let crash = format!("{BEN}crash = true\n");
    let most = |n: u32| small(&format!("{crash}[explore]\nfaults = {n}\n")).fingerprint();
    assert_eq!(most(1), small(&crash).fingerprint());
    assert_ne!(most(1), most(2));
}

#[test]
fn a_race_changes_with_its_setup_file_and_not_with_its_folder() {
    let text = "[database]\nengine = \"postgres\"\nsetup = \"schema.sql\"\n[[actor]]\nname = \"a\"\nrun = \"true\"\ndirectory = \".\"\n";
    let fingerprint = |sql: &str| {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("schema.sql"), sql).unwrap();
        parse("x.toml", text, folder.path()).unwrap().fingerprint()
    };
    assert_eq!(
        fingerprint("create table t()"),
        fingerprint("create table t()")
    );
    assert_ne!(
        fingerprint("create table t()"),
        fingerprint("create table u()")
    );
}

#[test]
fn a_saved_path_may_lack_its_slash() {
    let scenario = small(
        "[[actor]]\nname = \"ben\"\nrequests = [{ request = \"GET /\", save = { next = \"json:$.next\" } }, { request = \"GET {next}\" }]\n",
    );
    let Work::Requests(requests) = &scenario.actors[0].work else {
        panic!("ben sends requests");
    };
    let path = |next: &str| {
        let saved = BTreeMap::from([("next".to_owned(), json!(next))]);
        requests[1].fill(&saved).unwrap().path
    };
    assert_eq!(path("orders/7"), "/orders/7");
    assert_eq!(path("/orders/7?a=%20"), "/orders/7?a=%20");
    assert_eq!(path("https://shop.example"), "/");
}

#[test]
fn a_flag_names_a_strategy_as_the_file_does() {
    assert_eq!("random".parse(), Ok(Strategy::Random));
    let error = "rnadom".parse::<Strategy>().unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no strategy `rnadom`: did you mean `random`?"
    );
}

#[test]
fn two_buyers_can_be_brought_to_the_last_step_of_a_checkout() {
    let scenario = small(
        "[[before]]\ncopies = 2\nas = \"buyer {n}\"\nfollow = true\nrequests = [\n\
         { request = \"POST /accounts/login/\", form = { login-username = \"u{n}@example.com\", login_submit = \"Log In\" } },\n\
         { request = \"POST /basket/add/1/\", form = { quantity = 1 }, follow = false },\n\
         { request = \"GET /checkout/\" },\n]\n\
         [[actor]]\nname = \"buyer {n}\"\ncopies = 2\nrequest = \"POST /checkout/preview/\"\nform = { action = \"place_order\" }\n",
    );
    let Work::Requests(requests) = &scenario.before[1].work else {
        panic!("the second buyer sends requests");
    };
    let follow: Vec<_> = requests.iter().map(|request| request.follow).collect();
    assert_eq!(follow, [true, false, true]);
    let login = requests[0].fill(&BTreeMap::new()).unwrap().body.unwrap();
    assert_eq!(login, "login-username=u2%40example.com&login_submit=Log+In");
    assert_eq!(scenario.actors[1].name, "buyer 2");
}

#[test]
fn the_example_of_the_book_is_good() {
    let book = load(Path::new("tests/lobby/book.toml"))
        .unwrap_or_else(|errors| panic!("{:?}", errors.problems()));
    let names: Vec<_> = book
        .actors
        .iter()
        .map(|actor| actor.name.as_str())
        .collect();
    assert_eq!(names, ["ben", "p1", "p2", "p3", "p4", "expire", "audit"]);
    assert_eq!(book.before[0].shared_with.as_deref(), Some("ben"));
    assert_eq!(book.explore.runs, Some(10_000));
}
