//! A private server: started from a copied data folder, ended and removed whatever happens.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::admin::Target;
use crate::binaries::{self, Binaries};
use crate::doctor::doctor;
use crate::error::Error;
use crate::initdb::{self, SUPERUSER};
use crate::live::{self, Ends};
use crate::proc;
use crate::run::{RUN_VARIABLE, Run, remove};
use crate::spawner;
use crate::user;

/// What may be chosen about a private server.
#[derive(Clone, Debug, Default)]
pub struct PrivateOptions {
    /// Settings of the server (`postgresql.conf`), over ours.
    pub settings: BTreeMap<String, String>,
}

/// What we set: no durability, nothing that moves on its own. The user's settings come after these.
const DEFAULTS: [(&str, &str); 20] = [
    ("fsync", "off"),
    ("synchronous_commit", "off"),
    ("full_page_writes", "off"),
    ("wal_level", "logical"),
    ("max_wal_size", "1GB"),
    ("checkpoint_timeout", "1h"),
    ("autovacuum", "off"),
    ("jit", "off"),
    ("max_connections", "200"),
    ("max_prepared_transactions", "8"),
    ("max_parallel_workers_per_gather", "0"),
    ("bgwriter_lru_maxpages", "0"),
    ("shared_buffers", "64MB"),
    ("lc_messages", "C"),
    ("timezone", "UTC"),
    ("log_timezone", "UTC"),
    ("log_min_messages", "warning"),
    ("log_line_prefix", "'%m [%p] %d '"),
    ("max_logical_replication_workers", "0"),
    // Files in the data folder instead of /dev/shm: they go with it, and containers are short of the other.
    ("dynamic_shared_memory_type", "mmap"),
];

/// What the rest relies on, and why; given on the command line, where no file can override it.
const FIXED: [(&str, &str, &str); 3] = [
    (
        "deadlock_timeout",
        "1ms",
        "deadlocks must be found at once, and always by the actor that closes the cycle",
    ),
    (
        "track_counts",
        "on",
        "the tables a statement touched are read from the server's counters",
    ),
    (
        "stats_fetch_consistency",
        "none",
        "counters must be read as they are now",
    ),
];

/// Settings the sandbox decides itself.
const TAKEN: [&str; 4] = [
    "port",
    "listen_addresses",
    "unix_socket_directories",
    "data_directory",
];

/// How long a start may take. A cold machine reading its programs from a slow disk needs some seconds.
const START_LIMIT: Duration = Duration::from_mins(1);
/// How often a port is tried that someone else took between our choice and the server's.
const PORT_TRIES: usize = 5;
/// How long an ordered end may take before the kernel ends it.
const END_LIMIT: Duration = Duration::from_secs(5);

/// A running private server.
#[derive(Debug)]
pub(crate) struct Private {
    pub(crate) binaries: Binaries,
    pub(crate) socket: PathBuf,
    pub(crate) port: u16,
    pub(crate) log: PathBuf,
    data: PathBuf,
    folder: PathBuf,
    child: Mutex<Option<Child>>,
    // Last: the run's folder may go only after what is in it.
    _run: Arc<Run>,
}

impl Private {
    /// Starts a server and waits until it answers.
    pub(crate) async fn start(options: &PrivateOptions) -> Result<Arc<Self>, Error> {
        check(&options.settings)?;
        let places = binaries::search();
        let Some(binaries) = binaries::newest(&places).cloned() else {
            return Err(Error::NoBinaries(Box::new(doctor())));
        };
        let run = Run::current()?;
        let folder = run.dir.join(format!("server-{}", run.number()));
        // From here on the folder is removed on every way out.
        let mut unfinished = Unfinished(Some(folder.clone()));
        prepare(&folder, &binaries, &options.settings)?;
        let mut last = String::new();
        for _ in 0..PORT_TRIES {
            let port = free_port()?;
            let private = Arc::new(launch(&folder, &binaries, port, &run)?);
            unfinished.0 = None;
            live::register(&private);
            if private.answers().await {
                return Ok(private);
            }
            last = private.log_tail(20);
            if !last.contains("could not bind") && !last.contains("Address already in use") {
                break;
            }
            private.stop();
            unfinished.0 = Some(folder.clone());
        }
        Err(Error::Program {
            program: binaries.program("postgres").display().to_string(),
            said: last,
        })
    }

    pub(crate) fn target(&self) -> Target {
        let mut config = tokio_postgres::Config::new();
        config
            .host_path(&self.socket)
            .port(self.port)
            .user(SUPERUSER)
            .dbname("postgres");
        config.application_name("deadheat");
        Target {
            config,
            shown: format!("the private server in {}", self.folder.display()),
            tls: None,
        }
    }

    /// The last lines of the server's log.
    pub(crate) fn log_tail(&self, lines: usize) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let all: Vec<&str> = text.trim_end().lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    async fn answers(&self) -> bool {
        let end = Instant::now() + START_LIMIT;
        let target = self.target();
        while Instant::now() < end {
            if target.connect("postgres").await.is_ok() {
                return true;
            }
            if self.has_exited() {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        false
    }

    fn has_exited(&self) -> bool {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        child
            .as_mut()
            .is_none_or(|child| matches!(child.try_wait(), Ok(Some(_)) | Err(_)))
    }

    /// Ends the server's processes; its folder stays.
    fn stop(&self) {
        let mut held = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(mut child) = held.take() else { return };
        end_server(&mut child, &self.data);
    }
}

impl Ends for Private {
    fn end(&self) {
        self.stop();
        remove(&self.folder);
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        self.end();
    }
}

/// Removes the folder of a start that did not come to a server.
struct Unfinished(Option<PathBuf>);

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(folder) = &self.0 {
            remove(folder);
        }
    }
}

