//! The local API, asked as a program in any language would ask it (docs/api.md). Tests that play actors with it are those
//! of the plugins.
#![allow(missing_docs)]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::Duration;

use common::{Bench, example};
use serde_json::{Value, json};

/// `deadheat serve`, which ends when this is dropped.
struct Served {
    child: Child,
    host: String,
    path: String,
}

impl Served {
    fn begin(bench: &Bench, args: &[&str]) -> Self {
        let mut command = bench.command();
        command
            .arg("serve")
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.spawn().expect("the program runs");
        let mut line = String::new();
        let out = child.stdout.take().expect("a pipe");
        BufReader::new(out).read_line(&mut line).expect("a line");
        let said: Value = serde_json::from_str(&line).expect("JSON");
        let address = said["address"].as_str().expect("an address");
        let rest = address.strip_prefix("http://").expect("HTTP");
        let (host, path) = rest.split_once('/').expect("a path");
        Self {
            child,
            host: host.to_owned(),
            path: format!("/{path}"),
        }
    }

    /// Asks; the status and the answer.
    fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let mut stream = TcpStream::connect(&self.host).expect("it listens");
        let patience = Some(Duration::from_mins(1));
        stream.set_read_timeout(patience).expect("a limit");
        let (host, base, body) = (&self.host, &self.path, body.to_string());
        let length = body.len();
        write!(
            stream,
            "{method} {base}{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .expect("it reads");
        let mut said = String::new();
        stream.read_to_string(&mut said).expect("it answers");
        let status = said.split(' ').nth(1).expect("a status");
        let (_, body) = said.split_once("\r\n\r\n").expect("a body");
        let answer = serde_json::from_str(body).expect("JSON");
        (status.parse().expect("a number"), answer)
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        let (status, answer) = self.ask("POST", path, body);
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    /// Waits until what was begun is over.
    fn over(&self) -> Value {
        loop {
            let news = self.post("v1/next", &json!({}));
            if news["event"] != "wait" {
                assert_eq!(news["event"], "over", "{news}");
                return news;
            }
        }
    }

    /// Waits until the program has ended; its exit code.
    fn ended(&mut self) -> Option<i32> {
        self.child.wait().expect("it ends").code()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

fn lost_update(bench: &Bench) -> Served {
    let scenario = example("sql/lost-update.toml").display().to_string();
    Served::begin(bench, &[&scenario])
}

#[test]
fn a_scenario_is_searched_twice_and_played_between() {
    let bench = Bench::new();
    let served = lost_update(&bench);
    let (_, about) = served.ask("GET", "v1", &json!(null));
    assert_eq!(about["scenario"], "lost-update.toml");
    assert_eq!(about["actors"][1], json!({"name": "a2", "attached": false}));
    for _ in 0..2 {
        served.post("v1/search", &json!({}));
        let over = served.over();
        assert_eq!(over["result"]["verdict"], "race");
        assert!(
            over["text"]
                .as_str()
                .expect("text")
                .contains("RACE lost-update")
        );
        served.post("v1/play", &json!({"schedule": ["a1", "a2"]}));
        let seats = &served.over()["result"]["seats"];
        assert_eq!(seats[1]["place"], "next");
        assert_eq!(seats[1]["starts"], false);
    }
    let (_, state) = served.ask("GET", "v1/state", &json!(null));
    assert_eq!(state["searches"].as_array().map(Vec::len), Some(2));
    assert!(
        bench
            .folder
            .path()
            .join(".deadheat/lost-update-1.json")
            .exists()
    );
}

#[test]
fn what_cannot_be_done_is_refused_with_the_reason() {
    let bench = Bench::new();
    let served = lost_update(&bench);
    let refused = |path: &str, body: &Value| {
        let (status, answer) = served.ask("POST", path, body);
        format!("{status} {}", answer["error"].as_str().unwrap_or_default())
    };
    let nobody = refused("v1/play", &json!({"schedule": ["zoe"]}));
    assert_eq!(nobody, "400 there is no actor \"zoe\"");
    let nothing = refused("v1/play", &json!({}));
    assert_eq!(nothing, "400 `schedule` is a list of actors' names");
    let gone = refused("v1/search", &json!({"pid": 4_000_000_000_u32}));
    assert_eq!(gone, "400 there is no process 4000000000 to be looked at");
    let turn = refused("v1/done", &json!({}));
    assert_eq!(turn, "400 `turn` is the number that `v1/next` gave");
    served.post("v1/search", &json!({}));
    let busy = refused("v1/search", &json!({}));
    assert!(busy.starts_with("409 something is under way"), "{busy}");
    assert_eq!(served.over()["result"]["verdict"], "race");
    assert!(refused("v1/nowhere", &json!({})).starts_with("404"));
    assert_eq!(
        served.post("v1/done", &json!({"turn": 99})),
        json!({"heard": false})
    );
}

#[test]
fn it_ends_when_it_is_told_to_and_tells_what_was_found_so_far() {
    let bench = Bench::new();
    let scenario = common::root().join("crates/deadheat/tests/browser/many.toml");
    let scenario = scenario.display().to_string();
    let mut served = Served::begin(
        &bench,
        &["--keep-going", "--no-shrink", "--time", "10m", &scenario],
    );
    served.post("v1/search", &json!({}));
    let mut runs = 0;
    while runs == 0 {
        let (_, state) = served.ask("GET", "v1/state", &json!(null));
        runs = state["searches"][0]["traces"].as_u64().unwrap_or(0);
    }
    served.post("v1/end", &json!({}));
    assert!(served.over()["result"]["runs"].as_u64() > Some(0));
    assert_eq!(served.ended(), Some(0));
}

#[test]
fn it_ends_with_whoever_started_it() {
    let bench = Bench::new();
    let mut served = lost_update(&bench);
    drop(served.child.stdin.take());
    assert_eq!(served.ended(), Some(0));
}

#[test]
fn an_attached_actor_that_nobody_plays_is_an_error() {
    let bench = Bench::new();
    let scenario = bench.scenario(
        "attached.toml",
        "[database]\nengine = \"postgres\"\n[[actor]]\nname = \"ann\"\nattached = true\n",
    );
    let said = bench.run(["find".as_ref(), scenario.as_os_str()]);
    assert_eq!(said.code, 2);
    assert!(
        said.err.contains("ann is attached, and nobody plays it"),
        "{}",
        said.err
    );
    assert!(said.err.contains("deadheat serve"), "{}", said.err);
}
