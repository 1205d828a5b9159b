//! From pieces to a spec, and the checks that go beyond its grammar.
//!
//! ```text
//! spec        = setup* teardown? session+ permutation*
//! session     = "session" name setup? step+ teardown?
//! setup       = "setup" {sql}              teardown = "teardown" {sql}
//! step        = "step" name {sql}
//! permutation = "permutation" entry+       entry    = name ( "(" marker ("," marker)* ")" )?
//! marker      = "*" | name | name "notices" number
//! ```

use std::collections::BTreeMap;
use std::ops::Range;

use crate::lexer::{Keyword, Piece, Token, pieces};
use crate::model::{Entry, Marker, Session, Spec, Step, StepId};
use crate::problem::Problem;

/// Reads a spec.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn parse(text: &str) -> Result<Spec, Problem> {
    let pieces = pieces(text)?;
    let mut parser = Parser {
        pieces: &pieces,
        at: 0,
        end: text.len(),
    };
    let setups = parser.setups()?;
    let teardown = parser.block_after(Keyword::Teardown)?;
    let mut names = BTreeMap::new();
    let mut sessions = Vec::new();
    while parser.take(Keyword::Session) {
        sessions.push(parser.session(sessions.len(), &mut names)?);
    }
    if sessions.is_empty() {
        return Err(parser.unexpected("setup, teardown or a session"));
    }
    let mut permutations = Vec::new();
    while parser.take(Keyword::Permutation) {
        permutations.push(parser.permutation(&names)?);
    }
    if parser.peek().is_some() {
        let wanted = if permutations.is_empty() {
            "a step, teardown, a session or a permutation"
        } else {
            "a step's name or a permutation"
        };
        return Err(parser.unexpected(wanted));
    }
    Ok(Spec {
        setups,
        teardown,
        sessions,
        permutations,
    })
}

/// Where each step is, and where its name stands.
type Names = BTreeMap<String, (StepId, Range<usize>)>;

/// A marker before the name in it is looked up: who is waited for, where that stands, how many notices.
enum Drawn {
    Waits,
    For(String, Range<usize>, Option<u64>),
}

