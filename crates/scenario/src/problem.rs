//! What is wrong with a scenario file: one message each, with the place in the file and a help that mends it.

use std::fmt;
use std::ops::Range;

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};

/// One thing that is wrong, at one place of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong, in one line.
    pub message: String,
    /// What to say at the place itself, where there is more to say.
    pub label: Option<String>,
    /// What would mend it.
    pub help: Option<String>,
    /// Bytes of the file it is about; `None` when the file could not be read at all.
    pub span: Option<Range<usize>>,
}

impl Problem {
    /// A problem at a place of the file.
    pub(crate) fn at(span: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            label: None,
            help: None,
            span: Some(span),
        }
    }

    /// A problem with the file as a whole.
    pub(crate) fn whole(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            label: None,
            help: None,
            span: None,
        }
    }

    pub(crate) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}

impl Diagnostic for Problem {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help
            .as_ref()
            .map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = self.span.clone()?;
        let label = LabeledSpan::new_with_span(self.label.clone(), span);
        Some(Box::new(std::iter::once(label)))
    }
}

/// Everything that was found wrong with a file, in the order of the file. Never empty.
#[derive(Clone, Debug)]
pub struct Errors {
    problems: Vec<Problem>,
    source: NamedSource<String>,
}

impl Errors {
    pub(crate) fn new(name: &str, text: &str, mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|p| p.span.as_ref().map(|span| span.start));
        Self {
            problems,
            source: NamedSource::new(name, text.to_owned()),
        }
    }

    /// What was found, in the order of the file.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The problem, when there is just one: it is then shown without a heading.
    fn only(&self) -> Option<&Problem> {
        match self.problems.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.only() {
            Some(problem) => problem.fmt(f),
            None => write!(
                f,
                "{} has {} problems",
                self.source.name(),
                self.problems.len()
            ),
        }
    }
}

impl std::error::Error for Errors {}

impl Diagnostic for Errors {
    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.source)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.only().and_then(Diagnostic::help)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.only().and_then(Diagnostic::labels)
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        match self.only() {
            Some(_) => None,
            None => Some(Box::new(self.problems.iter().map(|p| p as &dyn Diagnostic))),
        }
    }
}
