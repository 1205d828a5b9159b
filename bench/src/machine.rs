//! The machine and the versions of what ran on it.

use std::process::Command;
use std::time::Instant;

use crate::Fallible;
use crate::results::Machine;

/// Processes that want to run, averaged over the last minute.
pub fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or("").to_owned()
}

/// Processor time that the machine has spent on anything since it was started, in seconds.
fn spent() -> Fallible<f64> {
    // Of proc_stat(5): user, nice and system; what stands behind is idle, or was never this machine's.
    const HUNDREDTHS: f64 = 100.0;
    let text = std::fs::read_to_string("/proc/stat")?;
    let all = text.split_whitespace().skip(1).take(3);
    let all: Vec<u64> = all.map(str::parse).collect::<Result<_, _>>()?;
    Ok(all.iter().sum::<u64>() as f64 / HUNDREDTHS)
}

/// Does something; returns also how many processors the machine kept busy meanwhile.
pub fn while_busy<T>(work: impl FnOnce() -> Fallible<T>) -> Fallible<(T, f64)> {
    let (before, started) = (spent()?, Instant::now());
    let done = work()?;
    Ok((done, (spent()? - before) / started.elapsed().as_secs_f64()))
}

/// Looks around; `before` is the load as it was when the measurement began.
pub fn look(before: String) -> Fallible<Machine> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let after = |text: &str, key: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(key)?.split_once(':'))
            .map_or_else(
                || "unknown".to_owned(),
                |(_, value)| value.trim().to_owned(),
            )
    };
    let memory = after(&read("/proc/meminfo"), "MemTotal");
    let kib: u64 = memory.split(' ').next().unwrap_or("").parse().unwrap_or(0);
    let server = deadheat_sandbox::doctor().used;
    Ok(Machine {
        processor: after(&read("/proc/cpuinfo"), "model name"),
        cores: std::thread::available_parallelism()?.get(),
        memory: format!("{} GiB", kib.div_ceil(1024 * 1024)),
        system: said("uname", &["-srm"])?,
        postgres: server.map_or_else(|| "none".to_owned(), |found| found.version.clone()),
        rust: said("rustc", &["--version"])?,
        deadheat: said("target/release/deadheat", &["--version"])?,
        load: [before, load()],
    })
}

/// What a program says of itself.
pub fn said(program: &str, arguments: &[&str]) -> Fallible<String> {
    let output = Command::new(program).args(arguments).output()?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
