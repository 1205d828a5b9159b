//! What passes a session that is only watched is what came, whatever it is; and what real drivers say is followed to its
//! end.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::BytesMut;
use proptest::prelude::*;
use tokio::sync::mpsc;

use super::corpus::{CORPUS, behind_startup, damage, damaged};
use super::fuzz::{cases, real};
use super::{Machine, Session};
use crate::event::{Seen, Told};
use crate::{Door, Shared, Upstream};

/// What a watched session has let pass, and what was told of it.
struct Passed {
    up: Vec<u8>,
    down: Vec<u8>,
    texts: Vec<String>,
    lost: Option<String>,
}

/// Pieces from the client (`true`) and from the server, in this order.
fn pass<'a>(pieces: impl IntoIterator<Item = (bool, &'a [u8])>) -> Passed {
    let (seen, mut heard) = mpsc::unbounded_channel();
    let upstream = Upstream::Unix("/nowhere".into());
    let shared = Arc::new(Shared::new(
        upstream.clone(),
        Told::Watcher(seen),
        Door::default(),
    ));
    let (session, _commands) = Session::new(1);
    let mut machine = Machine::new(session, 0, BTreeMap::new(), shared, upstream);
    let (mut client, mut server) = (BytesMut::new(), BytesMut::new());
    let mut passed = Passed {
        up: Vec::new(),
        down: Vec::new(),
        texts: Vec::new(),
        lost: None,
    };
    for (up, bytes) in pieces {
        let taken = if up {
            client.extend_from_slice(bytes);
            machine.client_bytes(&mut client)
        } else {
            server.extend_from_slice(bytes);
            machine.server_bytes(&mut server)
        };
        // Before the greeting is over a session can end; afterwards nothing ends it.
        if taken.is_err() {
            break;
        }
        passed.up.extend_from_slice(&machine.to_server.split());
        passed.down.extend_from_slice(&machine.to_client.split());
    }
    machine.server_ended();
    assert!(machine.closed());
    while let Ok(seen) = heard.try_recv() {
        match seen {
            Seen::Passed { batch, .. } => {
                let texts = batch.statements.iter();
                passed
                    .texts
                    .extend(texts.map(|statement| statement.sql.to_string()));
            }
            Seen::Lost { why, .. } => passed.lost = Some(why),
            Seen::Opened { .. } | Seen::Closed { .. } => {}
        }
    }
    passed
}

/// AuthenticationOk and ReadyForQuery.
const GREETING: &[u8] = b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I";

/// Both streams, some bytes of each in turn.
fn in_turn<'a>(
    mut client: &'a [u8],
    mut server: &'a [u8],
    steps: &[(u8, u8)],
) -> Vec<(bool, &'a [u8])> {
    let mut all = Vec::new();
    for (up, down) in steps.iter().cycle().take(4000) {
        let (one, rest) = client.split_at(usize::from(*up).min(client.len()));
        client = rest;
        let (two, rest) = server.split_at(usize::from(*down).min(server.len()));
        server = rest;
        all.extend([(true, one), (false, two)]);
    }
    all.extend([(true, client), (false, server)]);
    all
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn any_bytes_pass_as_they_are(pieces in prop::collection::vec(
        (any::<bool>(), prop_oneof![prop::collection::vec(any::<u8>(), 0..64), real()]), 0..60,
    )) {
        let greeting = [(false, GREETING)];
        let passed = pass(greeting.into_iter().chain(pieces.iter().map(|(up, bytes)| (*up, &bytes[..]))));
        let of = |which: bool| -> Vec<u8> {
            let all = pieces.iter().filter(|(up, _)| *up == which);
            all.flat_map(|(_, bytes)| bytes.clone()).collect()
        };
        prop_assert_eq!(passed.up, of(true));
        prop_assert_eq!(&passed.down[GREETING.len()..], of(false));
    }

    #[test]
    fn damaged_conversations_pass_as_they_are(
        which in 0..CORPUS.len(), up in damage(), down in damage(), steps in prop::collection::vec(any::<(u8, u8)>(), 1..20),
    ) {
        let (client, server) = CORPUS[which];
        let client = damaged(behind_startup(client), &up);
        let server = damaged(server, &down);
        // What the greeting says is between the server and the client: it is whole here.
        let mut pieces = vec![(false, GREETING)];
        pieces.extend(in_turn(&client, &server, &steps));
        let passed = pass(pieces);
        prop_assert_eq!(passed.up, client);
        prop_assert_eq!(&passed.down[GREETING.len()..], server);
    }

    #[test]
    fn what_drivers_say_is_followed_however_it_arrives(
        which in 0..CORPUS.len(), steps in prop::collection::vec((1..200u8, 1..200u8), 1..20),
    ) {
        // Nothing is answered before it is sent: all of the client's bytes come first, or a part of them and then the rest.
        let (client, server) = CORPUS[which];
        let client = behind_startup(client);
        let all = pass([(true, client), (false, server)]);
        prop_assert_eq!(&all.lost, &None);
        prop_assert!(!all.texts.is_empty());
        let sizes = steps.iter().map(|(up, down)| usize::from(*up) * usize::from(*down) % 4000 + 1);
        let cut = |stream: &'static [u8], up: bool| {
            let mut sizes = sizes.clone().cycle();
            let mut rest = stream;
            let mut pieces = Vec::new();
            while !rest.is_empty() {
                let size = sizes.next().unwrap_or(1).min(rest.len());
                pieces.push((up, &rest[..size]));
                rest = &rest[size..];
            }
            pieces
        };
        let passed = pass(cut(client, true).into_iter().chain(cut(server, false)));
        prop_assert_eq!(passed.texts, all.texts);
        prop_assert_eq!(passed.lost, None);
        prop_assert_eq!(passed.up, client);
        prop_assert_eq!(passed.down, server);
    }
}
