//! The folder of this run, its mark and its lock.
//!
//! Everything a run keeps on disk is in one folder, `…/deadheat-UID/run-XXXXXX`. The file `lock` in it is
//! the mark (its first line says what it is) and, by a lock that the kernel frees however the process ends,
//! the sign of life. Children carry the folder's path in their environment as `DEADHEAT_RUN`.

use std::fs::{self, File, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use crate::error::Error;
use crate::live::{self, Ends};
use crate::proc;
use crate::user;

/// Environment variable that children carry: the run's folder.
pub(crate) const RUN_VARIABLE: &str = "DEADHEAT_RUN";
/// Environment variable that children carry: which of the run's children they descend from.
pub(crate) const CHILD_VARIABLE: &str = "DEADHEAT_CHILD";

const MARK: &str = "deadheat run 1\n";
const LOCK: &str = "lock";

/// A Unix socket's path has at most 107 bytes, of which the folders below the base need some 45.
const LONGEST_BASE: usize = 60;

/// How long something may still write to a folder that is being removed.
const REMOVE_LIMIT: Duration = Duration::from_secs(5);

/// The live run of this process. Its folder goes when the last holder does.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) dir: PathBuf,
    next: AtomicU32,
    _lock: File,
}

static CURRENT: Mutex<Weak<Run>> = Mutex::new(Weak::new());

impl Run {
    /// This process's run, started if there is none.
    pub(crate) fn current() -> Result<Arc<Self>, Error> {
        let mut current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(run) = current.upgrade() {
            return Ok(run);
        }
        let run = Arc::new(Self::start(&base()?, "run-")?);
        // Registered before anything in it, and so ended after all of it.
        live::register(&run);
        *current = Arc::downgrade(&run);
        Ok(run)
    }

    /// Makes a marked and locked folder in `parent`.
    pub(crate) fn start(parent: &Path, prefix: &str) -> Result<Self, Error> {
        let doing = || {
            Error::io(format!(
                "make a folder for this run in {}",
                parent.display()
            ))
        };
        let dir = tempfile::Builder::new()
            .prefix(prefix)
            .tempdir_in(parent)
            .map_err(doing())?;
        // The server may run as another user than we do: it has to pass through, not to look around.
        let mode = if user::is_root() { 0o711 } else { 0o700 };
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(mode)).map_err(doing())?;
        let mut lock = File::create_new(dir.path().join(LOCK)).map_err(doing())?;
        // Locked before it is marked: a sweep takes only what is marked.
        lock.lock().map_err(doing())?;
        lock.write_all(MARK.as_bytes()).map_err(doing())?;
        Ok(Self {
            dir: dir.keep(),
            next: AtomicU32::new(1),
            _lock: lock,
        })
    }

    /// A number not given before in this run.
    pub(crate) fn number(&self) -> u32 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }
}

impl Ends for Run {
    fn end(&self) {
        if !remove(&self.dir) {
            tracing::warn!(dir = %self.dir.display(), "the run's folder could not be removed");
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.end();
    }
}

/// Removes a folder; tried again, since a process that is being ended may still write to it.
pub(crate) fn remove(folder: &Path) -> bool {
    proc::wait_until(REMOVE_LIMIT, || match fs::remove_dir_all(folder) {
        Ok(()) => true,
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    })
}

/// A dead run's folder, locked by us so that no one else takes it.
pub(crate) struct DeadRun {
    pub(crate) dir: PathBuf,
    _lock: File,
}

impl DeadRun {
    /// Takes the folder if it carries our mark and no one alive holds its lock.
    pub(crate) fn take(dir: &Path) -> Option<Self> {
        let mut lock = File::options()
            .read(true)
            .write(true)
            .open(dir.join(LOCK))
            .ok()?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => return None,
        }
        let mut mark = String::new();
        lock.read_to_string(&mut mark).ok()?;
        (mark == MARK).then(|| Self {
            dir: dir.to_owned(),
            _lock: lock,
        })
    }
}

/// Folders of dead runs in `parent`, each taken.
pub(crate) fn dead_runs(parent: &Path) -> Vec<DeadRun> {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    let mut folders: Vec<_> = entries.map(|entry| entry.path()).collect();
    folders.sort();
    folders
        .iter()
        .filter_map(|folder| DeadRun::take(folder))
        .collect()
}

/// The folder all runs of this user share, made if needed.
pub(crate) fn base() -> Result<PathBuf, Error> {
    let uid = rustix::process::geteuid().as_raw();
    // As the kernel names it: it is compared with what /proc says.
    let parent = fs::canonicalize(temporary()).map_err(Error::io("find the temporary folder"))?;
    let path = parent.join(format!("deadheat-{uid}"));
    let mode = if user::is_root() { 0o711 } else { 0o700 };
    match fs::DirBuilder::new().mode(mode).create(&path) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(source) => {
            return Err(Error::Io {
                doing: format!("make {}", path.display()),
                source,
            });
        }
    }
    // In a folder anyone may write to, the name may have been taken by someone else.
    let found =
        fs::symlink_metadata(&path).map_err(Error::io(format!("look at {}", path.display())))?;
    if !found.is_dir() || found.uid() != uid || found.mode() & 0o022 != 0 {
        let why = "it is not a folder that this user alone can write to; remove it or set TMPDIR"
            .to_owned();
        return Err(Error::Folder { path, why });
    }
    if found.mode() & 0o777 != mode {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))
            .map_err(Error::io(format!("set the rights of {}", path.display())))?;
    }
    Ok(path)
}

/// The system's temporary folder, or `/tmp` where a server could not use it.
fn temporary() -> PathBuf {
    let wanted = std::env::temp_dir();
    let short = wanted.as_os_str().len() <= LONGEST_BASE;
    let passable = !user::is_root()
        || wanted.ancestors().all(|part| {
            part.as_os_str().is_empty()
                || fs::metadata(part).is_ok_and(|found| found.mode() & 0o001 != 0)
        });
    if short && passable && wanted.is_absolute() {
        wanted
    } else {
        PathBuf::from("/tmp")
    }
}
