//! What it costs to pass through a gate that no lab is attached to: pgbench, directly, through the gate, and through
//! pgbouncer in session mode, in turn; and how much memory a gate needs that reads along.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use deadheat_sandbox::{Database, PrivateOptions, Server};
use rustix::process::{Pid, Signal, kill_process};

use crate::results::{Passing, PassingLine, Runner, median};
use crate::{Fallible, machine};

/// Rounds, each with all processes begun anew: how well they share the processors is chance, and stays as it is. Each way is
/// as often the first to begin as the others, and has each database as often: the one that begins last does best.
const ROUNDS: usize = 3 * WAYS.len();
/// Turns that each of the three ways has in a round.
const TURNS: usize = 5;
/// How long a turn is.
const TURN: Duration = Duration::from_millis(300);
/// What does not count of a turn: pgbench has been stopped, and all have to wake up.
const WAKING_UP: f64 = 50_000.0;
/// How long a new pgbench works before its first turn: the server's sessions know nothing of the tables yet.
const WARMING_UP: Duration = Duration::from_millis(700);
/// pgbench's scale: 100,000 accounts each.
const SCALE: &str = "5";
const WAYS: [(&str, Way); 3] = [
    ("direct", |to, _| Ok((None, to))),
    ("gate", gate),
    ("pgbouncer", bouncer),
];

/// What is between pgbench and the server, and where it listens.
type Way = fn(SocketAddr, &Path) -> Fallible<(Option<Running>, SocketAddr)>;

/// A process that ends with this value.
struct Running(Child);

impl Running {
    fn signal(&self, signal: Signal) -> Fallible<()> {
        let id = Pid::from_child(&self.0);
        Ok(kill_process(id, signal)?)
    }

    /// Lets a pgbench that was stopped write down what it has done.
    fn comes_to_its_end(mut self) -> Fallible<()> {
        // As if its time were over.
        self.signal(Signal::ALARM)?;
        self.signal(Signal::CONT)?;
        if !self.0.wait()?.success() {
            let mut said = String::new();
            if let Some(mut err) = self.0.stderr.take() {
                err.read_to_string(&mut said)?;
            }
            return Err(said.into());
        }
        Ok(())
    }
}

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
    let options = PrivateOptions {
        // All that is read fits.
        settings: [("shared_buffers".to_owned(), "768MB".to_owned())].into(),
    };
    let (server, mut databases) = runtime.block_on(async {
        let server = Server::private(&options).await?;
        let mut databases = Vec::new();
        for _ in WAYS {
            databases.push(server.create().await?);
        }
        Ok::<_, deadheat_sandbox::Error>((server, databases))
    })?;
    let folder = tempfile::tempdir()?;
    let at = SocketAddr::from(([127, 0, 0, 1], server.address().port));
    for database in &databases {
        run(pgbench(at, database).args(["-i", "-q", "-s", SCALE]))?;
    }
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
                for number in 0..ROUNDS {
                    databases.rotate_left(1);
                    round(number, at, &databases, &mut line, folder.path())?;
                }
                lines.push(line);
            }
        }
    }
    let memory = memory(at, &databases[0])?;
    Ok(Passing { lines, memory })
}

/// One round of a way of using pgbench: all ways through are there at once, each with its own database, and one of them
/// goes on at a time.
fn round(
    number: usize,
    to: SocketAddr,
    databases: &[Database],
    line: &mut PassingLine,
    folder: &Path,
) -> Fallible<()> {
    let mut runs = Vec::new();
    for (place, database) in databases.iter().enumerate() {
        let way = (place + number / WAYS.len()) % WAYS.len();
        let (who, open) = WAYS[way];
        let (between, at) = open(to, folder)?;
        let prefix = folder.join(who);
        let mut command = pgbench(at, database);
        command
            .args(["-M", &line.mode, "-b", &line.script, "-c", &line.clients])
            .args(["-j", "1", "-T", "3600", "-l"])
            .arg(format!("--log-prefix={}", prefix.display()))
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let child = Running(command.spawn()?);
        std::thread::sleep(WARMING_UP);
        child.signal(Signal::STOP)?;
        runs.push((way, between, child, Vec::new()));
    }
    for turn in 0..TURNS {
        for place in 0..runs.len() {
            // Each comes behind each other.
            let last = runs.len() - 1;
            let next = if turn % 2 == 0 { place } else { last - place };
            let (_, _, child, turns) = &mut runs[next];
            let begun = micros();
            child.signal(Signal::CONT)?;
            std::thread::sleep(TURN);
            turns.push((begun, micros()));
            child.signal(Signal::STOP)?;
        }
    }
    for (way, _between, child, turns) in runs {
        child.comes_to_its_end()?;
        let all = transactions(folder, WAYS[way].0)?;
        let (mut count, mut seconds, mut times) = (0, 0.0, Vec::new());
        for (begun, ended) in turns {
            let counted = begun + WAKING_UP..ended;
            let counted = all.iter().filter(|(end, _)| counted.contains(end));
            // What was under way when it was stopped took as long as the others' turns.
            let whole = counted.clone().filter(|(end, took)| end - took >= begun);
            times.extend(whole.map(|(_, took)| *took));
            count += counted.count();
            seconds += (ended - begun - WAKING_UP) / 1e6;
        }
        if times.is_empty() {
            return Err("pgbench has logged no transaction".into());
        }
        line.rates[way].rounds.push(count as f64 / seconds);
        line.times[way].rounds.push(median(&times));
    }
    Ok(())
}

/// Microseconds since 1970, as in pgbench's log.
fn micros() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64() * 1e6)
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

/// When each transaction had ended, and how long it took, in microseconds; the log is gone then.
fn transactions(folder: &Path, who: &str) -> Fallible<Vec<(f64, f64)>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let ours = name.and_then(|name| name.strip_prefix(who)?.strip_prefix('.'));
        if ours.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit())) {
            let text = std::fs::read_to_string(&path)?;
            all.extend(text.lines().filter_map(transaction));
            std::fs::remove_file(&path)?;
        }
    }
    Ok(all)
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
