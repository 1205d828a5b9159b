//! The house rules, held over every file of the repository.
//!
//! A rule is a function from a file to its breaches, in words. The first test applies all of them to what git tracks
//! (or, where there is no git, to what lies in the folder); the others show that each rule can be broken. Words that
//! are forbidden here are put together from parts, so that this file keeps the rules too.
#![allow(missing_docs)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Lines of a source file at most.
const LONGEST: usize = 500;

/// The only files that may leave safe Rust: setting up a child between fork and exec.
const MAY_BE_UNSAFE: [&str; 1] = ["crates/sandbox/src/spawner.rs"];

/// Crates whose answers depend on nothing but what they are given.
const PURE: [&str; 5] = ["explore", "sql", "verdict", "report", "step"];

/// What a crate may use of the others. One that is not named here has no place yet.
const MAY_USE: [(&str, &[&str]); 16] = [
    ("explore", &[]),
    ("point", &[]),
    ("macros", &[]),
    ("task", &["explore", "gate", "point", "sandbox", "sql"]),
    ("cure", &[]),
    ("gate", &[]),
    ("scenario", &[]),
    ("spec", &["explore", "sql"]),
    ("step", &["explore", "lab", "verdict"]),
    ("live", &[]),
    ("sql", &["explore"]),
    ("sandbox", &["sql"]),
    ("lab", &["explore", "gate", "sandbox", "scenario", "sql"]),
    ("verdict", &["explore", "lab"]),
    ("report", &["explore", "lab", "verdict"]),
    (
        "deadheat",
        &[
            "explore", "gate", "lab", "live", "macros", "point", "report", "sandbox", "scenario",
            "spec", "sql", "step", "task", "verdict",
        ],
    ),
];

/// Hosts that a link may lead to; `.example` ends names that are nobody's.
const HOSTS: [&str; 8] = [
    "github.com",
    "json-schema.org",
    "www.apache.org",
    "www.postgresql.org",
    // The name of SVG's namespace, in pictures that stand alone.
    "www.w3.org",
    "127.0.0.1",
    "localhost",
    "[::1]",
];

/// Where packages come from and where this checkout happens to be is nobody's business.
const NOT_NAMED: [&str; 7] = [
    concat!("pypi", ".org"),
    concat!("python", "hosted.org"),
    concat!("npmjs", ".org"),
    concat!("index.", "crates.io"),
    concat!("static.", "crates.io"),
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
];

/// Marks of what is not finished.
const UNFINISHED: [&str; 6] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("to", "do!"),
    concat!("unimple", "mented!"),
    concat!("db", "g!"),
];

/// What makes two runs of the same program differ.
const CHANGEABLE: [&str; 4] = ["HashMap", "HashSet", "Instant", "SystemTime"];

/// A file of the repository.
struct File {
    /// Its path from the root.
    path: String,
    text: String,
}

impl File {
    fn is(&self, endings: &[&str]) -> bool {
        Path::new(&self.path)
            .extension()
            .is_some_and(|ending| endings.iter().any(|one| ending == *one))
    }

    /// The crate whose sources it belongs to.
    fn source_of(&self) -> Option<&str> {
        let (name, rest) = self.path.strip_prefix("crates/")?.split_once('/')?;
        (rest.starts_with("src/") && self.is(&["rs"])).then_some(name)
    }

    /// The lines on which one of the words stands alone, as breaches.
    fn lines_with(&self, words: &[&str], why: &str) -> Vec<String> {
        let mut found = Vec::new();
        for (number, line) in self.text.lines().enumerate() {
            for word in words.iter().filter(|word| stands_alone(line, word)) {
                found.push(format!("{}:{}: {word}: {why}", self.path, number + 1));
            }
        }
        found
    }
}

/// Whether the word is in the line and is no part of a longer one.
fn stands_alone(line: &str, word: &str) -> bool {
    let letter = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !before.is_some_and(letter) && !after.is_some_and(letter)
    })
}

fn short_enough(file: &File) -> Vec<String> {
    let lines = file.text.lines().count();
    if lines <= LONGEST || !file.is(&["rs", "py", "js"]) {
        return Vec::new();
    }
    vec![format!(
        "{}: {lines} lines, at most {LONGEST}: split it by idea",
        file.path
    )]
}

fn finished(file: &File) -> Vec<String> {
    file.lines_with(&UNFINISHED, "finish it or leave it out")
}

fn safe(file: &File) -> Vec<String> {
    if !file.is(&["rs"]) || MAY_BE_UNSAFE.contains(&file.path.as_str()) {
        return Vec::new();
    }
    file.lines_with(&[concat!("un", "safe")], "only process set-up may be")
}

fn repeatable(file: &File) -> Vec<String> {
    if !file.source_of().is_some_and(|name| PURE.contains(&name)) {
        return Vec::new();
    }
    file.lines_with(
        &CHANGEABLE,
        "this crate must say the same each time: ordered maps, no clock",
    )
}

