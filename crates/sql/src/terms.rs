//! From expressions to [`Term`]s: literals, parameters, casts and lists of them.

use squawk_syntax::{SyntaxKind, SyntaxNode};

use crate::tree::{bare, has_token, own_tokens};
use crate::value::{Class, Term, Value, array_elements};

/// Reads an expression that is compared with (or put into) a column of a class.
pub(crate) fn term(expression: &SyntaxNode, class: Class) -> Term {
    let expression = bare(expression);
    match expression.kind() {
        SyntaxKind::SET_EXPR => expression
            .first_child()
            .map_or(Term::Unknown, |inner| term(&inner, class)),
        SyntaxKind::LITERAL => literal(&expression, class, false),
        SyntaxKind::PREFIX_EXPR if has_token(&expression, SyntaxKind::MINUS) => {
            match expression.first_child() {
                Some(inner) if inner.kind() == SyntaxKind::LITERAL => literal(&inner, class, true),
                _ => Term::Unknown,
            }
        }
        SyntaxKind::CAST_EXPR => cast(&expression, class),
        _ => Term::Unknown,
    }
}

fn literal(node: &SyntaxNode, class: Class, negative: bool) -> Term {
    let tokens = own_tokens(node);
    let [token] = tokens.as_slice() else {
        return Term::Unknown;
    };
    let known = |value: Option<Value>| value.map_or(Term::Unknown, Term::Known);
    match token.kind() {
        SyntaxKind::NULL_KW => Term::Known(Value::Null),
        SyntaxKind::INT_NUMBER if class == Class::Integer && negative => {
            known(Value::read(class, &format!("-{}", token.text())))
        }
        SyntaxKind::INT_NUMBER if class == Class::Integer => {
            known(Value::read(class, token.text()))
        }
        _ if negative => Term::Unknown,
        SyntaxKind::TRUE_KW if class == Class::Boolean => Term::Known(Value::Boolean(true)),
        SyntaxKind::FALSE_KW if class == Class::Boolean => Term::Known(Value::Boolean(false)),
        SyntaxKind::STRING => {
            known(string(token.text()).and_then(|text| Value::read(class, &text)))
        }
        SyntaxKind::POSITIONAL_PARAM => {
            position(token.text()).map_or(Term::Unknown, |at| Term::Param(at, class))
        }
        _ => Term::Unknown,
    }
}

/// The text of a plain string literal.
pub(crate) fn string(literal: &str) -> Option<String> {
    let inner = literal.strip_prefix('\'')?.strip_suffix('\'')?;
    Some(inner.replace("''", "'"))
}

fn position(param: &str) -> Option<usize> {
    param
        .strip_prefix('$')?
        .parse::<usize>()
        .ok()?
        .checked_sub(1)
}

/// Casts change nothing if they are to the class that is asked for; others may change what equals what.
fn cast(node: &SyntaxNode, class: Class) -> Term {
    let (types, inner): (Vec<_>, Vec<_>) = node
        .children()
        .filter(|n| n.kind() != SyntaxKind::COLON_COLON)
        .partition(is_type);
    match (types.as_slice(), inner.as_slice()) {
        ([to], [inner])
            if class != Class::Other && Class::of(&to.text().to_string(), false) == class =>
        {
            term(inner, class)
        }
        _ => Term::Unknown,
    }
}

fn is_type(node: &SyntaxNode) -> bool {
    use SyntaxKind as K;
    matches!(
        node.kind(),
        K::PATH_TYPE
            | K::ARRAY_TYPE
            | K::VARCHAR_TYPE
            | K::CHARACTER_TYPE
            | K::BIT_TYPE
            | K::DOUBLE_TYPE
            | K::TIME_TYPE
            | K::TIMESTAMP_TYPE
            | K::INTERVAL_TYPE
            | K::PERCENT_TYPE
    )
}

/// The list to the right of IN.
pub(crate) fn list(node: &SyntaxNode, class: Class) -> Term {
    if !matches!(node.kind(), SyntaxKind::TUPLE_EXPR | SyntaxKind::PAREN_EXPR) {
        return Term::Unknown;
    }
    one_of(
        node.children()
            .map(|element| term(&element, class))
            .collect(),
    )
}

/// The argument of ANY: an array of literals or a parameter that holds one.
pub(crate) fn any(call: &SyntaxNode, class: Class) -> Term {
    let Some(function) = call.first_child() else {
        return Term::Unknown;
    };
    if !matches!(function.kind(), SyntaxKind::ANY_FN | SyntaxKind::SOME_FN) {
        return Term::Unknown;
    }
    function
        .first_child()
        .map_or(Term::Unknown, |inner| array(&bare(&inner), class))
}

fn array(node: &SyntaxNode, class: Class) -> Term {
    match node.kind() {
        SyntaxKind::ARRAY_EXPR => one_of(
            node.children()
                .map(|element| term(&element, class))
                .collect(),
        ),
        SyntaxKind::LITERAL => match own_tokens(node).as_slice() {
            [token] if token.kind() == SyntaxKind::POSITIONAL_PARAM => {
                position(token.text()).map_or(Term::Unknown, |at| Term::Element(at, class))
            }
            [token] if token.kind() == SyntaxKind::STRING => string(token.text())
                .and_then(|text| array_elements(&text, class))
                .map_or(Term::Unknown, |values| {
                    Term::OneOf(values.into_iter().map(Term::Known).collect())
                }),
            _ => Term::Unknown,
        },
        SyntaxKind::CAST_EXPR => {
            let mut parts = node
                .children()
                .filter(|n| n.kind() != SyntaxKind::COLON_COLON);
            match (parts.next(), parts.next()) {
                (Some(inner), Some(to)) => {
                    let to = to.text().to_string();
                    let element = to
                        .trim()
                        .strip_suffix("[]")
                        .map(|element| Class::of(element, false));
                    if class != Class::Other && element == Some(class) {
                        array(&bare(&inner), class)
                    } else {
                        Term::Unknown
                    }
                }
                _ => Term::Unknown,
            }
        }
        _ => Term::Unknown,
    }
}

fn one_of(terms: Vec<Term>) -> Term {
    if terms.iter().any(|term| matches!(term, Term::Unknown)) {
        Term::Unknown
    } else {
        Term::OneOf(terms)
    }
}
