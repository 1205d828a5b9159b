//! Nothing is left behind, however a run ends. A helper program holds a server and a service, and is ended.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use deadheat_sandbox::{PrivateOptions, Server, sweep};
use rustix::process::{Pid, Signal, kill_process};

/// The helper program, which cargo builds with the tests.
fn helper() -> PathBuf {
    let own = std::env::current_exe().expect("a test has a path");
    let folder = own
        .parent()
        .and_then(Path::parent)
        .expect("tests are in target/…/deps");
    folder.join("examples").join("holder")
}

struct Holder {
    child: Child,
    log: PathBuf,
    service: u32,
    database: String,
}

/// Starts the helper in a temporary folder of the test's own, so that tests do not sweep each other's.
fn hold(temporary: &Path, arguments: &[&str]) -> Holder {
    let mut child = Command::new(helper())
        .args(arguments)
        .env("TMPDIR", temporary)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the helper starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("is piped"))
        .read_line(&mut line)
        .expect("it speaks");
    let words: Vec<&str> = line.trim_end_matches('\n').split(' ').collect();
    let [log, service, database] = words[..] else {
        panic!("the helper said {line:?}")
    };
    let service = service.parse().expect("a process id");
    Holder {
        child,
        log: log.into(),
        service,
        database: database.to_owned(),
    }
}

impl Holder {
    fn signal(&mut self, signal: Signal) {
        let pid = i32::try_from(self.child.id())
            .ok()
            .and_then(Pid::from_raw)
            .expect("a process id");
        kill_process(pid, signal).expect("is there");
        self.child.wait().expect("ends");
    }

    fn tell(&mut self) {
        self.child
            .stdin
            .take()
            .expect("is piped")
            .write_all(b"go\n")
            .expect("it listens");
        self.child.wait().expect("ends");
    }

    fn run(&self) -> PathBuf {
        self.log
            .ancestors()
            .nth(2)
            .expect("the log is in a server's folder in the run's")
            .to_owned()
    }

    /// Processes with this run's mark, and those that work in its folder.
    fn processes(&self) -> Vec<u32> {
        let run = self.run();
        let mark = format!("DEADHEAT_RUN={}", run.display());
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc").expect("is there").flatten() {
            let Some(pid) = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse::<u32>().ok())
            else {
                continue;
            };
            let marked = std::fs::read(entry.path().join("environ")).is_ok_and(|all| {
                all.split(|&byte| byte == 0)
                    .any(|one| one == mark.as_bytes())
            });
            let inside =
                std::fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd.starts_with(&run));
            let zombie = std::fs::read_to_string(entry.path().join("stat"))
                .is_ok_and(|stat| stat.contains(") Z "));
            if (marked || inside) && !zombie {
                found.push(pid);
            }
        }
        found
    }
}

/// A folder that a server's user can pass through, with a short path.
fn temporary() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::Builder::new()
        .prefix("dh")
        .tempdir_in("/tmp")
        .expect("a folder");
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711))
        .expect("is ours");
    folder
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn is_empty(folder: &Path) -> bool {
    let uid = rustix::process::geteuid().as_raw();
    std::fs::read_dir(folder.join(format!("deadheat-{uid}")))
        .is_ok_and(|mut entries| entries.next().is_none())
}

#[test]
fn success_leaves_nothing() {
    let folder = temporary();
    let mut holder = hold(folder.path(), &["exit"]);
    assert!(
        holder.processes().len() >= 4,
        "the server, and two services behind their shell"
    );
    holder.tell();
    assert_eq!(holder.processes(), [0; 0]);
    assert!(is_empty(folder.path()));
}

#[test]
fn a_panic_leaves_nothing() {
    let folder = temporary();
    let mut holder = hold(folder.path(), &["panic"]);
    holder.tell();
    assert_eq!(holder.processes(), [0; 0]);
    assert!(is_empty(folder.path()));
}

#[test]
fn an_interrupt_and_a_terminate_leave_nothing() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let folder = temporary();
        let mut holder = hold(folder.path(), &["signals"]);
        holder.signal(signal);
        assert_eq!(holder.processes(), [0; 0], "{signal:?}");
        assert!(is_empty(folder.path()), "{signal:?}");
    }
}

#[test]
fn the_next_start_sweeps_what_a_killed_run_left_and_spares_a_live_one() {
    let folder = temporary();
    let mut dead = hold(folder.path(), &["exit"]);
    let mut alive = hold(folder.path(), &["exit"]);
    dead.signal(Signal::KILL);
    // The kernel ends the server and the service's shell by itself.
    let service = PathBuf::from(format!("/proc/{}/environ", dead.service));
    wait_until("the shell ends", || {
        std::fs::read(&service).map_or(true, |environ| environ.is_empty())
    });
    assert!(dead.run().exists(), "the folder waits for a sweep");
    let mut next = hold(folder.path(), &["exit"]);
    assert!(!dead.run().exists());
    assert_eq!(dead.processes(), [0; 0], "and so have the daemons gone");
    assert!(
        alive.processes().len() >= 4,
        "the live run next to it goes on"
    );
    alive.tell();
    next.tell();
    assert!(is_empty(folder.path()));
}

#[test]
fn a_folder_without_our_mark_is_not_swept() {
    let stranger =
        std::env::temp_dir().join(format!("deadheat-{}", rustix::process::geteuid().as_raw()));
    let stranger = stranger.join(format!("run-stranger-{}", std::process::id()));
    std::fs::create_dir_all(&stranger).expect("is made");
    std::fs::write(stranger.join("lock"), "something else").expect("is written");
    sweep();
    let there = stranger.join("lock").exists();
    std::fs::remove_dir_all(&stranger).expect("is removed");
    assert!(there);
}

