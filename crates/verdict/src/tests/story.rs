//! Records written by hand, step by step.

use deadheat_explore::Actor;
use deadheat_lab::record::{
    Access, End, Invariant, LeftOpen, Record, Reply, SqlError, Statement, Step, StepKind, Table,
};

pub struct Story(Record);

#[allow(dead_code)] // each of the crates that tell stories uses its part of this
impl Story {
    pub fn of(actors: &[&str]) -> Self {
        Self(Record {
            actors: actors.iter().map(ToString::to_string).collect(),
            steps: Vec::new(),
            replies: vec![Vec::new(); actors.len()],
            tables: std::collections::BTreeMap::new(),
            invariants: Vec::new(),
            end: End::Finished,
            left_open: Vec::new(),
            looks: Vec::new(),
            faults: Vec::new(),
        })
    }

    fn push(mut self, actor: u16, sql: &[&str], kind: StepKind) -> Self {
        let in_transaction = matches!(kind, StepKind::Commit | StepKind::Rollback);
        let statements: Vec<Statement> = sql
            .iter()
            .map(|sql| Statement {
                sql: (*sql).to_owned(),
                params: Vec::new(),
            })
            .collect();
        let fingerprint = sql
            .join(";")
            .bytes()
            .fold(7, |h: u64, b| h.wrapping_mul(31) + u64::from(b));
        self.0.steps.push(Step {
            actor: Actor(actor),
            statements,
            gate: "postgres".to_owned(),
            kind,
            session: u32::from(actor) + 1,
            in_transaction,
            isolation: "read committed".to_owned(),
            blocked_by: Vec::new(),
            wakes: Vec::new(),
            error: None,
            tags: Vec::new(),
            rows: Vec::new(),
            columns: Vec::new(),
            accesses: Vec::new(),
            fingerprint,
        });
        self
    }

    fn last(mut self, change: impl FnOnce(&mut Step)) -> Self {
        change(self.0.steps.last_mut().expect("a step before"));
        self
    }

    pub fn sql(self, actor: u16, sql: &str) -> Self {
        let parts: Vec<&str> = sql.split("; ").collect();
        self.push(actor, &parts, StepKind::Work)
    }

    pub fn gap(self, actor: u16) -> Self {
        self.push(actor, &[], StepKind::GapCommit)
    }

    pub fn commit(self, actor: u16) -> Self {
        self.push(actor, &["commit"], StepKind::Commit)
            .tag("COMMIT")
    }

    pub fn inside(self) -> Self {
        self.last(|s| s.in_transaction = true)
    }

    pub fn level(self, level: &str) -> Self {
        self.last(|s| s.isolation = level.to_owned())
    }

    pub fn param(self, value: &str) -> Self {
        self.last(|s| {
            if let Some(last) = s.statements.last_mut() {
                last.params.push(Some(value.to_owned()));
            }
        })
    }

    pub fn touches(self, table: &str, row: Option<&str>, write: bool) -> Self {
        self.last(|s| {
            let row = row.map(ToOwned::to_owned);
            s.accesses.push(Access {
                table: table.to_owned(),
                row,
                write,
            });
        })
    }

    pub fn reads(self, table: &str, row: Option<&str>) -> Self {
        self.touches(table, row, false)
    }

    pub fn writes(self, table: &str, row: Option<&str>, tag: &str) -> Self {
        self.touches(table, row, true).tag(tag)
    }

    pub fn tag(self, tag: &str) -> Self {
        self.last(|s| s.tags.push(tag.to_owned()))
    }

    pub fn gives(self, column: &str, value: &str) -> Self {
        self.last(|s| {
            s.columns.push(column.to_owned());
            s.rows = vec![vec![Some(value.to_owned())]];
            s.tags = vec!["SELECT 1".to_owned()];
        })
    }

    pub fn gives_rows(self, column: &str, values: &[&str]) -> Self {
        self.last(|s| {
            s.columns = vec![column.to_owned()];
            s.rows = values
                .iter()
                .map(|value| vec![Some((*value).to_owned())])
                .collect();
            s.tags = vec![format!("SELECT {}", values.len())];
        })
    }

    pub fn gives_row(self, row: &[(&str, &str)]) -> Self {
        self.last(|s| {
            s.columns = row.iter().map(|(name, _)| (*name).to_owned()).collect();
            let cell = |(_, value): &(&str, &str)| (*value != "null").then(|| (*value).to_owned());
            s.rows = vec![row.iter().map(cell).collect()];
            s.tags = vec!["SELECT 1".to_owned()];
        })
    }

    pub fn blocked_by(self, actors: &[u16]) -> Self {
        self.last(|s| s.blocked_by = actors.iter().map(|a| Actor(*a)).collect())
    }

    pub fn wakes(self, actors: &[u16]) -> Self {
        self.last(|s| s.wakes = actors.iter().map(|a| Actor(*a)).collect())
    }

    pub fn fails(self, code: &str, message: &str) -> Self {
        self.last(|s| s.error = Some(error(code, message)))
    }

    pub fn table(mut self, name: &str, columns: &[&str], rows: &[&[&str]]) -> Self {
        let text = |cell: &&str| (*cell != "null").then(|| (*cell).to_owned());
        let table = Table {
            columns: columns.iter().map(ToString::to_string).collect(),
            rows: rows
                .iter()
                .map(|row| row.iter().map(text).collect())
                .collect(),
        };
        self.0.tables.insert(name.to_owned(), table);
        self
    }

    pub fn told(mut self, actor: usize, request: &str, status: u16, body: &str) -> Self {
        self.0.replies[actor].push(Reply::Http {
            request: request.to_owned(),
            status,
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body: body.to_owned(),
        });
        self
    }

    pub fn header(mut self, actor: usize, name: &str, value: &str) -> Self {
        if let Some(Reply::Http { headers, .. }) = self.0.replies[actor].last_mut() {
            headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    pub fn answered(mut self, actor: usize, sql: &str, tag: &str, failed: Option<&str>) -> Self {
        self.0.replies[actor].push(Reply::Sql {
            sql: sql.to_owned(),
            table: Table::default(),
            tag: tag.to_owned(),
            error: failed.map(|code| error(code, "…")),
        });
        self
    }

    pub fn invariant(mut self, name: &str, holds: bool) -> Self {
        let at = self.0.steps.len();
        let said = holds.to_string();
        self.0.invariants.push(Invariant {
            name: name.to_owned(),
            holds,
            at,
            said,
        });
        self
    }

    pub fn leaves_open(mut self, actor: u16) -> Self {
        self.0.left_open.push(LeftOpen {
            actor: Actor(actor),
            session: u32::from(actor) + 1,
        });
        self
    }

    pub fn stuck(mut self, waits: &[(u16, &str)]) -> Self {
        let waits = waits
            .iter()
            .map(|(a, what)| (Actor(*a), (*what).to_owned()))
            .collect();
        self.0.end = End::Stuck(waits);
        self
    }

    pub fn done(self) -> Record {
        self.0
    }
}

fn error(code: &str, message: &str) -> SqlError {
    SqlError {
        code: code.to_owned(),
        message: message.to_owned(),
    }
}
