//! What kind of statement each part of a text is.

use squawk_syntax::{SyntaxKind as K, SyntaxNode};

use crate::catalog::Function;
use crate::effect::{Choice, Effect};
use crate::footprint::Mode;
use crate::schema::Schema;
use crate::statement::{Isolation, Kind, One, Scope, TxEnd};
use crate::terms::string;
use crate::tree::{all_tokens, child, name, path, qualified, within};
use crate::value::{Term, Value};
use crate::walk::Walk;

/// The statements of a parsed text.
pub(crate) fn statements(schema: &Schema, root: &SyntaxNode) -> Vec<One> {
    root.children()
        .filter(|node| node.kind() != K::EMPTY_STMT)
        .map(|node| statement(schema, &node))
        .collect()
}

fn statement(schema: &Schema, node: &SyntaxNode) -> One {
    match node.kind() {
        K::SELECT | K::COMPOUND_SELECT | K::PAREN_SELECT | K::VALUES | K::TABLE => {
            dml(schema, node, Kind::Query)
        }
        K::INSERT | K::UPDATE | K::DELETE | K::MERGE => dml(schema, node, Kind::Change),
        K::EXPLAIN => explain(schema, node),
        K::BEGIN => One {
            strange: deferrable(node),
            ..One::of(Kind::Begin(level(node)))
        },
        K::COMMIT_TRANSACTION => One::of(Kind::End(TxEnd::Commit {
            chain: within(node, K::AND_CHAIN).is_some(),
        })),
        K::ROLLBACK_TRANSACTION => One::of(Kind::End(TxEnd::Rollback {
            chain: within(node, K::AND_CHAIN).is_some(),
        })),
        K::PREPARE_TRANSACTION => One::beyond(
            Kind::End(TxEnd::Prepare),
            "a prepared transaction outlives its session",
        ),
        K::COMMIT_PREPARED | K::ROLLBACK_PREPARED => {
            One::definition("it ends a prepared transaction")
        }
        K::ROLLBACK_TO_SAVEPOINT => One::of(Kind::RollbackTo),
        K::SET_TRANSACTION => set_transaction(node),
        K::SET => set(schema, node),
        K::RESET | K::DISCARD => reset(node),
        K::SET_CONSTRAINTS => One::of(Kind::Constraints),
        K::SAVEPOINT_CREATE => One::of(Kind::Savepoint),
        K::RELEASE_SAVEPOINT
        | K::SHOW
        | K::DEALLOCATE
        | K::PREPARE
        | K::CLOSE
        | K::SET_ROLE
        | K::SET_SESSION_AUTH
        | K::RESET_ROLE
        | K::RESET_SESSION_AUTH => One::of(Kind::Session),
        K::DECLARE => without_gap(dml(schema, node, Kind::Other)),
        // A query that a cursor of this session has: what it reads was said when it was declared, but it reads it now.
        K::FETCH | K::MOVE => One::beyond(Kind::Other, "what a cursor reads is not known"),
        K::LOCK => lock(schema, node),
        K::COPY => copy(schema, node),
        K::NOTIFY | K::UNLISTEN => channel(child(node, K::CHANNEL_REF).as_ref()),
        K::LISTEN => channel(child(node, K::CHANNEL).as_ref()),
        K::CALL => procedure(schema, node),
        K::DO => block(schema, node),
        K::EXECUTE => One::beyond(Kind::Other, "what a prepared statement does is not known"),
        K::VACUUM | K::ANALYZE | K::CHECKPOINT | K::LOAD => {
            One::beyond(Kind::Other, "maintenance may wait for anything")
        }
        K::TRUNCATE => One::definition("TRUNCATE locks out everyone"),
        _ => One::definition("it changes the schema"),
    }
}

fn without_gap(mut one: One) -> One {
    one.gap = false;
    one.reads_only = false;
    one
}

fn dml(schema: &Schema, node: &SyntaxNode, kind: Kind) -> One {
    let nested = |inside: SyntaxNode| {
        matches!(
            inside.kind(),
            K::SELECT
                | K::COMPOUND_SELECT
                | K::PAREN_SELECT
                | K::VALUES
                | K::TABLE
                | K::INSERT
                | K::UPDATE
                | K::DELETE
                | K::MERGE
                | K::WITH_CLAUSE
        )
    };
    One {
        direct: !node.descendants().skip(1).any(nested),
        ..Walk::over(schema, node).finish(kind)
    }
}

