//! Which specs are meant, and what is in them.

use std::path::{Path, PathBuf};

use deadheat_spec::{Spec, check, parse};

use crate::args;
use crate::problem::{Failure, Problem};

/// A spec that was read.
pub struct Loaded {
    pub path: PathBuf,
    /// The file's name without its ending.
    pub name: String,
    pub spec: Spec,
}

/// Reads all specs that the command line names.
pub fn load(args: &args::Spec) -> Result<Vec<Loaded>, Problem> {
    let mut paths = Vec::new();
    if let Some(schedule) = &args.schedule {
        paths = scheduled(schedule)?;
    }
    paths.extend(args.specs.iter().cloned());
    paths.iter().map(|path| one(path)).collect()
}

/// The specs of a schedule: every name on its `test:` lines, in the folder `specs` beside it.
fn scheduled(schedule: &Path) -> Result<Vec<PathBuf>, Problem> {
    let text = read(schedule)?;
    let folder = schedule.parent().unwrap_or(Path::new("")).join("specs");
    let lines = text.lines().filter_map(|line| line.strip_prefix("test:"));
    let names = lines.flat_map(str::split_whitespace);
    let paths: Vec<PathBuf> = names
        .map(|name| folder.join(format!("{name}.spec")))
        .collect();
    if paths.is_empty() {
        return Err(
            Failure::new(format!("{} names no specs", schedule.display()))
                .mended_by("a schedule has lines such as `test: read-only-anomaly`")
                .into(),
        );
    }
    Ok(paths)
}

fn one(path: &Path) -> Result<Loaded, Problem> {
    let text = read(path)?;
    let spec = parse(&text).map_err(|problem| {
        let place = format!("{}:{}", path.display(), problem.line(&text));
        let span = (problem.span.start, problem.span.len()).into();
        let mut failure = Failure::new(format!("{place}: {}", problem.message));
        failure.help.clone_from(&problem.mend);
        Problem::from(failure.at(&path.display().to_string(), text.clone(), span, None))
    })?;
    Ok(Loaded {
        path: path.to_owned(),
        name: check::name_of(path),
        spec,
    })
}

fn read(path: &Path) -> Result<String, Problem> {
    let bytes = std::fs::read(path).map_err(|error| Problem::file(path, "read", &error))?;
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + good.split(|byte| *byte == b'\n').skip(1).count();
        Failure::new(format!("{}:{line}: this is not UTF-8", path.display()))
            .mended_by("save the file as UTF-8")
            .into()
    })
}
