//! Names by which parts of the file speak of each other, known before any part is read.

use toml::de::DeTable;

use crate::database::is_plain;
use crate::decode::{At, Context, entries};
use crate::problem::Problem;
use crate::section::suggest;
use crate::template::places;

/// The database of a plain `[database]` table.
pub const MAIN: &str = "main";

/// Names of databases and services.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    pub databases: Vec<String>,
    pub services: Vec<String>,
}

impl Names {
    pub fn of(file: &DeTable<'_>) -> Self {
        let table = |key: &str| file.get(key).and_then(|value| value.get_ref().as_table());
        let mut names = Self::default();
        if let Some(databases) = table("database") {
            if is_plain(databases) {
                names.databases.push(MAIN.into());
            }
            let named = entries(databases)
                .into_iter()
                .filter(|(key, value)| !crate::database::is_key(key, value, databases));
            names
                .databases
                .extend(named.map(|(key, _)| key.get_ref().to_string()));
        }
        if let Some(services) = table("service") {
            names.services.extend(
                entries(services)
                    .iter()
                    .map(|(key, _)| key.get_ref().to_string()),
            );
        }
        names
    }

    /// The database that is meant, by name or because there is no choice.
    pub fn database(
        &self,
        wanted: Option<&At<String>>,
        place: std::ops::Range<usize>,
        cx: &mut Context,
    ) -> Option<String> {
        let default = match self.databases.as_slice() {
            [] => Some(MAIN),
            [only] => Some(only.as_str()),
            many => many.iter().find(|name| *name == MAIN).map(String::as_str),
        };
        pick("database", &self.databases, default, wanted, place, cx)
    }

    /// The service that is meant, by name or because there is no choice.
    pub fn service(
        &self,
        wanted: Option<&At<String>>,
        place: std::ops::Range<usize>,
        cx: &mut Context,
    ) -> Option<String> {
        if self.services.is_empty() {
            let problem = Problem::at(place, "there is no service to send a request to");
            cx.report(
                problem.help(
                    "add one: `[service.web]` with `run = \"…\"`, the command that starts it",
                ),
            );
            return None;
        }
        let default = match self.services.as_slice() {
            [only] => Some(only.as_str()),
            _ => None,
        };
        pick("service", &self.services, default, wanted, place, cx)
    }

    /// Checks the `{service.NAME}` and `{database.NAME}` of a text.
    pub fn check_places(&self, text: &At<String>, cx: &mut Context) {
        for (what, name) in places(&text.value) {
            let known = if what == "service" {
                &self.services
            } else {
                &self.databases
            };
            if !known.iter().any(|known| known == name) {
                cx.report(unknown(what, known, name, text.span.clone()));
            }
        }
    }
}

fn unknown(what: &str, known: &[String], name: &str, place: std::ops::Range<usize>) -> Problem {
    let problem = Problem::at(place, format!("there is no {what} `{name}`"));
    problem.help(match known {
        [] => format!("add `[{what}.{name}]`"),
        known => suggest(name, known, "this file has"),
    })
}

fn pick(
    what: &str,
    known: &[String],
    default: Option<&str>,
    wanted: Option<&At<String>>,
    place: std::ops::Range<usize>,
    cx: &mut Context,
) -> Option<String> {
    match (wanted, default) {
        (Some(wanted), _) if known.contains(&wanted.value) => Some(wanted.value.clone()),
        (Some(wanted), _) => {
            cx.report(unknown(what, known, &wanted.value, wanted.span.clone()));
            None
        }
        (None, Some(default)) => Some(default.to_owned()),
        (None, None) => {
            let names: Vec<_> = known
                .iter()
                .map(|name| format!("`{what} = \"{name}\"`"))
                .collect();
            let problem = Problem::at(place, format!("which {what}? There are several"));
            cx.report(problem.help(format!("add {}", names.join(" or "))));
            None
        }
    }
}