/// Planning looks at the tables; ANALYZE runs the statement.
fn explain(schema: &Schema, node: &SyntaxNode) -> One {
    let statement = node.children().find(|child| {
        !matches!(
            child.kind(),
            K::EXPLAIN_OPTION_LIST | K::EXPLAIN_ANALYZE | K::EXPLAIN_VERBOSE
        )
    });
    match statement.map(|statement| (statement.kind(), statement)) {
        Some((
            K::SELECT | K::COMPOUND_SELECT | K::PAREN_SELECT | K::VALUES | K::TABLE,
            statement,
        )) => {
            let one = dml(schema, &statement, Kind::Query);
            One { gap: false, ..one }
        }
        Some((K::INSERT | K::UPDATE | K::DELETE | K::MERGE, statement)) => {
            without_gap(dml(schema, &statement, Kind::Change))
        }
        Some((K::DECLARE, statement)) => without_gap(dml(schema, &statement, Kind::Other)),
        Some((K::EXECUTE, _)) => {
            One::beyond(Kind::Other, "what a prepared statement does is not known")
        }
        _ => One::definition("it may change the schema"),
    }
}

/// Whether the transaction may wait until no other serializable one could spoil its snapshot: who has begun before it
/// then matters, whatever tables they use.
fn deferrable(node: &SyntaxNode) -> bool {
    let words = all_tokens(node);
    words.iter().enumerate().any(|(at, word)| {
        word.kind() == K::DEFERRABLE_KW && (at == 0 || words[at - 1].kind() != K::NOT_KW)
    })
}

/// The isolation level among transaction modes.
fn level(node: &SyntaxNode) -> Option<Isolation> {
    // The last one counts.
    node.descendants()
        .filter_map(|node| isolation(&node))
        .last()
}

fn isolation(node: &SyntaxNode) -> Option<Isolation> {
    match node.kind() {
        K::SERIALIZABLE => Some(Isolation::Serializable),
        K::REPEATABLE_READ => Some(Isolation::RepeatableRead),
        K::READ_COMMITTED | K::READ_UNCOMMITTED => Some(Isolation::ReadCommitted),
        _ => None,
    }
}

fn set_transaction(node: &SyntaxNode) -> One {
    if within(node, K::TRANSACTION_SNAPSHOT).is_some() {
        return One::beyond(Kind::Other, "it takes the snapshot of another transaction");
    }
    let scope = if child(node, K::SESSION_CHARACTERISTICS).is_some() {
        Scope::Session
    } else {
        Scope::Transaction
    };
    let kind = match level(node) {
        Some(level) => Kind::Level(scope, Some(level)),
        None => Kind::Session,
    };
    One {
        strange: deferrable(node),
        ..One::of(kind)
    }
}

fn set(schema: &Schema, node: &SyntaxNode) -> One {
    let Some(config) = child(node, K::SET_CONFIG) else {
        // SET SCHEMA is SET search_path.
        let named = child(node, K::SET_SCHEMA_VALUE).is_some();
        return One {
            strange: named,
            ..One::of(Kind::Session)
        };
    };
    let parameter = child(&config, K::CONFIG_PARAMETER_REF)
        .map(|node| path(&node).join("."))
        .unwrap_or_default();
    let values: Vec<_> = config
        .children()
        .filter(|node| node.kind() != K::CONFIG_PARAMETER_REF)
        .flat_map(|node| all_tokens(&node))
        .filter(|token| !matches!(token.kind(), K::COMMA | K::EQ | K::TO_KW))
        .map(|token| string(token.text()).unwrap_or_else(|| name(token.text())))
        .collect();
    let scope = match parameter.as_str() {
        "transaction_isolation" => Scope::Transaction,
        "default_transaction_isolation" => Scope::Session,
        "search_path"
            if values
                .iter()
                .filter(|name| *name != "$user")
                .eq(&schema.catalog.search_path) =>
        {
            return One::of(Kind::Session);
        }
        _ => {
            return One {
                strange: estranges(&parameter),
                ..One::of(Kind::Session)
            };
        }
    };
    match values.as_slice() {
        [value] if value == "default" => One::of(Kind::Reset),
        [value] => One::of(Kind::Level(scope, Isolation::read(value))),
        _ => One::of(Kind::Level(scope, None)),
    }
}

