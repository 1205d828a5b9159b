//! Errors in words.

pub(super) fn in_words(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// What the server said to a question of ours.
pub(super) fn said(error: &tokio_postgres::Error) -> String {
    let why = match error.as_db_error() {
        Some(error) => error.message().to_owned(),
        None => error.to_string(),
    };
    format!("the database answered a question of the lab with an error: {why}")
}
