//! Values taken out of answers.

use regex::Regex;
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::decode::{At, Context};
use crate::jsonpath::JsonPath;
use crate::problem::Problem;
use crate::section::nearest;
use crate::template::is_name;

/// A value to take out of an answer, and its name.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Save {
    /// What `{name}` will stand for it.
    pub name: String,
    /// Where it is found.
    pub from: Source,
}

/// Where in an answer a value is found.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// At a path in a JSON body.
    Json(JsonPath),
    /// In a header.
    Header(String),
    /// In a cookie that the answer sets.
    Cookie(String),
    /// By a pattern in the body.
    Regex(Pattern),
}

/// A regular expression; equal to another that is written alike.
#[derive(Clone, Debug)]
pub struct Pattern(Regex);

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}

const SOURCES: [&str; 4] = ["json", "header", "cookie", "regex"];

impl Source {
    /// Takes the value out of an answer; `None` if it is not there. Header names may be in any case.
    pub fn read(&self, headers: &[(String, String)], body: &str) -> Option<Value> {
        let named = |wanted: &str| {
            let wanted = wanted.to_owned();
            headers
                .iter()
                .filter(move |(name, _)| name.eq_ignore_ascii_case(&wanted))
                .map(|(_, value)| value)
        };
        match self {
            Self::Json(path) => path.get(&serde_json::from_str(body).ok()?).cloned(),
            Self::Header(name) => named(name).next().map(|value| value.trim().into()),
            Self::Cookie(name) => {
                let cookies = named("set-cookie")
                    .filter_map(|cookie| cookie.split(';').next()?.split_once('='));
                let mut values = cookies.filter(|(cookie, _)| cookie.trim() == name);
                values.next().map(|(_, value)| value.trim().into())
            }
            Self::Regex(Pattern(pattern)) => {
                let found = pattern.captures(body)?;
                found
                    .get(1)
                    .or_else(|| found.get(0))
                    .map(|text| text.as_str().into())
            }
        }
    }
}

impl Save {
    pub(crate) fn resolve(name: &At<String>, from: &At<String>, cx: &mut Context) -> Option<Self> {
        let source = parse_source(from, cx);
        if !is_name(&name.value) {
            let problem = Problem::at(
                name.span.clone(),
                format!("`{}` cannot stand in braces", name.value),
            );
            cx.report(problem.help(
                "a name is made of letters, digits and `_`, and does not begin with a digit",
            ));
            return None;
        }
        let name = name.value.clone();
        source.map(|from| Self { name, from })
    }
}

fn parse_source(from: &At<String>, cx: &mut Context) -> Option<Source> {
    let (kind, rest) = from.value.split_once(':').unwrap_or((&from.value, ""));
    let parsed = match kind {
        _ if !SOURCES.contains(&kind) => {
            let help = match nearest(kind, &SOURCES) {
                Some(near) => format!("did you mean `{near}:`?"),
                None => {
                    "write \"json:$.path\", \"header:NAME\", \"cookie:NAME\" or \"regex:PATTERN\""
                        .into()
                }
            };
            Err((format!("an answer has no `{kind}`"), help))
        }
        _ if rest.is_empty() => Err((format!("`{kind}:` of what?"), format!("write \"{kind}:…\""))),
        "json" => JsonPath::parse(rest)
            .map(Source::Json)
            .map_err(|error| (format!("`{rest}` is not a path"), error.to_string())),
        "header" => Ok(Source::Header(rest.into())),
        "cookie" => Ok(Source::Cookie(rest.into())),
        _ => Regex::new(rest)
            .map(Pattern)
            .map(Source::Regex)
            .map_err(|error| {
                let reason = error.to_string();
                let last = reason
                    .lines()
                    .next_back()
                    .unwrap_or_default()
                    .trim_start_matches("error: ")
                    .to_owned();
                (format!("`{rest}` is not a pattern"), last)
            }),
    };
    match parsed {
        Ok(source) => Some(source),
        Err((message, help)) => {
            cx.report(Problem::at(from.span.clone(), message).help(help));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(source: &str, headers: &[(&str, &str)], body: &str) -> Option<Value> {
        let mut cx = Context {
            folder: ".".into(),
            problems: Vec::new(),
        };
        let source = parse_source(
            &At {
                span: 0..0,
                value: source.into(),
            },
            &mut cx,
        );
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect();
        source.expect("a good source").read(&headers, body)
    }

    #[test]
    fn a_seat_number_is_taken_out_of_json() {
        assert_eq!(read("json:$.seat", &[], r#"{"seat":4}"#), Some(json!(4)));
        assert_eq!(read("json:$.seat", &[], "<html>"), None);
    }

    #[test]
    fn a_redirect_says_where_the_order_is() {
        assert_eq!(
            read("header:location", &[("Location", "/orders/7")], ""),
            Some(json!("/orders/7"))
        );
        assert_eq!(read("header:location", &[], ""), None);
    }

    #[test]
    fn a_session_is_taken_out_of_its_cookie() {
        let headers = [
            ("set-cookie", "lang=de"),
            ("Set-Cookie", "sid=a=b; Path=/; HttpOnly"),
        ];
        assert_eq!(read("cookie:sid", &headers, ""), Some(json!("a=b")));
        assert_eq!(read("cookie:other", &headers, ""), None);
    }

    #[test]
    fn a_form_token_is_found_in_a_page() {
        let page = r#"<input name="csrf" value="x1">"#;
        assert_eq!(
            read(r#"regex:name="csrf" value="([^"]+)""#, &[], page),
            Some(json!("x1"))
        );
        assert_eq!(read("regex:x[0-9]", &[], page), Some(json!("x1")));
        assert_eq!(read("regex:y", &[], page), None);
    }
}
