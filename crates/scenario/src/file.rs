//! The file as a whole: its tables, and what holds between them.

use std::path::{Path, PathBuf};

use schemars::generate::SchemaSettings;
use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::Scenario;
use crate::actor::{ActorKeys, BeforeKeys, Listed, check_saved};
use crate::check::CheckKeys;
use crate::database::{Databases, reason};
use crate::decode::{Context, Decode, Node};
use crate::explore::ExploreKeys;
use crate::names::Names;
use crate::problem::{Errors, Problem};
use crate::section::section;
use crate::service::Services;

section! {
    /// A Deadheat scenario: databases, services, actors that run at the same time, and when a run is wrong. Paths
    /// are relative to the file.
    struct ScenarioKeys {
        /// What the scenario is about, in a few words (default: the file's name).
        title: Option<String>,
        /// The database: what it is and how it is at the start. More of them: [database.NAME].
        database: Databases,
        /// Services, by name: [service.NAME]; one copy a lab.
        service: Services,
        /// Once a lab, one after the other, not gated (log in, fill a basket); what they leave in the database and in
        /// cookies is where every run starts.
        before: Listed<BeforeKeys>,
        /// What runs at the same time.
        actor: Listed<ActorKeys>,
        /// When a run is wrong.
        check: Option<CheckKeys>,
        /// Which schedules are tried, and how many. Flags of the same names override it.
        explore: Option<ExploreKeys>,
    }
}

/// Reads a scenario from its file.
///
/// # Errors
/// Everything that is wrong with it, as far as it can be found in one go.
pub fn load(path: &Path) -> Result<Scenario, Errors> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| {
        let problem = Problem::whole(format!("cannot read {name}: {}", reason(&error)));
        let help = "give the path of a scenario file; `deadheat init` writes a first one";
        Errors::new(&name, "", vec![problem.help(help)])
    })?;
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    parse(&name, &text, folder.unwrap_or(Path::new(".")))
}

/// Reads a scenario from text. `name` is the file's, for errors; paths are relative to `folder`.
///
/// # Errors
/// Everything that is wrong with it, as far as it can be found in one go.
pub fn parse(name: &str, text: &str, folder: &Path) -> Result<Scenario, Errors> {
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        let problems = errors.iter().map(|error| {
            let place = error.span().unwrap_or(0..0);
            Problem::at(place, "this is not TOML").label(error.message())
        });
        return Err(Errors::new(name, text, problems.collect()));
    }
    let mut cx = Context {
        folder: folder.into(),
        problems: Vec::new(),
    };
    let names = Names::of(table.get_ref());
    let whole = Spanned::new(table.span(), DeValue::Table(table.into_inner()));
    let node = Node {
        key: "scenario",
        doc: "the file",
        value: &whole,
    };
    let keys = ScenarioKeys::decode(node, &mut cx);
    let scenario = keys.map(|keys| keys.resolve(PathBuf::from(name), text, &names, &mut cx));
    match scenario {
        Some(scenario) if cx.problems.is_empty() => Ok(scenario),
        _ => Err(Errors::new(name, text, cx.problems)),
    }
}

/// JSON Schema of the scenario file, for editors.
pub fn schema() -> Value {
    let generator = SchemaSettings::draft07().into_generator();
    let mut schema = generator.into_root_schema_for::<ScenarioKeys>();
    schema.insert("title".into(), "Deadheat scenario".into());
    schema.to_value()
}

impl ScenarioKeys {
    fn resolve(&self, path: PathBuf, text: &str, names: &Names, cx: &mut Context) -> Scenario {
        let stem = path
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned());
        if names.databases.is_empty() {
            let help =
                "add `[database]` with `engine = \"postgres\"`: races are found where the state is";
            cx.report(Problem::whole("there is no database").help(help));
        }
        let databases = self.database.resolve(cx);
        let services = self.service.resolve(names, cx);
        let before = self.before.resolve(names, cx);
        let actors = self.actor.resolve(names, cx);
        let check = self.check.as_ref().map(|check| check.resolve(names, cx));
        if cx.problems.is_empty() {
            // Only now is it known that nothing is missing because it could not be read.
            self.before.check_shared(&self.actor, cx);
            check_saved(&self.before, &self.actor, cx);
            if actors.is_empty() {
                let help =
                    "add `[[actor]]` with `name` and one of `request`, `requests`, `run` and `sql`";
                cx.report(Problem::whole("there is no actor").help(help));
            }
        }
        Scenario {
            title: self.title.clone().or(stem).unwrap_or_default(),
            folder: cx.folder.clone(),
            path,
            text: text.to_owned(),
            databases,
            services,
            before,
            actors,
            check: check.unwrap_or_default(),
            explore: self
                .explore
                .as_ref()
                .map(ExploreKeys::resolve)
                .unwrap_or_default(),
        }
    }
}
