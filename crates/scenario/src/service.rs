//! `[service.NAME]`.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use schemars::{Schema, SchemaGenerator, json_schema};
use serde::Serialize;

use crate::actor::Actor;
use crate::command::{Command, CommandKeys};
use crate::database::check_plain_name;
use crate::decode::{At, Context, Decode, Named, Node, entries};
use crate::fault::{Fault, FaultKind};
use crate::names::Names;
use crate::problem::Problem;
use crate::request::{Method, parse_line};
use crate::section::{Fields, section};
use crate::time::Time;
use crate::work::Work;

section! {
    /// A service: a program that answers requests, one copy a lab.
    struct ServiceKeys {
        /// The command that starts it, for the shell. DATABASE_URL, PGHOST, PGPORT, PGUSER and PGDATABASE are set to
        /// the gate.
        run: At<String>,
        /// When it can be asked: "GET /health" answers well, or { log = "text" } was printed (default: its port
        /// accepts a connection).
        ready: Option<Ready>,
        /// How long it may take until it is ready.
        ready_within: Time = Time(Duration::from_secs(30)),
        /// How it is put back before every run: "restart", or a request such as "POST /reset" (default: it keeps no
        /// state outside the database).
        reset: Option<Reset>,
        /// It may be killed between two steps (SIGKILL, with all that is under way in it) and started again. Who was
        /// waiting for its answer gets none.
        crash: Option<At<bool>>,
        ..command: CommandKeys,
    }
}

/// A service.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Service {
    /// The command that starts it.
    pub command: Command,
    /// When it can be asked.
    #[serde(skip)]
    pub ready: Ready,
    /// How long it may take until it is ready.
    #[serde(skip)]
    pub ready_within: Duration,
    /// How it is put back before every run.
    pub reset: Reset,
}

/// When a service can be asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Ready {
    /// Its port accepts a connection.
    #[default]
    Port,
    /// `GET` of this path has a 2xx answer.
    Get(String),
    /// It printed a line that contains this text.
    Log(String),
}

section! {
    /// Ready when a text was printed.
    struct LogKeys {
        /// A text in the service's output.
        log: At<String>,
    }
}

impl Decode for Ready {
    fn decode(node: Node<'_>, cx: &mut Context) -> Option<Self> {
        if node.value.get_ref().is_table() {
            let log = LogKeys::decode(node, cx)?.log;
            if log.value.is_empty() {
                cx.report(
                    Problem::at(log.span, "every line contains the empty text")
                        .help("give a text to wait for"),
                );
                return None;
            }
            return Some(Self::Log(log.value));
        }
        if !node.value.get_ref().is_str() {
            node.wrong_type("\"GET /path\" or { log = \"text\" }", cx);
            return None;
        }
        let line = At::<String>::decode(node, cx)?;
        match parse_line(&line, cx)? {
            (Method::Get, path) => Some(Self::Get(path)),
            (method, path) => {
                let problem = Problem::at(
                    line.span,
                    format!("`ready` asks with GET, not with {}", method.as_str()),
                );
                cx.report(problem.help(format!("write \"GET {path}\"")));
                None
            }
        }
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let log = LogKeys::schema(generator);
        json_schema!({ "anyOf": [{ "type": "string", "pattern": "^GET /" }, log] })
    }
}

/// How a service is put back before every run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reset {
    /// It keeps no state outside the database.
    #[default]
    Keeps,
    /// It is started again.
    Restart,
    /// It is sent this request.
    Request(Method, String),
}

impl Decode for Reset {
    fn decode(node: Node<'_>, cx: &mut Context) -> Option<Self> {
        let line = At::<String>::decode(node, cx)?;
        match line.value.trim() {
            "restart" => Some(Self::Restart),
            one_word if !one_word.contains(' ') => {
                let problem = Problem::at(line.span, format!("`reset` cannot be \"{one_word}\""));
                cx.report(problem.help("write \"restart\", or a request such as \"POST /reset\""));
                None
            }
            _ => parse_line(&line, cx).map(|(method, path)| Self::Request(method, path)),
        }
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "const": "restart" }, { "type": "string", "pattern": "^[A-Z]+ /" }] })
    }
}

/// The services of a file; those that could not be read are left out.
#[derive(Clone, Debug)]
pub(crate) struct Services(Vec<(String, ServiceKeys)>);

impl Decode for Services {
    fn decode(node: Node<'_>, cx: &mut Context) -> Option<Self> {
        let all: Vec<_> = node
            .value
            .get_ref()
            .as_table()
            .into_iter()
            .flat_map(entries)
            .collect();
        let names: Vec<_> = all.iter().map(|(key, _)| key.get_ref().as_ref()).collect();
        let mut plain = all.iter().filter(|(_, value)| !value.get_ref().is_table());
        let unnamed = plain.find_map(|(key, _)| {
            ServiceKeys::keys()
                .into_iter()
                .find(|known| *known == key.get_ref())
        });
        let fields = Fields::open(node, &names, cx)?;
        if let Some(key) = unnamed {
            let problem = Problem::at(fields.span, format!("`{key}` of which service?"));
            cx.report(problem.help("a service has a name: write `[service.web]`"));
            return None;
        }
        let mut services = Vec::new();
        for (key, value) in all {
            let name = key.get_ref().to_string();
            check_plain_name("service", &name, key.span(), cx);
            let inner = Node {
                key: &name,
                doc: node.doc,
                value,
            };
            services.extend(ServiceKeys::decode(inner, cx).map(|keys| (name.clone(), keys)));
        }
        Some(Self(services))
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        Named::<ServiceKeys>::schema(generator)
    }
}

impl Services {
    /// The services, or the problems with them.
    pub fn resolve(&self, names: &Names, cx: &mut Context) -> BTreeMap<String, Service> {
        let mut services = BTreeMap::new();
        for (name, keys) in &self.0 {
            let Some(command) = keys.command.resolve(&keys.run, names, cx) else {
                continue;
            };
            let service = Service {
                command,
                ready: keys.ready.clone().unwrap_or_default(),
                ready_within: keys.ready_within.0,
                reset: keys.reset.clone().unwrap_or_default(),
            };
            services.insert(name.clone(), service);
        }
        services
    }

    /// The actors that stand for what may go wrong with the services, each with its place in the file.
    pub fn faults(&self) -> Vec<(Range<usize>, Actor)> {
        let kind = FaultKind::ServiceCrash;
        let crashes = self.0.iter().filter_map(|(name, keys)| {
            let crash = keys.crash.as_ref().filter(|crash| crash.value)?;
            let of = name.clone();
            let actor = Actor {
                name: kind.name(name),
                work: Work::Nothing,
                fault: Some(Fault { kind, of }),
            };
            Some((crash.span.clone(), actor))
        });
        crashes.collect()
    }
}
