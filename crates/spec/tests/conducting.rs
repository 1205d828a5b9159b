//! Permutations on a server that is only played: what is printed when steps wait, when markers hold them back, when
//! patience ends. The play says for each step after how long it answers and what.
#![allow(missing_docs)]

use std::collections::BTreeMap;
use std::time::Duration;

use deadheat_spec::wire::WireError;
use deadheat_spec::{
    Connections, Look, Message, Notification, Patience, Reply, Stop, Stream, Table, parse,
    permutation, permutations,
};

/// A session's query under way.
struct Query {
    sql: String,
    /// It has given its result.
    taken: bool,
}

/// A server that understands `rows`, `fail`, `notice`, `lock`, `unlock` and `sleep MILLISECONDS`.
#[derive(Default)]
struct Play {
    clock: Duration,
    queries: BTreeMap<usize, (Query, Duration)>,
    /// Who has the lock.
    holder: Option<usize>,
    notices: BTreeMap<usize, Vec<Message>>,
    cancelled: Vec<usize>,
    looks: usize,
}

fn message(severity: &str, text: &str) -> Message {
    Message {
        fields: vec![
            (b'S', severity.as_bytes().to_vec()),
            (b'M', text.as_bytes().to_vec()),
        ],
        query: String::new(),
    }
}

impl Play {
    fn waits(&self, session: usize) -> bool {
        let query = self.queries.get(&session);
        query.is_some_and(|(query, _)| query.sql == "lock")
            && self.holder.is_some_and(|holder| holder != session)
    }

    fn is_done(&self, session: usize) -> bool {
        let Some((query, start)) = self.queries.get(&session) else {
            return true;
        };
        if self.cancelled.contains(&session) {
            return true;
        }
        let millis = query
            .sql
            .strip_prefix("sleep ")
            .map_or(0, |millis| millis.parse().expect("a number"));
        !self.waits(session) && self.clock >= *start + Duration::from_millis(millis)
    }
}

impl Connections for Play {
    fn send(&mut self, session: usize, sql: &str) -> Result<(), WireError> {
        if sql == "notice" {
            self.notices
                .entry(session)
                .or_default()
                .push(message("NOTICE", "hear"));
        }
        let query = Query {
            sql: sql.to_owned(),
            taken: false,
        };
        self.queries.insert(session, (query, self.clock));
        Ok(())
    }

    fn is_busy(&mut self, session: usize) -> Result<bool, WireError> {
        Ok(!self.is_done(session))
    }

    fn wait(&mut self, session: usize, most: Duration) -> Result<bool, WireError> {
        self.clock += most.max(Duration::from_micros(1));
        Ok(self.is_done(session))
    }

    fn result(&mut self, session: usize) -> Result<Option<Reply>, WireError> {
        let cancelled = self.cancelled.contains(&session);
        let Some((query, _)) = self.queries.get_mut(&session) else {
            return Ok(None);
        };
        if std::mem::replace(&mut query.taken, true) {
            self.queries.remove(&session);
            return Ok(None);
        }
        Ok(Some(match query.sql.as_str() {
            _ if cancelled => Reply::Failed(message("ERROR", "canceled")),
            "fail" => Reply::Failed(message("ERROR", "no")),
            "rows" => Reply::Rows(Table {
                columns: vec![b"n".to_vec(), b"who".to_vec()],
                rows: vec![
                    vec![Some(b"1".to_vec()), Some(b"ann".to_vec())],
                    vec![Some(b"10".to_vec()), None],
                ],
                tag: "SELECT 2".to_owned(),
            }),
            "lock" => {
                self.holder = Some(session);
                Reply::Done("LOCK".to_owned())
            }
            "unlock" => {
                self.holder = None;
                Reply::Done("UNLOCK".to_owned())
            }
            _ => Reply::Done("OK".to_owned()),
        }))
    }

    fn notices(&mut self, session: usize) -> Vec<Message> {
        self.notices.remove(&session).unwrap_or_default()
    }

    fn notifications(&mut self, _: usize) -> Result<Vec<Notification>, WireError> {
        Ok(Vec::new())
    }

    fn control(&mut self, _: &str) -> Result<Option<Reply>, WireError> {
        Ok(Some(Reply::Done("OK".to_owned())))
    }

    fn look(&mut self, sessions: &[usize]) -> Result<Vec<Look>, WireError> {
        self.looks += 1;
        let look = |session: &usize| Look {
            session: *session,
            blocked: self.waits(*session),
            by: self
                .holder
                .into_iter()
                .filter(|_| self.waits(*session))
                .collect(),
            by_others: false,
        };
        Ok(sessions.iter().map(look).collect())
    }

