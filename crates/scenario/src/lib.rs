//! The scenario file: its keys, their meaning, their errors.
//!
//! [`load`] reads one and says everything that is wrong with it, with places and helps; [`schema`] describes it to
//! editors. A key has one home: the module of its table declares its type, documentation, default and checks.
//! Nothing here runs anything; files are only read.
//!
//! ```
//! use std::path::Path;
//!
//! let text = r#"
//!     title = "A fifth player sneaks into a four-seat game"
//!
//!     [database]
//!     engine = "postgres"
//!     sql = "create table players(nick text)"
//!
//!     [service.web]
//!     run = "python app.py"
//!     env = { PORT = "{port}" }
//!
//!     [[actor]]
//!     name = "p{n}"
//!     copies = 5
//!     request = "POST /games/1/players"
//!     json = { nick = "p{n}" }
//!
//!     [check]
//!     invariants = { "at most four" = "select count(*) <= 4 from players" }
//! "#;
//! let scenario = deadheat_scenario::parse("lobby.toml", text, Path::new("."))?;
//! assert_eq!(scenario.actors[4].name, "p5");
//!
//! let wrong = text.replace("actor", "acotr");
//! let errors = deadheat_scenario::parse("lobby.toml", &wrong, Path::new(".")).unwrap_err();
//! assert_eq!(errors.problems()[0].help.as_deref(), Some("did you mean `actor`?"));
//! # Ok::<(), deadheat_scenario::Errors>(())
//! ```

mod actor;
mod check;
mod command;
mod database;
mod decode;
mod explore;
mod fault;
mod file;
pub mod jsonpath;
mod names;
mod problem;
mod request;
mod save;
mod section;
mod service;
mod sql;
mod template;
mod time;
mod work;

use std::collections::BTreeMap;
use std::path::PathBuf;

pub use actor::{Actor, Before};
pub use check::{Allow, Check, Invariant, Mask};
pub use command::Command;
pub use database::{Database, Engine, SetupFile};
pub use explore::{Explore, Strategy, UnknownStrategy};
pub use fault::{Fault, FaultKind};
pub use file::{load, parse, schema};
pub use jsonpath::JsonPath;
pub use names::MAIN;
pub use problem::{Errors, Problem};
pub use request::{Body, Filled, Method, Request};
pub use save::{Pattern, Save, Source};
pub use service::{Ready, Reset, Service};
pub use sql::{SqlStep, fill_sql};
pub use template::{Places, Saved, Unfilled, fill, fill_json};
pub use time::parse_duration;
pub use work::Work;

/// A scenario that can be run: every name in it is known, every file it names was there.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// The file, as it was given.
    pub path: PathBuf,
    /// The folder that paths are relative to.
    pub folder: PathBuf,
    /// What it is about.
    pub title: String,
    /// The file's text.
    pub text: String,
    /// Databases by name; a plain `[database]` is called [`MAIN`].
    pub databases: BTreeMap<String, Database>,
    /// Services by name.
    pub services: BTreeMap<String, Service>,
    /// What is done before the runs, in order.
    pub before: Vec<Before>,
    /// What runs at the same time, in order; copies are made. At least one. Behind them are their faults.
    pub actors: Vec<Actor>,
    /// When a run is wrong.
    pub check: Check,
    /// Which schedules are tried.
    pub explore: Explore,
}

impl Scenario {
    /// The most faults that one run can have: none where no actor may have any.
    fn most_faults(&self) -> Option<u32> {
        let may = self.actors.iter().any(|actor| actor.fault.is_some());
        may.then_some(self.explore.faults)
    }

    /// A short text that is the same as long as a saved race can be expected to run as it did: it covers databases
    /// (with the text of setup files), services, actors with the most faults that a run may have, and checks, but not
    /// the title, where files are, which server is used, or what else is explored.
    pub fn fingerprint(&self) -> String {
        let matters = (
            &self.databases,
            &self.services,
            &self.before,
            &self.actors,
            &self.check,
            self.most_faults(),
        );
        let text =
            serde_json::to_string(&matters).expect("plain data with text keys is always JSON");
        format!("{:016x}", fnv1a(text.as_bytes()))
    }
}

/// The 64-bit FNV-1a hash: the same in every version and on every machine.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
