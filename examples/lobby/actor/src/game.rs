//! A game with four seats, as an actor: what one message does, it does alone.
//!
//! Who asks how many seats are taken and then takes one has let others in between the two messages. A single message
//! that checks and acts lets nobody in.

use deadheat_cure::actor::{self, Address, CallError, Handle, Settings};

pub const SEATS: usize = 4;

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("the game is full")]
    Full,
    #[error(transparent)]
    Call(#[from] CallError),
}

pub struct Game {
    players: Vec<String>,
}

/// How many seats are taken?
struct Taken;

/// Takes a seat, whoever else has one.
struct Sit(String);

/// Takes a seat if one is free.
struct Join(String);

/// Who plays?
pub struct Players;

impl Handle<Taken> for Game {
    type Reply = usize;

    async fn handle(&mut self, Taken: Taken) -> usize {
        self.players.len()
    }
}

impl Handle<Sit> for Game {
    type Reply = ();

    async fn handle(&mut self, Sit(nick): Sit) {
        self.players.push(nick);
    }
}

impl Handle<Join> for Game {
    type Reply = Result<(), Refused>;

    async fn handle(&mut self, Join(nick): Join) -> Result<(), Refused> {
        if self.players.len() >= SEATS {
            return Err(Refused::Full);
        }
        self.players.push(nick);
        Ok(())
    }
}

impl Handle<Players> for Game {
    type Reply = Vec<String>;

    async fn handle(&mut self, Players: Players) -> Vec<String> {
        self.players.clone()
    }
}

/// A game in which some have a seat already.
pub fn start(players: Vec<String>) -> Address<Game> {
    let make = move || {
        let players = players.clone();
        async move { Ok(Game { players }) }
    };
    actor::start(make, Settings::default())
}

/// Checks outside of the actor, then acts.
pub async fn join_in_two_messages(game: Address<Game>, nick: String) -> Result<(), Refused> {
    if game.call(Taken).await? >= SEATS {
        return Err(Refused::Full);
    }
    Ok(game.call(Sit(nick)).await?)
}

/// Lets the actor check and act.
pub async fn join(game: Address<Game>, nick: String) -> Result<(), Refused> {
    game.call(Join(nick)).await?
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use deadheat::Lab;
    use deadheat::task::{Options, check};

    use super::*;

    /// Three have a seat, two ask for the last; `join` is how.
    async fn two_ask<J>(lab: Lab, join: impl Fn(Address<Game>, String) -> J)
    where
        J: Future + 'static,
        J::Output: Debug,
    {
        let seated = ["ann", "bob", "cleo"].map(str::to_owned);
        let game = start(seated.to_vec());
        for nick in ["dan", "eve"] {
            lab.actor(nick, join(game.clone(), nick.to_owned()));
        }
        lab.run().await;
        let players = game.call(Players).await.expect("the game goes on");
        assert!(players.len() <= SEATS, "too many: {players:?}");
    }

    #[test]
    fn a_fifth_player_sneaks_in_between_two_messages() {
        let options = Options {
            name: "a_fifth_player_sneaks_in_between_two_messages".to_owned(),
            ..Options::default()
        };
        let ask = |lab| two_ask(lab, join_in_two_messages);
        let failure = check(&options, ask).expect_err("a race is found");
        insta::assert_snapshot!(failure);
    }

    #[deadheat::test(exhaust)]
    async fn a_game_that_checks_and_acts_seats_four(lab: Lab) {
        two_ask(lab, join).await;
    }
}
