//! What calling a function can do: those of the server by name, those of the user by language, promise and body.

use std::collections::BTreeSet;

use squawk_syntax::{SyntaxKind, SyntaxNode};

use crate::builtins::{Builtin, builtin, harmless_extension};
use crate::catalog::{Function, Volatility};
use crate::classify::estranges;
use crate::effect::Effect;
use crate::footprint::SequenceUse;
use crate::lexer::{Kind as Lexeme, tokens};
use crate::schema::{Relation, Schema};
use crate::statement::Doubt;
use crate::terms::{string, term};
use crate::tree::{child, name, own_tokens, path};
use crate::value::{Class, Term, Value};

/// What a call adds to its statement.
#[derive(Debug, Default)]
pub(crate) struct Called {
    pub(crate) effects: Vec<Effect>,
    pub(crate) doubt: Doubt,
    /// It may change what the session's later statements mean.
    pub(crate) configures: bool,
}

impl Called {
    fn doubt(doubt: Doubt) -> Self {
        Self {
            doubt,
            ..Self::default()
        }
    }

    fn beyond(reason: String) -> Self {
        Self::doubt(Doubt::Beyond(reason.into()))
    }

    fn effect(effect: Effect) -> Self {
        Self {
            effects: vec![effect],
            ..Self::default()
        }
    }
}

/// What a `CALL_EXPR` does.
pub(crate) fn call(schema: &Schema, node: &SyntaxNode) -> Called {
    let Some(function) = node.first_child() else {
        return Called::default();
    };
    // Functions with a grammar of their own (EXTRACT, EXISTS, ANY …) are the server's and touch nothing.
    if !matches!(
        function.kind(),
        SyntaxKind::NAME_REF | SyntaxKind::FIELD_EXPR
    ) {
        return Called::default();
    }
    let mut path = path(&function);
    let called = path.pop().unwrap_or_default();
    let arguments: Vec<SyntaxNode> = child(node, SyntaxKind::ARG_LIST)
        .map(|list| {
            list.children()
                .filter(|n| n.kind() == SyntaxKind::ARG)
                .filter_map(|arg| arg.first_child())
                .collect()
        })
        .unwrap_or_default();
    named(schema, path.pop().as_deref(), &called, &arguments)
}

/// What calling a function by name does.
pub(crate) fn named(
    schema: &Schema,
    of: Option<&str>,
    called: &str,
    arguments: &[SyntaxNode],
) -> Called {
    if of != Some("pg_catalog") {
        let users = schema.functions(of, called);
        // A user's function may be meant even where the server has one of that name: the types decide.
        if !users.is_empty() {
            return user(schema, called, &users);
        }
        if of.is_some() {
            return Called::beyond(format!("the function {called} is not known"));
        }
    }
    match builtin(called) {
        Some(Builtin::Harmless) => Called::default(),
        Some(Builtin::Advisory(lock)) if lock.all => Called::effect(Effect::FreeAdvisory),
        Some(Builtin::Advisory(lock)) => Called::effect(Effect::Advisory {
            key: arguments
                .iter()
                .map(|argument| term(argument, Class::Integer))
                .collect(),
            exclusive: lock.exclusive,
            transaction: lock.transaction,
        }),
        Some(Builtin::NextValue) => {
            Called::effect(sequence(schema, arguments.first(), SequenceUse::Next))
        }
        Some(Builtin::SetValue) => {
            Called::effect(sequence(schema, arguments.first(), SequenceUse::Set))
        }
        Some(Builtin::Notify) => Called::effect(Effect::Channel(
            arguments
                .first()
                .map(|channel| term(channel, Class::Text))
                .filter(|t| *t != Term::Unknown),
        )),
        Some(Builtin::Number) => Called::effect(Effect::Number),
        Some(Builtin::SetConfig) => Called {
            configures: configures(arguments.first()),
            ..Called::default()
        },
        None => Called::beyond(format!("the function {called} is not known")),
    }
}

/// Whether `set_config` with this first argument changes what later statements mean.
fn configures(parameter: Option<&SyntaxNode>) -> bool {
    match parameter.map(|parameter| term(parameter, Class::Text)) {
        Some(Term::Known(Value::Text(name))) => {
            estranges(&name.to_lowercase()) || name.to_lowercase().ends_with("isolation")
        }
        _ => true,
    }
}

/// Use of the sequence that an argument like `'s'::regclass` names.
fn sequence(schema: &Schema, argument: Option<&SyntaxNode>, how: SequenceUse) -> Effect {
    let literal = argument.and_then(|argument| {
        argument
            .descendants()
            .find(|node| node.kind() == SyntaxKind::LITERAL)
    });
    let text = literal.and_then(|literal| {
        own_tokens(&literal)
            .first()
            .and_then(|token| string(token.text()))
    });
    sequence_named(schema, text.as_deref(), how)
}

/// Use of a sequence by the text of its name, as `nextval` reads it.
pub(crate) fn sequence_named(schema: &Schema, text: Option<&str>, how: SequenceUse) -> Effect {
    let mut path: Vec<String> = text.unwrap_or_default().split('.').map(name).collect();
    let last = path.pop().unwrap_or_default();
    match schema.relation(path.pop().as_deref(), &last) {
        Relation::Table(table) if schema.is_sequence(table) => Effect::Sequence {
            name: Some(schema.name(table).clone()),
            table: Some(table),
            how,
        },
        _ => Effect::Sequence {
            name: None,
            table: None,
            how,
        },
    }
}

