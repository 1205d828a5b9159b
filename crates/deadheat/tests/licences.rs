//! What the program is built from may be given away under the program's own licences: every package's is on the list.
#![allow(missing_docs)]

mod common;

use std::process::Command;

use common::root;
use serde_json::Value;
use spdx::{Expression, LicenseReq, ParseMode};

/// Licences that any package may have.
const ALLOWED: [&str; 6] = [
    "MIT",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "MPL-2.0",
];

/// A licence that only some packages may have, by the beginnings of their names, and why that does no harm.
struct Exception {
    licence: &'static str,
    packages: &'static [&'static str],
    #[allow(dead_code, reason = "it is there for whoever reads the list")]
    why: &'static str,
}

const EXCEPTIONS: [Exception; 2] = [
    Exception {
        licence: "Zlib",
        packages: &["foldhash"],
        why: "as free as MIT, and asks less: no notice has to come with a binary. It is how the maps that ratatui uses \
              spread their keys.",
    },
    Exception {
        licence: "Unicode-3.0",
        packages: &[
            "icu_",
            "litemap",
            "potential_utf",
            "tinystr",
            "unicode-",
            "writeable",
            "yoke",
            "zerofrom",
            "zerotrie",
            "zerovec",
        ],
        why: "as free as MIT; it is the licence of Unicode's own tables, which everything that measures or compares \
              letters has in it.",
    },
];

/// Whether a package of that name may have a licence.
fn may(name: &str, licence: &LicenseReq) -> bool {
    let Some(id) = licence.license.id() else {
        return false;
    };
    let excepted = EXCEPTIONS.iter().any(|one| {
        one.licence == id.name && one.packages.iter().any(|begin| name.starts_with(begin))
    });
    ALLOWED.contains(&id.name) || excepted
}

/// What is wrong with the licence of a package.
fn wrong(name: &str, licence: Option<&str>) -> Option<String> {
    let Some(licence) = licence else {
        return Some(format!("{name} names no licence"));
    };
    match Expression::parse_mode(licence, ParseMode::LAX) {
        Err(error) => Some(format!("{name}: {licence}: {}", error.reason)),
        Ok(terms) if terms.evaluate(|one| may(name, one)) => None,
        Ok(_) => Some(format!("{name} is under {licence}")),
    }
}

/// What cargo says of every package that is built on this machine.
fn packages() -> Vec<Value> {
    let said = |program: &str, words: &[&str]| {
        let output = Command::new(program)
            .args(words)
            .current_dir(root())
            .output()
            .expect("it runs");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{program} {words:?}: {error}");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let versions = said("rustc", &["-vV"]);
    let host = versions
        .lines()
        .find_map(|line| line.strip_prefix("host: "));
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    // What other machines would need is not here, and not asked for.
    let words = [
        "metadata",
        "--format-version=1",
        "--locked",
        "--offline",
        "--filter-platform",
        host.expect("a host"),
    ];
    let mut metadata: Value = serde_json::from_str(&said(&cargo, &words)).expect("JSON");
    match metadata["packages"].take() {
        Value::Array(packages) => packages,
        other => panic!("packages: {other}"),
    }
}

#[test]
fn every_package_has_a_licence_that_is_on_the_list() {
    let packages = packages();
    assert!(packages.len() > 100, "only {}", packages.len());
    let wrong: Vec<String> = packages
        .iter()
        .filter_map(|package| {
            let name = package["name"].as_str().expect("a name");
            wrong(name, package["license"].as_str())
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn another_licence_slips_in() {
    for (name, licence, right) in [
        ("one", Some("MIT/Apache-2.0"), true),
        ("one", Some("GPL-3.0-only OR MIT"), true),
        ("one", Some("GPL-3.0-only"), false),
        ("one", Some("MIT AND GPL-3.0-only"), false),
        ("one", Some("MIT AND Unicode-3.0"), false),
        ("unicode-ident", Some("MIT AND Unicode-3.0"), true),
        ("one", Some("Zlib"), false),
        ("foldhash", Some("Zlib"), true),
        ("one", Some("LicenseRef-ours"), false),
        ("one", Some("as you like"), false),
        ("one", None, false),
    ] {
        let why = wrong(name, licence);
        assert_eq!(why.is_none(), right, "{name}: {licence:?}: {why:?}");
    }
}
