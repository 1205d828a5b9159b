//! Who gets in, and what they hear: plain HTTP on a socket, as a stranger would send it.
#![allow(missing_docs)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use deadheat_live::{Answer, Question, Refusal, Server, Site};
use serde_json::{Value, json};

/// Counts.
struct Counter(AtomicU32);

impl Site for Counter {
    fn page(&self) -> String {
        "<p>a counter</p>".to_owned()
    }

    fn state(&self) -> String {
        json!({ "count": self.0.load(Ordering::SeqCst) }).to_string()
    }

    fn answer(&self, question: Question) -> Answer {
        let answer = match (question.method.as_str(), question.path.as_str()) {
            ("POST", "add") => {
                let by = question.body["by"].as_u64().unwrap_or(1) as u32;
                Ok(Value::from(self.0.fetch_add(by, Ordering::SeqCst) + by))
            }
            _ => Err(Refusal::new(404, "there is nothing here")),
        };
        Box::pin(async move { answer })
    }
}

fn opened() -> (Server, String, String) {
    let server = Server::open(Arc::new(Counter(AtomicU32::new(0)))).expect("a server");
    let rest = server.address().strip_prefix("http://").expect("HTTP");
    let (host, token) = rest.split_once('/').expect("a path");
    let (host, token) = (host.to_owned(), token.trim_end_matches('/').to_owned());
    (server, host, token)
}

fn connect(host: &str) -> TcpStream {
    let stream = TcpStream::connect(host).expect("it listens");
    let limit = Some(Duration::from_secs(20));
    stream.set_read_timeout(limit).expect("a limit");
    stream
}

/// Sends a request; the status, and all that is said.
fn ask(host: &str, line: &str, named: &str, body: &str) -> (u16, String) {
    let mut stream = connect(host);
    let length = body.len();
    write!(
        stream,
        "{line} HTTP/1.1\r\nHost: {named}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .expect("it reads");
    let mut said = String::new();
    stream.read_to_string(&mut said).expect("it answers");
    let status = said.split(' ').nth(1).expect("a status");
    (status.parse().expect("a number"), said)
}

#[test]
fn whoever_has_the_whole_address_sees_the_page() {
    let (_server, host, token) = opened();
    let (status, said) = ask(&host, &format!("GET /{token}/"), &host, "");
    assert_eq!(status, 200);
    assert!(said.ends_with("<p>a counter</p>"), "{said}");
    for header in ["cache-control: no-store", "referrer-policy: no-referrer"] {
        assert!(said.contains(header), "{said}");
    }
    let port = host.rsplit(':').next().expect("a port");
    let local = format!("localhost:{port}");
    assert_eq!(ask(&host, &format!("GET /{token}/"), &local, "").0, 200);
}

#[test]
fn without_the_token_nothing_is_told() {
    let (_server, host, token) = opened();
    let cut = &token[1..];
    let paths = [
        String::new(),
        "events".to_owned(),
        "favicon.ico".to_owned(),
        format!("{cut}/"),
        format!("{token}x/"),
        format!("x/{token}/"),
    ];
    for path in paths {
        for verb in ["GET", "POST"] {
            let (status, said) = ask(&host, &format!("{verb} /{path}"), &host, "");
            assert_eq!(status, 403, "{path}: {said}");
            assert!(
                !said.contains("counter") && !said.contains("count\""),
                "{said}"
            );
        }
    }
}

#[test]
fn a_name_that_somebody_has_point_here_is_refused() {
    let (_server, host, token) = opened();
    let port = host.rsplit(':').next().expect("a port");
    for name in [
        "evil.example".to_owned(),
        format!("evil.example:{port}"),
        "127.0.0.1:1".to_owned(),
    ] {
        assert_eq!(
            ask(&host, &format!("GET /{token}/"), &name, "").0,
            403,
            "{name}"
        );
    }
}

#[test]
fn two_servers_have_two_tokens() {
    let ((_one, _, first), (_other, _, second)) = (opened(), opened());
    assert_eq!(first.len(), 32);
    assert_ne!(first, second);
}

#[test]
fn questions_are_answered_as_json() {
    let (_server, host, token) = opened();
    let (status, said) = ask(&host, &format!("POST /{token}/add"), &host, r#"{"by":3}"#);
    assert_eq!((status, said.lines().last()), (200, Some("3")));
    let (status, said) = ask(&host, &format!("POST /{token}/add"), &host, "{");
    assert_eq!(status, 400);
    assert!(said.contains("the body is no JSON"), "{said}");
    let (status, said) = ask(&host, &format!("GET /{token}/nowhere"), &host, "");
    assert_eq!(status, 404);
    assert!(
        said.contains(r#"{"error":"there is nothing here"}"#),
        "{said}"
    );
}

#[test]
fn who_listens_hears_the_state_at_once_and_when_it_changes() {
    let (server, host, token) = opened();
    let mut stream = connect(&host);
    write!(
        stream,
        "GET /{token}/events HTTP/1.1\r\nHost: {host}\r\n\r\n"
    )
    .expect("it reads");
    let mut lines = BufReader::new(stream).lines();
    let mut heard = || {
        let line = lines.by_ref().map(|line| line.expect("it talks"));
        let mut data = line.filter_map(|line| line.strip_prefix("data: ").map(str::to_owned));
        data.next().expect("something is said")
    };
    assert_eq!(heard(), r#"{"count":0}"#);
    ask(&host, &format!("POST /{token}/add"), &host, "");
    assert_eq!(heard(), r#"{"count":1}"#);
    // Nobody who listens keeps it from ending.
    drop(server);
}
