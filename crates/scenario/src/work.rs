//! What an actor or a `[[before]]` does: requests, a command, or SQL.

use std::ops::Range;

use schemars::{Schema, SchemaGenerator, json_schema};
use serde::Serialize;

use crate::command::{Command, CommandKeys};
use crate::decode::{At, Context, Decode, Node, OneOrMany};
use crate::names::Names;
use crate::problem::Problem;
use crate::request::{Request, RequestKeys, Shared};
use crate::section::section;
use crate::sql::{SqlStep, count_statements};

section! {
    /// What is done: one of `request`, `requests`, `run` and `sql`.
    struct WorkKeys {
        /// HTTP requests, one after the other; `service`, `headers` and `follow` beside it hold for all of them.
        requests: Option<At<Vec<RequestKeys>>>,
        /// SQL statements of one session, one a step: text, or { when = "condition", run = "statement" }. Columns of
        /// a one-row result are `:column` from there on.
        sql: Option<At<OneOrMany<SqlItem>>>,
        /// A command for the shell. DATABASE_URL, PGHOST, PGPORT, PGUSER and PGDATABASE are set to the gate.
        run: Option<At<String>>,
        ..request: RequestKeys,
        ..command: CommandKeys,
    }
}

section! {
    /// A statement with a condition.
    struct SqlKeys {
        /// The statement is left out when this is not true: ":n < 4".
        when: Option<At<String>>,
        /// The statement.
        run: At<String>,
    }
}

#[derive(Clone, Debug)]
pub(crate) struct SqlItem(SqlKeys);

impl Decode for SqlItem {
    fn decode(node: Node<'_>, cx: &mut Context) -> Option<Self> {
        let keys = match (
            node.value.get_ref().is_str(),
            node.value.get_ref().is_table(),
        ) {
            (true, _) => SqlKeys {
                when: None,
                run: At::decode(node, cx)?,
                at: node.span(),
            },
            (_, true) => SqlKeys::decode(node, cx)?,
            _ => {
                node.wrong_type("SQL text or { when = \"…\", run = \"…\" }", cx);
                return None;
            }
        };
        if let Some(when) = &keys.when
            && count_statements(&when.value) != 1
        {
            let problem = Problem::at(when.span.clone(), "a condition is one expression");
            cx.report(problem.help("write it as after `where`: \":n < 4\""));
            return None;
        }
        let (problem, help) = match count_statements(&keys.run.value) {
            0 => ("there is no statement here", "take it out, or write one"),
            1 => return Some(Self(keys)),
            _ => (
                "more than one statement",
                "a step is one statement: make them elements of the array",
            ),
        };
        cx.report(Problem::at(keys.run.span, problem).help(help));
        None
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let step = SqlKeys::schema(generator);
        json_schema!({ "anyOf": [{ "type": "string" }, step] })
    }
}

/// What an actor or a `[[before]]` does.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// Sends requests, one after the other; at least one.
    Requests(Vec<Request>),
    /// Runs a command.
    Run(Command),
    /// Somebody outside plays it.
    Attached {
        /// The database it is told of.
        database: String,
    },
    /// Runs the statements of a SQL session.
    Sql {
        /// The database it is connected to.
        database: String,
        /// The statements; at least one.
        steps: Vec<SqlStep>,
    },
    /// Nothing: it stands for what may happen to a service.
    Nothing,
}

/// Keys that need one of others beside them.
struct Misplaced {
    key: &'static str,
    place: Option<Range<usize>>,
    with: &'static [&'static str],
}

impl WorkKeys {
    /// The kinds of work there are in the table, and where.
    fn kinds(&self) -> Vec<(&'static str, Range<usize>)> {
        let kinds = [
            (
                "request",
                self.request.request.as_ref().map(|line| line.span.clone()),
            ),
            (
                "requests",
                self.requests.as_ref().map(|list| list.span.clone()),
            ),
            ("run", self.run.as_ref().map(|run| run.span.clone())),
            ("sql", self.sql.as_ref().map(|list| list.span.clone())),
        ];
        let chosen = kinds.into_iter();
        chosen
            .filter_map(|(kind, place)| Some((kind, place?)))
            .collect()
    }

    /// The work of an actor that somebody outside plays, as said at `place`.
    pub fn attached(&self, place: Range<usize>, names: &Names, cx: &mut Context) -> Option<Work> {
        if let Some((kind, at)) = self.kinds().into_iter().next() {
            let problem = Problem::at(at, format!("`attached` and `{kind}` in one table"));
            cx.report(problem.help("whoever plays the actor says what it does: keep one of them"));
            return None;
        }
        self.check_places("attached", cx);
        let database = names.database(self.command.database.as_ref(), place, cx)?;
        Some(Work::Attached { database })
    }

