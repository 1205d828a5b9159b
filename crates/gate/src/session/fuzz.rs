//! No bytes of either side may break the machine: random ones, and real traffic with something wrong in it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::BytesMut;
use proptest::prelude::*;
use tokio::sync::mpsc;

use super::{Command, Machine, Session, State};
use crate::event::{Event, Release, Told};
use crate::frame::{Malformed, message};
use crate::frontend::own_statement;
use crate::session::script::{Await, Part};
use crate::{Shared, Upstream};

/// How often each is tried: `make fuzz` tries longer.
pub(super) fn cases() -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok();
    ProptestConfig {
        cases: asked.and_then(|text| text.parse().ok()).unwrap_or(500),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn machine() -> (Machine, mpsc::UnboundedReceiver<Event>) {
    let (events, receiver) = mpsc::unbounded_channel();
    let upstream = Upstream::Unix("/nowhere".into());
    let shared = Arc::new(Shared::new(
        upstream.clone(),
        Told::Lab(events),
        crate::Door::default(),
    ));
    let (session, _commands) = Session::new(1);
    (
        Machine::new(session, 0, BTreeMap::new(), shared, upstream),
        receiver,
    )
}

/// What one side or the lab does next.
#[derive(Clone, Debug)]
enum Move {
    Client(Vec<u8>),
    Server(Vec<u8>),
    /// The server answers what is due, message after message, each in one of the ways it may.
    Answer(Vec<u8>),
    Release(bool),
    CommitGap,
    Deliver,
    Refuse,
    Reset,
    ClientEnds,
}

fn play(moves: &[Move]) -> Result<(), Malformed> {
    let (mut machine, _events) = machine();
    // Bytes that have not made a message yet, as the driver keeps them.
    let (mut client, mut server) = (BytesMut::new(), BytesMut::new());
    machine.server_bytes(&mut BytesMut::from(&b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I"[..]))?;
    for step in moves {
        match step {
            Move::Client(bytes) => {
                client.extend_from_slice(bytes);
                machine.client_bytes(&mut client)?;
            }
            Move::Server(bytes) => {
                server.extend_from_slice(bytes);
                machine.server_bytes(&mut server)?;
            }
            Move::Answer(choices) => {
                for choice in choices {
                    server.extend_from_slice(&answer(&mut machine, *choice));
                    machine.server_bytes(&mut server)?;
                }
            }
            Move::Release(gap) => machine.command(Command::Release(Release {
                gap: *gap,
                probe: Some("select 1".into()),
                ..Release::default()
            })),
            Move::CommitGap => machine.command(Command::CommitGap),
            Move::Deliver => machine.command(Command::Deliver),
            Move::Refuse => machine.command(Command::Refuse {
                code: "57014".into(),
                message: String::new(),
            }),
            Move::Reset => machine.command(Command::Reset),
            Move::ClientEnds => machine.client_ended(),
        }
    }
    machine.server_ended();
    assert!(machine.closed());
    assert!(matches!(machine.state, State::Rest));
    Ok(())
}

/// A proper answer to what is due.
fn answer(machine: &mut Machine, choice: u8) -> Vec<u8> {
    let State::Flying(flight) = &mut machine.state else {
        return one_of(&["N"], choice);
    };
    let copying = flight.copy != super::Copy::None;
    let Some((part, due)) = flight.script.front() else {
        return one_of(&["N"], choice);
    };
    // Statements of the gate's own that cannot fail do not.
    let fails = !matches!(part, Part::Begin | Part::Rollback | Part::Tidy);
    let choice = if fails { choice } else { 0 };
    match due {
        Await::Parse(_) => one_of(&["1", "1", "1", "E"], choice),
        Await::Bind => one_of(&["2", "2", "2", "E"], choice),
        Await::Close(_) => one_of(&["3"], choice),
        Await::DescribeStatement(_) => one_of(&["tT", "tn", "tT", "E"], choice),
        Await::DescribePortal(_) => one_of(&["T", "n", "T", "E"], choice),
        Await::Query | Await::Execute(_) if copying => one_of(&["C", "N", "E"], choice),
        Await::Execute(None) => one_of(&["C", "D", "D"], choice),
        Await::Execute(_) => one_of(&["D", "C", "s", "I", "E", "G"], choice),
        Await::Query => one_of(&["T", "D", "C", "E", "Z", "G", "Z"], choice),
        Await::Function | Await::Sync => one_of(&["Z"], choice),
        Await::Flush | Await::CopyEnd => Vec::new(),
    }
}

/// The server's messages of these types.
fn one_of(ways: &[&str], choice: u8) -> Vec<u8> {
    let ours = |tag: char| match tag {
        'D' => (b'D', &b"\0\x01\0\0\0\x01t"[..]),
        'T' => (
            b'T',
            &b"\0\x01id\0\0\0\0\0\0\0\0\0\0\x19\0\x04\xff\xff\xff\xff\0\0"[..],
        ),
        'C' => (b'C', &b"SELECT 1\0"[..]),
        'E' if choice.is_multiple_of(2) => (b'E', &b"SERROR\0C25001\0Mno\0\0"[..]),
        'E' => (b'E', &b"SERROR\0C40001\0Mno\0\0"[..]),
        't' => (b't', &b"\0\0"[..]),
        'G' => (b'G', &b"\0\0\0"[..]),
        'N' => (b'N', &b"SNOTICE\0C00000\0Mhm\0\0"[..]),
        'Z' => (
            b'Z',
            [&b"I"[..], b"T", b"I", b"E", b"I"][usize::from(choice) % 5],
        ),
        tag => (tag as u8, &b""[..]),
    };
    let mut out = BytesMut::new();
    for (tag, body) in ways[usize::from(choice) % ways.len()].chars().map(ours) {
        message(&mut out, tag, |out| out.extend_from_slice(body));
    }
    out.to_vec()
}

/// Messages as they are, from either side.
fn traffic() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    let mut own = BytesMut::new();
    own_statement(&mut own, "insert into t values ($1)");
    all.push(own.to_vec());
    let bodies: [(u8, &[u8]); 30] = [
        (b'Q', b"select 1\0"),
        (b'Q', b"copy t from stdin\0"),
        (b'P', b"s\0select $1\0\0\x01\0\0\0\x17"),
        (b'B', b"\0s\0\0\x01\0\x01\0\x01\0\0\0\x04\0\0\0\x05\0\0"),
        (b'D', b"Ss\0"),
        (b'E', b"\0\0\0\0\0"),
        (b'C', b"Ss\0"),
        (b'S', b""),
        (b'H', b""),
        (b'F', b"\0\0\0\x01\0\0\0\0\0\0"),
        (b'd', b"1\tx\n"),
        (b'c', b""),
        (b'f', b"no\0"),
        (b'X', b""),
        (b'1', b""),
        (b'2', b""),
        (b'3', b""),
        (b'n', b""),
        (b't', b"\0\x01\0\0\0\x17"),
        (
            b'T',
            b"\0\x01id\0\0\0\0\0\0\0\0\0\0\x17\0\x04\xff\xff\xff\xff\0\x01",
        ),
        (b'D', b"\0\x01\0\0\0\x04\0\0\0\x05"),
        (b'C', b"SELECT 1\0"),
        (b's', b""),
        (b'I', b""),
        (b'E', b"SERROR\0VERROR\0C25001\0Mno\0\0"),
        (b'G', b"\0\0\x01\0\0"),
        (b'Z', b"I"),
        (b'Z', b"T"),
        (b'N', b"SNOTICE\0C00000\0Mhm\0\0"),
        (b'A', b"\0\0\0\x01c\0\0"),
    ];
    for (tag, body) in bodies {
        let mut out = BytesMut::new();
        message(&mut out, tag, |out| out.extend_from_slice(body));
        all.push(out.to_vec());
    }
    all
}

/// A real message, now and then with a byte changed or cut off.
pub(super) fn real() -> impl Strategy<Value = Vec<u8>> {
    let damage = prop_oneof![4 => Just(None), 1 => any::<(u8, u8, bool)>().prop_map(Some)];
    (prop::sample::select(traffic()), damage).prop_map(|(mut bytes, damage)| {
        if let Some((at, byte, cut)) = damage {
            let at = usize::from(at) % bytes.len();
            if cut {
                bytes.truncate(at);
            } else {
                bytes[at] = byte;
            }
        }
        bytes
    })
}

fn answers() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 1..40)
}