#[tokio::test]
async fn a_named_server_keeps_what_is_not_ours_and_loses_what_a_killed_run_left() {
    let host = Server::private(&PrivateOptions::default())
        .await
        .expect("starts");
    let others = host.create().await.expect("a database");
    others
        .control()
        .batch_execute("create database deadheat_of_mine; create role ben login createdb")
        .await
        .ok();
    others
        .control()
        .batch_execute("create database deadheat_of_mine")
        .await
        .ok();
    others
        .control()
        .batch_execute("comment on database deadheat_of_mine is 'do not touch'")
        .await
        .expect("comments");
    let at = host.address();
    let url = format!("postgres://{}@{}:{}/postgres", at.user, at.host, at.port);
    let count = "select count(*) from pg_database where datname like 'deadheat\\_________\\_%'";
    let scratch = async || {
        others
            .control()
            .query_one(count, &[])
            .await
            .expect("counts")
            .get::<_, i64>(0)
    };

    let folder = temporary();
    let mut dead = hold(folder.path(), &["exit", &url]);
    let mut alive = hold(folder.path(), &["exit", &url]);
    assert_eq!(scratch().await, 2);
    dead.signal(Signal::KILL);
    let held = "select count(*) from pg_locks where locktype = 'advisory'";
    loop {
        if others
            .control()
            .query_one(held, &[])
            .await
            .expect("counts")
            .get::<_, i64>(0)
            == 1
        {
            break;
        }
        tokio::task::yield_now().await;
    }
    // As if it had been killed while the server made one more for it, not yet marked.
    let (prefix, _) = dead.database.rsplit_once('_').expect("a number");
    let unmarked = format!("create database {prefix}_99");
    let control = others.control();
    control.batch_execute(&unmarked).await.expect("is made");
    let named = Server::named(&url, false).await.expect("connects");
    assert_eq!(
        scratch().await,
        1,
        "the dead run's is dropped, the live run's is not"
    );
    let left: bool = others
        .control()
        .query_one(
            "select exists (select 1 from pg_database where datname = $1)",
            &[&alive.database],
        )
        .await
        .expect("asks")
        .get(0);
    assert!(left);
    scratch_databases_come_and_go(&named, &scratch).await;
    alive.tell();
    assert_eq!(
        scratch().await,
        0,
        "the live run dropped its own at its end"
    );
    let mut next = hold(folder.path(), &["exit", &url]);
    next.tell();
    assert!(
        is_empty(folder.path()),
        "the next run in that folder swept the killed one's folder and daemons"
    );
    let kept = named.create().await.expect("a scratch database");
    drop(named);
    assert_eq!(
        scratch().await,
        0,
        "the server took along what was still there"
    );
    drop(kept);
    others
        .control()
        .batch_execute("drop database deadheat_of_mine")
        .await
        .expect("is still there");
}

#[tokio::test]
async fn a_user_who_is_no_superuser_gets_what_can_be_had() {
    use deadheat_sandbox::{Error, Written};
    let host = Server::private(&PrivateOptions::default())
        .await
        .expect("starts");
    let others = host.create().await.expect("a database");
    others
        .control()
        .batch_execute("create role ben login createdb; create role eve login")
        .await
        .expect("roles");
    let url = |user: &str| {
        format!(
            "postgres://{user}@127.0.0.1:{}/postgres",
            host.address().port
        )
    };
    let refused = Server::named(&url("eve"), false)
        .await
        .expect_err("may not create databases");
    assert!(
        refused.to_string().contains("ALTER ROLE \"eve\" CREATEDB"),
        "{refused}"
    );
    let server = Server::named(&url("ben"), false).await.expect("connects");
    assert!(
        server.describe().contains("not as a superuser"),
        "{}",
        server.describe()
    );
    let mut database = server.create().await.expect("a scratch database");
    let script = "create table parent (id serial primary key); create table child (id int references parent);
        create table log (t text);
        create function note() returns trigger language plpgsql as $$ begin insert into log values ('x'); return null; end $$;
        create trigger noted after delete on child for each row execute function note();
        insert into parent default values; insert into child values (1);";
    database.run_sql("setup", script).await.expect("runs");
    let catalog = database.snapshot().await.expect("a snapshot");
    let oid = |name: &str| {
        catalog
            .tables
            .iter()
            .find(|table| table.name == name)
            .expect("is there")
            .oid
    };
    let stamp = database.schema_stamp().await.expect("a stamp");
    database
        .control()
        .batch_execute("delete from child; delete from log")
        .await
        .expect("deletes");
    database
        .reset(&Written::Tables([oid("child"), oid("log")].into()))
        .await
        .expect("is put back");
    let counts = "select (select count(*) from child), (select count(*) from log)";
    let row = database
        .control()
        .query_one(counts, &[])
        .await
        .expect("counts");
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (1, 0));
    assert_eq!(database.schema_stamp().await.expect("a stamp"), stamp);
    let refused = database
        .reset(&Written::Everything)
        .await
        .expect_err("foreign keys cannot be suspended");
    assert!(matches!(refused, Error::CopyInstead(_)), "{refused}");
}

async fn scratch_databases_come_and_go(named: &Server, scratch: &impl AsyncFn() -> i64) {
    let mut own = named.create().await.expect("a scratch database");
    assert_eq!(scratch().await, 2);
    own.run_sql("setup", "create table t (id int)")
        .await
        .expect("runs");
    own.snapshot().await.expect("a snapshot");
    let template = own.freeze().await.expect("freezes");
    let copy = template.fork().await.expect("forks");
    assert_eq!(scratch().await, 3);
    drop(copy);
    assert_eq!(scratch().await, 2, "dropped at once");
    drop(template);
}
