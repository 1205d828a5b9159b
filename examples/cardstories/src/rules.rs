//! The rules of the game, which need no database: who may do what when, and who wins.

/// Cards in the game, numbered from 1.
const CARDS: i32 = 36;
/// Cards in a hand.
const HAND: usize = 7;
/// Players at most, the author among them.
const SEATS: usize = 6;
/// Cards that must be picked before they are shown, the author's among them.
pub const PICKS: usize = 3;
/// Votes that must be cast before the game can be completed.
pub const VOTES: usize = 2;

/// What the rules do not allow, and why.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(&'static str);

fn refuse_unless(holds: bool, otherwise: &'static str) -> Result<(), Refused> {
    if holds {
        Ok(())
    } else {
        Err(Refused(otherwise))
    }
}

/// A game with all who play it.
#[derive(Clone)]
pub struct Table {
    pub author: i32,
    pub state: String,
    /// The cards that nobody has yet.
    pub deck: Vec<i32>,
    /// The cards that were picked, shuffled, once they are shown.
    pub board: Option<Vec<i32>>,
    pub seats: Vec<Seat>,
}

/// A player; the author's card is picked from the start.
#[derive(Clone, PartialEq, Eq)]
pub struct Seat {
    pub player: i32,
    pub cards: Vec<i32>,
    pub picked: Option<i32>,
    pub vote: Option<i32>,
    pub won: bool,
}

impl Table {
    /// A game that begins: its author tells a sentence for a card.
    pub fn new(author: i32, card: i32, sentence: &str) -> Result<Self, Refused> {
        refuse_unless((1..=CARDS).contains(&card), "there is no such card")?;
        refuse_unless(!sentence.is_empty(), "a sentence is missing")?;
        let mut deck: Vec<i32> = (1..=CARDS).filter(|other| *other != card).collect();
        fastrand::shuffle(&mut deck);
        let seat = Seat {
            picked: Some(card),
            ..Seat::new(author, vec![card])
        };
        Ok(Self {
            author,
            state: "invitation".to_owned(),
            deck,
            board: None,
            seats: vec![seat],
        })
    }

    fn only_in(&self, state: &str, otherwise: &'static str) -> Result<(), Refused> {
        refuse_unless(self.state == state, otherwise)
    }

    fn only_for_its_author(&self, player: i32) -> Result<(), Refused> {
        refuse_unless(self.author == player, "only its author may do this")
    }

    fn seat(&mut self, player: i32) -> Option<&mut Seat> {
        self.seats.iter_mut().find(|seat| seat.player == player)
    }

    /// A player sits down and is dealt a hand.
    pub fn participate(&mut self, player: i32) -> Result<Vec<i32>, Refused> {
        self.only_in("invitation", "the game has begun")?;
        refuse_unless(self.seats.len() < SEATS, "no seat is free")?;
        refuse_unless(self.seat(player).is_none(), "you have a seat")?;
        let cards: Vec<i32> = self.deck.drain(..HAND).collect();
        self.seats.push(Seat::new(player, cards.clone()));
        Ok(cards)
    }

    /// A player picks the card of their hand that fits the sentence; picking again replaces it.
    pub fn pick(&mut self, player: i32, card: i32) -> Result<(), Refused> {
        self.only_in("invitation", "the cards are shown")?;
        refuse_unless(self.author != player, "the author has picked")?;
        let seat = self.seat(player).filter(|seat| seat.cards.contains(&card));
        let seat = seat.ok_or(Refused("you do not hold this card"))?;
        seat.picked = Some(card);
        Ok(())
    }

    /// The author shows the cards; whoever has not picked one is out.
    pub fn show(&mut self, player: i32) -> Result<(), Refused> {
        self.only_for_its_author(player)?;
        self.only_in("invitation", "the cards are shown")?;
        self.seats.retain(|seat| seat.picked.is_some());
        let mut board: Vec<i32> = self.seats.iter().filter_map(|seat| seat.picked).collect();
        refuse_unless(board.len() >= PICKS, "too few cards are picked")?;
        fastrand::shuffle(&mut board);
        self.board = Some(board);
        "vote".clone_into(&mut self.state);
        Ok(())
    }