    fn cancel(&mut self, session: usize) -> Result<(), WireError> {
        self.cancelled.push(session);
        Ok(())
    }

    fn of_process(&self, pid: i32) -> Option<usize> {
        usize::try_from(pid).ok()
    }

    fn now(&self) -> Duration {
        self.clock
    }
}

const SESSIONS: &str = "session one step lock1 {lock} step unlock1 {unlock} step rows1 {rows}
session two step lock2 {lock} step fail2 {fail} step notice2 {notice}
session three step nap3 {sleep 50} step long3 {sleep 900000} step rows3 {rows}\n";

/// What is printed, and what ended it.
fn played(order: &str) -> (String, Result<(), Stop>) {
    let spec = parse(&format!("{SESSIONS}permutation {order}")).expect("a spec");
    let mut play = Play::default();
    let mut printed = String::new();
    let mut sink = |_: Stream, bytes: &[u8]| printed.push_str(&String::from_utf8_lossy(bytes));
    let patience = Patience {
        step: Duration::from_mins(5),
        steady: false,
    };
    let entries = permutations(&spec).next().expect("a permutation");
    let ended = permutation(&spec, &entries, &mut play, patience, &mut sink);
    let title = format!(
        "\nstarting permutation: {}\n",
        printed
            .lines()
            .nth(1)
            .and_then(|line| line.split_once(": "))
            .expect("a title")
            .1
    );
    (
        printed
            .strip_prefix(&title)
            .expect("the title first")
            .to_owned(),
        ended,
    )
}

fn printed(order: &str) -> String {
    let (printed, ended) = played(order);
    ended.unwrap_or_else(|stop| panic!("{stop}: {printed}"));
    printed
}

#[test]
fn rows_are_aligned_and_errors_told_in_one_line() {
    assert_eq!(
        printed("rows1 fail2"),
        "step rows1: rows\n n|who\n--+---\n 1|ann\n10|   \n(2 rows)\n\nstep fail2: fail\nERROR:  no\n"
    );
}

#[test]
fn who_waits_is_told_and_completed_when_freed() {
    assert_eq!(
        printed("lock1 lock2 rows3 unlock1"),
        "step lock1: lock\nstep lock2: lock <waiting ...>\nstep rows3: rows\n n|who\n--+---\n 1|ann\n10|   \n(2 rows)\n\n\
         step unlock1: unlock\nstep lock2: <... completed>\n"
    );
}

#[test]
fn one_that_only_takes_its_time_does_not_wait() {
    assert_eq!(
        printed("nap3 fail2"),
        "step nap3: sleep 50\nstep fail2: fail\nERROR:  no\n"
    );
}

#[test]
fn a_star_reports_at_once() {
    assert_eq!(
        printed("fail2(*) unlock1"),
        "step fail2: fail <waiting ...>\nstep unlock1: unlock\nstep fail2: <... completed>\nERROR:  no\n"
    );
}

#[test]
fn a_step_is_held_back_until_the_other_is_complete() {
    assert_eq!(
        printed("lock1 lock2 nap3(lock2) unlock1"),
        "step lock1: lock\nstep lock2: lock <waiting ...>\nstep nap3: sleep 50 <waiting ...>\nstep unlock1: unlock\n\
         step lock2: <... completed>\nstep nap3: <... completed>\n"
    );
}

#[test]
fn a_step_is_held_back_until_enough_notices_came() {
    assert_eq!(
        printed("nap3(notice2 notices 2) notice2 notice2 unlock1"),
        "step nap3: sleep 50 <waiting ...>\ntwo: NOTICE:  hear\nstep notice2: notice\ntwo: NOTICE:  hear\n\
         step notice2: notice\nstep nap3: <... completed>\nstep unlock1: unlock\n"
    );
}

#[test]
fn the_next_step_of_a_session_waits_for_the_one_before() {
    assert_eq!(
        printed("nap3(*) rows3"),
        "step nap3: sleep 50 <waiting ...>\nstep nap3: <... completed>\nstep rows3: rows\n n|who\n--+---\n 1|ann\n10|   \n(2 rows)\n\n"
    );
}

#[test]
fn patience_ends_with_a_cancel() {
    let (printed, ended) = played("long3");
    assert!(ended.is_ok());
    assert_eq!(
        printed,
        "isolationtester: canceling step long3 after 300 seconds\nstep long3: sleep 900000\nERROR:  canceled\n"
    );
}

#[test]
fn a_step_that_is_held_back_for_ever_ends_the_spec() {
    let (_, ended) = played("rows1(notice2 notices 5) notice2");
    let Err(Stop::Died(reason)) = ended else {
        panic!("{ended:?}")
    };
    assert_eq!(
        reason,
        "failed to complete permutation due to mutually-blocking steps\n"
    );
}