fn check(settings: &BTreeMap<String, String>) -> Result<(), Error> {
    for name in settings.keys() {
        let name = name.to_ascii_lowercase();
        if let Some((_, _, why)) = FIXED.iter().find(|(fixed, ..)| *fixed == name) {
            return Err(Error::Setting { name, why });
        }
        if TAKEN.contains(&name.as_str()) {
            return Err(Error::Setting {
                name,
                why: "a private server decides where it is itself",
            });
        }
        if !name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.')
            || name.is_empty()
        {
            return Err(Error::Setting {
                name,
                why: "this is not the name of a setting",
            });
        }
    }
    Ok(())
}

/// Makes the folder with the data, the socket's folder and the configuration in it.
fn prepare(
    folder: &Path,
    binaries: &Binaries,
    settings: &BTreeMap<String, String>,
) -> Result<(), Error> {
    let user = user::to_run_as();
    let doing = || Error::io(format!("make {}", folder.display()));
    for made in [folder.to_owned(), folder.join("socket")] {
        fs::create_dir(&made).map_err(doing())?;
        fs::set_permissions(&made, fs::Permissions::from_mode(0o700)).map_err(doing())?;
        if let Some(user) = &user {
            chown(&made, Some(user.uid), Some(user.gid)).map_err(doing())?;
        }
    }
    let data = folder.join("data");
    initdb::fresh(binaries, &data, user.as_ref())?;
    let mut text = String::from("\n# deadheat\n");
    for (name, value) in DEFAULTS {
        let _ = writeln!(text, "{name} = {value}");
    }
    for (name, value) in settings {
        let _ = writeln!(
            text,
            "{name} = '{}'",
            value.replace('\'', "''").replace('\n', " ")
        );
    }
    let path = data.join("postgresql.conf");
    let mut all =
        fs::read_to_string(&path).map_err(Error::io(format!("read {}", path.display())))?;
    all.push_str(&text);
    fs::write(&path, all).map_err(Error::io(format!("write {}", path.display())))
}

fn launch(folder: &Path, binaries: &Binaries, port: u16, run: &Arc<Run>) -> Result<Private, Error> {
    let log = folder.join("log");
    let file = File::create(&log).map_err(Error::io(format!("write {}", log.display())))?;
    let errors = file
        .try_clone()
        .map_err(Error::io(format!("write {}", log.display())))?;
    let (data, socket) = (folder.join("data"), folder.join("socket"));
    let mut command = Command::new(binaries.program("postgres"));
    command.arg("-D").arg(&data).arg("-k").arg(&socket).args([
        "-h",
        "127.0.0.1",
        "-p",
        &port.to_string(),
    ]);
    for (name, value, _) in FIXED {
        // This one came with version 15; before it, counters always were as they are now or as first read.
        if name != "stats_fetch_consistency" || binaries.order().0 >= 15 {
            command.arg("-c").arg(format!("{name}={value}"));
        }
    }
    for variable in [
        "PGDATA",
        "PGPORT",
        "PGHOST",
        "PGUSER",
        "PGDATABASE",
        "PGOPTIONS",
        "PGSERVICE",
    ] {
        command.env_remove(variable);
    }
    command
        .env("LC_ALL", "C")
        .env(RUN_VARIABLE, &run.dir)
        .current_dir(folder)
        .process_group(0);
    command.stdin(Stdio::null()).stdout(file).stderr(errors);
    if let Some(user) = user::to_run_as() {
        command.uid(user.uid).gid(user.gid);
    }
    // SIGQUIT is the server's order to end at once, its children with it.
    let child =
        spawner::spawn(command, Signal::QUIT).map_err(Error::io("start the PostgreSQL server"))?;
    let (binaries, folder, run) = (binaries.clone(), folder.to_owned(), Arc::clone(run));
    Ok(Private {
        binaries,
        socket,
        port,
        log,
        data,
        folder,
        child: Mutex::new(Some(child)),
        _run: run,
    })
}

/// A port of the loopback interface that is free now.
fn free_port() -> Result<u16, Error> {
    let doing = || Error::io("find a free port on 127.0.0.1");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(doing())?;
    Ok(listener.local_addr().map_err(doing())?.port())
}

fn end_server(child: &mut Child, data: &Path) {
    // The child has not been waited for, so its id is its own still.
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, Signal::QUIT);
    }
    if !proc::wait_until(END_LIMIT, || {
        matches!(child.try_wait(), Ok(Some(_)) | Err(_))
    }) {
        let _ = child.kill();
        let _ = child.wait();
    }
    end_workers(data);
}

/// Ends what still works in the data folder: sessions whose server was killed.
pub(crate) fn end_workers(data: &Path) -> usize {
    let found = proc::working_in(data);
    for &pid in &found {
        proc::signal_if(pid, Signal::KILL, |pid| proc::working_in_one(pid, data));
    }
    proc::wait_until(END_LIMIT, || {
        found.iter().all(|&pid| !proc::working_in_one(pid, data))
    });
    found.len()
}
