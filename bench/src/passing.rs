//! What it costs to pass through a gate that no lab is attached to: pgbench, directly, through the gate, and through
//! pgbouncer in session mode, in turn; and how much memory a gate needs that reads along.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use deadheat_sandbox::{Database, PrivateOptions, Server};

use crate::results::{Passing, PassingLine, Runner, median};
use crate::{Fallible, machine};

/// Rounds in which the three ways are measured in turn.
const ROUNDS: usize = 5;
/// Seconds a way has in a round.
const SECONDS: &str = "3";
/// What does not count of them: sessions are new, and the server's know nothing of the tables yet.
const WARMING_UP: f64 = 0.5;
/// pgbench's scale: 100,000 accounts each.
const SCALE: &str = "5";
const WAYS: [(&str, Way); 3] = [
    ("direct", |to, _| Ok((None, to))),
    ("gate", gate),
    ("pgbouncer", bouncer),
];

/// What is between pgbench and the server, and where it listens. It is started for every measurement: pgbouncer keeps the
/// server's sessions otherwise, with caches and page tables that those of the others have to fill each time.
type Way = fn(SocketAddr, &Path) -> Fallible<(Option<Running>, SocketAddr)>;

/// A process that ends with this value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What takes part.
pub fn versions() -> BTreeMap<String, String> {
    let version = |program: &str| machine::said(program, &["--version"]).unwrap_or_default();
    let of = |program: &str| {
        let said = version(program);
        let first = said.lines().next().unwrap_or_default();
        let number = first
            .split(' ')
            .find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
        (program.to_owned(), number.unwrap_or("unknown").to_owned())
    };
    ["pgbench", "pgbouncer"].map(of).into()
}

/// Measures everything.
pub fn measure() -> Fallible<Passing> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (server, database) = runtime.block_on(async {
        let server = Server::private(&PrivateOptions::default()).await?;
        let database = server.create().await?;
        Ok::<_, deadheat_sandbox::Error>((server, database))
    })?;
    let folder = tempfile::tempdir()?;
    let at = SocketAddr::from(([127, 0, 0, 1], server.address().port));
    run(pgbench(at, &database).args(["-i", "-q", "-s", SCALE]))?;
    let mut lines = Vec::new();
    for clients in ["1", "16"] {
        for script in ["select-only", "tpcb-like"] {
            for mode in ["simple", "extended", "prepared"] {
                let runners = || {
                    WAYS.map(|(who, _)| Runner {
                        who: who.to_owned(),
                        rounds: Vec::new(),
                    })
                };
                let mut line = PassingLine {
                    script: script.to_owned(),
                    mode: mode.to_owned(),
                    clients: clients.to_owned(),
                    rates: runners().into(),
                    times: runners().into(),
                };
                eprintln!("measuring: {script}, {mode}, {clients} clients");
                for _ in 0..ROUNDS {
                    for (way, (_, open)) in WAYS.iter().enumerate() {
                        let (_running, at) = open(at, folder.path())?;
                        let (rate, time) = once(at, &database, &line, folder.path())?;
                        line.rates[way].rounds.push(rate);
                        line.times[way].rounds.push(time);
                    }
                }
                lines.push(line);
            }
        }
    }
    let memory = memory(at, &database)?;
    Ok(Passing { lines, memory })
}

fn pgbench(at: SocketAddr, database: &Database) -> Command {
    let mut command = Command::new("pgbench");
    let port = at.port().to_string();
    command
        .args(["-h", "127.0.0.1", "-p", &port, "-U", "postgres", "-n"])
        .arg(database.name());
    command
}

fn run(command: &mut Command) -> Fallible<String> {
    let output = command.output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Transactions a second, and the median time of one.
fn once(
    at: SocketAddr,
    database: &Database,
    line: &PassingLine,
    folder: &Path,
) -> Fallible<(f64, f64)> {
    let prefix = folder.join("log");
    let mut command = pgbench(at, database);
    command
        .args(["-M", &line.mode, "-b", &line.script, "-c", &line.clients])
        .args(["-j", "1", "-T", SECONDS, "-l"])
        .arg(format!("--log-prefix={}", prefix.display()));
    run(&mut command)?;
    // Of each transaction: when it had ended, and how long it took, in microseconds.
    let mut all: Vec<(f64, f64)> = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if name.is_some_and(|name| name.starts_with("log.")) {
            let text = std::fs::read_to_string(&path)?;
            all.extend(text.lines().filter_map(transaction));
            std::fs::remove_file(&path)?;
        }
    }
    let begun = all.iter().map(|(end, took)| end - took);
    let first = begun.fold(f64::INFINITY, f64::min) + WARMING_UP * 1e6;
    all.retain(|(end, took)| end - took >= first);
    let last = all.iter().map(|(end, _)| *end).fold(first, f64::max);
    let times: Vec<f64> = all.iter().map(|(_, took)| *took).collect();
    if times.is_empty() {
        return Err("pgbench has logged no transaction".into());
    }
    Ok((times.len() as f64 * 1e6 / (last - first), median(&times)))
}

