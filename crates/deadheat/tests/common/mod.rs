//! Runs the program as a user would: the built binary, in a folder of its own.
#![allow(dead_code, missing_docs, clippy::needless_pass_by_value)] // every test file uses its part of this

pub mod browser;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// The program with a folder to work in.
pub struct Bench {
    pub folder: TempDir,
}

/// What a run of the program left.
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Bench {
    pub fn new() -> Self {
        Self {
            folder: TempDir::new().expect("a temporary folder"),
        }
    }

    /// A command that has the packages of the examples on its path.
    pub fn command(&self) -> Command {
        self.command_of(env!("CARGO_BIN_EXE_deadheat"))
    }

    /// The same of another program.
    pub fn command_of(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let venv = root().join(".venv/bin");
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .current_dir(self.folder.path())
            .env("PATH", format!("{}:{path}", venv.display()))
            .env("NO_COLOR", "1")
            .env_remove("GITHUB_ACTIONS")
            .env_remove("GITHUB_STEP_SUMMARY");
        command
    }

    pub fn run<S: AsRef<std::ffi::OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Said {
        said(
            self.command()
                .args(args)
                .output()
                .expect("the program runs"),
        )
    }

    /// `deadheat find --json`; the JSON it printed.
    pub fn find(&self, scenario: &Path, flags: &[&str]) -> (Said, Value) {
        let mut args = vec!["find", "--json"];
        args.extend(flags);
        let path = scenario.to_str().expect("a path in UTF-8");
        args.push(path);
        let said = self.run(args);
        let json = serde_json::from_str(&said.out).unwrap_or_else(|error| {
            panic!(
                "no JSON ({error}), exit code {}\n{}\n{}",
                said.code, said.out, said.err
            )
        });
        (said, json)
    }

    /// Writes a scenario into the folder.
    pub fn scenario(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).expect("the scenario is written");
        path
    }

    /// The file of the first race in a JSON result.
    pub fn race(&self, json: &Value) -> PathBuf {
        let file = json["races"][0]["file"]
            .as_str()
            .expect("a race with a file");
        self.folder.path().join(file)
    }
}

pub fn said(output: Output) -> Said {
    Said {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// The repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A scenario among the examples.
pub fn example(path: &str) -> PathBuf {
    root().join("examples").join(path)
}

/// A scenario among the test services.
pub fn service(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/services")
        .join(path)
}

/// Whether a program is there; says so when a test is skipped because it is not.
pub fn has(program: &str) -> bool {
    let there = Command::new(program).arg("--version").output().is_ok();
    if !there {
        eprintln!("skipped: {program} is not installed");
    }
    there
}

/// The words of a shell command; quotes of both kinds hold words together.
pub fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for letter in line.chars() {
        match (quote, letter) {
            (Some(open), _) if open == letter => quote = None,
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, ' ') => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

/// The verdict, and the kind of the first race.
pub fn verdict(json: &Value) -> (&str, &str) {
    (
        json["verdict"].as_str().unwrap_or("none"),
        json["races"][0]["kind"].as_str().unwrap_or("none"),
    )
}
