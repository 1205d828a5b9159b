//! The functions of docs/points-anywhere.md, run as they stand there, in the languages that are on this machine.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use deadheat_gate::{Event, Points, Release, Session};
use tokio::process::Command;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// A language: its name in the document, what runs a file, the file, and what calls the function.
struct Language {
    name: &'static str,
    run: &'static [&'static str],
    file: &'static str,
    call: &'static str,
}

const LANGUAGES: [Language; 6] = [
    Language {
        name: "python",
        run: &["python3"],
        file: "p.py",
        call: "point('before_save', seat=3)",
    },
    Language {
        name: "javascript",
        run: &["node"],
        file: "p.js",
        call: "point('before_save', { seat: 3 }).then(() => {});",
    },
    Language {
        name: "ruby",
        run: &["ruby"],
        file: "p.rb",
        call: "point('before_save', seat: 3)",
    },
    Language {
        name: "go",
        run: &["go", "run"],
        file: "p.go",
        call: "func main() { point(\"before_save\", map[string]any{\"seat\": 3}) }",
    },
    Language {
        name: "java",
        run: &["java"],
        file: "Points.java",
        call: "",
    },
    Language {
        name: "elixir",
        run: &["elixir"],
        file: "p.exs",
        call: "Points.point(\"before_save\", ~s({\"seat\":3}))",
    },
];

/// The document's block in that language.
fn block(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/points-anywhere.md");
    let text = std::fs::read_to_string(path).expect("the document");
    let (_, rest) = text
        .split_once(&format!("```{name}\n"))
        .expect("a block in that language");
    rest.split_once("```").expect("its end").0.to_owned()
}

/// The snippet with a call of its function.
fn program(language: &Language) -> String {
    let snippet = block(language.name);
    if language.name == "java" {
        // A program of one file needs a main of its own.
        let main = "public static void main(String[] a) { point(\"before_save\", \"{\\\"seat\\\":3}\"); }\n";
        return snippet.replacen("class Points {\n", &format!("class Points {{\n{main}"), 1);
    }
    format!("{snippet}\n{}\n", language.call)
}

async fn arrived(events: &mut UnboundedReceiver<Event>) -> (Session, String) {
    let mut opened = None;
    loop {
        match events.recv().await.expect("the gate is open") {
            Event::Opened { session, .. } => opened = Some(session),
            Event::Arrived { batch, .. } => {
                let text = batch.statements[0].sql.to_string();
                return (opened.expect("a session was opened"), text);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn every_snippet_waits_at_the_gate_until_it_may_pass() {
    let mut seen = 0;
    for language in &LANGUAGES {
        let there = Command::new(language.run[0])
            .arg(if language.name == "go" {
                "version"
            } else {
                "--version"
            })
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .await;
        if !there.is_ok_and(|status| status.success()) {
            eprintln!("skipped: there is no {} on this machine", language.run[0]);
            continue;
        }
        seen += 1;
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join(language.file), program(language)).expect("written");
        let (tell, mut events) = unbounded_channel();
        let gate = Points::open(1, "db", tell).await.expect("a port");
        let mut child = Command::new(language.run[0])
            .args(&language.run[1..])
            .arg(language.file)
            .current_dir(folder.path())
            .env("DEADHEAT_POINTS", gate.address())
            .kill_on_drop(true)
            .spawn()
            .expect("it starts");
        let limit = Duration::from_mins(1);
        let (session, text) = tokio::time::timeout(limit, arrived(&mut events))
            .await
            .unwrap_or_else(|_| panic!("{} never came to its point", language.name));
        assert_eq!(
            text.replace(": ", ":"),
            "select /* deadheat:point before_save {\"seat\":3} */",
            "{}",
            language.name
        );
        assert!(child.try_wait().expect("a child").is_none(), "it waits");
        session.release(Release::default());
        let ran = events.recv().await;
        assert!(matches!(ran, Some(Event::Ran { .. })), "{ran:?}");
        session.deliver();
        let end = tokio::time::timeout(limit, child.wait()).await;
        let end = end.expect("it goes on").expect("a status");
        assert!(end.success(), "{}: {end}", language.name);
    }
    assert!(seen > 0, "no language is on this machine");
}

#[tokio::test]
async fn a_line_that_is_no_point_ends_the_connection() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (tell, mut events) = unbounded_channel();
    let gate = Points::open(1, "db", tell).await.expect("a port");
    let mut client = tokio::net::TcpStream::connect(gate.address())
        .await
        .expect("a connection");
    client.write_all(b"point 1 held {}\n").await.expect("sent");
    let (_, text) = arrived(&mut events).await;
    assert_eq!(text, "select /* deadheat:point held */");
    client.write_all(b"hello\n").await.expect("sent");
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).await.expect("the end");
    assert!(rest.is_empty(), "{rest:?}");
    let ended = [events.recv().await, events.recv().await];
    assert!(
        matches!(
            ended,
            [Some(Event::Withdrawn { .. }), Some(Event::Closed { .. })]
        ),
        "{ended:?}"
    );
}
