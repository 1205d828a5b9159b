//! `deadheat proxy`, as a program in front of a real server: what it logs, what it leaves out, whom it lets in.
#![allow(missing_docs)]

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use deadheat_sandbox::{Database, PrivateOptions, Server};
use serde_json::Value;

/// A server with a database in it.
struct Ground {
    runtime: tokio::runtime::Runtime,
    server: Server,
    database: Option<Database>,
}

impl Ground {
    fn new(setup: &str) -> Self {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let (server, database) = runtime.block_on(async {
            let server = Server::private(&PrivateOptions::default())
                .await
                .expect("a server");
            let database = server.create().await.expect("a database");
            database.run_sql("setup", setup).await.expect("its setup");
            (server, database)
        });
        Self {
            runtime,
            server,
            database: Some(database),
        }
    }

    fn url(&self) -> String {
        self.database.as_ref().expect("there").url(None)
    }

    fn name(&self) -> &str {
        self.database.as_ref().expect("there").name()
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        if let Some(database) = self.database.take() {
            // The server goes anyway.
            let _ = self.runtime.block_on(database.drop());
        }
    }
}

/// A proxy at work; killed if a test ends early.
struct Proxy {
    child: Child,
    at: SocketAddr,
}

impl Proxy {
    fn new(to: &str, flags: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_deadheat"))
            .args(["proxy", "--to", to])
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program");
        let mut line = String::new();
        let stderr = child.stderr.as_mut().expect("standard error");
        BufReader::new(stderr).read_line(&mut line).expect("a line");
        let at = line.strip_prefix("listening on ").and_then(|rest| {
            let end = rest.find(", ")?;
            rest[..end].parse().ok()
        });
        Self {
            child,
            at: at.unwrap_or_else(|| panic!("an address in {line}")),
        }
    }

    fn psql(&self, host: &str, more: &str, database: &str, statements: &[&str]) -> Output {
        let to = format!(
            "host={host} port={} user=postgres dbname={database} {more}",
            self.at.port()
        );
        let mut psql = Command::new("psql");
        psql.args(["-X", "-At", &to]);
        for statement in statements {
            psql.args(["-c", statement]);
        }
        psql.output().expect("psql runs")
    }

