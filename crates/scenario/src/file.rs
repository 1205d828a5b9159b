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
use crate::decode::{Context, Node, Part};
use crate::explore::ExploreKeys;
use crate::names::Names;
use crate::problem::{Errors, Problem};
use crate::section::{Fields, section};
use crate::service::Services;

section! {
    /// A Deadheat scenario: databases, services, actors that run at the same time, and when a run is wrong. Paths
    /// are relative to the file.
    struct ScenarioKeys {
        /// What the scenario is about, in a few words (default: the file's name).
        title: Part<String>,
        /// The database: what it is and how it is at the start. More of them: [database.NAME].
        database: Part<Databases>,
        /// Services, by name: [service.NAME]; one copy a lab.
        service: Part<Services>,
        /// Once, one after the other, not gated (log in, fill a basket); what they leave in the database and in
        /// cookies is where every run starts.
        before: Part<Listed<BeforeKeys>>,
        /// What runs at the same time.
        actor: Part<Listed<ActorKeys>>,
        /// When a run is wrong.
        check: Part<CheckKeys>,
        /// Which schedules are tried, and how many. Flags of the same names override it.
        explore: Part<ExploreKeys>,
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
        let help = "give the path of a scenario file; `deadheat schema` says what stands in one";
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
    // Of several the first alone: the others are often what it makes of the lines behind it.
    let place = |error: &toml::de::Error| error.span().unwrap_or(0..0);
    if let Some(error) = errors.iter().min_by_key(|error| place(error).start) {
        let place = place(error);
        let problem = Problem::at(place, "this is not TOML").label(error.message());
        return Err(Errors::new(name, text, vec![problem]));
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
    let fields = Fields::open(node, &ScenarioKeys::keys(), &mut cx);
    let keys = fields.and_then(|fields| {
        check_parts(&fields, &mut cx);
        ScenarioKeys::read(&fields, &mut cx)
    });
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
    fn resolve(self, path: PathBuf, text: &str, names: &Names, cx: &mut Context) -> Scenario {
        let stem = path
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned());
        let before = self.before.0.unwrap_or_default();
        let actor = self.actor.0.unwrap_or_default();
        let services = self.service.0;
        let of_services = services.as_ref().map(Services::faults).unwrap_or_default();
        let scenario = Scenario {
            title: self.title.0.or(stem).unwrap_or_default(),
            folder: cx.folder.clone(),
            path,
            text: text.to_owned(),
            databases: self
                .database
                .0
                .map(|keys| keys.resolve(cx))
                .unwrap_or_default(),
            services: services
                .map(|keys| keys.resolve(names, cx))
                .unwrap_or_default(),
            before: before.resolve(names, cx),
            actors: actor.resolve(names, of_services, cx),
            check: self
                .check
                .0
                .map(|keys| keys.resolve(names, cx))
                .unwrap_or_default(),
            explore: self
                .explore
                .0
                .map(|keys| keys.resolve())
                .unwrap_or_default(),
        };
        // Only where all could be read is it known that what is not there is missing.
        if cx.problems.is_empty() {
            before.check_shared(&actor, cx);
            check_saved(&before, &actor, cx);
        }
        scenario
    }
}

/// Notes what no scenario can do without.
fn check_parts(fields: &Fields<'_>, cx: &mut Context) {
    let database =
        "add `[database]` with `engine = \"postgres\"`: races are found where the state is";
    let actor = "add `[[actor]]` with `name` and one of `request`, `requests`, `run` and `sql`";
    for (key, help) in [("database", database), ("actor", actor)] {
        if !fields.has(key) {
            cx.report(Problem::whole(format!("there is no {key}")).help(help));
        }
    }
}
