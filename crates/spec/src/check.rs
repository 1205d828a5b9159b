//! What a spec printed, against what is expected: a file and its alternatives.

use std::path::{Path, PathBuf};

use similar::{ChangeTag, TextDiff};

/// What the comparison says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is byte for byte this file.
    Same(PathBuf),
    /// It is none of the files; the difference to the nearest one, as `diff -u` writes it.
    Differs {
        /// The nearest file.
        from: PathBuf,
        /// The difference.
        diff: String,
    },
    /// There is no such file; where it should be.
    Missing(PathBuf),
}

/// The files that say what is expected of a spec: `../expected/NAME.out` beside the spec's folder, then `NAME_0.out` to
/// `NAME_9.out`. The first is named whether it is there or not.
pub fn expected_files(spec: &Path) -> Vec<PathBuf> {
    let folder = spec.parent().unwrap_or(Path::new(""));
    let expected = if folder.as_os_str().is_empty() {
        PathBuf::from("../expected")
    } else {
        folder.join("../expected")
    };
    let name = name_of(spec);
    let alternatives = (0..10).map(|number| expected.join(format!("{name}_{number}.out")));
    let alternatives = alternatives.filter(|path| path.exists());
    let first = expected.join(format!("{name}.out"));
    std::iter::once(first).chain(alternatives).collect()
}

/// The name of a spec: its file's, without the ending.
pub fn name_of(spec: &Path) -> String {
    spec.file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// Compares.
///
/// # Errors
/// When a file that is there cannot be read; which one.
pub fn compare(printed: &[u8], files: &[PathBuf]) -> Result<Verdict, (PathBuf, std::io::Error)> {
    let mut nearest: Option<(usize, PathBuf, String)> = None;
    for path in files.iter().filter(|path| path.exists()) {
        let expected = std::fs::read(path).map_err(|error| (path.clone(), error))?;
        if expected == printed {
            return Ok(Verdict::Same(path.clone()));
        }
        let (size, diff) = difference(&expected, printed, path);
        if nearest.as_ref().is_none_or(|(least, ..)| size < *least) {
            nearest = Some((size, path.clone(), diff));
        }
    }
    Ok(match nearest {
        Some((_, from, diff)) => Verdict::Differs { from, diff },
        None => Verdict::Missing(files.first().cloned().unwrap_or_default()),
    })
}

fn difference(expected: &[u8], printed: &[u8], path: &Path) -> (usize, String) {
    let (expected, printed) = (
        String::from_utf8_lossy(expected),
        String::from_utf8_lossy(printed),
    );
    let diff = TextDiff::from_lines(expected.as_ref(), printed.as_ref());
    let changed = diff
        .iter_all_changes()
        .filter(|change| change.tag() != ChangeTag::Equal)
        .count();
    let name = path.display().to_string();
    let text = diff.unified_diff().header(&name, "printed").to_string();
    (changed, text)
}