    /// A player votes for the card that is probably the author's; voting again replaces it.
    pub fn vote(&mut self, player: i32, card: i32) -> Result<(), Refused> {
        self.only_in("vote", "there is no vote now")?;
        refuse_unless(self.author != player, "the author knows")?;
        let shown = self.board.iter().flatten().any(|other| *other == card);
        let seat = self.seat(player);
        let seat = seat.filter(|seat| shown && seat.picked != Some(card));
        let seat = seat.ok_or(Refused("you cannot vote for this card"))?;
        seat.vote = Some(card);
        Ok(())
    }

    /// The author ends the vote: whoever has not voted is out, and the winners are known.
    pub fn complete(&mut self, player: i32) -> Result<Vec<i32>, Refused> {
        self.only_for_its_author(player)?;
        self.only_in("vote", "there is no vote now")?;
        let card = self.seat(player).and_then(|seat| seat.picked);
        let card = card.ok_or(Refused("the author has left"))?;
        let voted = |seat: &Seat| Some((seat.player, seat.vote?));
        let votes: Vec<(i32, i32)> = self.seats.iter().filter_map(voted).collect();
        refuse_unless(votes.len() >= VOTES, "too few have voted")?;
        let winners = winners(player, card, &votes);
        self.seats
            .retain(|seat| seat.vote.is_some() || seat.player == player);
        for seat in &mut self.seats {
            seat.won = winners.contains(&seat.player);
        }
        "complete".clone_into(&mut self.state);
        Ok(winners)
    }
}

impl Seat {
    fn new(player: i32, cards: Vec<i32>) -> Self {
        Self {
            player,
            cards,
            picked: None,
            vote: None,
            won: false,
        }
    }
}

/// Who wins, given what each player but the author voted for. When some found the author's card and others did not,
/// those who did and the author; otherwise it was too easy or too hard, and everybody but the author.
fn winners(author: i32, card: i32, votes: &[(i32, i32)]) -> Vec<i32> {
    let found = votes.iter().filter(|(_, vote)| *vote == card);
    let mut winners: Vec<i32> = found.map(|(player, _)| *player).collect();
    if winners.is_empty() || winners.len() == votes.len() {
        return votes.iter().map(|(player, _)| *player).collect();
    }
    winners.push(author);
    winners
}

#[cfg(test)]
mod tests {
    use super::{Refused, SEATS, Table, winners};

    const AUTHOR: i32 = 1;
    const CARD: i32 = 30;

    #[test]
    fn one_of_two_finds_the_card() {
        assert_eq!(winners(AUTHOR, CARD, &[(2, 30), (3, 7)]), [2, AUTHOR]);
    }

    #[test]
    fn all_find_it_and_the_author_was_too_plain() {
        assert_eq!(winners(AUTHOR, CARD, &[(2, 30), (3, 30)]), [2, 3]);
    }

    #[test]
    fn nobody_finds_it_and_the_author_was_too_dark() {
        assert_eq!(winners(AUTHOR, CARD, &[(2, 8), (3, 7)]), [2, 3]);
    }

    #[test]
    fn whoever_does_nothing_is_out() {
        let mut table = Table::new(AUTHOR, CARD, "the last summer").expect("a game");
        let hands: Vec<_> = (2..=6).map(|player| table.participate(player)).collect();
        assert_eq!(table.participate(7), Err(Refused("no seat is free")));
        assert_eq!(table.seats.len(), SEATS);
        for (player, hand) in (2..=5).zip(hands) {
            table.pick(player, hand.expect("a seat")[0]).expect("held");
        }
        assert_eq!(
            table.pick(6, CARD),
            Err(Refused("you do not hold this card"))
        );
        table.show(AUTHOR).expect("enough");
        assert_eq!(
            table.vote(6, CARD),
            Err(Refused("you cannot vote for this card"))
        );
        let third = table.seats.iter().find(|seat| seat.player == 3);
        let of_three = third.and_then(|seat| seat.picked).expect("picked");
        assert!(table.vote(3, of_three).is_err(), "one's own");
        assert_eq!(table.complete(AUTHOR), Err(Refused("too few have voted")));
        for (player, card) in [(2, CARD), (4, of_three)] {
            table.vote(player, card).expect("shown, and another's");
        }
        assert_eq!(table.complete(AUTHOR).expect("enough"), [2, AUTHOR]);
        let left: Vec<_> = table
            .seats
            .iter()
            .map(|seat| (seat.player, seat.won))
            .collect();
        assert_eq!(left, [(1, true), (2, true), (4, false)]);
    }
}
