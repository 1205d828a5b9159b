//! What running a permutation asks of the connections; [`crate::wire`] has them, tests have scripts.

use std::time::Duration;

use crate::reply::{Message, Notification, Reply};
use crate::wire::WireError;

/// The sessions of a spec, by their index, and the control connection.
pub trait Connections {
    /// Sends a query to a session.
    ///
    /// # Errors
    /// When the connection is gone.
    fn send(&mut self, session: usize, sql: &str) -> Result<(), WireError>;

    /// Whether no result of the session's query has come yet. See [`crate::wire::Session::is_busy`].
    ///
    /// # Errors
    /// When the server cannot be understood.
    fn is_busy(&mut self, session: usize) -> Result<bool, WireError>;

    /// Waits at most so long for something to arrive from the session. Whether it did.
    ///
    /// # Errors
    /// When waiting fails.
    fn wait(&mut self, session: usize, most: Duration) -> Result<bool, WireError>;

    /// The next result, waited for; `None` when there are no more.
    ///
    /// # Errors
    /// When the server cannot be understood.
    fn result(&mut self, session: usize) -> Result<Option<Reply>, WireError>;

    /// Notices of the session that were read and not yet taken.
    fn notices(&mut self, session: usize) -> Vec<Message>;

    /// Notifications that have arrived at the session.
    ///
    /// # Errors
    /// When the server cannot be understood.
    fn notifications(&mut self, session: usize) -> Result<Vec<Notification>, WireError>;

    /// Runs a query on the control connection; its last result.
    ///
    /// # Errors
    /// When the connection is gone.
    fn control(&mut self, sql: &str) -> Result<Option<Reply>, WireError>;

    /// Which of these sessions wait for locks, and for whom.
    ///
    /// # Errors
    /// When the server cannot say.
    fn look(&mut self, sessions: &[usize]) -> Result<Vec<Look>, WireError>;

    /// Cancels a session's query.
    ///
    /// # Errors
    /// When the server cannot be reached.
    fn cancel(&mut self, session: usize) -> Result<(), WireError>;

    /// The session whose process this is.
    fn of_process(&self, pid: i32) -> Option<usize>;

    /// Time since some start.
    fn now(&self) -> Duration;
}

/// Whether a session waits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// Which one.
    pub session: usize,
    /// Whether `pg_isolation_test_session_is_blocked` says that it waits for another session of the spec.
    pub blocked: bool,
    /// Sessions of the spec it waits for.
    pub by: Vec<usize>,
    /// It waits for somebody else, too.
    pub by_others: bool,
}

/// Whether a session certainly goes on waiting until another step is launched: all it waits for, directly or by way of
/// others, are sessions that do nothing, and there is no circle that a deadlock check could end. `idle` says which
/// sessions do nothing.
pub(crate) fn waits_on(looks: &[Look], session: usize, idle: &dyn Fn(usize) -> bool) -> bool {
    let look = |of: usize| looks.iter().find(|look| look.session == of);
    let mut way = vec![(session, false)];
    let mut on_way = Vec::new();
    while let Some((one, left)) = way.pop() {
        if left {
            on_way.pop();
            continue;
        }
        if on_way.contains(&one) {
            return false;
        }
        let Some(look) = look(one).filter(|look| look.blocked && !look.by_others) else {
            return false;
        };
        on_way.push(one);
        way.push((one, true));
        way.extend(
            look.by
                .iter()
                .filter(|by| !idle(**by))
                .map(|by| (*by, false)),
        );
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(session: usize, by: &[usize]) -> Look {
        Look {
            session,
            blocked: !by.is_empty(),
            by: by.to_vec(),
            by_others: false,
        }
    }

    #[test]
    fn who_waits_for_the_idle_waits_on() {
        let looks = [look(1, &[0]), look(2, &[0, 1])];
        let idle = |session: usize| session == 0;
        assert!(waits_on(&looks, 1, &idle));
        assert!(waits_on(&looks, 2, &idle));
        assert!(!waits_on(&looks, 3, &idle));
    }

    #[test]
    fn who_waits_for_one_that_runs_may_go_on() {
        let looks = [look(1, &[2]), look(2, &[])];
        assert!(!waits_on(&looks, 1, &|_| false));
    }

    #[test]
    fn a_circle_is_ended_by_the_deadlock_check() {
        let looks = [look(0, &[1]), look(1, &[2]), look(2, &[1])];
        for session in 0..3 {
            assert!(!waits_on(&looks, session, &|_| false), "{session}");
        }
    }

    #[test]
    fn two_ways_to_the_same_session_are_no_circle() {
        let looks = [look(0, &[1, 2]), look(1, &[2]), look(2, &[3])];
        assert!(waits_on(&looks, 0, &|session| session == 3));
    }

    #[test]
    fn nobody_knows_how_long_a_stranger_holds_a_lock() {
        let stranger = Look {
            by_others: true,
            ..look(1, &[0])
        };
        assert!(!waits_on(&[stranger], 1, &|_| true));
    }
}
