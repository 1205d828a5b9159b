//! Reading the parser's tree: a guarded parse, and the few questions that everything else asks of nodes.

use std::panic::{AssertUnwindSafe, catch_unwind};

use squawk_syntax::{SourceFile, SyntaxKind, SyntaxNode, SyntaxToken};

use crate::lexer::{Kind, tokens};

/// Nesting up to which the caller's own stack is enough for the (recursive) parser.
const SHALLOW: usize = 40;
/// Nesting from which on nothing is parsed at all.
const TOO_DEEP: usize = 10_000;
/// Stack for what lies between: far above what [`TOO_DEEP`] levels use. Memory is taken only where it is touched.
const STACK: usize = 256 << 20;

/// Parses a text and hands its root to `look`. `None`: not understood (a syntax error, nested beyond reason, or the
/// parser gave up).
pub(crate) fn with_tree<R: Send>(
    sql: &str,
    look: impl FnOnce(&SyntaxNode) -> R + Send,
) -> Option<R> {
    let parse = || {
        catch_unwind(AssertUnwindSafe(|| {
            let parse = SourceFile::parse(sql);
            parse
                .errors()
                .is_empty()
                .then(|| look(&parse.syntax_node()))
        }))
        .ok()
        .flatten()
    };
    match nesting(sql) {
        depth if depth <= SHALLOW => parse(),
        depth if depth <= TOO_DEEP => std::thread::scope(|scope| {
            let thread = std::thread::Builder::new()
                .stack_size(STACK)
                .spawn_scoped(scope, parse)
                .ok()?;
            thread.join().ok().flatten()
        }),
        _ => None,
    }
}

/// An upper bound of how deep the tree of a text can be.
fn nesting(sql: &str) -> usize {
    const NESTING: [&str; 22] = [
        "not",
        "case",
        "when",
        "join",
        "union",
        "except",
        "intersect",
        "and",
        "or",
        "is",
        "like",
        "ilike",
        "in",
        "collate",
        "at",
        "between",
        "escape",
        "isnull",
        "notnull",
        "operator",
        "overlaps",
        "similar",
    ];
    let (mut open, mut deepest, mut chained) = (0_usize, 0_usize, 0_usize);
    for token in tokens(sql) {
        match token.kind {
            Kind::Sign => match token.text {
                "(" | "[" => {
                    open += 1;
                    deepest = deepest.max(open);
                }
                ")" | "]" => open = open.saturating_sub(1),
                "," | ";" => {}
                _ => chained += 1,
            },
            Kind::Word
                if NESTING
                    .iter()
                    .any(|word| token.text.eq_ignore_ascii_case(word)) =>
            {
                chained += 1;
            }
            _ => {}
        }
    }
    deepest + chained
}

/// The first child of a kind.
pub(crate) fn child(node: &SyntaxNode, kind: SyntaxKind) -> Option<SyntaxNode> {
    node.children().find(|child| child.kind() == kind)
}

/// The first descendant of a kind (or the node itself).
pub(crate) fn within(node: &SyntaxNode, kind: SyntaxKind) -> Option<SyntaxNode> {
    node.descendants().find(|node| node.kind() == kind)
}

/// The tokens directly below a node, white space and comments left out.
pub(crate) fn own_tokens(node: &SyntaxNode) -> Vec<SyntaxToken> {
    let all = node
        .children_with_tokens()
        .filter_map(squawk_syntax::SyntaxElement::into_token);
    all.filter(|token| !token.kind().is_trivia()).collect()
}

/// All tokens below a node, white space and comments left out.
pub(crate) fn all_tokens(node: &SyntaxNode) -> Vec<SyntaxToken> {
    let all = node
        .descendants_with_tokens()
        .filter_map(squawk_syntax::SyntaxElement::into_token);
    all.filter(|token| !token.kind().is_trivia()).collect()
}

/// Whether a token of this kind is directly below the node.
pub(crate) fn has_token(node: &SyntaxNode, kind: SyntaxKind) -> bool {
    node.children_with_tokens()
        .any(|element| element.kind() == kind)
}

/// A name as the server folds it.
pub(crate) fn name(text: &str) -> String {
    match text
        .strip_prefix('"')
        .and_then(|inner| inner.strip_suffix('"'))
    {
        Some(inner) => inner.replace("\"\"", "\""),
        None => text.to_lowercase(),
    }
}

/// The names of a dotted path, outermost first.
pub(crate) fn path(node: &SyntaxNode) -> Vec<String> {
    let words = all_tokens(node)
        .into_iter()
        .filter(|token| token.kind() != SyntaxKind::DOT);
    words.map(|token| name(token.text())).collect()
}

/// Schema (if written) and name of a dotted path.
pub(crate) fn qualified(node: &SyntaxNode) -> (Option<String>, String) {
    let mut path = path(node);
    let last = path.pop().unwrap_or_default();
    (path.pop(), last)
}

/// Strips parentheses around an expression.
pub(crate) fn bare(expression: &SyntaxNode) -> SyntaxNode {
    let mut expression = expression.clone();
    while expression.kind() == SyntaxKind::PAREN_EXPR {
        let mut inside = expression.children();
        match (inside.next(), inside.next()) {
            (Some(inner), None) => expression = inner,
            _ => break,
        }
    }
    expression
}

/// What is joined by AND at the top of an expression.
pub(crate) fn conjuncts(expression: &SyntaxNode) -> Vec<SyntaxNode> {
    let (mut open, mut found) = (vec![bare(expression)], Vec::new());
    while let Some(expression) = open.pop() {
        if expression.kind() == SyntaxKind::BIN_EXPR && has_token(&expression, SyntaxKind::AND_KW) {
            open.extend(expression.children().map(|side| bare(&side)));
        } else {
            found.push(expression);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deep_nesting_is_parsed_or_refused_never_fatal() {
        let nested = |depth: usize| format!("select {}1{}", "(".repeat(depth), ")".repeat(depth));
        assert_eq!(with_tree(&nested(500), |_| ()), Some(()));
        assert_eq!(with_tree(&nested(20_000), |_| ()), None);
        assert_eq!(
            with_tree(&format!("select 1{}", " or 1".repeat(3_000)), |_| ()),
            Some(())
        );
        assert_eq!(with_tree("select from where", |_| ()), None);
    }

    #[test]
    fn names_fold_as_on_the_server() {
        assert_eq!(name("Users"), "users");
        assert_eq!(name("\"Us\"\"ers\""), "Us\"ers");
    }
}
