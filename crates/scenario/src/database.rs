//! `[database]` and `[database.NAME]`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::{Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::command::check_command;
use crate::decode::{At, Context, Decode, Named, Node, OneOrMany, Scalar, entries};
use crate::names::MAIN;
use crate::problem::Problem;
use crate::section::{Fields, Properties, nearest, section, unknown_key};

section! {
    /// A database: what it is and how it is at the start. `[database]` where there is one, `[database.NAME]` where
    /// there are several.
    struct DatabaseKeys {
        /// The kind of database: "postgres".
        engine: Engine,
        /// SQL files, run once, in order.
        setup: OneOrMany<At<String>>,
        /// Inline SQL, run once, after the files of `setup`.
        sql: OneOrMany<String>,
        /// A command, run once, after `setup` and `sql`, with DATABASE_URL and PG* set, ungated: a migration.
        prepare: Option<At<String>>,
        /// Settings of the server for every session: names and values.
        settings: Named<At<Scalar>>,
        /// Use this server, in scratch databases of our own, instead of a private one: "postgres://user@127.0.0.1/".
        server: Option<At<String>>,
    }
}

/// A database and how it is at the start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Database {
    /// The kind of database.
    pub engine: Engine,
    /// SQL files, run once, in order.
    pub setup: Vec<SetupFile>,
    /// SQL texts, run once, after the files.
    pub sql: Vec<String>,
    /// A command for the shell, run once, after both, in the scenario's folder.
    pub prepare: Option<String>,
    /// Settings for every session.
    pub settings: BTreeMap<String, String>,
    /// URL of a server to use instead of a private one.
    #[serde(skip)]
    pub server: Option<String>,
}

/// Kinds of databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// PostgreSQL.
    Postgres,
}

impl Decode for Engine {
    fn decode(node: Node<'_>, cx: &mut Context) -> Option<Self> {
        let name = String::decode(node, cx)?;
        if name == "postgres" {
            return Some(Self::Postgres);
        }
        let problem = Problem::at(
            node.span(),
            format!("there is no gate for the engine `{name}`"),
        );
        cx.report(match nearest(&name, &["postgres", "postgresql", "pg"]) {
            Some(_) => problem.help("did you mean `postgres`?"),
            None => problem.help("the only engine so far is \"postgres\""),
        });
        None
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "enum": ["postgres"] })
    }
}

/// A file of SQL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SetupFile {
    /// Where it is, from where the program runs.
    #[serde(skip)]
    pub path: PathBuf,
    /// What it says.
    pub text: String,
}

/// The databases of a file, by name.
#[derive(Clone, Debug)]
pub(crate) struct Databases(Vec<(String, DatabaseKeys)>);

/// Whether an entry of the `database` table is a key of a plain `[database]`, or else a database of that name.
pub(crate) fn is_key(
    key: &Spanned<Cow<'_, str>>,
    value: &Spanned<DeValue<'_>>,
    table: &DeTable<'_>,
) -> bool {
    let known = DatabaseKeys::keys();
    let name = key.get_ref().as_ref();
    let Some(inner) = value.get_ref().as_table() else {
        return true;
    };
    // `seting = { … }` in a plain table is a slip, not a database.
    let slip = table.contains_key("engine")
        && !inner.contains_key("engine")
        && nearest(name, &known).is_some();
    known.contains(&name) || slip
}

/// Whether there is a plain `[database]`.
pub(crate) fn is_plain(table: &DeTable<'_>) -> bool {
    table.is_empty()
        || entries(table)
            .into_iter()
            .any(|(key, value)| is_key(key, value, table))
}

impl Decode for Databases {
    fn decode(node: Node<'_>, cx: &mut Context) -> Option<Self> {
        let known = DatabaseKeys::keys();
        // What is not a key is the name of a database, so all keys pass here and are judged below.
        let all: Vec<_> = node
            .value
            .get_ref()
            .as_table()
            .into_iter()
            .flat_map(entries)
            .collect();
        let names: Vec<_> = all.iter().map(|(key, _)| key.get_ref().as_ref()).collect();
        let fields = Fields::open(node, &names, cx)?;
        let table = node.value.get_ref().as_table()?;
        let mut databases = Vec::new();
        for (key, value) in all {
            let name = key.get_ref().to_string();
            if !is_key(key, value, table) {
                let inner = Node {
                    key: &name,
                    doc: node.doc,
                    value,
                };
                let keys = DatabaseKeys::decode(inner, cx);
                check_name(&name, key, is_plain(table), cx);
                databases.extend(keys.map(|keys| (name, keys)));
            } else if !known.contains(&name.as_str()) {
                cx.report(unknown_key(key, &known));
            }
        }
        if is_plain(table) {
            databases.extend(DatabaseKeys::read(&fields, cx).map(|keys| (MAIN.into(), keys)));
        }
        Some(Self(databases))
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let named = DatabaseKeys::schema(generator);
        let mut properties = Properties::default();
        DatabaseKeys::properties(&mut properties, generator);
        properties.required.clear();
        let mut schema = properties.finish("");
        schema.insert("additionalProperties".into(), named.to_value());
        schema
    }
}