    /// The work, or the problems with it. `place` is the table it stands in.
    pub fn resolve(&self, place: Range<usize>, names: &Names, cx: &mut Context) -> Option<Work> {
        let chosen = self.kinds();
        match chosen.as_slice() {
            [(kind, _)] => self.check_places(kind, cx),
            [] => {
                let problem = Problem::at(place, "there is nothing to do").label("in this table");
                cx.report(problem.help("give it one of `request`, `requests`, `run` and `sql`"));
            }
            [(first, _), (second, place), ..] => {
                let problem = Problem::at(
                    place.clone(),
                    format!("`{first}` and `{second}` in one table"),
                );
                cx.report(problem.help("keep one of them; a sequence of requests is `requests = [{ request = \"…\" }, …]`"));
                return None;
            }
        }
        self.work(names, cx)
    }

    fn work(&self, names: &Names, cx: &mut Context) -> Option<Work> {
        let service = self.request.service.as_ref();
        if let Some(line) = &self.request.request {
            let none = crate::decode::Named(Vec::new());
            let shared = Shared {
                service: None,
                headers: &none,
                follow: None,
            };
            let request = self.request.resolve(line, &shared, names, cx)?;
            return Some(Work::Requests(vec![request]));
        }
        if let Some(list) = &self.requests {
            let (headers, follow) = (&self.request.headers, self.request.follow.as_ref());
            return requests(
                list,
                &Shared {
                    service,
                    headers,
                    follow,
                },
                names,
                cx,
            );
        }
        if let Some(run) = &self.run {
            return self.command.resolve(run, names, cx).map(Work::Run);
        }
        let list = self.sql.as_ref()?;
        if list.value.0.is_empty() {
            cx.report(
                Problem::at(list.span.clone(), "there is no statement here")
                    .help("write at least one"),
            );
        }
        let database = names.database(self.command.database.as_ref(), list.span.clone(), cx)?;
        let steps = list.value.0.iter().map(|SqlItem(keys)| SqlStep {
            when: keys.when.as_ref().map(|when| when.value.clone()),
            run: keys.run.value.clone(),
        });
        Some(Work::Sql {
            database,
            steps: steps.collect(),
        })
    }

    /// Keys that say something about another kind of work.
    fn check_places(&self, kind: &str, cx: &mut Context) {
        let (request, command) = (&self.request, &self.command);
        let one = &["request"][..];
        let http = &["request", "requests"][..];
        let bodies = request.bodies().into_iter().map(|(key, place)| Misplaced {
            key,
            place: Some(place),
            with: one,
        });
        let first = |named: Option<&At<String>>| named.map(|name| name.span.clone());
        let others = [
            Misplaced {
                key: "save",
                place: first(request.save.0.first().map(|(name, _)| name)),
                with: one,
            },
            Misplaced {
                key: "headers",
                place: first(request.headers.0.first().map(|(name, _)| name)),
                with: http,
            },
            Misplaced {
                key: "service",
                place: first(request.service.as_ref()),
                with: http,
            },
            Misplaced {
                key: "follow",
                place: request.follow.as_ref().map(|follow| follow.span.clone()),
                with: http,
            },
            Misplaced {
                key: "directory",
                place: first(command.directory.as_ref()),
                with: &["run"],
            },
            Misplaced {
                key: "env",
                place: first(command.env.0.first().map(|(name, _)| name)),
                with: &["run"],
            },
            Misplaced {
                key: "database",
                place: first(command.database.as_ref()),
                with: &["run", "sql", "attached"],
            },
        ];
        for Misplaced { key, place, with } in bodies.chain(others) {
            let Some(place) = place.filter(|_| !with.contains(&kind)) else {
                continue;
            };
            let problem = Problem::at(place, format!("`{key}` says nothing about `{kind}`"));
            cx.report(problem.help(match kind {
                "requests" if with == one => "put it into the request it belongs to".to_owned(),
                _ => format!("`{key}` goes with `{}`", with.join("` and `")),
            }));
        }
    }
}

fn requests(
    list: &At<Vec<RequestKeys>>,
    shared: &Shared<'_>,
    names: &Names,
    cx: &mut Context,
) -> Option<Work> {
    if list.value.is_empty() {
        let problem = Problem::at(list.span.clone(), "there is no request here");
        cx.report(problem.help("write at least one: [{ request = \"GET /\" }]"));
        return None;
    }
    let mut requests = Vec::new();
    for keys in &list.value {
        let Some(line) = &keys.request else {
            let problem =
                Problem::at(keys.at.clone(), "`request` is missing").label("in this table");
            cx.report(problem.help("`request`: method and path, \"POST /games/1/players\""));
            continue;
        };
        requests.extend(keys.resolve(line, shared, names, cx));
    }
    (requests.len() == list.value.len()).then_some(Work::Requests(requests))
}

impl WorkKeys {
    /// Checks that the templates of requests name saved values, and notes what they save.
    pub fn check_saved<'a>(&'a self, saved: &mut Vec<&'a str>, cx: &mut Context) {
        let many = self.requests.as_ref().map_or(&[][..], |list| &list.value);
        let one = self.request.request.as_ref().map(|_| &self.request);
        for keys in one.into_iter().chain(many) {
            keys.check_saved(saved, cx);
            saved.extend(keys.save.0.iter().map(|(name, _)| name.value.as_str()));
        }
    }
}
