//! A session that is only watched: every byte passes at once, and what is understood of it is told afterwards.
//!
//! Nothing here changes or delays what passes. What cannot be followed is no reason to stop it either: then that is told
//! once, and the rest of the session passes unread.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};

use super::follow::{Follower, Told as Answered};
use super::{CancelTo, Command, Machine, Phase};
use crate::event::{Seen, Told};
use crate::frame::{Decoder, Frame, Malformed};

/// Batches that nobody has taken note of yet, above which the client is not read from.
const UNHEARD: usize = 1000;
/// Answers due above which the client is not read from. It is more than the server keeps back before it writes.
const DUE: usize = 100_000;

/// What a watched session needs besides its streams.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    /// How much of the client's input has passed already: the beginning of a message that is not complete.
    up: usize,
    /// The same for the server's.
    down: usize,
    follower: Follower,
    unheard: usize,
    /// What passes is not followed any more.
    lost: bool,
}

impl Watched {
    /// A batch has been taken note of.
    pub fn heard(&mut self) {
        self.unheard = self.unheard.saturating_sub(1);
    }

    /// Whether more of the client's bytes can be followed.
    pub fn keeps_up(&self) -> bool {
        self.lost || self.unheard < UNHEARD && self.follower.due() < DUE
    }
}

/// Shows every new frame.
fn read(
    decoder: &mut Decoder,
    input: &mut BytesMut,
    mut look: impl FnMut(&Frame) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    while let Some(frame) = decoder.next(input)? {
        look(&frame)?;
    }
    Ok(())
}

impl Machine {
    /// Does what can be asked of a session that is only watched; returns what the machine does as for any other.
    pub(super) fn while_watched(&mut self, command: Command) -> Option<Command> {
        let Some(watched) = &mut self.watched else {
            return Some(command);
        };
        match command {
            Command::Close => return Some(command),
            Command::Heard => watched.heard(),
            Command::Cancel(answer) => {
                // As without the gate: the server decides. The asker may be gone.
                let _ = answer.send(CancelTo::Server);
            }
            other => tracing::debug!(?other, "nothing is held here"),
        }
        None
    }

    /// What the client sends after the server's greeting.
    pub(super) fn pass_client(&mut self, input: &mut BytesMut) {
        let Some(mut watched) = self.watched.take() else {
            return;
        };
        let new = input.get(watched.up..).unwrap_or_default();
        self.to_server.extend_from_slice(new);
        if !watched.lost {
            let read = read(&mut self.from_client, input, |frame| {
                if frame.tag == b'X' {
                    self.phase = Phase::Leaving("the client left".to_owned());
                }
                watched.follower.client(frame)
            });
            self.followed(&mut watched, "client", read);
        }
        if watched.lost {
            input.clear();
        }
        watched.up = input.len();
        self.watched = Some(watched);
    }

    /// What the client sends before it was greeted, and the server reads afterwards.
    pub(super) fn pass_early(&mut self, frame: &Frame) {
        self.to_server.extend_from_slice(&frame.bytes);
        if let Some(mut watched) = self.watched.take() {
            let read = watched.follower.client(frame);
            self.followed(&mut watched, "client", read);
            self.watched = Some(watched);
        }
    }

    /// What the server sends after its greeting.
    pub(super) fn pass_server(&mut self, input: &mut BytesMut) {
        let Some(mut watched) = self.watched.take() else {
            return;
        };
        self.show(input.get(watched.down..).unwrap_or_default());
        if !watched.lost {
            let read = read(&mut self.from_server, input, |frame| {
                watched.follower.server(frame)
            });
            self.followed(&mut watched, "server", read);
            if let Some(words) = watched.follower.last_words() {
                self.last_words = Some((Bytes::new(), words));
            }
        }
        if watched.lost {
            input.clear();
        }
        watched.down = input.len();
        self.watched = Some(watched);
    }

    /// Tells what was understood, and what was not.
    fn followed(&mut self, watched: &mut Watched, side: &str, read: Result<(), Malformed>) {
        for Answered {
            batch,
            reply,
            at,
            took,
        } in watched.follower.answered()
        {
            watched.unheard += 1;
            self.tell_watcher(|session| Seen::Passed {
                session,
                batch,
                reply,
                at,
                took,
            });
        }
        if let Err(error) = read
            && !watched.lost
        {
            watched.lost = true;
            self.tell_watcher(|session| Seen::Lost {
                session,
                why: format!("the {side} sent a {error}"),
            });
        }
    }

    /// The server has greeted the client.
    pub(super) fn watch_begins(&mut self, startup: BTreeMap<String, String>) {
        let handle = self.session.clone();
        self.tell_watcher(|_| Seen::Opened {
            session: handle,
            startup,
        });
        if self.raw {
            self.tell_watcher(|session| Seen::Lost {
                session,
                why: "it is for replication".to_owned(),
            });
        }
    }

    pub(super) fn tell_watcher(&self, what: impl FnOnce(u32) -> Seen) {
        if let Some(Told::Watcher(seen)) = &self.told {
            // Nobody looks any more: the program is ending.
            let _ = seen.send(what(self.session.id()));
        }
    }
}
