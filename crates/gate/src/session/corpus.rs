//! Recorded conversations of real drivers (`corpus/`, made by the example `record`), cut anywhere and damaged: what comes
//! of it may be refused, but must not break anything or fill the memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::BytesMut;
use proptest::prelude::*;
use tokio::sync::mpsc;

use super::{Command, Machine, Session};
use crate::event::{Event, Gap, Release, Told};
use crate::frame::{Decoder, Frame, Piece, Side};
use crate::session::fuzz::cases;
use crate::{Door, Shared, Upstream, backend, frontend};

/// Client's and server's side of each conversation, with the startup packet.
pub(super) const CORPUS: [(&[u8], &[u8]); 6] = [
    (
        include_bytes!("../../corpus/psql.client"),
        include_bytes!("../../corpus/psql.server"),
    ),
    (
        include_bytes!("../../corpus/psql-copy.client"),
        include_bytes!("../../corpus/psql-copy.server"),
    ),
    (
        include_bytes!("../../corpus/pgbench-plan.client"),
        include_bytes!("../../corpus/pgbench-plan.server"),
    ),
    (
        include_bytes!("../../corpus/pgbench.client"),
        include_bytes!("../../corpus/pgbench.server"),
    ),
    (
        include_bytes!("../../corpus/psycopg.client"),
        include_bytes!("../../corpus/psycopg.server"),
    ),
    (
        include_bytes!("../../corpus/node.client"),
        include_bytes!("../../corpus/node.server"),
    ),
];

/// What a client sends behind its startup packet.
pub(super) fn behind_startup(client: &[u8]) -> &[u8] {
    let length = u32::from_be_bytes(client[..4].try_into().expect("four bytes"));
    &client[length as usize..]
}

fn frames(side: Side, pieces: &[&[u8]]) -> Vec<(u8, Vec<u8>)> {
    let mut decoder = Decoder::new(side);
    let mut input = BytesMut::new();
    let mut all = Vec::new();
    for piece in pieces {
        input.extend_from_slice(piece);
        while let Ok(Some(frame)) = decoder.next(&mut input) {
            all.push((frame.tag, frame.bytes.to_vec()));
        }
    }
    assert!(
        input.is_empty(),
        "a recorded stream ends with a whole message"
    );
    all
}

/// Reads a message in every way there is.
fn read_all(frame: &Frame) {
    let _ = frontend::query(frame);
    let _ = frontend::parse(frame);
    let _ = frontend::bind(frame);
    let _ = frontend::target(frame);
    let _ = frontend::execute(frame);
    let _ = frontend::function(frame);
    let _ = backend::ready(frame);
    let _ = backend::command_tag(frame);
    let _ = backend::key(frame);
    let _ = backend::error(frame);
    let _ = backend::parameter_types(frame);
    let _ = super::sasl::offer(frame);
    let _ = super::sasl::binds(frame);
    let columns = backend::columns(frame).unwrap_or_default();
    let _ = backend::row(frame, &columns);
}

/// A change of one byte, at a part of the length.
#[derive(Clone, Copy, Debug)]
pub(super) struct Damage {
    at: f64,
    byte: u8,
}

pub(super) fn damaged(bytes: &[u8], all: &[Damage]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for damage in all {
        let at = (damage.at * bytes.len() as f64) as usize;
        if let Some(byte) = bytes.get_mut(at) {
            *byte = damage.byte;
        }
    }
    bytes
}

pub(super) fn damage() -> impl Strategy<Value = Vec<Damage>> {
    let one = (0.0..1.0f64, any::<u8>()).prop_map(|(at, byte)| Damage { at, byte });
    prop::collection::vec(one, 0..4)
}

