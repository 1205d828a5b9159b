//! PostgreSQL's isolation schedule: `deadheat spec` against the original, `pg_isolation_regress` with `isolationtester`.
//!
//! Both run every spec of the schedule, in turn, round after round, on private servers with the same settings; the time
//! is from the start of the program to its end, so that ours includes starting the server, and the original's does not.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use deadheat_sandbox::{PrivateOptions, Server};

use crate::Fallible;
use crate::results::{Runner, Specs};

const FOLDER: &str = "target/specs";
const ROUNDS: usize = 3;

/// Where Debian's client package has the original.
fn original() -> Option<(PathBuf, PathBuf)> {
    let mut found: Vec<u32> = std::fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    found.sort_unstable();
    let programs = Path::new("/usr/lib/postgresql").join(found.last()?.to_string());
    let program = programs.join("lib/pgxs/src/test/isolation/pg_isolation_regress");
    program.exists().then(|| (program, programs.join("bin")))
}

/// Measures; says why not where the specs or the original are not there.
pub fn measure() -> Fallible<Specs> {
    if !Path::new(FOLDER).join("isolation_schedule").exists() {
        return Err("PostgreSQL's specs are not there: run tools/specs first".into());
    }
    let (program, bin) =
        original().ok_or("the original is not there: Debian's postgresql-client has it")?;
    let names = [
        "pg_isolation_regress",
        "deadheat spec --check",
        "deadheat spec --check -j 4",
    ];
    let mut seconds = names.map(|who| Runner {
        who: who.to_owned(),
        rounds: Vec::new(),
    });
    for round in 0..ROUNDS {
        eprintln!("measuring: the isolation schedule, round {round}");
        let took = [regress(&program, &bin)?, ours(1)?, ours(4)?];
        for (runner, time) in seconds.iter_mut().zip(took) {
            runner.rounds.push(time.as_secs_f64());
        }
    }
    Ok(Specs {
        seconds: seconds.into(),
    })
}

fn ours(jobs: usize) -> Fallible<Duration> {
    let start = Instant::now();
    let schedule = format!("{FOLDER}/isolation_schedule");
    let status = Command::new("target/release/deadheat")
        .args([
            "spec",
            "--check",
            "--schedule",
            &schedule,
            "-j",
            &jobs.to_string(),
        ])
        .stdout(Stdio::null())
        .status()?;
    if !status.success() {
        return Err("deadheat spec did not print what is expected".into());
    }
    Ok(start.elapsed())
}

fn regress(program: &Path, bin: &Path) -> Fallible<Duration> {
    let runtime = tokio::runtime::Runtime::new()?;
    // As a server has it by default; our own sessions ask for it themselves.
    let server = runtime.block_on(Server::private(&PrivateOptions::default()))?;
    let out = std::env::temp_dir().join(format!("deadheat-bench-{}", std::process::id()));
    std::fs::create_dir_all(&out)?;
    let input = std::fs::canonicalize(FOLDER)?;
    let start = Instant::now();
    let status = Command::new(program)
        .arg(format!("--inputdir={}", input.display()))
        .arg(format!("--outputdir={}", out.display()))
        .arg(format!("--bindir={}", bin.display()))
        .arg(format!("--schedule={}", input.join("isolation_schedule").display()))
        .args(["--host=127.0.0.1", "--user=postgres"])
        .arg(format!("--port={}", server.address().port))
        .env("PGOPTIONS", "-c deadlock_timeout=1s -c stats_fetch_consistency=cache -c max_parallel_workers_per_gather=2")
        .current_dir(&out)
        .stdout(Stdio::null())
        .status()?;
    let took = start.elapsed();
    let diffs = std::fs::read_to_string(out.join("regression.diffs")).unwrap_or_default();
    std::fs::remove_dir_all(&out)?;
    if !status.success() {
        return Err(format!("the original did not print what is expected:\n{diffs}").into());
    }
    Ok(took)
}
