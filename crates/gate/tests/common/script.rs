//! Scripts of what a client sends and reads, played directly and through the gate: the bytes must be equal.

use std::net::SocketAddr;

use super::{Lab, Message, Policy, Server, Wire, in_time, query};

/// What a client does.
#[derive(Clone)]
pub enum Do {
    Send(Vec<u8>),
    /// Read up to this many ReadyForQuery.
    Ready(usize),
    /// Read up to a message of this type.
    Until(u8),
    /// Read this many messages.
    Read(usize),
}
use Do::{Read, Ready, Send, Until};

const SETUP: &str = "
    create table t (id int primary key, v text);
    create table child (id int primary key, t int references t deferrable initially deferred);
    create table many (id int);
    create function shout(what text) returns text language plpgsql as
        $$ begin raise notice 'shout %', what; return upper(what); end $$;
    create function late() returns trigger language plpgsql as
        $$ begin raise notice 'late %', new.id; return null; end $$;
    create table noisy (id int);
    create constraint trigger late after insert on noisy deferrable initially deferred
        for each row execute function late();
    create procedure commits() language plpgsql as $$ begin insert into many values (1); commit; end $$;
";
const CLEAN: &str = "truncate t, child, many, noisy; insert into t values (1, 'one'), (2, 'two')";

async fn play(addr: SocketAddr, database: &str, script: &[Do]) -> Vec<Message> {
    in_time(steps(addr, database, script)).await
}

async fn steps(addr: SocketAddr, database: &str, script: &[Do]) -> Vec<Message> {
    let mut wire = Wire::tcp(addr, database).await;
    let mut seen = Vec::new();
    for step in script {
        match step {
            Send(bytes) => wire.send(bytes).await,
            Ready(count) => {
                for _ in 0..*count {
                    seen.extend(wire.until(b'Z').await);
                }
            }
            Until(tag) => seen.extend(wire.until(*tag).await),
            Read(count) => {
                for _ in 0..*count {
                    seen.extend(wire.next().await);
                }
            }
        }
    }
    seen
}

/// Plays a script directly, and through the gate in all ways.
pub async fn same(script: &[Do]) -> Vec<Message> {
    let server = Server::shared();
    let database = server.database().await;
    let mut direct = Wire::tcp(server.addr(), &database).await;
    direct.run(SETUP).await;
    direct.run(CLEAN).await;
    let expected = play(server.addr(), &database, script).await;
    assert!(!expected.is_empty(), "the script reads something");
    for policy in Policy::ALL {
        let lab = Lab::open(server.unix(), policy).await;
        direct.run(CLEAN).await;
        let seen = play(lab.gate.addr(), &database, script).await;
        assert_eq!(expected, seen, "{policy:?}");
        assert!(lab.seen.lock().expect("no panic").lost.is_empty());
    }
    expected
}

pub async fn simple(texts: &[&str]) -> Vec<Message> {
    let script: Vec<Do> = texts
        .iter()
        .flat_map(|sql| [Send(query(sql)), Ready(1)])
        .collect();
    same(&script).await
}

pub async fn sent(batches: &[Vec<Vec<u8>>]) -> Vec<Message> {
    let script: Vec<Do> = batches
        .iter()
        .flat_map(|batch| [Send(batch.concat()), Ready(1)])
        .collect();
    same(&script).await
}
