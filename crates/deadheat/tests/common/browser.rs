//! Runs the tests of a page in a real browser: a file of tests/browser, by Node.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{has, root, said};

/// The folder of those tests.
pub fn browser() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser")
}

/// A browser that Playwright can drive, by its names on several systems.
fn chromium() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    std::env::split_paths(&path)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|path| path.exists())
}

/// The browser, or a line that says what is missing.
pub fn can_browse() -> Option<PathBuf> {
    if !has("node") {
        return None;
    }
    let Some(chromium) = chromium() else {
        eprintln!("skipped: chromium is not installed");
        return None;
    };
    if !browser().join("node_modules").exists() {
        eprintln!("skipped: run tools/node crates/deadheat/tests/browser first");
        return None;
    }
    Some(chromium)
}

/// Runs a file of tests, which finds what it needs in the variable.
pub fn browse(chromium: &Path, test: &str, (name, value): (&str, &str)) {
    let done = Command::new("node")
        .args(["--test", "--test-reporter=spec"])
        .arg(browser().join(test))
        .current_dir(root())
        .env(name, value)
        .env("CHROMIUM", chromium)
        .output()
        .expect("node runs");
    let said = said(done);
    assert_eq!(said.code, 0, "{}\n{}", said.out, said.err);
    assert!(said.out.contains("pass"), "{}", said.out);
}