fn check_name(name: &str, key: &Spanned<Cow<'_, str>>, plain: bool, cx: &mut Context) {
    if plain && name == MAIN {
        let problem = Problem::at(key.span(), "two databases are called `main`");
        cx.report(
            problem.help("the plain `[database]` is called `main`: give this one another name"),
        );
    }
    check_plain_name("database", name, key.span(), cx);
}

/// Names of databases and services end up in the names of scratch databases, in templates and in logs.
pub(crate) fn check_plain_name(
    what: &str,
    name: &str,
    place: std::ops::Range<usize>,
    cx: &mut Context,
) {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.is_empty() || !name.chars().all(plain) {
        let problem = Problem::at(place, format!("`{name}` cannot be the name of a {what}"));
        cx.report(problem.help("a name is made of letters, digits, `_` and `-`"));
    }
}

impl Databases {
    /// The databases, or the problems with them.
    pub fn resolve(&self, cx: &mut Context) -> BTreeMap<String, Database> {
        let resolved = self
            .0
            .iter()
            .map(|(name, keys)| keys.resolve(cx).map(|database| (name.clone(), database)));
        resolved.collect::<Vec<_>>().into_iter().flatten().collect()
    }
}

impl DatabaseKeys {
    fn resolve(&self, cx: &mut Context) -> Option<Database> {
        let setup: Vec<_> = self
            .setup
            .0
            .iter()
            .map(|file| read_setup(file, cx))
            .collect();
        if let Some(prepare) = &self.prepare {
            check_command(prepare, cx);
        }
        for (name, _) in &self.settings.0 {
            check_setting(name, cx);
        }
        if let Some(server) = &self.server
            && !server.value.starts_with("postgres://")
            && !server.value.starts_with("postgresql://")
        {
            let problem = Problem::at(
                server.span.clone(),
                "`server` must be the URL of a PostgreSQL server",
            );
            cx.report(problem.help(
                "write \"postgres://user@127.0.0.1/\", or leave it out to use a private server",
            ));
        }
        let settings = self.settings.0.iter();
        Some(Database {
            engine: self.engine,
            setup: setup.into_iter().collect::<Option<_>>()?,
            sql: self.sql.0.clone(),
            prepare: self.prepare.as_ref().map(|command| command.value.clone()),
            settings: settings
                .map(|(name, value)| (name.value.clone(), value.value.0.clone()))
                .collect(),
            server: self.server.as_ref().map(|server| server.value.clone()),
        })
    }
}

fn read_setup(file: &At<String>, cx: &mut Context) -> Option<SetupFile> {
    let path = cx.folder.join(&file.value);
    match std::fs::read_to_string(&path) {
        Ok(text) => Some(SetupFile { path, text }),
        Err(error) => {
            let problem = Problem::at(file.span.clone(), format!("cannot read `{}`", file.value));
            cx.report(problem.label(reason(&error)).help(format!(
                "paths are relative to the scenario: {}",
                path.display()
            )));
            None
        }
    }
}

/// Why a file cannot be read, in words that are the same everywhere.
pub(crate) fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".into(),
        std::io::ErrorKind::IsADirectory => "this is a folder".into(),
        std::io::ErrorKind::InvalidData => "this is not UTF-8 text".into(),
        std::io::ErrorKind::PermissionDenied => "it may not be read".into(),
        _ => error.to_string(),
    }
}

fn check_setting(name: &At<String>, cx: &mut Context) {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    if name.value.is_empty() || !name.value.chars().all(plain) {
        cx.report(Problem::at(
            name.span.clone(),
            format!("`{}` cannot be the name of a setting", name.value),
        ));
    }
}
