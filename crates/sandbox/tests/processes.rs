//! Services and commands on their leash.

use std::time::{Duration, Instant};

use deadheat_sandbox::{Exit, Look, Process, Spawn};

fn start(command: &str) -> Process {
    Spawn::new(command, "/").start().expect("starts")
}

fn alive(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

/// Looks until the process is at rest, that is until two looks are equal and asleep.
async fn at_rest(process: &Process) -> Look {
    let end = Instant::now() + Duration::from_secs(20);
    let mut last = process.look();
    loop {
        tokio::time::sleep(Duration::from_millis(2)).await;
        let now = process.look();
        if now == last && now.asleep {
            return now;
        }
        assert!(Instant::now() < end, "does not come to rest: {now:?}");
        last = now;
    }
}

/// The process ids that a service wrote, one a line, once there are `count`.
async fn written(process: &Process, count: usize) -> Vec<u32> {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let found: Vec<u32> = process
            .tail(10)
            .lines()
            .filter_map(|line| line.parse().ok())
            .collect();
        if found.len() >= count {
            return found;
        }
        assert!(Instant::now() < end, "{}", process.tail(10));
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn a_command_tells_its_status_and_its_words() {
    let process = Spawn {
        env: vec![("WHO".into(), "ben".into())],
        ..Spawn::new("echo hello $WHO; echo oops >&2; exit 3", "/")
    };
    let process = process.start().expect("starts");
    assert_eq!(process.exited().await.expect("ends"), Exit::Status(3));
    assert_eq!(process.exit(), Some(Exit::Status(3)), "and says so again");
    assert_eq!(process.tail(5), "hello ben\noops");
    assert_eq!(process.tail(1), "oops");
    let log = process.stdout().to_owned();
    assert!(log.exists());
    let look = process.look();
    assert!(look.processes == 0, "{look:?}");
}

#[tokio::test]
async fn a_signal_is_told_from_a_status() {
    let process = start("kill -9 $$");
    assert_eq!(process.exited().await.expect("ends").code(), -9);
}

#[tokio::test]
async fn two_files_are_kept_apart() {
    let folder = tempfile::tempdir().expect("a folder");
    let (out, err) = (folder.path().join("out"), folder.path().join("err"));
    let spawn = Spawn {
        stdout: Some(out.clone()),
        stderr: Some(err.clone()),
        ..Spawn::new("echo a; echo b >&2", "/")
    };
    let process = spawn.start().expect("starts");
    process.exited().await.expect("ends");
    assert_eq!(std::fs::read_to_string(out).expect("is there"), "a\n");
    assert_eq!(std::fs::read_to_string(err).expect("is there"), "b\n");
}

#[tokio::test]
async fn the_whole_tree_ends_with_it_daemons_too() {
    let process = start("sleep 300 & echo $!; setsid sh -c 'echo $$; exec sleep 301' & wait");
    let family = written(&process, 2).await;
    assert!(family.iter().all(|&pid| alive(pid)));
    drop(process);
    assert!(!family.iter().any(|&pid| alive(pid)), "{family:?}");
}

#[tokio::test]
async fn a_service_that_ignores_sigterm_is_killed_after_its_grace() {
    let spawn = Spawn {
        grace: Duration::from_millis(50),
        ..Spawn::new("trap '' TERM; echo $$; sleep 300; sleep 300", "/")
    };
    let process = spawn.start().expect("starts");
    let family = written(&process, 1).await;
    drop(process);
    assert!(!alive(family[0]));
}

#[tokio::test]
async fn a_service_may_clean_up_on_sigterm() {
    let folder = tempfile::tempdir().expect("a folder");
    let farewell = folder.path().join("farewell");
    let process = start(&format!(
        "trap 'echo bye > {}; exit 0' TERM; echo $$; while :; do sleep 0.01; done",
        farewell.display()
    ));
    written(&process, 1).await;
    process.end();
    assert_eq!(
        std::fs::read_to_string(&farewell).expect("was written"),
        "bye\n"
    );
}

#[tokio::test]
async fn a_sleeping_tree_is_at_rest_and_a_busy_one_is_not() {
    let quiet = start("sleep 300 & sleep 301 & wait");
    let look = at_rest(&quiet).await;
    assert_eq!(look.processes, 3);
    let busy = start("sleep 300 & while :; do :; done");
    let first = busy.look();
    let end = Instant::now() + Duration::from_secs(20);
    let mut seen = 0;
    while seen < 20 {
        let look = busy.look();
        assert!(
            !(look.asleep && look == first),
            "a busy loop was taken for rest"
        );
        seen += usize::from(look.processes == 2);
        assert!(Instant::now() < end, "{look:?}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_wake_that_lasts_a_moment_changes_the_stamp() {
    let process = start("echo $$; while :; do sleep 0.05; done");
    written(&process, 1).await;
    let first = process.look();
    let end = Instant::now() + Duration::from_secs(20);
    while process.look().stamp == first.stamp {
        assert!(Instant::now() < end, "it never moved");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn orphans_are_looked_at_too() {
    // The shell between ends at once: the sleeper hangs below another process than ours, in another session.
    let process = start("sh -c 'setsid sleep 300 &'; sh -c 'sleep 300 &'; exec sleep 300");
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        if at_rest(&process).await.processes == 3 {
            break;
        }
        assert!(Instant::now() < end, "{:?}", process.look());
    }
}