fn introduced(file: &File) -> Vec<String> {
    if !file.is(&["rs"]) || file.text.starts_with("//! ") {
        return Vec::new();
    }
    vec![format!(
        "{}: its first line (`//!`) should say what it is for",
        file.path
    )]
}

fn unattached(file: &File) -> Vec<String> {
    let mut found = Vec::new();
    for (number, line) in file.text.lines().enumerate() {
        let named = NOT_NAMED.iter().filter(|name| line.contains(**name));
        for name in named {
            found.push(format!("{}:{}: names {name}", file.path, number + 1));
        }
        for host in hosts(line).filter(|host| !HOSTS.contains(host) && !host.ends_with(".example"))
        {
            found.push(format!(
                "{}:{}: leads to {host}, which is not among HOSTS",
                file.path,
                number + 1
            ));
        }
    }
    found
}

/// The hosts of the addresses in a line; what is filled in later (`http://{host}/`) is none.
fn hosts(line: &str) -> impl Iterator<Item = &str> {
    ["http://", "https://"]
        .into_iter()
        .flat_map(|scheme| line.split(scheme).skip(1))
        .filter_map(|rest| {
            let end = |c: char| !(c.is_ascii_alphanumeric() || ".-[]@".contains(c) || c == ':');
            let authority = rest.split(end).next()?;
            let host = authority.rsplit('@').next()?;
            match host.strip_prefix('[') {
                Some(_) => host.split_inclusive(']').next(),
                None => host.split(':').next(),
            }
        })
        .filter(|host| host.contains('.') || host.starts_with('['))
}

fn downhill(file: &File) -> Vec<String> {
    let Some(name) = file
        .path
        .strip_prefix("crates/")
        .and_then(|path| path.strip_suffix("/Cargo.toml"))
    else {
        return Vec::new();
    };
    let Some((_, may_use)) = MAY_USE.iter().find(|(known, _)| *known == name) else {
        return vec![format!(
            "{}: say in MAY_USE what this crate may use",
            file.path
        )];
    };
    let manifest: toml::Table = match file.text.parse() {
        Ok(manifest) => manifest,
        Err(error) => return vec![format!("{}: {error}", file.path)],
    };
    let tables = ["dependencies", "build-dependencies"];
    let used: BTreeSet<&str> = tables
        .iter()
        .filter_map(|table| manifest.get(*table)?.as_table())
        .flat_map(|table| table.keys())
        .filter_map(|key| key.strip_prefix("deadheat-"))
        .collect();
    used.into_iter()
        .filter(|other| !may_use.contains(other))
        .map(|other| format!("{}: {name} must not depend on {other}", file.path))
        .collect()
}

