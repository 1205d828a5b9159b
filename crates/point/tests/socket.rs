//! Points of a process that `DEADHEAT_POINTS` was set for: the protocol of docs/points.md, line by line.
#![cfg(feature = "on")]

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::process::{Child, Command, Stdio};

use deadheat_point::point;

/// Tells the child process, which is this test once more, what to do.
const ROLE: &str = "POINT_ROLE";

/// This test in a process of its own, with the variable set, playing a role of [`play`].
fn child(role: &str, points: &str) -> Child {
    Command::new(std::env::current_exe().expect("the path of this test"))
        .args(["--exact", "play", "--nocapture"])
        .env(ROLE, role)
        .env("DEADHEAT_POINTS", points)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the test starts itself")
}

/// What the child printed of its own, once it ended well.
fn told(child: Child) -> Vec<String> {
    let output = child.wait_with_output().expect("the child ends");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines()
        .filter_map(|line| line.strip_prefix("told: ").map(str::to_owned))
        .collect()
}

#[test]
fn play() {
    match std::env::var(ROLE).as_deref() {
        Ok("blocking") => {
            let seat = 3;
            point!("before_save", seat, nick = "ben");
            println!("\ntold: saved");
            point!("after_save");
            println!("\ntold: done");
        }
        Ok("async") => {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                let slow = tokio::spawn(async {
                    point!("held").await;
                    println!("\ntold: held at last");
                });
                let fast = tokio::spawn(async {
                    point!("passing").await;
                    println!("\ntold: passed");
                });
                fast.await.expect("it ends");
                slow.await.expect("it ends");
            });
        }
        // Without a role there is nothing to do: the parent's own turn.
        _ => assert!(std::env::var(ROLE).is_err(), "an unknown role"),
    }
}

/// A client and the line it sent.
fn arrival(listener: &TcpListener) -> (TcpStream, String) {
    let (stream, _) = listener.accept().expect("a client comes");
    let mut line = String::new();
    BufReader::new(stream.try_clone().expect("the same socket"))
        .read_line(&mut line)
        .expect("a line comes");
    (stream, line)
}

fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address").to_string();
    (listener, address)
}

#[test]
fn a_point_waits_until_it_is_told_to_go() {
    let (listener, address) = listen();
    let mut process = child("blocking", &address);
    let (mut first, line) = arrival(&listener);
    assert_eq!(line, "point 1 before_save {\"seat\":3,\"nick\":\"ben\"}\n");
    assert!(process.try_wait().expect("it can be asked").is_none());
    first.write_all(b"go 1\n").expect("it listens");
    let (mut second, line) = arrival(&listener);
    assert_eq!(line, "point 1 after_save {}\n");
    second.write_all(b"go 1\n").expect("it listens");
    assert_eq!(told(process), ["saved", "done"]);
}

#[test]
fn a_unix_socket_holds_as_well() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("points");
    let listener = UnixListener::bind(&path).expect("a socket");
    let process = child("blocking", &format!("unix:{}", path.display()));
    for name in ["before_save", "after_save"] {
        let (stream, _) = listener.accept().expect("a client comes");
        let mut line = String::new();
        let mut reader = BufReader::new(&stream);
        reader.read_line(&mut line).expect("a line comes");
        assert!(line.starts_with(&format!("point 1 {name} ")), "{line}");
        (&stream).write_all(b"go 1\n").expect("it listens");
    }
    assert_eq!(told(process), ["saved", "done"]);
}

#[test]
fn one_task_is_held_and_the_other_goes_on() {
    let (listener, address) = listen();
    let process = child("async", &address);
    let mut held = None;
    for _ in 0..2 {
        let (mut stream, line) = arrival(&listener);
        if line.contains("passing") {
            stream.write_all(b"go 1\n").expect("it listens");
        } else {
            held = Some(stream);
        }
    }
    held.expect("the other point")
        .write_all(b"go 1\n")
        .expect("it listens");
    let mut told = told(process);
    told.sort();
    assert_eq!(told, ["held at last", "passed"]);
}

#[test]
fn a_lost_socket_holds_nobody() {
    let (listener, address) = listen();
    let process = child("blocking", &address);
    // The first is let down, the second finds nobody.
    drop(arrival(&listener));
    drop(listener);
    assert_eq!(told(process), ["saved", "done"]);
}
