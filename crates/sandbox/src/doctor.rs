//! What a private server would be made from, and what to do when nothing is there: data to print.

use std::fmt;
use std::path::PathBuf;

use crate::binaries::{self, Binaries, Place};
use crate::initdb;
use crate::run;
use crate::user;

/// What was found on this machine.
#[derive(Clone, Debug)]
pub struct Findings {
    /// The places searched for server programs, in order.
    pub places: Vec<Place>,
    /// The programs a private server would use: the newest.
    pub used: Option<Binaries>,
    /// The user a private server would run as, and why it is that one.
    pub user: String,
    /// State of the cached, freshly initialised data folder of that version.
    pub cache: Cache,
    /// The folder that runs keep their folders in, or why there can be none.
    pub runs: Result<PathBuf, String>,
    /// The command that mends what is missing, when something is.
    pub remedy: Option<String>,
}

/// State of the cached data folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cache {
    /// It is there: a server starts from a copy.
    Ready(PathBuf),
    /// It will be made by the first start, which takes some seconds longer.
    Empty(PathBuf),
    /// There is no server program to make it with.
    NoProgram,
}

/// Looks at the machine; starts nothing and changes nothing but the folder that runs share.
pub fn doctor() -> Findings {
    let places = binaries::search();
    let used = binaries::newest(&places).cloned();
    let cache = match &used {
        None => Cache::NoProgram,
        Some(found) => {
            let folder = initdb::cached_folder(found);
            if initdb::is_complete(&folder) {
                Cache::Ready(folder)
            } else {
                Cache::Empty(folder)
            }
        }
    };
    let runs = run::base().map_err(|error| error.to_string());
    let remedy = match (&used, &runs) {
        (None, _) => Some(install_command().to_owned()),
        (Some(_), Err(_)) => Some("export TMPDIR=$(mktemp -d /tmp/XXXXXX)".to_owned()),
        (Some(_), Ok(_)) => None,
    };
    Findings {
        places,
        used,
        user: user_in_words(),
        cache,
        runs,
        remedy,
    }
}

fn user_in_words() -> String {
    match user::to_run_as() {
        Some(user) => format!(
            "{} (uid {}; PostgreSQL refuses to run as root)",
            user.name, user.uid
        ),
        None => format!(
            "the user who calls (uid {})",
            rustix::process::geteuid().as_raw()
        ),
    }
}

fn install_command() -> &'static str {
    let has = |program: &str| {
        std::env::var_os("PATH")
            .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).exists()))
    };
    [
        ("apt-get", "apt-get install postgresql"),
        ("dnf", "dnf install postgresql-server"),
        ("yum", "yum install postgresql-server"),
        ("apk", "apk add postgresql"),
        ("pacman", "pacman -S postgresql"),
        ("zypper", "zypper install postgresql-server"),
        ("brew", "brew install postgresql"),
    ]
    .iter()
    .find(|(program, _)| has(program))
    .map_or("apt-get install postgresql", |(_, command)| command)
}

impl Findings {
    /// Where server programs were sought and what was there, a line a place.
    pub fn searched(&self) -> String {
        let mut lines = vec!["searched, in this order:".to_owned()];
        let mut nothing = "nothing";
        for place in &self.places {
            let mut said: Vec<String> = place.found.iter().map(ToString::to_string).collect();
            said.extend(
                place
                    .unusable
                    .iter()
                    .map(|(path, why)| format!("{}: {why}", path.display())),
            );
            let said = if said.is_empty() {
                nothing.to_owned()
            } else {
                // What a later place has under another name is not told again.
                nothing = "nothing more";
                said.join("; ")
            };
            lines.push(format!("  {}: {said}", place.place));
        }
        lines.join("\n")
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.used {
            Some(used) => writeln!(f, "server   {used}")?,
            None => writeln!(f, "server   none")?,
        }
        writeln!(f, "user     {}", self.user)?;
        match &self.cache {
            Cache::Ready(folder) => writeln!(f, "cache    {}", folder.display())?,
            Cache::Empty(folder) => {
                writeln!(f, "cache    {} (made by the first start)", folder.display())?;
            }
            Cache::NoProgram => {}
        }
        match &self.runs {
            Ok(folder) => writeln!(f, "runs     {}", folder.display())?,
            Err(why) => writeln!(f, "runs     {why}")?,
        }
        writeln!(f, "{}", self.searched())?;
        match &self.remedy {
            Some(command) => write!(f, "to mend it: {command}"),
            None => write!(f, "nothing is missing"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    #[test]
    fn a_machine_without_postgresql_hears_where_it_was_sought_and_what_mends_it() {
        let place = |place: &str| Place {
            place: place.to_owned(),
            found: Vec::new(),
            unusable: Vec::new(),
        };
        let old = (
            PathBuf::from("/usr/pgsql-9.6/bin"),
            "version 9.6.24 is too old".to_owned(),
        );
        let findings = Findings {
            places: vec![
                place("PATH"),
                Place {
                    unusable: vec![old],
                    ..place("/usr/pgsql-*/**/bin")
                },
            ],
            used: None,
            user: user_in_words(),
            cache: Cache::NoProgram,
            runs: Ok(PathBuf::from("/tmp/deadheat-0")),
            remedy: Some("apt-get install postgresql".to_owned()),
        };
        let text = Error::NoBinaries(Box::new(findings)).to_string();
        let at = |part: &str| {
            text.find(part)
                .unwrap_or_else(|| panic!("{part} is missing in {text}"))
        };
        assert!(at("PATH: nothing") < at("/usr/pgsql-9.6/bin: version 9.6.24 is too old"));
        assert!(
            text.ends_with("to mend it: apt-get install postgresql"),
            "{text}"
        );
    }

    #[test]
    fn what_is_used_is_the_newest_of_what_was_found() {
        let findings = doctor();
        let newest = findings
            .places
            .iter()
            .flat_map(|place| &place.found)
            .map(Binaries::order)
            .max();
        assert_eq!(findings.used.as_ref().map(Binaries::order), newest);
        assert_eq!(
            findings.remedy.is_some(),
            findings.used.is_none() || findings.runs.is_err()
        );
    }
}
