//! A server for the tests of one file, gone when the last test that holds it is over.

use std::fs::{self, OpenOptions, Permissions};
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use deadheat_gate::Upstream;

/// A running server; stopped and removed on drop.
pub struct Server {
    dir: PathBuf,
    child: Child,
    port: u16,
    /// For `localhost` and 127.0.0.1; vouches for itself.
    certificate: String,
}

static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
static NEXT: AtomicU32 = AtomicU32::new(0);

fn binary(name: &str) -> PathBuf {
    let mut found: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .expect("PostgreSQL is installed")
        .map(|entry| {
            entry
                .expect("a readable folder")
                .path()
                .join("bin")
                .join(name)
        })
        .filter(|path| path.exists())
        .collect();
    found.sort();
    found.pop().expect("PostgreSQL's server binaries")
}

/// The server refuses to run as root.
fn command(name: &str) -> Command {
    if fs::metadata("/proc/self").expect("/proc").uid() != 0 {
        return Command::new(binary(name));
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=postgres", "--regid=postgres", "--clear-groups"])
        .arg(binary(name));
    command
}

fn own(path: &Path) {
    if fs::metadata("/proc/self").expect("/proc").uid() == 0 {
        let passwd = fs::read_to_string("/etc/passwd").expect("/etc/passwd");
        let line = passwd
            .lines()
            .find(|line| line.starts_with("postgres:"))
            .expect("a user postgres");
        let ids: Vec<u32> = line
            .split(':')
            .skip(2)
            .take(2)
            .map(|id| id.parse().expect("an id"))
            .collect();
        chown(path, Some(ids[0]), Some(ids[1])).expect("chown");
    }
}

/// Gives a server what it needs to encrypt; returns its certificate.
fn encryption(data: &Path) -> String {
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
    let pem = made.cert.pem();
    let key = data.join("server.key");
    fs::write(data.join("server.crt"), &pem).expect("a certificate");
    fs::write(&key, made.signing_key.serialize_pem()).expect("a key");
    fs::set_permissions(&key, Permissions::from_mode(0o600)).expect("a key that is ours");
    own(&key);
    pem
}

impl Server {
    /// The server of this test file.
    pub fn shared() -> Arc<Server> {
        let mut shared = SHARED
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(server) = shared.upgrade() {
            return server;
        }
        let server = Arc::new(Server::start());
        *shared = Arc::downgrade(&server);
        server
    }

    /// A server that no other test uses.
    pub fn alone() -> Server {
        Server::start()
    }

    /// Kills it and all its sessions, with no chance to say anything.
    pub fn kill(&self) {
        let sessions = format!("/proc/{0}/task/{0}/children", self.child.id());
        let sessions = fs::read_to_string(sessions).unwrap_or_default();
        for pid in [self.child.id().to_string()]
            .iter()
            .map(String::as_str)
            .chain(sessions.split_ascii_whitespace())
        {
            let _ = Command::new("kill").args(["-KILL", pid]).status();
        }
    }

    fn start() -> Server {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("gate-{}-{number}", std::process::id()));
        fs::create_dir_all(&dir).expect("a folder");
        own(&dir);
        let data = dir.join("data");
        let made = command("initdb")
            .args([
                "-U",
                "postgres",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--locale=C",
                "--no-sync",
                "-D",
            ])
            .arg(&data)
            .output()
            .expect("initdb runs");
        assert!(
            made.status.success(),
            "initdb: {}",
            String::from_utf8_lossy(&made.stderr)
        );
        let rules = data.join("pg_hba.conf");
        let old = fs::read_to_string(&rules).expect("pg_hba.conf");
        fs::write(
            &rules,
            format!("host all with_password 127.0.0.1/32 scram-sha-256\n{old}"),
        )
        .expect("pg_hba.conf");
        let certificate = encryption(&data);
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|free| free.local_addr())
            .expect("a port")
            .port();
        let mut settings = OpenOptions::new()
            .append(true)
            .open(data.join("postgresql.conf"))
            .expect("postgresql.conf");
        write!(
            settings,
            "port = {port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '{}'\n\
             dynamic_shared_memory_type = mmap\nfsync = off\nfull_page_writes = off\nsynchronous_commit = off\nshared_buffers = 32MB\nmax_connections = 60\n\
             deadlock_timeout = 10ms\nautovacuum = off\nssl = on\n",
            dir.display()
        )
        .expect("postgresql.conf");
        let log = fs::File::create(dir.join("log")).expect("a log");
        let child = command("postgres")
            .arg("-D")
            .arg(&data)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn()
            .expect("postgres runs");
        let server = Server {
            dir,
            child,
            port,
            certificate,
        };
        server.wait();
        server
    }

    fn wait(&self) {
        let start = Instant::now();
        while !fs::read_to_string(self.dir.join("data/postmaster.pid"))
            .is_ok_and(|text| text.contains("ready"))
        {
            assert!(
                start.elapsed() < Duration::from_secs(30),
                "the server does not start, see {}",
                self.dir.display()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn addr(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// What the server shows when it is asked to encrypt.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    pub fn tcp(&self) -> Upstream {
        Upstream::Tcp(self.addr())
    }

    pub fn unix(&self) -> Upstream {
        Upstream::Unix(self.dir.join(format!(".s.PGSQL.{}", self.port)))
    }

    /// Connection string for a direct connection.
    pub fn config(&self, database: &str) -> String {
        format!(
            "host=127.0.0.1 port={} user=postgres dbname={database}",
            self.port
        )
    }

    /// A database of a name not used before.
    pub async fn database(&self) -> String {
        let name = format!("d{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let (client, connection) =
            tokio_postgres::connect(&self.config("postgres"), tokio_postgres::NoTls)
                .await
                .expect("a direct connection");
        tokio::spawn(connection);
        client
            .batch_execute(&format!("create database {name}"))
            .await
            .expect("a database");
        name
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            let _ = fs::remove_dir_all(&self.dir);
            return;
        }
        let stopped = command("pg_ctl")
            .args(["stop", "-s", "-w", "-m", "immediate", "-D"])
            .arg(self.dir.join("data"))
            .status();
        if !stopped.is_ok_and(|status| status.success()) {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.dir);
    }
}