/// A line of pgbench's log: client, number, time taken, script, and the time of the end in seconds and microseconds.
fn transaction(line: &str) -> Option<(f64, f64)> {
    let words: Vec<f64> = line
        .split(' ')
        .map_while(|word| word.parse().ok())
        .collect();
    let [_, _, took, _, seconds, micros] = words[..] else {
        return None;
    };
    Some((seconds * 1e6 + micros, took))
}

/// A gate without a lab.
fn gate(to: SocketAddr, _: &Path) -> Fallible<(Option<Running>, SocketAddr)> {
    let mut command = Command::new("target/release/examples/plain");
    let mut child = command.arg(to.to_string()).stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    let out = child.stdout.take().ok_or("no standard output")?;
    BufReader::new(out).read_line(&mut line)?;
    Ok((Some(Running(child)), line.trim().parse()?))
}

/// pgbouncer, set up to change nothing: a session of the server for each of a client.
fn bouncer(to: SocketAddr, folder: &Path) -> Fallible<(Option<Running>, SocketAddr)> {
    let at = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let text = format!(
        "[databases]\n* = host=127.0.0.1 port={} user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
         listen_port = {}\nunix_socket_dir =\nauth_type = any\npool_mode = session\ndefault_pool_size = 40\n\
         max_client_conn = 100\nignore_startup_parameters = extra_float_digits\n",
        to.port(),
        at.port()
    );
    let file = folder.join("pgbouncer.ini");
    std::fs::write(&file, text)?;
    let mut command = Command::new("pgbouncer");
    command.arg("-q");
    if run(Command::new("id").arg("-u"))?.trim() == "0" {
        // It refuses to work as root.
        run(Command::new("chmod").arg("-R").arg("a+rX").arg(folder))?;
        command.args(["-u", "nobody"]);
    }
    let child = Running(command.arg(&file).stderr(Stdio::null()).spawn()?);
    let end = Instant::now() + Duration::from_secs(10);
    while std::net::TcpStream::connect(at).is_err() {
        if Instant::now() > end {
            return Err("pgbouncer does not listen".into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok((Some(child), at))
}

/// Peak memory of `deadheat proxy` in MiB: at rest, and after a row, many rows, a copy each way of 100 MB.
fn memory(to: SocketAddr, database: &Database) -> Fallible<(f64, f64)> {
    let mut command = Command::new("target/release/deadheat");
    let to = format!("postgres://postgres@{to}/");
    let mut child = command
        .args(["proxy", "--to", &to, "--json"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    let mut out = BufReader::new(child.stderr.take().ok_or("no standard error")?);
    out.read_line(&mut line)?;
    let running = Running(child);
    let at = line
        .strip_prefix("listening on ")
        .and_then(|rest| rest.split(',').next());
    let port = at
        .and_then(|at| at.rsplit(':').next())
        .ok_or("no address")?;
    let status = format!("/proc/{}/status", running.0.id());
    let peak = || -> Fallible<f64> {
        let status = std::fs::read_to_string(&status)?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let size = line.and_then(|line| line.split_ascii_whitespace().next()?.parse::<f64>().ok());
        Ok(size.ok_or("no size")? / 1024.0)
    };
    let psql = |sql: &str| {
        let to = format!(
            "host=127.0.0.1 port={port} user=postgres dbname={}",
            database.name()
        );
        run(Command::new("psql").args(["-X", "-q", "-o", "/dev/null", &to, "-c", sql]))
    };
    psql("create unlogged table big (v text)")?;
    let before = peak()?;
    psql("select repeat('x', 100000000)")?;
    psql("select repeat('x', 1000) from generate_series(1, 100000)")?;
    psql(
        "\\copy (select repeat('x', 999) from generate_series(1, 100000)) to program 'cat > /dev/null'",
    )?;
    psql(
        "\\copy big from program 'yes 0123456789012345678901234567890123456789 | head -c 100000030'",
    )?;
    Ok((before, peak()?))
}
