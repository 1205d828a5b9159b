//! Parts that programs of their own measure, which need what nothing else here needs: each prints its figures as JSON.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::de::DeserializeOwned;

use crate::Fallible;
use crate::results::{Peers, Tasks};

/// The task lab beside shuttle and loom.
pub fn peers() -> Fallible<Peers> {
    figures("target/peers/release/deadheat-peers")
}

/// The tasks of `deadheat-cure` beside other queues.
pub fn tasks() -> Fallible<Tasks> {
    figures("target/release/examples/throughput")
}

fn figures<F: DeserializeOwned>(program: &str) -> Fallible<F> {
    eprintln!("measuring: {program}");
    let run = Command::new(program).stderr(Stdio::inherit()).output()?;
    if !run.status.success() {
        return Err(format!("{program} ended with {}", run.status).into());
    }
    Ok(serde_json::from_slice(&run.stdout)?)
}

/// The versions that are pinned for shuttle and loom.
pub fn versions_of_peers() -> BTreeMap<String, String> {
    let text = std::fs::read_to_string("bench/peers/Cargo.lock").unwrap_or_default();
    let lock: toml::Table = text.parse().unwrap_or_default();
    let packages = lock.get("package").and_then(toml::Value::as_array);
    let version = |package: &toml::Value| {
        let name = package.get("name")?.as_str()?;
        let version = package.get("version")?.as_str()?;
        ["shuttle", "loom"]
            .contains(&name)
            .then(|| (name.to_owned(), version.to_owned()))
    };
    packages.into_iter().flatten().filter_map(version).collect()
}

/// The versions that are installed of the other queues.
pub fn versions_of_tasks() -> BTreeMap<String, String> {
    let text = std::fs::read_to_string("bench/tasks/package-lock.json").unwrap_or_default();
    let lock: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    let asked = lock["packages"][""]["dependencies"].as_object();
    let version = |name: &String| {
        let path = Path::new("node_modules").join(name);
        let version = lock["packages"][path.to_str()?]["version"].as_str()?;
        Some((name.clone(), version.to_owned()))
    };
    let names = asked.into_iter().flat_map(|asked| asked.keys());
    names.filter_map(version).collect()
}
