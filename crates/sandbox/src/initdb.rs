//! A freshly initialised data folder per version, kept in a cache and copied for every server.
//!
//! Made in a folder of another name and renamed when complete: starts that run side by side either find
//! nothing or find all of it, and the one that comes second uses the other's.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::binaries::Binaries;
use crate::error::Error;
use crate::run::Run;
use crate::user::User;

/// Name of the superuser of private servers.
pub(crate) const SUPERUSER: &str = "postgres";

/// Counts the changes to the options below: another layout must not reuse an old cache.
const LAYOUT: u32 = 1;

const OPTIONS: [&str; 6] = [
    "--username=postgres",
    "--auth=trust",
    "--encoding=UTF8",
    "--no-sync",
    "--no-instructions",
    // The smallest segments: a copy is half the size.
    "--wal-segsize=1",
];

/// The same order of texts on every machine, with letters beyond ASCII still being letters; plain C where
/// the system does not know the first.
const LOCALES: [&str; 2] = ["--locale=C.UTF-8", "--no-locale"];

/// The file that says a cached folder is complete and ours.
const COMPLETE: &str = "deadheat-cache";

/// Where the initialised folder of this version is kept, whether it is there or not.
pub(crate) fn cached_folder(binaries: &Binaries) -> PathBuf {
    cache().join(format!("initdb-{LAYOUT}-{}", binaries.version))
}

pub(crate) fn is_complete(folder: &Path) -> bool {
    folder.join(COMPLETE).is_file()
}

/// The folder that cached folders are in.
pub(crate) fn cache() -> PathBuf {
    let set = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let root = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
    root.unwrap_or_else(std::env::temp_dir).join("deadheat")
}

/// Puts a fresh data folder at `data`, owned by `user`. `data` must not exist.
pub(crate) fn fresh(binaries: &Binaries, data: &Path, user: Option<&User>) -> Result<(), Error> {
    let cached = cached_folder(binaries);
    if is_complete(&cached) && copy(&cached, data, user).is_ok() {
        return Ok(());
    }
    // Nothing cached, or what was cached went away while we copied it.
    if data.exists() {
        fs::remove_dir_all(data).map_err(Error::io(format!("remove {}", data.display())))?;
    }
    initialise(binaries, data, user)?;
    if let Err(error) = keep(data, &cached) {
        tracing::warn!(%error, cache = %cached.display(), "the initialised folder could not be cached");
    }
    Ok(())
}

fn initialise(binaries: &Binaries, data: &Path, user: Option<&User>) -> Result<(), Error> {
    let mut said = String::new();
    for locale in LOCALES {
        let mut command = Command::new(binaries.program("initdb"));
        command.args(OPTIONS).arg(locale).arg("--pgdata").arg(data);
        command
            .current_dir("/")
            .env("LC_ALL", "C")
            .env_remove("PGDATA");
        if let Some(user) = user {
            command.uid(user.uid).gid(user.gid);
        }
        let output = command.output().map_err(Error::io("run initdb"))?;
        if output.status.success() {
            return Ok(());
        }
        said = last_lines(&[output.stdout, output.stderr].concat());
    }
    Err(Error::Program {
        program: binaries.program("initdb").display().to_string(),
        said,
    })
}

/// The end of what a program said.
fn last_lines(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    let lines: Vec<&str> = text.trim().lines().collect();
    lines[lines.len().saturating_sub(8)..].join("\n")
}

/// Copies `data` into the cache, unless someone else was faster.
fn keep(data: &Path, cached: &Path) -> Result<(), Error> {
    let doing = || Error::io(format!("fill the cache {}", cached.display()));
    let parent = cached.parent().unwrap_or(cached);
    fs::create_dir_all(parent).map_err(doing())?;
    // Removed with what is left in it when dropped; by a sweep when we are killed.
    let making = Run::start(parent, "making-")?;
    let folder = making.dir.join("data");
    copy(data, &folder, None).map_err(doing())?;
    fs::write(
        folder.join(COMPLETE),
        "a freshly initialised data folder of deadheat\n",
    )
    .map_err(doing())?;
    match fs::rename(&folder, cached) {
        Ok(()) => Ok(()),
        Err(_) if is_complete(cached) => Ok(()),
        Err(error) => Err(doing()(error)),
    }
}

/// Copies a tree of folders, files and links, with their rights.
fn copy(from: &Path, to: &Path, user: Option<&User>) -> std::io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy(&entry.path(), &target, user)?;
        } else if kind.is_file() && entry.file_name() != COMPLETE {
            fs::copy(entry.path(), &target)?;
            give(&target, user)?;
        }
    }
    // PostgreSQL wants its folder closed to others.
    fs::set_permissions(to, fs::Permissions::from_mode(0o700))?;
    give(to, user)
}

fn give(path: &Path, user: Option<&User>) -> std::io::Result<()> {
    user.map_or(Ok(()), |user| chown(path, Some(user.uid), Some(user.gid)))
}