fn moves(bytes: impl Strategy<Value = Vec<u8>> + Clone) -> impl Strategy<Value = Vec<Move>> {
    let step = prop_oneof![
        6 => bytes.clone().prop_map(Move::Client),
        8 => bytes.prop_map(Move::Server),
        4 => any::<bool>().prop_map(Move::Release),
        2 => Just(Move::CommitGap),
        6 => answers().prop_map(Move::Answer),
        3 => Just(Move::Deliver),
        1 => Just(Move::Refuse),
        1 => Just(Move::Reset),
        1 => Just(Move::ClientEnds),
    ];
    prop::collection::vec(step, 0..120)
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn random_bytes_are_survived(moves in moves(prop::collection::vec(any::<u8>(), 0..64).boxed())) {
        let _ = play(&moves);
    }

    #[test]
    fn damaged_traffic_is_survived(moves in moves(real().boxed())) {
        let _ = play(&moves);
    }

    #[test]
    fn a_startup_packet_of_any_bytes_is_survived(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let (near, far) = tokio::io::duplex(256);
            drop(near);
            let mut far: Box<dyn crate::stream::Stream> = Box::new(far);
            let mut input = BytesMut::from(&bytes[..]);
            let _ = crate::startup::first(&mut far, &mut input, None).await;
        });
    }

    #[test]
    fn values_of_any_bytes_are_shown(bytes in prop::collection::vec(any::<u8>(), 0..40), oid in prop::sample::select(vec![
        0u32, 16, 17, 20, 21, 23, 25, 26, 28, 700, 701, 1082, 1114, 1184, 1700, 2950, 3802, 5069,
    ])) {
        let text = crate::param::decode(&bytes, 1, oid);
        prop_assert!(oid == 25 || oid == 3802 || !text.is_empty());
    }
}

/// A client that keeps to the protocol; COPY data comes when it likes.
fn proper_client() -> impl Strategy<Value = Vec<u8>> + Clone {
    let messages: Vec<_> = traffic().into_iter().skip(1).take(13).collect();
    prop::collection::vec(prop::sample::select(messages), 1..6)
        .prop_map(|messages| messages.concat())
}

proptest! {
    #![proptest_config(cases())]

    /// Hidden BEGIN and ROLLBACK do not fail here (that ends the session): their answers are the proper ones.
    #[test]
    fn two_sides_that_keep_to_the_protocol_are_never_refused(moves in prop::collection::vec(prop_oneof![
        4 => proper_client().prop_map(Move::Client),
        8 => answers().prop_map(Move::Answer),
        6 => any::<bool>().prop_map(Move::Release),
         4 => Just(Move::CommitGap),
         6 => Just(Move::Deliver),
        1 => Just(Move::Refuse),
        1 => Just(Move::Reset),
    ], 0..150)) {
        prop_assert_eq!(play(&moves), Ok(()));
    }
}
