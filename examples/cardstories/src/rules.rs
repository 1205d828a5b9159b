//! The rules of the game that need no database: how many of what, and who wins.

/// Cards in the game, numbered from 1.
pub const CARDS: i32 = 36;
/// Cards in a hand.
pub const HAND: i32 = 7;
/// Players at most, the author among them.
pub const SEATS: usize = 6;
/// Cards that must be picked before they are shown, the author's among them.
pub const PICKS: usize = 3;
/// Votes that must be cast before the game can be completed.
pub const VOTES: usize = 2;

/// Who wins, given what each player but the author voted for. When some found the author's card and others did not,
/// those who did and the author; otherwise it was too easy or too hard, and everybody but the author.
pub fn winners(author: i32, card: i32, votes: &[(i32, i32)]) -> Vec<i32> {
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
    use super::winners;

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
}
