//! What is wrong with a spec, where, and what mends it.

use std::ops::Range;

/// A spec that cannot be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Problem {
    /// What is wrong, in one line.
    pub message: String,
    /// Where, in bytes of the text.
    pub span: Range<usize>,
    /// What mends it.
    pub mend: Option<String>,
}

impl Problem {
    pub(crate) fn new(message: impl Into<String>, span: Range<usize>) -> Self {
        Self {
            message: message.into(),
            span,
            mend: None,
        }
    }

    pub(crate) fn mended_by(mut self, mend: impl Into<String>) -> Self {
        self.mend = Some(mend.into());
        self
    }

    /// The number of the line it begins on, counted from 1, in the text it was found in.
    pub fn line(&self, text: &str) -> usize {
        let before = text.as_bytes().iter().take(self.span.start);
        1 + before.filter(|byte| **byte == b'\n').count()
    }
}
