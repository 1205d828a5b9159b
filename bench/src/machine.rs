//! The machine and the versions of what ran on it.

use std::process::Command;

use crate::Fallible;
use crate::results::Machine;

/// Processes that want to run, averaged over the last minute.
pub fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or("").to_owned()
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