struct Parser<'a> {
    pieces: &'a [Piece],
    at: usize,
    end: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.pieces.get(self.at).map(|piece| &piece.token)
    }

    /// Where the next piece stands.
    fn span(&self) -> Range<usize> {
        let end = self.end..self.end;
        self.pieces
            .get(self.at)
            .map_or(end, |piece| piece.span.clone())
    }

    fn take(&mut self, keyword: Keyword) -> bool {
        let is_next = self.peek() == Some(&Token::Keyword(keyword));
        self.at += usize::from(is_next);
        is_next
    }

    fn mark(&mut self, mark: char) -> bool {
        let is_next = self.peek() == Some(&Token::Mark(mark));
        self.at += usize::from(is_next);
        is_next
    }

    fn unexpected(&self, wanted: &str) -> Problem {
        let (found, mend) = match self.peek() {
            None => ("the file ends".to_owned(), None),
            Some(Token::Keyword(keyword)) => (
                format!("unexpected `{}`", keyword.word()),
                Some(format!(
                    "a name that is written like this word stands in quotes: \"{}\"",
                    keyword.word()
                )),
            ),
            Some(Token::Name(name)) => (format!("unexpected name {name:?}"), None),
            Some(Token::Number(number)) => (
                format!("unexpected number {number}"),
                Some("a name that begins with a digit stands in quotes".to_owned()),
            ),
            Some(Token::Sql(_)) => ("unexpected block of SQL".to_owned(), None),
            Some(Token::Mark(mark)) => (format!("unexpected `{mark}`"), None),
        };
        let problem = Problem::new(format!("{found} where {wanted} should stand"), self.span());
        Problem { mend, ..problem }
    }

    fn name(&mut self, wanted: &str) -> Result<(String, Range<usize>), Problem> {
        let span = self.span();
        let Some(Token::Name(name)) = self.peek() else {
            return Err(self.unexpected(wanted));
        };
        let name = name.clone();
        self.at += 1;
        Ok((name, span))
    }

    fn sql(&mut self) -> Result<String, Problem> {
        let Some(Token::Sql(sql)) = self.peek() else {
            return Err(self.unexpected("a block { of SQL }"));
        };
        let sql = sql.clone();
        self.at += 1;
        Ok(sql)
    }

    fn block_after(&mut self, keyword: Keyword) -> Result<Option<String>, Problem> {
        if self.take(keyword) {
            self.sql().map(Some)
        } else {
            Ok(None)
        }
    }

    fn setups(&mut self) -> Result<Vec<String>, Problem> {
        let mut setups = Vec::new();
        while let Some(sql) = self.block_after(Keyword::Setup)? {
            setups.push(sql);
        }
        Ok(setups)
    }

    fn session(&mut self, session: usize, names: &mut Names) -> Result<Session, Problem> {
        let (name, _) = self.name("the session's name")?;
        let setup = self.block_after(Keyword::Setup)?;
        let mut steps = Vec::new();
        while self.take(Keyword::Step) {
            let (name, span) = self.name("the step's name")?;
            let id = StepId {
                session,
                step: steps.len(),
            };
            if names.insert(name.clone(), (id, span.clone())).is_some() {
                return Err(Problem::new(format!("another step is named {name:?}"), span)
                    .mended_by("permutations name steps without their session: give this one a name of its own"));
            }
            let sql = self.sql()?;
            steps.push(Step { name, sql });
        }
        if steps.is_empty() {
            return Err(self.unexpected("a step"));
        }
        let teardown = self.block_after(Keyword::Teardown)?;
        Ok(Session {
            name,
            setup,
            steps,
            teardown,
        })
    }

    fn permutation(&mut self, names: &Names) -> Result<Vec<Entry>, Problem> {
        let mut entries = Vec::new();
        let mut drawn = Vec::new();
        while entries.is_empty() || matches!(self.peek(), Some(Token::Name(_))) {
            let (name, span) = self.name("a step's name")?;
            let Some((step, _)) = names.get(&name) else {
                return Err(Problem::new(format!("no step is named {name:?}"), span)
                    .mended_by(similar_to(&name, names)));
            };
            entries.push(Entry {
                step: *step,
                markers: Vec::new(),
            });
            drawn.push(self.markers()?);
        }
        let steps: Vec<StepId> = entries.iter().map(|entry| entry.step).collect();
        for (entry, drawn) in entries.iter_mut().zip(drawn) {
            for one in drawn {
                entry
                    .markers
                    .push(resolved(one, entry.step, &steps, names)?);
            }
        }
        Ok(entries)
    }

    fn markers(&mut self) -> Result<Vec<Drawn>, Problem> {
        let mut drawn = Vec::new();
        if !self.mark('(') {
            return Ok(drawn);
        }
        loop {
            if self.mark('*') {
                drawn.push(Drawn::Waits);
            } else {
                let (name, span) = self.name("`*` or the name of a step to wait for")?;
                let notices = self
                    .take(Keyword::Notices)
                    .then(|| self.number())
                    .transpose()?;
                drawn.push(Drawn::For(name, span, notices));
            }
            if self.mark(')') {
                return Ok(drawn);
            }
            if !self.mark(',') {
                return Err(self.unexpected("`,` or `)`"));
            }
        }
    }

    fn number(&mut self) -> Result<u64, Problem> {
        let Some(&Token::Number(number)) = self.peek() else {
            return Err(self.unexpected("the number of notices"));
        };
        self.at += 1;
        Ok(number)
    }
}

/// A marker with the step it names: one of the same permutation, in another session.
fn resolved(drawn: Drawn, of: StepId, steps: &[StepId], names: &Names) -> Result<Marker, Problem> {
    let Drawn::For(name, span, notices) = drawn else {
        return Ok(Marker::Waits);
    };
    let Some((step, _)) = names.get(&name).filter(|(step, _)| steps.contains(step)) else {
        return Err(Problem::new(
            format!("the permutation has no step {name:?} to wait for"),
            span,
        )
        .mended_by("a marker names a step of the same permutation"));
    };
    if step.session == of.session {
        return Err(Problem::new(
            format!("the step waits for {name:?}, which its own session runs"),
            span,
        )
        .mended_by("steps of one session follow each other anyway: name a step of another one"));
    }
    Ok(notices.map_or(Marker::After(*step), |count| Marker::Notices(*step, count)))
}

/// What a name could have meant.
fn similar_to(name: &str, names: &Names) -> String {
    let near = |known: &&String| {
        known.eq_ignore_ascii_case(name)
            || known.starts_with(name)
            || name.starts_with(known.as_str())
    };
    let meant = names.keys().find(|known| !known.is_empty() && near(known));
    meant.map_or_else(
        || {
            let known: Vec<&str> = names.keys().map(String::as_str).collect();
            format!("the steps are {}", known.join(", "))
        },
        |known| format!("did you mean {known}? Case counts."),
    )
}
