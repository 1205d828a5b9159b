//! Commands: what is run, where, and in which environment.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use crate::decode::{At, Context, Named, Scalar};
use crate::names::Names;
use crate::problem::Problem;
use crate::section::section;

section! {
    /// Where and how a command runs.
    struct CommandKeys {
        /// The folder to run it in, relative to the scenario (default: the scenario's own).
        directory: Option<At<String>>,
        /// Environment variables: names and values. `{port}` is the service's own port, `{service.NAME}` the URL of
        /// a service, `{database.NAME}` that of a database, at the gate; all three stand for the same in `run`.
        env: Named<At<Scalar>>,
        /// The database that DATABASE_URL and PG* name, or that SQL is sent to; needed where there are several and
        /// none is called "main".
        database: Option<At<String>>,
    }
}

/// A command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Command {
    /// The command, for the shell; [`crate::Places::fill`] puts places in.
    pub run: String,
    /// The folder to run it in, from where the program runs.
    #[serde(skip)]
    pub directory: PathBuf,
    /// The same as the file gives it; empty for the scenario's own.
    pub folder: String,
    /// Environment variables; [`crate::Places::fill`] puts places in.
    pub env: BTreeMap<String, String>,
    /// The database that DATABASE_URL and PG* name.
    pub database: String,
}

/// A command must be one.
pub(crate) fn check_command(run: &At<String>, cx: &mut Context) {
    if run.value.trim().is_empty() {
        let problem = Problem::at(run.span.clone(), "this command is empty");
        cx.report(problem.help("write what you would type into a terminal"));
    }
}

impl CommandKeys {
    /// The command, or the problems with it.
    pub fn resolve(&self, run: &At<String>, names: &Names, cx: &mut Context) -> Option<Command> {
        let database = names.database(self.database.as_ref(), run.span.clone(), cx);
        let directory = self.directory(cx);
        names.check_places(run, cx);
        check_command(run, cx);
        for (name, value) in &self.env.0 {
            if name.value.is_empty() || name.value.contains(['=', '\0']) {
                let message = format!(
                    "`{}` cannot be the name of an environment variable",
                    name.value
                );
                cx.report(Problem::at(name.span.clone(), message));
            }
            let text = At {
                span: value.span.clone(),
                value: value.value.0.clone(),
            };
            names.check_places(&text, cx);
        }
        let env = self.env.0.iter();
        Some(Command {
            run: run.value.clone(),
            directory: directory?,
            folder: self
                .directory
                .as_ref()
                .map_or_else(String::new, |given| given.value.clone()),
            env: env
                .map(|(name, value)| (name.value.clone(), value.value.0.clone()))
                .collect(),
            database: database?,
        })
    }

    fn directory(&self, cx: &mut Context) -> Option<PathBuf> {
        let Some(given) = &self.directory else {
            return Some(cx.folder.clone());
        };
        let path = cx.folder.join(&given.value);
        if path.is_dir() {
            return Some(path);
        }
        let problem = Problem::at(
            given.span.clone(),
            format!("there is no folder `{}`", given.value),
        );
        cx.report(problem.help(format!(
            "paths are relative to the scenario: {}",
            path.display()
        )));
        None
    }
}
