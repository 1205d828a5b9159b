//! Statements as they would read if a race were cured: at a higher isolation level, or with the rows locked that they
//! read.
//!
//! Texts are changed where the parser's tree says that something stands, and nowhere else: what is not understood stays
//! as it is.

use std::collections::BTreeSet;

use squawk_syntax::{SyntaxKind as K, SyntaxNode, SyntaxToken};

use crate::normal::fingerprint;
use crate::statement::Isolation;
use crate::terms::string;
use crate::tree::{all_tokens, child, name, path, with_tree, within};

/// Functions that make one row of many; what they count cannot be locked through them.
const AGGREGATES: [&str; 18] = [
    "count",
    "sum",
    "min",
    "max",
    "avg",
    "every",
    "bool_and",
    "bool_or",
    "array_agg",
    "string_agg",
    "json_agg",
    "jsonb_agg",
    "json_object_agg",
    "jsonb_object_agg",
    "bit_and",
    "bit_or",
    "stddev",
    "variance",
];

/// The text with every isolation level that it names raised to `level`; `None` if it names no lower one.
pub fn raised(sql: &str, level: Isolation) -> Option<String> {
    with_tree(sql, |root| {
        let mut edits = Vec::new();
        for statement in root.children() {
            match statement.kind() {
                K::BEGIN | K::SET_TRANSACTION => named_levels(&statement, level, &mut edits),
                K::SET => set_levels(&statement, level, &mut edits),
                _ => {}
            }
        }
        edited(sql, edits)
    })
    .flatten()
}

/// The levels among transaction modes.
fn named_levels(statement: &SyntaxNode, level: Isolation, edits: &mut Vec<Edit>) {
    for node in statement.descendants() {
        let lower = match node.kind() {
            K::READ_COMMITTED | K::READ_UNCOMMITTED => true,
            K::REPEATABLE_READ => level == Isolation::Serializable,
            _ => false,
        };
        if lower {
            let mut words = all_tokens(&node);
            words.retain(|word| !matches!(word.kind(), K::ISOLATION_KW | K::LEVEL_KW));
            edits.extend(over(&words, level.name()));
        }
    }
}

/// `set transaction_isolation = …`, and the default of the session.
fn set_levels(statement: &SyntaxNode, level: Isolation, edits: &mut Vec<Edit>) {
    let Some(config) = child(statement, K::SET_CONFIG) else {
        return;
    };
    let parameter = child(&config, K::CONFIG_PARAMETER_REF).map(|node| path(&node).join("."));
    if !matches!(
        parameter.as_deref(),
        Some("transaction_isolation" | "default_transaction_isolation")
    ) {
        return;
    }
    let values: Vec<SyntaxToken> = config
        .children()
        .filter(|node| node.kind() != K::CONFIG_PARAMETER_REF)
        .flat_map(|node| all_tokens(&node))
        .filter(|token| !matches!(token.kind(), K::COMMA | K::EQ | K::TO_KW))
        .collect();
    let words: Vec<String> = values
        .iter()
        .map(|token| string(token.text()).unwrap_or_else(|| name(token.text())))
        .collect();
    let set = Isolation::read(&words.join(" "));
    if set.is_some_and(|set| set < level) {
        edits.extend(over(&values, &format!("'{}'", level.name())));
    }
}

/// The text with FOR UPDATE on those of its queries that have one of these fingerprints; `None` if there is none.
pub fn locking(sql: &str, queries: &BTreeSet<u64>) -> Option<String> {
    with_tree(sql, |root| {
        let mut edits = Vec::new();
        for statement in root.children() {
            let tokens = all_tokens(&statement);
            let last = tokens.iter().rfind(|token| token.kind() != K::SEMICOLON);
            let end = last.map(|last| last.text_range().end());
            let known = queries.contains(&fingerprint(&statement.text().to_string()));
            if let (true, Some(end), None) = (known, end, unlockable(&statement)) {
                let end = usize::from(end);
                edits.push(Edit {
                    from: end,
                    to: end,
                    text: " for update".to_owned(),
                });
            }
        }
        edited(sql, edits)
    })
    .flatten()
}

/// Why the rows that the text reads cannot be locked with FOR UPDATE; `None` if they can.
pub fn why_not_locking(sql: &str) -> Option<&'static str> {
    let reason = with_tree(sql, |root| {
        let mut statements = root.children();
        match (statements.next(), statements.next()) {
            (Some(one), None) => unlockable(&one),
            _ => Some("it is one of several statements in a text"),
        }
    });
    reason.unwrap_or(Some("it is not understood"))
}

