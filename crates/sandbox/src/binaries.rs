//! PostgreSQL's server programs on this machine: the newest ones found.

use std::collections::BTreeSet;
use std::env;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Oldest major version that has what the sandbox and the gate ask of a server
/// (`pg_current_xact_id_if_assigned()`, `DROP DATABASE … WITH (FORCE)`).
pub(crate) const OLDEST: u32 = 13;

/// A folder with `initdb` and `postgres` of one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binaries {
    /// The folder.
    pub folder: PathBuf,
    /// Version in full: `15.18`.
    pub version: String,
}

impl Binaries {
    /// The version as numbers, for comparison. A development version counts as its major version.
    pub(crate) fn order(&self) -> (u32, u32) {
        numbers(&self.version)
    }

    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

impl fmt::Display for Binaries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "PostgreSQL {} in {}",
            self.version,
            self.folder.display()
        )
    }
}

/// A place that was searched, and what was there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The place in words: `PATH`, `/usr/lib/postgresql/*/bin`, ….
    pub place: String,
    /// The programs found there; those seen before under another name of the same folder are left out.
    pub found: Vec<Binaries>,
    /// Folders that have programs which cannot be used, and why.
    pub unusable: Vec<(PathBuf, String)>,
}

/// Searches all places, in order.
pub(crate) fn search() -> Vec<Place> {
    let mut seen = BTreeSet::new();
    places()
        .into_iter()
        .map(|(place, folders)| {
            let mut here = Place {
                place,
                found: Vec::new(),
                unusable: Vec::new(),
            };
            for folder in folders {
                let Some(folder) = home_of(&folder) else {
                    continue;
                };
                if !seen.insert(folder.clone()) {
                    continue;
                }
                match inspect(&folder) {
                    Ok(found) => here.found.push(found),
                    Err(why) => here.unusable.push((folder, why)),
                }
            }
            here
        })
        .collect()
}

/// The newest of what was found.
pub(crate) fn newest(places: &[Place]) -> Option<&Binaries> {
    // The first of equals: the order of the places is the order of preference.
    places
        .iter()
        .flat_map(|place| &place.found)
        .rev()
        .max_by_key(|found| found.order())
}

/// Environment variable that names the folder of the programs to use; nowhere else is searched then.
const CHOSEN: &str = "DEADHEAT_POSTGRES";

fn places() -> Vec<(String, Vec<PathBuf>)> {
    if let Some(chosen) = env::var_os(CHOSEN).filter(|value| !value.is_empty()) {
        let folder = PathBuf::from(chosen);
        return vec![(format!("{CHOSEN}={}", folder.display()), vec![folder])];
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let mut places = vec![("PATH".to_owned(), env::split_paths(&path).collect())];
    let config = Command::new("pg_config")
        .arg("--bindir")
        .output()
        .ok()
        .filter(|said| said.status.success());
    let told = config.map(|said| PathBuf::from(String::from_utf8_lossy(&said.stdout).trim()));
    places.push(("pg_config --bindir".to_owned(), told.into_iter().collect()));
    for (parent, child) in [
        ("/usr/lib/postgresql", "bin"),
        ("/usr/lib64/pgsql", "bin"),
        ("/usr/pgsql-*", "bin"),
        ("/usr/local/pgsql", "bin"),
        ("/opt/postgresql", "bin"),
        ("/opt/homebrew/opt/postgresql*", "bin"),
        ("/home/linuxbrew/.linuxbrew/opt/postgresql*", "bin"),
        ("/Applications/Postgres.app/Contents/Versions", "bin"),
    ] {
        places.push((format!("{parent}/**/{child}"), below(parent, child)));
    }
    places
}

/// `parent/child` and `parent/*/child`; `parent` may end in `*`.
fn below(parent: &str, child: &str) -> Vec<PathBuf> {
    let mut roots = vec![PathBuf::from(parent)];
    if let Some((folder, prefix)) = parent
        .strip_suffix('*')
        .and_then(|start| start.rsplit_once('/'))
    {
        roots = children(Path::new(folder));
        roots.retain(|root| {
            root.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with(prefix))
        });
    }
    let inner = roots
        .iter()
        .flat_map(|root| children(root))
        .map(|folder| folder.join(child));
    roots
        .iter()
        .map(|root| root.join(child))
        .chain(inner)
        .collect()
}

fn children(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<_> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}

/// The folder the programs really are in: `initdb` on the PATH may be a link, and looks for `postgres`
/// beside what it points to.
fn home_of(folder: &Path) -> Option<PathBuf> {
    let real = fs::canonicalize(folder.join("initdb")).ok()?;
    // A wrapper script of a distribution is no server program: its folder has no `postgres`.
    let home = real.parent()?;
    home.join("postgres").exists().then(|| home.to_owned())
}

fn inspect(folder: &Path) -> Result<Binaries, String> {
    let said = Command::new(folder.join("postgres"))
        .arg("--version")
        .output()
        .map_err(|e| e.to_string())?;
    if !said.status.success() {
        return Err(String::from_utf8_lossy(&said.stderr).trim().to_owned());
    }
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    let version = text
        .split_ascii_whitespace()
        .find(|word| word.starts_with(|first: char| first.is_ascii_digit()))
        .ok_or_else(|| format!("`postgres --version` said {text:?}"))?;
    let found = Binaries {
        folder: folder.to_owned(),
        version: version.to_owned(),
    };
    if found.order().0 < OLDEST {
        return Err(format!(
            "version {version} is too old: {OLDEST} is the oldest that can be used"
        ));
    }
    Ok(found)
}

/// `15.18` and `17beta1` as numbers.
pub(crate) fn numbers(version: &str) -> (u32, u32) {
    let mut parts = version.split(|c: char| !c.is_ascii_digit());
    let mut next = || parts.next().and_then(|part| part.parse().ok()).unwrap_or(0);
    let major = next();
    // What follows "beta" is not a minor version.
    (major, if version.contains('.') { next() } else { 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(folder: &str, version: &str) -> Binaries {
        Binaries {
            folder: PathBuf::from(folder),
            version: version.to_owned(),
        }
    }

    #[test]
    fn the_newest_wins_and_the_first_place_among_equals() {
        let place = |found| Place {
            place: String::new(),
            found,
            unusable: Vec::new(),
        };
        let places = [
            place(vec![at("/a", "9.6.24"), at("/b", "15.9")]),
            place(vec![
                at("/c", "15.18"),
                at("/d", "15.18"),
                at("/e", "15beta4"),
            ]),
        ];
        assert_eq!(newest(&places), Some(&at("/c", "15.18")));
    }
}