/// What calling one of the user's functions does, whichever of that name it is.
fn user(schema: &Schema, called: &str, functions: &[&Function]) -> Called {
    let mut result = Called::default();
    for function in functions {
        let one = body(schema, called, function);
        result.doubt = result.doubt.max(one.doubt);
        result.effects.extend(one.effects);
        result.configures |= one.configures;
    }
    result
}

/// What a function of the user can do, from what its body and those of the functions it names mention.
pub(crate) fn body(schema: &Schema, called: &str, function: &Function) -> Called {
    if function.language == "c" && harmless_extension(called) {
        return Called::default();
    }
    let acts = if function.volatility == Volatility::Volatile {
        Doubt::Acts
    } else {
        Doubt::Reads
    };
    let mut result = Called::doubt(acts);
    let (mut seen, mut open) = (BTreeSet::new(), vec![function]);
    while let Some(function) = open.pop() {
        if !seen.insert((
            function.schema.as_str(),
            function.name.as_str(),
            function.body.as_deref(),
        )) {
            continue;
        }
        let text = match (function.language.as_str(), &function.body) {
            ("sql" | "plpgsql", Some(body)) => body,
            ("c", _) if harmless_extension(&function.name) => continue,
            _ => {
                return Called::beyond(format!(
                    "the function {called} is written in {}",
                    function.language
                ));
            }
        };
        let mentioned = words(text);
        if mentioned.iter().any(|word| out_of_sight(word)) {
            return Called::beyond(format!(
                "the function {called} does more than its tables show"
            ));
        }
        result.effects.extend(hidden(&mentioned));
        result.configures |=
            mentioned.contains("set_config") || mentioned.contains("transaction_isolation");
        open.extend(
            mentioned
                .iter()
                .flat_map(|word| schema.functions(None, word)),
        );
    }
    result
}

/// What a body that mentions these words may do where no table's counter shows it.
fn hidden(mentioned: &BTreeSet<String>) -> Vec<Effect> {
    let mut effects = Vec::new();
    if mentioned.iter().any(|word| word.contains("advisory")) {
        let any = |transaction| Effect::Advisory {
            key: Vec::new(),
            exclusive: true,
            transaction,
        };
        effects.extend([any(true), any(false)]);
    }
    if mentioned.iter().any(|word| word.contains("notify")) {
        effects.push(Effect::Channel(None));
    }
    for (word, how) in [("setval", SequenceUse::Set), ("nextval", SequenceUse::Next)] {
        if mentioned.contains(word) {
            effects.push(Effect::Sequence {
                name: None,
                table: None,
                how,
            });
        }
    }
    effects
}

/// Words of a body, those inside its strings (dynamic SQL) included.
fn words(body: &str) -> BTreeSet<String> {
    let (mut found, mut open) = (BTreeSet::new(), vec![body.to_owned()]);
    while let Some(text) = open.pop() {
        for token in tokens(&text) {
            match token.kind {
                Lexeme::Word | Lexeme::Quoted => {
                    found.insert(name(token.text));
                }
                Lexeme::Value => open.extend(inside(token.text)),
                _ => {}
            }
        }
    }
    found
}

/// The text inside a string literal.
fn inside(literal: &str) -> Option<String> {
    let quote = if literal.starts_with('$') { '$' } else { '\'' };
    let (start, end) = (literal.find(quote)? + 1, literal.rfind(quote)?);
    let inner = literal.get(start..end)?;
    let inner = if quote == '$' {
        inner.split_once('$')?.1.rsplit_once('$')?.0
    } else {
        inner
    };
    Some(inner.replace("''", "'"))
}

/// Words of a body after which the server's counters do not show what it touched.
fn out_of_sight(word: &str) -> bool {
    matches!(
        word,
        "lock"
            | "truncate"
            | "create"
            | "alter"
            | "drop"
            | "commit"
            | "rollback"
            | "copy"
            | "vacuum"
            | "analyze"
            | "grant"
            | "revoke"
            | "refresh"
            | "listen"
            | "dblink"
            | "pg_terminate_backend"
            | "pg_cancel_backend"
            | "pg_locks"
            | "pg_stat_activity"
    ) || word.starts_with("lo_")
        || word.starts_with("dblink_")
        || word.starts_with("pg_stat_")
}

/// What firing a trigger's function can do; the function is named with its schema.
pub(crate) fn trigger(schema: &Schema, function: &str) -> Called {
    let (of, called) = match function.split_once('.') {
        Some((of, called)) => (Some(of), called),
        None => (None, function),
    };
    let users = schema.functions(of, called);
    if users.is_empty() {
        return Called::beyond("a trigger's function is not known".to_owned());
    }
    let mut result = user(schema, called, &users);
    // Whatever a trigger's function promises, it may change the row that fires it.
    result.doubt = result.doubt.max(Doubt::Acts);
    result
}
