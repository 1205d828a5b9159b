//! The same race, looked for by another program: the lost update of two and of three clients, all of its orders.
//!
//! Each runs the same statements on a private server and goes on after the first race, until it says that it is done, or
//! its time is over. They take turns.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use deadheat_sandbox::{PrivateOptions, Server};
use serde_json::Value;

use crate::results::{Hunt, Rivals};
use crate::{Fallible, machine};

const ROUNDS: usize = 3;
/// Seconds that a search may take.
const LONGEST: u64 = 20;
const PYTHON: &str = "target/rivals/bin/python";
const PROGRAM: &str = "bench/rivals/lost_update.py";

/// What takes part.
pub fn versions() -> BTreeMap<String, String> {
    let ask = "import frontrun; print(frontrun.__version__)";
    let version = machine::said(PYTHON, &["-c", ask]).unwrap_or_default();
    BTreeMap::from([("frontrun".to_owned(), version)])
}

/// Measures.
pub fn measure() -> Fallible<Rivals> {
    let mut hunts = Vec::new();
    for round in 0..ROUNDS {
        for clients in [2, 3] {
            eprintln!("measuring: the lost update of {clients} clients, round {round}");
            hunts.push(ours(clients)?);
            hunts.push(theirs(clients)?);
        }
    }
    Ok(Rivals { hunts })
}

/// `deadheat find`.
fn ours(clients: u64) -> Fallible<Hunt> {
    let name = match clients {
        2 => "lost-update".to_owned(),
        more => format!("lost-update-{more}"),
    };
    let folder = tempfile::tempdir()?;
    let scenario = std::fs::canonicalize(format!("examples/sql/{name}.toml"))?;
    let time = format!("{LONGEST}s");
    let run = Command::new(std::fs::canonicalize("target/release/deadheat")?)
        .args(["find", "--json", "--keep-going", "--time", &time])
        .arg(scenario)
        .current_dir(folder.path())
        .stderr(Stdio::inherit())
        .output()?;
    let found: Value = serde_json::from_slice(&run.stdout)?;
    Ok(Hunt {
        who: "deadheat".to_owned(),
        clients,
        // Serial orders too, each twice: it needs them to know what is right.
        runs: found["runs"].as_u64().ok_or("no runs")?,
        seconds: found["seconds"].as_f64().ok_or("no seconds")?,
        ended: found["exhausted"] == true,
        first_race: found["races"][0]["found_at_run"].as_u64(),
    })
}

/// frontrun, which runs threads in Python with psycopg2.
fn theirs(clients: u64) -> Fallible<Hunt> {
    let runtime = tokio::runtime::Runtime::new()?;
    let (_server, database) = runtime.block_on(async {
        let server = Server::private(&PrivateOptions::default()).await?;
        let database = server.create().await?;
        Ok::<_, deadheat_sandbox::Error>((server, database))
    })?;
    let run = Command::new("target/rivals/bin/frontrun")
        .args([PYTHON, PROGRAM, &clients.to_string(), &LONGEST.to_string()])
        .env("DATABASE_URL", database.url(None))
        .stderr(Stdio::inherit())
        .output()?;
    if !run.status.success() {
        return Err(format!("frontrun ended with {}", run.status).into());
    }
    let said = String::from_utf8(run.stdout)?;
    let line = said.lines().find(|line| line.starts_with('{'));
    Ok(serde_json::from_str(
        line.ok_or("frontrun's program printed no figures")?,
    )?)
}