/// Every rule.
const RULES: [fn(&File) -> Vec<String>; 7] = [
    short_enough,
    finished,
    safe,
    repeatable,
    introduced,
    unattached,
    downhill,
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The paths that git tracks, or `None` where it cannot say.
fn tracked(root: &Path) -> Option<Vec<String>> {
    let mut git = Command::new("git");
    let listed = git.arg("-C").arg(root).args(["ls-files", "-z"]).output();
    let listed = listed.ok().filter(|listed| listed.status.success())?;
    let text = String::from_utf8(listed.stdout).ok()?;
    let paths: Vec<String> = text.split_terminator('\0').map(str::to_owned).collect();
    (!paths.is_empty()).then_some(paths)
}

/// The paths below a folder, without what is made there by building and running.
fn walked(root: &Path) -> Vec<String> {
    const MADE: [&str; 7] = [
        ".git",
        "target",
        ".venv",
        "node_modules",
        ".deadheat",
        "__pycache__",
        "media",
    ];
    let mut found = Vec::new();
    let mut open = vec![PathBuf::new()];
    while let Some(folder) = open.pop() {
        let entries = std::fs::read_dir(root.join(&folder)).expect("a folder that can be read");
        for entry in entries {
            let entry = entry.expect("a folder that can be read");
            let name = entry.file_name();
            let path = folder.join(&name);
            if MADE.iter().any(|made| name == *made) {
                continue;
            }
            if entry.file_type().expect("a file of some type").is_dir() {
                open.push(path);
            } else {
                found.push(path.to_str().expect("a path in UTF-8").to_owned());
            }
        }
    }
    found
}

/// The files of the repository; those that are no text are left out.
fn files() -> Vec<File> {
    let root = root();
    let mut paths = tracked(&root).unwrap_or_else(|| walked(&root));
    paths.sort();
    let read = |path: String| {
        let text = std::fs::read_to_string(root.join(&path)).ok()?;
        Some(File { path, text })
    };
    paths.into_iter().filter_map(read).collect()
}

#[test]
fn every_file_keeps_the_rules() {
    let files = files();
    assert!(
        files.len() > 200,
        "only {} files were looked at",
        files.len()
    );
    let breaches: Vec<String> = files
        .iter()
        .flat_map(|file| RULES.iter().flat_map(|rule| rule(file)))
        .collect();
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
}

#[test]
fn every_example_can_be_read() {
    let scenarios: Vec<String> = files()
        .into_iter()
        .filter(|file| file.path.starts_with("examples/") && file.is(&["toml"]))
        .filter(|file| !file.path.ends_with("Cargo.toml"))
        .map(|file| file.path)
        .collect();
    assert!(scenarios.len() > 10, "only {scenarios:?}");
    for path in scenarios {
        if let Err(errors) = deadheat_scenario::load(&root().join(&path)) {
            panic!("{path}: {errors:?}");
        }
    }
}

#[test]
fn every_crate_has_a_place() {
    let known: BTreeMap<_, _> = MAY_USE.into_iter().collect();
    for (name, may_use) in &known {
        let manifest = root().join("crates").join(name).join("Cargo.toml");
        assert!(manifest.exists(), "MAY_USE names {name}, which is gone");
        for other in *may_use {
            let back = known.get(other).is_some_and(|uses| uses.contains(name));
            assert!(!back, "{name} and {other} may use each other");
        }
    }
}

/// What the rule says about a file.
fn told(rule: fn(&File) -> Vec<String>, path: &str, text: &str) -> Vec<String> {
    rule(&File {
        path: path.to_owned(),
        text: text.to_owned(),
    })
}

#[test]
fn a_file_grows_too_long() {
    let long = "//! Long.\n".repeat(LONGEST + 1);
    assert_eq!(told(short_enough, "crates/lab/src/a.rs", &long).len(), 1);
    assert_eq!(told(short_enough, "examples/a.py", &long).len(), 1);
    assert!(told(short_enough, "a.snap", &long).is_empty());
    assert!(told(short_enough, "a.rs", &long[10..]).is_empty());
}

#[test]
fn something_is_left_for_later() {
    for word in UNFINISHED {
        assert_eq!(told(finished, "a.py", &format!("# {word} later")).len(), 1);
    }
    let [_, _, mark, ..] = UNFINISHED;
    assert!(told(finished, "a.sh", &format!("mktemp {mark}{mark}")).is_empty());
}

#[test]
fn a_crate_leaves_safe_rust() {
    let text = concat!("un", "safe { exit() }");
    assert_eq!(told(safe, "crates/lab/src/a.rs", text).len(), 1);
    assert!(told(safe, MAY_BE_UNSAFE[0], text).is_empty());
    let attribute = concat!("#![forbid(un", "safe_code)]");
    assert!(told(safe, "crates/lab/src/a.rs", attribute).is_empty());
}

#[test]
fn the_explorer_looks_at_the_clock() {
    for word in CHANGEABLE {
        let text = format!("use x::{word};");
        assert_eq!(told(repeatable, "crates/explore/src/a.rs", &text).len(), 1);
        assert!(told(repeatable, "crates/lab/src/a.rs", &text).is_empty());
        assert!(told(repeatable, "crates/sql/examples/a.rs", &text).is_empty());
    }
}

#[test]
fn a_module_does_not_say_what_it_is_for() {
    assert_eq!(told(introduced, "a.rs", "use std::io;\n//! Late.").len(), 1);
    assert!(told(introduced, "a.rs", "//! Early.").is_empty());
    assert!(told(introduced, "a.py", "import os").is_empty());
}

#[test]
fn a_file_tells_where_it_was_written() {
    for name in NOT_NAMED {
        assert_eq!(told(unattached, "a.md", &format!("see {name}x")).len(), 1);
    }
    let link = |host: &str| format!("http{}://{host}/simple", "s");
    for host in ["mirror.corp", "user@mirror.corp:81", "[fe80::1]:80"] {
        assert_eq!(told(unattached, "a.md", &link(host)).len(), 1, "{host}");
    }
    for host in [
        "github.com",
        "me@127.0.0.1:80",
        "[::1]:80",
        "{host}",
        "shop.example",
    ] {
        assert!(told(unattached, "a.md", &link(host)).is_empty(), "{host}");
    }
}

#[test]
fn the_gate_asks_the_lab() {
    let manifest = "[dependencies]\ndeadheat-lab.workspace = true\n";
    assert_eq!(told(downhill, "crates/gate/Cargo.toml", manifest).len(), 1);
    assert!(told(downhill, "crates/verdict/Cargo.toml", manifest).is_empty());
    assert_eq!(told(downhill, "crates/new/Cargo.toml", manifest).len(), 1);
    assert_eq!(told(downhill, "crates/gate/Cargo.toml", "[").len(), 1);
    let tests = "[dev-dependencies]\ndeadheat-lab.workspace = true\n";
    assert!(told(downhill, "crates/gate/Cargo.toml", tests).is_empty());
}

#[test]
fn there_is_no_git() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    assert!(tracked(folder.path()).is_none());
    for path in ["src/a.rs", "target/b.rs", "c.toml"] {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder is made");
        std::fs::write(path, "").expect("a file is written");
    }
    assert_eq!(
        BTreeSet::from_iter(walked(folder.path())),
        BTreeSet::from(["src/a.rs".to_owned(), "c.toml".to_owned()])
    );
}
