//! Triggers that only reshape the row they fire for (`new.updated_at = now()`), told from those that may do anything.

use crate::builtins::{Builtin, builtin};
use crate::lexer::{Kind, Token, tokens};
use crate::rows::Column;
use crate::schema::Schema;
use crate::tree::name;

/// The columns that a trigger's function may set in the row that fires it. `None`: it may do more than that.
pub(crate) fn reshapes(schema: &Schema, function: &str) -> Option<Vec<Column>> {
    let (of, called) = function.split_once('.')?;
    let functions = schema.functions(Some(of), called);
    let [function] = functions.as_slice() else {
        return None;
    };
    if function.language != "plpgsql" {
        return None;
    }
    let body = tokens(function.body.as_deref()?);
    let mut columns = Vec::new();
    for (at, token) in body.iter().enumerate() {
        if !matches!(token.kind, Kind::Word | Kind::Quoted) {
            continue;
        }
        let next = body.get(at + 1).map_or("", |next| next.text);
        match name(token.text).as_str() {
            "new" if next == "." => columns.push(name(body.get(at + 2)?.text).into()),
            // The row as a whole may be returned, nothing else.
            "new" if !returned(&body, at) => return None,
            "return" if !matches!(name(next).as_str(), "new" | "old" | "null") => return None,
            word if queries(word) => return None,
            word if next == "(" && !known(schema, word) => return None,
            _ => {}
        }
    }
    Some(columns)
}

fn returned(body: &[Token<'_>], at: usize) -> bool {
    at > 0 && name(body[at - 1].text) == "return"
}

/// Words with which anything else than an expression begins.
fn queries(word: &str) -> bool {
    matches!(
        word,
        "select"
            | "insert"
            | "update"
            | "delete"
            | "merge"
            | "perform"
            | "execute"
            | "call"
            | "open"
            | "fetch"
            | "move"
            | "copy"
            | "truncate"
            | "lock"
            | "table"
            | "with"
            | "from"
            | "into"
            | "query"
            | "notify"
            | "listen"
            | "create"
            | "alter"
            | "drop"
            | "commit"
            | "rollback"
            | "values"
            | "do"
            | "set"
            | "refresh"
            | "grant"
            | "revoke"
            | "vacuum"
            | "analyze"
    )
}

/// Words that a parenthesis may follow.
fn known(schema: &Schema, word: &str) -> bool {
    matches!(
        word,
        "if" | "elsif"
            | "and"
            | "or"
            | "not"
            | "in"
            | "when"
            | "case"
            | "then"
            | "else"
            | "any"
            | "all"
            | "array"
            | "numeric"
            | "varchar"
    ) || builtin(word) == Some(Builtin::Harmless) && schema.functions(None, word).is_empty()
}