/// Settings after which statements mean something else than the catalogue says, or wait for what nothing here knows.
pub(crate) fn estranges(parameter: &str) -> bool {
    matches!(
        parameter,
        "search_path"
            | "session_replication_role"
            | "role"
            | "session_authorization"
            | "transaction_deferrable"
            | "default_transaction_deferrable"
    )
}

fn reset(node: &SyntaxNode) -> One {
    let words: Vec<String> = all_tokens(node)
        .iter()
        .map(|token| name(token.text()))
        .collect();
    let named = |word: &str| words.iter().any(|known| known == word);
    let effects = if named("discard") && named("all") {
        vec![Effect::FreeAdvisory]
    } else {
        Vec::new()
    };
    if named("all") || words.iter().any(|word| word.contains("isolation")) {
        return One {
            effects,
            ..One::of(Kind::Reset)
        };
    }
    One::of(Kind::Session)
}

fn lock(schema: &Schema, node: &SyntaxNode) -> One {
    let mode = match child(node, K::LOCK_MODE_CLAUSE)
        .and_then(|clause| clause.first_child())
        .map(|mode| mode.kind())
    {
        Some(K::ACCESS_SHARE) => Mode::AccessShare,
        Some(K::ROW_SHARE) => Mode::RowShare,
        Some(K::ROW_EXCLUSIVE) => Mode::RowExclusive,
        Some(K::SHARE_UPDATE_EXCLUSIVE) => Mode::ShareUpdateExclusive,
        Some(K::SHARE) => Mode::Share,
        Some(K::SHARE_ROW_EXCLUSIVE) => Mode::ShareRowExclusive,
        Some(K::EXCLUSIVE) => Mode::Exclusive,
        _ => Mode::AccessExclusive,
    };
    let mut walk = Walk::new(schema);
    for relation in node
        .descendants()
        .filter(|node| node.kind() == K::RELATION_NAME_REF)
    {
        walk.lock_relation(&relation, mode);
    }
    without_gap(walk.finish(Kind::Other))
}

fn copy(schema: &Schema, node: &SyntaxNode) -> One {
    if within(node, K::COPY_PROGRAM).is_some() {
        return One::beyond(Kind::Copy, "a program may do anything");
    }
    let mut walk = Walk::over(schema, node);
    if let Some(table) =
        child(node, K::COPY_TABLE).and_then(|table| child(&table, K::TABLE_NAME_REF))
    {
        if child(node, K::COPY_FROM).is_some() {
            walk.insert_unknown(&table);
        } else {
            walk.read_named(&table, Choice::All);
        }
    }
    without_gap(walk.finish(Kind::Copy))
}

/// DO: a function without a name, called once.
fn block(schema: &Schema, node: &SyntaxNode) -> One {
    let language = within(node, K::LANGUAGE_REF)
        .map_or_else(|| "plpgsql".to_owned(), |node| path(&node).join("."));
    let body = child(node, K::LITERAL).map(|body| body.text().to_string());
    let function = Function {
        name: "DO".to_owned(),
        language,
        body,
        ..Function::default()
    };
    let mut walk = Walk::new(schema);
    walk.called(crate::calls::body(schema, "DO", &function));
    without_gap(walk.finish(Kind::Other))
}

fn channel(node: Option<&SyntaxNode>) -> One {
    let channel = node.map(|node| Term::Known(Value::Text(name(&node.text().to_string()).into())));
    One {
        effects: vec![Effect::Channel(channel)],
        ..One::of(Kind::Other)
    }
}

fn procedure(schema: &Schema, node: &SyntaxNode) -> One {
    let mut walk = Walk::over(schema, node);
    match child(node, K::PROCEDURE_NAME_REF).map(|node| qualified(&node)) {
        Some((of, called)) => walk.called(crate::calls::named(schema, of.as_deref(), &called, &[])),
        None => return One::beyond(Kind::Other, "the procedure is not known"),
    }
    without_gap(walk.finish(Kind::Other))
}