fn unlockable(statement: &SyntaxNode) -> Option<&'static str> {
    match statement.kind() {
        K::SELECT => {}
        K::COMPOUND_SELECT => return Some("it joins several queries into one"),
        K::UPDATE | K::DELETE | K::MERGE => return Some("it locks the rows it finds already"),
        K::INSERT => {
            return Some(
                "it reads inside an INSERT, and rows that are not there yet cannot be locked",
            );
        }
        _ => return Some("it is no plain query"),
    }
    let own = |kind: K| child(statement, kind).is_some();
    if own(K::LOCKING_CLAUSE) {
        return Some("it locks already");
    }
    if !own(K::FROM_CLAUSE) {
        return Some("it reads no table");
    }
    let grouped = own(K::GROUP_BY_CLAUSE) || own(K::HAVING_CLAUSE);
    if grouped || own(K::WINDOW_CLAUSE) || within(statement, K::DISTINCT_CLAUSE).is_some() {
        return Some("it groups rows, and FOR UPDATE is not allowed there");
    }
    let aggregate = statement.descendants().any(|node| {
        let called = node.first_child().map(|called| path(&called));
        let last = called.and_then(|mut path| path.pop());
        node.kind() == K::OVER_CLAUSE
            || (node.kind() == K::CALL_EXPR
                && last.is_some_and(|last| AGGREGATES.contains(&last.as_str())))
    });
    aggregate.then_some(
        "it makes one row of many (an aggregate), FOR UPDATE is not allowed there, and rows that are not there yet \
         cannot be locked",
    )
}

/// The fingerprint that a query has here and in records.
pub fn fingerprint_of(sql: &str) -> u64 {
    fingerprint(sql)
}

/// A piece of a text, and what stands there instead.
struct Edit {
    from: usize,
    to: usize,
    text: String,
}

/// Other words in the place of these tokens.
fn over(tokens: &[SyntaxToken], text: &str) -> Option<Edit> {
    let (first, last) = (tokens.first()?, tokens.last()?);
    Some(Edit {
        from: first.text_range().start().into(),
        to: last.text_range().end().into(),
        text: text.to_owned(),
    })
}

fn edited(sql: &str, mut edits: Vec<Edit>) -> Option<String> {
    if edits.is_empty() {
        return None;
    }
    edits.sort_by_key(|edit| edit.from);
    let mut out = String::with_capacity(sql.len() + 16);
    let mut at = 0;
    for edit in edits {
        out.push_str(&sql[at..edit.from]);
        out.push_str(&edit.text);
        at = edit.to;
    }
    out.push_str(&sql[at..]);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const UP: Isolation = Isolation::Serializable;

    #[test]
    fn a_level_that_is_named_is_raised_and_a_higher_one_stays() {
        let up = |sql: &str| raised(sql, UP);
        assert_eq!(
            up("begin isolation level read committed, read write").as_deref(),
            Some("begin isolation level serializable, read write")
        );
        assert_eq!(
            up("START TRANSACTION ISOLATION LEVEL /* x */ REPEATABLE READ; select 1").as_deref(),
            Some("START TRANSACTION ISOLATION LEVEL /* x */ serializable; select 1")
        );
        assert_eq!(
            up("set default_transaction_isolation to 'read committed'").as_deref(),
            Some("set default_transaction_isolation to 'serializable'")
        );
        assert_eq!(
            up("set session characteristics as transaction isolation level read committed")
                .as_deref(),
            Some("set session characteristics as transaction isolation level serializable")
        );
        assert_eq!(
            raised(
                "begin isolation level serializable",
                Isolation::RepeatableRead
            ),
            None
        );
        assert_eq!(up("begin"), None);
        assert_eq!(up("select 'isolation level read committed'"), None);
        assert_eq!(up("this is no SQL"), None);
    }

    #[test]
    fn a_query_is_locked_where_it_ends_and_only_if_it_is_one_of_those() {
        let query = "select v from t where id = 1";
        let queries = BTreeSet::from([fingerprint(query)]);
        let lock = |sql: &str| locking(sql, &queries);
        assert_eq!(
            lock("select v from t where id = 7 -- mine").as_deref(),
            Some("select v from t where id = 7 for update -- mine")
        );
        assert_eq!(
            lock("begin; select v from t where id = $1;").as_deref(),
            Some("begin; select v from t where id = $1 for update;")
        );
        assert_eq!(lock("select w from t where id = 1"), None);
        assert_eq!(why_not_locking(query), None);
    }

    #[test]
    fn what_cannot_be_locked_says_why() {
        for (sql, why) in [
            ("select count(*) from t", "makes one row of many"),
            ("select a from t group by a", "groups rows"),
            ("select distinct a from t", "groups rows"),
            ("select a from t union select a from u", "several queries"),
            ("select a from t for share", "locks already"),
            ("update t set a = 1", "locks the rows"),
            (
                "insert into t select 1 where not exists (select from t)",
                "INSERT",
            ),
            ("select now()", "no table"),
            ("select 1; select 2", "several statements"),
        ] {
            let reason = why_not_locking(sql).unwrap_or_default();
            assert!(reason.contains(why), "{sql}: {reason}");
        }
    }
}
