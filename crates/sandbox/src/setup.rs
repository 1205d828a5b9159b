//! Runs a setup script, and says where it went wrong.

use tokio_postgres::error::{DbError, ErrorPosition};

use crate::admin::Target;
use crate::error::{SetupError, in_words};
use crate::split::{Piece, split};

/// How much of a failing statement is quoted.
const QUOTED: usize = 2000;

/// Runs `text` statement by statement on a session of its own: what it sets for its session ends with it.
pub(crate) async fn run(
    target: &Target,
    database: &str,
    origin: &str,
    text: &str,
) -> Result<(), SetupError> {
    let place = |at: usize| Place { origin, text, at };
    let client = target
        .connect(database)
        .await
        .map_err(|error| place(0).plain(error.to_string()))?;
    let pieces = split(text);
    for piece in &pieces {
        if let Some(refused) = place(piece.at).not_sql(piece) {
            return Err(refused);
        }
        if let Err(error) = client.simple_query(piece.text).await {
            return Err(place(piece.at).failed(piece, &error));
        }
    }
    // Fails inside a transaction block, and only there.
    if let (Err(_), Some(last)) = (client.batch_execute("DISCARD ALL").await, pieces.last()) {
        let mut error = place(last.at)
            .plain("the script ends inside a transaction that it does not commit".to_owned());
        error.hint = Some("add COMMIT at the end".to_owned());
        return Err(error);
    }
    Ok(())
}

#[derive(Clone, Copy)]
struct Place<'a> {
    origin: &'a str,
    text: &'a str,
    /// Byte in the text.
    at: usize,
}

impl Place<'_> {
    fn plain(self, message: String) -> SetupError {
        let before = &self.text[..self.at];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        SetupError {
            origin: self.origin.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            offset: 0,
            statement: String::new(),
            code: None,
            message,
            detail: None,
            hint: None,
        }
    }

    /// What `psql` understands and a server does not.
    fn not_sql(self, piece: &Piece<'_>) -> Option<SetupError> {
        let first = piece
            .text
            .split_ascii_whitespace()
            .next()
            .unwrap_or_default();
        let hint = if first.starts_with('\\') {
            "only SQL can be run here: leave out psql's backslash commands, or use `prepare` to run psql"
        } else if first.eq_ignore_ascii_case("copy")
            && piece.text.to_ascii_lowercase().contains("from stdin")
        {
            "rows cannot be read from the script: dump with `pg_dump --inserts`, or use `prepare` to run psql"
        } else {
            return None;
        };
        let mut error = self.plain(format!("`{first}` is not for the server alone"));
        error.statement = shortened(piece.text);
        error.hint = Some(hint.to_owned());
        Some(error)
    }

    fn failed(self, piece: &Piece<'_>, error: &tokio_postgres::Error) -> SetupError {
        let Some(said) = error.as_db_error() else {
            return SetupError {
                statement: shortened(piece.text),
                ..self.plain(in_words(error))
            };
        };
        let offset = offset(piece.text, said);
        let exact = Place {
            at: self.at + offset,
            ..self
        };
        SetupError {
            offset,
            statement: shortened(piece.text),
            code: Some(said.code().code().to_owned()),
            detail: said.detail().map(str::to_owned),
            hint: said.hint().map(str::to_owned),
            ..exact.plain(said.message().to_owned())
        }
    }
}

/// The byte of the statement that the server points at; its first where it points at none.
fn offset(statement: &str, said: &DbError) -> usize {
    match said.position() {
        Some(ErrorPosition::Original(position)) => {
            let character = (*position as usize).saturating_sub(1);
            statement
                .char_indices()
                .nth(character)
                .map_or(statement.len(), |(byte, _)| byte)
        }
        _ => 0,
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