    /// Ends it as Ctrl-C does; returns what it printed.
    fn end(mut self) -> String {
        let pid = self.child.id().to_string();
        let ended = Command::new("kill").args(["-INT", &pid]).status();
        assert!(ended.expect("kill runs").success());
        let mut out = String::new();
        let stdout = self.child.stdout.as_mut().expect("standard output");
        stdout.read_to_string(&mut out).expect("text");
        assert!(self.child.wait().expect("an end").success());
        out
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const SETUP: &str = "create table games (id int primary key, open bool); insert into games values (1, true), (2, true);\
                     create table players (id serial primary key, game int references games, nick text);";

fn lines(out: &str) -> Vec<Value> {
    let lines = out.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().expect("JSON on every line")
}

fn statements(out: &str) -> Vec<Value> {
    let mut all = lines(out);
    all.retain(|line| line["kind"] == "statement");
    all
}

#[test]
fn every_statement_is_logged_with_what_it_touches() {
    let ground = Ground::new(SETUP);
    let proxy = Proxy::new(&ground.url(), &["--json"]);
    let output = proxy.psql(
        "127.0.0.1",
        "",
        ground.name(),
        &[
            "select open from games where id = 1",
            "begin",
            "insert into players (game, nick) values (1, 'ben'), (1, 'eve')",
            "select nonsense",
            "rollback",
            "create table late (id int primary key)",
            "insert into late values (7)",
        ],
    );
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("t\n"));
    let out = proxy.end();
    let seen = statements(&out);
    let of = |key: &str| {
        seen.iter()
            .map(|line| line[key].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        of("sql"),
        [
            "select open from games where id = 1",
            "begin",
            "insert into players (game, nick) values (1, 'ben'), (1, 'eve')",
            "select nonsense",
            "rollback",
            "create table late (id int primary key)",
            "insert into late values (7)",
        ]
    );
    let one = Value::from(1);
    let null = Value::Null;
    assert_eq!(
        of("transaction"),
        [&null, &one, &one, &one, &one, &null, &null].map(Clone::clone)
    );
    assert_eq!(seen[0]["rows"], 1);
    assert_eq!(seen[0]["touches"][0]["table"], "games");
    assert_eq!(seen[0]["touches"][0]["row"], "id=1");
    assert_eq!(seen[0]["touches"][0]["write"], false);
    assert_eq!(seen[2]["rows"], 2);
    let written = |line: &Value, name: &str| {
        let touches = line["touches"].as_array().expect("a list");
        touches
            .iter()
            .any(|table| table["table"] == name && table["write"] == true)
    };
    assert!(written(&seen[2], "players") && !written(&seen[2], "games"));
    assert_eq!(seen[3]["error"]["code"], "42703");
    // The catalogue was read again after the schema had changed.
    assert!(written(&seen[6], "late"), "{}", seen[6]);
    assert!(
        seen.iter()
            .all(|line| line["seconds"].as_f64().is_some_and(|time| time > 0.0))
    );
    let summary = lines(&out).pop().expect("a summary");
    assert_eq!(
        (&summary["kind"], &summary["statements"]),
        (&"summary".into(), &7.into())
    );
    assert_eq!(summary["errors"]["42703"], 1);
}

#[test]
fn a_locked_table_stops_nobody() {
    let ground = Ground::new(SETUP);
    let proxy = Proxy::new(&ground.url(), &["--json"]);
    // The catalogue cannot be read again as long as the constraint's table is locked, and whoever locks it goes on through
    // the proxy.
    let output = proxy.psql(
        "127.0.0.1",
        "",
        ground.name(),
        &[
            "begin",
            "alter table players add check (game > 0)",
            "create view late as select * from players",
            "select 'goes on'",
            "commit",
        ],
    );
    assert!(output.status.success(), "{output:?}");
    assert_eq!(statements(&proxy.end()).len(), 5);
}

#[test]
fn only_what_is_asked_for_is_shown() {
    let ground = Ground::new(SETUP);
    let all = [
        "select 1",
        "select * from games",
        "insert into players (nick) values ('ann')",
        "SELECT nick FROM players",
        "select pg_sleep(0.3), 'players'",
    ];
    for (flags, shown) in [
        (vec!["--table", "players"], vec![2, 3]),
        (
            vec!["--table", "players", "--table", "GAMES"],
            vec![1, 2, 3],
        ),
        (vec!["--text", "Players"], vec![2, 3, 4]),
        (vec!["--text", "select", "--table", "players"], vec![3]),
        (vec!["--slower", "250ms"], vec![4]),
    ] {
        let flags: Vec<&str> = flags.into_iter().chain(["--json"]).collect();
        let proxy = Proxy::new(&ground.url(), &flags);
        proxy.psql("127.0.0.1", "", ground.name(), &all);
        let seen = statements(&proxy.end());
        let seen: Vec<&str> = seen
            .iter()
            .filter_map(|line| line["sql"].as_str())
            .collect();
        let expected: Vec<&str> = shown.into_iter().map(|at| all[at]).collect();
        assert_eq!(seen, expected, "{flags:?}");
    }
}

#[test]
fn reads_on_end_are_remarked_upon_and_summed_up() {
    let ground = Ground::new(SETUP);
    let socket = ground.server.address().socket.clone().expect("a socket");
    let proxy = Proxy::new(socket.to_str().expect("a path"), &[]);
    let reads: Vec<String> = (0..6)
        .map(|id| format!("select open from games where id = {id}"))
        .collect();
    let reads: Vec<&str> = reads.iter().map(String::as_str).collect();
    proxy.psql("127.0.0.1", "", ground.name(), &reads);
    let out = proxy.end();
    let hint = out.lines().filter(|line| line.starts_with("N+1?"));
    assert_eq!(hint.count(), 1, "{out}");
    assert!(out.contains("reads games(id=3)"), "{out}");
    let summary = out.split("\n\n").last().expect("a summary");
    assert!(
        summary.starts_with("6 statements of 1 shape, "),
        "{summary}"
    );
    assert!(summary.contains("(6 times on end)"), "{summary}");
    assert!(!out.contains('\u{1b}'), "no colours without a terminal");
}

#[test]
fn clients_that_insist_on_encryption_get_it() {
    let ground = Ground::new("");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("proxy.crt");
    let path = file.to_str().expect("a path");
    let proxy = Proxy::new(&ground.url(), &["--tls", "--certificate", path]);
    let asked = "select 'served'";
    for (host, more, served) in [
        ("127.0.0.1", "sslmode=disable".to_owned(), true),
        ("127.0.0.1", "sslmode=require".to_owned(), true),
        (
            "localhost",
            format!("sslmode=verify-full sslrootcert={path}"),
            true,
        ),
        (
            "localhost",
            "sslmode=verify-full sslrootcert=/nowhere".to_owned(),
            false,
        ),
    ] {
        let output = proxy.psql(host, &more, ground.name(), &[asked]);
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(said.trim() == "served", served, "{more}: {output:?}");
    }
    proxy.end();
    let plain = Proxy::new(&ground.url(), &[]);
    let output = plain.psql("127.0.0.1", "sslmode=require", ground.name(), &[asked]);
    assert!(!output.status.success());
}

#[test]
fn other_machines_are_let_in_only_on_demand() {
    let refused = |flags: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_deadheat"));
        let command = command.arg("proxy").args(flags);
        let output = command.output().expect("the program");
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let said = refused(&["--to", "127.0.0.1:1", "--listen", "0.0.0.0:0"]);
    assert!(said.contains("--allow-remote-clients"), "{said}");
    let said = refused(&["--to", "postgres://127.0.0.1:x/"]);
    assert!(said.contains("--to"), "{said}");
    let said = refused(&["--to", Path::new("/nowhere").to_str().expect("a path")]);
    assert!(said.contains("/nowhere"), "{said}");
    let open = Proxy::new(
        "127.0.0.1:1",
        &["--listen", "0.0.0.0:0", "--allow-remote-clients"],
    );
    assert!(open.at.ip().is_unspecified());
    let output = open.psql("127.0.0.1", "", "any", &["select 1"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("the gate cannot reach the server"), "{said}");
    open.end();
}
