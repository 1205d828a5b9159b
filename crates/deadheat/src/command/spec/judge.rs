//! `--check`: what each spec printed against what is expected, line by line as they are done.

use std::fmt::Write as _;

use deadheat_spec::check::{self, Verdict};

use super::files::Loaded;
use super::work::Worked;
use crate::problem::Problem;

/// Keeps count.
pub struct Judge {
    specs: usize,
    same: usize,
    wrong: Vec<String>,
    died: usize,
    seen: usize,
}

impl Judge {
    pub fn new(specs: usize) -> Self {
        Self {
            specs,
            same: 0,
            wrong: Vec::new(),
            died: 0,
            seen: 0,
        }
    }

    /// Counts a spec whose output is not compared.
    pub fn count(&mut self, worked: &Worked) {
        self.seen += 1;
        self.died += usize::from(worked.died);
    }

    /// Compares; the line about it, and the difference if there is one.
    pub fn line(&mut self, spec: &Loaded, worked: &Worked) -> Result<String, Problem> {
        self.seen += 1;
        let printed: Vec<u8> = worked
            .output
            .iter()
            .flat_map(|(_, bytes)| bytes)
            .copied()
            .collect();
        let files = check::expected_files(&spec.path);
        let verdict = check::compare(&printed, &files)
            .map_err(|(path, error)| Problem::file(&path, "read", &error))?;
        let millis = worked.took.as_millis();
        let mut text = String::new();
        match verdict {
            Verdict::Same(_) => {
                self.same += 1;
                let _ = writeln!(text, "same     {} ({millis} ms)", spec.name);
            }
            Verdict::Differs { diff, .. } => {
                let _ = writeln!(text, "DIFFERS  {} ({millis} ms)\n{diff}", spec.name);
                self.wrong.push(spec.name.clone());
            }
            Verdict::Missing(path) => {
                let path = path.display();
                let _ = writeln!(
                    text,
                    "UNKNOWN  {} ({millis} ms): there is no {path}",
                    spec.name
                );
                self.wrong.push(spec.name.clone());
            }
        }
        Ok(text)
    }

    /// What became of all.
    pub fn summary(&self) -> String {
        let Self { specs, same, .. } = self;
        if self.seen < self.specs {
            return format!(
                "interrupted after {} of {specs} specs, {same} as expected\n",
                self.seen
            );
        }
        if self.wrong.is_empty() {
            return format!("all {specs} specs printed what is expected\n");
        }
        format!(
            "{} of {specs} specs did not print what is expected: {}\n",
            self.wrong.len(),
            self.wrong.join(" ")
        )
    }

    /// Whether nothing is wrong.
    pub fn is_content(&self) -> bool {
        self.wrong.is_empty() && self.died == 0
    }
}
