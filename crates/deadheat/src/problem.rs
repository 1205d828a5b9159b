//! What keeps the program from running, as a user reads it: one message, its place in the scenario, what was printed,
//! and what mends it. Exit code 2.

use std::path::Path;

use deadheat_scenario::Errors;
use deadheat_verdict::LoadError;
use miette::{Diagnostic, MietteHandlerOpts, NamedSource, Report, SourceSpan};
use thiserror::Error;

/// Columns where standard error is no terminal.
const COLUMNS: usize = 100;

/// Why nothing could be run.
#[derive(Debug, Error, Diagnostic)]
pub enum Problem {
    /// The scenario cannot be used.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Scenario(#[from] Errors),
    /// Anything else.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Failure(#[from] Box<Failure>),
}

/// Something failed.
#[derive(Debug, Default, Error, Diagnostic)]
#[error("{message}")]
pub struct Failure {
    /// What, in one line.
    pub message: String,
    /// The file that is to blame.
    #[source_code]
    pub source_file: Option<NamedSource<String>>,
    /// Where in it.
    #[label(collection)]
    pub labels: Vec<miette::LabeledSpan>,
    /// What mends it.
    #[help]
    pub help: Option<String>,
    /// What was printed, or tried: shown line by line below the rest, as it is.
    pub details: Option<String>,
}

impl Failure {
    /// A failure that is said in one line.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            ..Self::default()
        }
    }

    /// With what mends it.
    pub fn mended_by(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// With lines to be shown as they are.
    pub fn showing(mut self, details: impl Into<String>) -> Self {
        self.details = Some(details.into());
        self
    }

    /// With the place in a file.
    pub fn at(mut self, file: &str, text: String, span: SourceSpan, label: Option<String>) -> Self {
        self.source_file = Some(NamedSource::new(file, text));
        self.labels = vec![miette::LabeledSpan::new_with_span(label, span)];
        self
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        Self::Failure(Box::new(failure))
    }
}

impl Problem {
    /// A file that cannot be read or written.
    pub fn file(path: &Path, doing: &str, error: &std::io::Error) -> Self {
        let why = match error.kind() {
            std::io::ErrorKind::NotFound => "there is no such file or folder".to_owned(),
            _ => error.to_string(),
        };
        Failure::new(format!("cannot {doing} {}: {why}", path.display())).into()
    }

    /// A race that cannot be read.
    pub fn race(path: &Path, error: &LoadError) -> Self {
        Failure::new(format!("{} cannot be replayed: {error}", path.display()))
            .mended_by("`deadheat find SCENARIO` finds the race again, and saves it in .deadheat/")
            .into()
    }

    /// Something else.
    pub fn other(message: impl Into<String>, help: Option<&str>) -> Self {
        let mut failure = Failure::new(message);
        failure.help = help.map(str::to_owned);
        failure.into()
    }

    /// As it is printed.
    pub fn in_words(self) -> String {
        let details = match &self {
            Self::Failure(failure) => failure.details.clone(),
            Self::Scenario(_) => None,
        };
        let mut text = format!("{:?}", Report::new(self));
        for line in details.iter().flat_map(|details| details.lines()) {
            text.push_str(format!("  {line}").trim_end());
            text.push('\n');
        }
        text
    }
}

/// Chooses how problems are laid out: as wide as the terminal, and no word is broken, so that commands and paths can
/// be copied.
pub fn lay_out() {
    let columns = rustix::termios::tcgetwinsize(std::io::stderr())
        .ok()
        .map(|size| usize::from(size.ws_col))
        .filter(|columns| *columns > 0)
        .unwrap_or(COLUMNS);
    // Set twice only when the program is run twice in one process; then it is set already.
    let _ = miette::set_hook(Box::new(move |_| {
        let options = MietteHandlerOpts::new();
        Box::new(options.width(columns).break_words(false).build())
    }));
}