/// Plays both sides, some bytes of each in turn; the lab lets everything go.
fn converse(client: &[u8], server: &[u8], steps: &[(u8, u8)], gap: bool) {
    let (events, mut heard) = mpsc::unbounded_channel();
    let upstream = Upstream::Unix("/nowhere".into());
    let shared = Arc::new(Shared::new(
        upstream.clone(),
        Told::Lab(events),
        Door::default(),
    ));
    let (session, _commands) = Session::new(1);
    let mut machine = Machine::new(session, 0, BTreeMap::new(), shared, upstream);
    let (mut from_client, mut from_server) = (BytesMut::new(), BytesMut::new());
    let (mut client, mut server) = (client, server);
    let mut fed = 0;
    for (up, down) in steps.iter().cycle().take(4000) {
        let (one, rest) = client.split_at(usize::from(*up).min(client.len()));
        from_client.extend_from_slice(one);
        client = rest;
        let (two, rest) = server.split_at(usize::from(*down).min(server.len()));
        from_server.extend_from_slice(two);
        server = rest;
        fed += one.len() + two.len();
        if machine.server_bytes(&mut from_server).is_err()
            || machine.client_bytes(&mut from_client).is_err()
            || client.is_empty() && server.is_empty()
        {
            break;
        }
        while let Ok(event) = heard.try_recv() {
            machine.command(match event {
                Event::Arrived { .. } => Command::Release(Release {
                    gap,
                    ..Release::default()
                }),
                Event::Ran { reply, .. } if reply.gap == Gap::Open => Command::CommitGap,
                Event::Ran { .. } => Command::Deliver,
                _ => continue,
            });
        }
        // What goes out is what came in, and what the gate says itself around each of at most `fed` messages.
        let out = machine.to_client.len() + machine.to_server.len();
        assert!(out <= fed * 200 + 4096, "{out} bytes for {fed}");
    }
    machine.server_ended();
    assert!(machine.closed());
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn framing_does_not_depend_on_how_bytes_arrive(which in 0..CORPUS.len(), sizes in prop::collection::vec(1..300usize, 1..40)) {
        let (client, server) = CORPUS[which];
        for (side, stream) in [(Side::Client, behind_startup(client)), (Side::Server, server)] {
            let mut pieces = Vec::new();
            let (mut rest, mut sizes) = (stream, sizes.iter().cycle());
            while !rest.is_empty() {
                let size = sizes.next().copied().unwrap_or(1).min(rest.len());
                pieces.push(&rest[..size]);
                rest = &rest[size..];
            }
            prop_assert_eq!(frames(side, &pieces), frames(side, &[stream]));
        }
    }

    #[test]
    fn damaged_messages_are_read_without_harm(which in 0..CORPUS.len(), damage in damage(), cut in 0..64usize) {
        let (client, server) = CORPUS[which];
        for (side, stream) in [(Side::Client, behind_startup(client)), (Side::Server, server)] {
            for (tag, bytes) in frames(side, &[stream]) {
                // The frame stays whole: what is damaged is what the typed views read.
                let mut bytes = damaged(&bytes, &damage);
                bytes.truncate(bytes.len().saturating_sub(cut % (bytes.len() + 1)).max(5));
                read_all(&Frame { tag, piece: Piece::Whole, bytes: bytes.into() });
            }
        }
    }

    #[test]
    fn damaged_conversations_are_survived(
        which in 0..CORPUS.len(), up in damage(), down in damage(), gap in any::<bool>(),
        steps in prop::collection::vec(any::<(u8, u8)>(), 1..20),
    ) {
        let (client, server) = CORPUS[which];
        converse(&damaged(behind_startup(client), &up), &damaged(server, &down), &steps, gap);
    }

    #[test]
    fn conversations_that_do_not_belong_together_are_survived(
        one in 0..CORPUS.len(), other in 0..CORPUS.len(), gap in any::<bool>(),
        steps in prop::collection::vec(any::<(u8, u8)>(), 1..20),
    ) {
        converse(behind_startup(CORPUS[one].0), CORPUS[other].1, &steps, gap);
    }
}

#[test]
fn a_length_that_is_only_announced_makes_no_room() {
    for (side, tags) in [
        (Side::Client, &b"QFBPdCDEp"[..]),
        (Side::Server, b"TDdVENAtZ1C"),
    ] {
        for tag in tags {
            for length in [
                0u32,
                3,
                4,
                10_001,
                70_000,
                0x3fff_ffff,
                0x4000_0000,
                u32::MAX,
            ] {
                let mut input = BytesMut::new();
                input.extend_from_slice(&[*tag]);
                input.extend_from_slice(&length.to_be_bytes());
                input.extend_from_slice(&[0; 100]);
                let mut decoder = Decoder::new(side);
                let taken = decoder.next(&mut input);
                let refused = !(4..0x4000_0000).contains(&length);
                assert!(!refused || taken.is_err(), "{} {length}", char::from(*tag));
                assert!(input.capacity() < 4096, "{} {length}", char::from(*tag));
            }
        }
    }
}
