//! The scenario that some answers come to, as text.

use std::fmt::Write as _;

use serde_json::Value;
use toml::Value as Toml;

/// Names of the clients, in the order of their requests.
const NAMES: [&str; 8] = ["ann", "ben", "cleo", "dan", "eve", "finn", "gil", "hana"];

/// What a scenario is made of; paths are as they are to stand in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answers {
    /// What it is about.
    pub title: Option<String>,
    /// The command of the service.
    pub run: String,
    /// The folder to run it in.
    pub directory: Option<String>,
    /// Its environment, besides what is always set.
    pub env: Vec<(String, String)>,
    /// The path that answers well when it is ready.
    pub ready: Option<String>,
    /// Files of SQL that set the database up.
    pub setup: Vec<String>,
    /// Further SQL.
    pub sql: Option<String>,
    /// A command that sets the database up.
    pub prepare: Option<String>,
    /// What is sent at the same time; at least one.
    pub requests: Vec<Sent>,
}

/// A request.
#[derive(Clone, Debug, PartialEq)]
pub struct Sent {
    /// Method and path.
    pub line: String,
    /// A JSON body.
    pub json: Option<Value>,
}

impl Sent {
    /// From what a person types: `POST /orders {"item": 1}`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let example = "write it like this: POST /orders {\"item\": 1}";
        let (method, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        let rest = rest.trim_start();
        let (path, body) = rest.split_once(' ').unwrap_or((rest, ""));
        if method.is_empty() || !path.starts_with('/') {
            return Err(format!(
                "`{text}` is no request: a method and a path are needed; {example}"
            ));
        }
        let json = match body.trim() {
            "" => None,
            body => Some(serde_json::from_str(body).map_err(|error| {
                format!("the body of `{method} {path}` is not JSON ({error}); {example}")
            })?),
        };
        Ok(Self {
            line: format!("{} {path}", method.to_uppercase()),
            json,
        })
    }
}

/// The scenario's text; `file` is what it will be called.
pub fn scenario(answers: &Answers, file: &str) -> String {
    let mut out =
        format!("# Search it: deadheat find {file}\n# All keys, for editors: deadheat schema\n");
    if let Some(title) = &answers.title {
        key(&mut out, "title", title);
    }
    out.push_str("\n[database]\nengine = \"postgres\"\n");
    if !answers.setup.is_empty() {
        list(&mut out, "setup", &answers.setup);
    }
    if let Some(sql) = &answers.sql {
        key(&mut out, "sql", sql);
    }
    if let Some(prepare) = &answers.prepare {
        key(&mut out, "prepare", prepare);
    }
    out.push_str("\n# It gets DATABASE_URL, the PG* variables and PORT in its environment.\n");
    out.push_str("[service.web]\n");
    key(&mut out, "run", &answers.run);
    if let Some(directory) = &answers.directory {
        key(&mut out, "directory", directory);
    }
    if !answers.env.is_empty() {
        let env = answers.env.iter();
        let env = env.map(|(name, value)| (name.clone(), Toml::String(value.clone())));
        let _ = writeln!(out, "env = {}", Toml::Table(env.collect()));
    }
    if let Some(path) = &answers.ready {
        key(&mut out, "ready", &format!("GET {path}"));
    }
    out.push_str("\n# What happens at the same time.\n");
    clients(answers, &mut out);
    out.push_str(
        "\n[check]\n# What must be so in the end: like after some order of the actors, one after the other.\nserial = true\n\
         # And what must hold whatever happens:\n\
         # invariants = { \"at most four\" = \"select count(*) <= 4 from players\" }\n",
    );
    out
}

fn clients(answers: &Answers, out: &mut String) {
    let twice = answers.requests.len() == 1;
    for (n, sent) in answers.requests.iter().enumerate() {
        if n > 0 {
            out.push('\n');
        }
        out.push_str("[[actor]]\n");
        if twice {
            out.push_str("name = \"client{n}\"\ncopies = 2\n");
        } else {
            let name = NAMES.get(n).map(ToString::to_string);
            let name = name.unwrap_or_else(|| format!("client{}", n + 1));
            key(out, "name", &name);
        }
        key(out, "request", &sent.line);
        match sent.json.as_ref().map(|json| (json, inline(json))) {
            None => {}
            Some((_, Some(value))) => {
                let _ = writeln!(out, "json = {value}");
            }
            // TOML has no null.
            Some((json, None)) => {
                key(out, "body", &json.to_string());
                out.push_str("headers = { content-type = \"application/json\" }\n");
            }
        }
    }
}

fn key(out: &mut String, name: &str, text: &str) {
    let _ = writeln!(out, "{name} = {}", Toml::String(text.to_owned()));
}

fn list(out: &mut String, name: &str, texts: &[String]) {
    let texts = texts.iter().cloned().map(Toml::String);
    let _ = writeln!(out, "{name} = {}", Toml::Array(texts.collect()));
}

/// JSON as TOML, on one line; `None` where TOML has no word for something in it.
fn inline(json: &Value) -> Option<Toml> {
    Some(match json {
        Value::Null => return None,
        Value::Bool(value) => Toml::Boolean(*value),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => Toml::Integer(whole),
            None if number.is_f64() => Toml::Float(number.as_f64()?),
            None => return None,
        },
        Value::String(text) => Toml::String(text.clone()),
        Value::Array(values) => Toml::Array(values.iter().map(inline).collect::<Option<_>>()?),
        Value::Object(map) => {
            let pairs = map.iter();
            let pairs = pairs.map(|(name, value)| Some((name.clone(), inline(value)?)));
            Toml::Table(pairs.collect::<Option<_>>()?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lobby() -> Answers {
        Answers {
            run: "python3 app.py".to_owned(),
            setup: vec!["schema.sql".to_owned()],
            ready: Some("/health".to_owned()),
            env: vec![("MODE".to_owned(), "a \"test\"".to_owned())],
            requests: [
                "post /orders {\"item\": 1, \"tags\": [\"a\", 2.5]}",
                "GET /orders",
            ]
            .map(|text| Sent::parse(text).expect("is a request"))
            .to_vec(),
            ..Answers::default()
        }
    }

    #[test]
    fn a_scenario_is_written_and_can_be_read() {
        let folder = tempfile::TempDir::new().expect("a folder");
        std::fs::write(folder.path().join("schema.sql"), "select 1").expect("written");
        let text = scenario(&lobby(), "shop.toml");
        insta::assert_snapshot!(text);
        let read = deadheat_scenario::parse("shop.toml", &text, folder.path()).expect("is one");
        let names: Vec<_> = read.actors.iter().map(|actor| &actor.name).collect();
        assert_eq!(names, ["ann", "ben"]);
    }

    #[test]
    fn one_request_is_sent_twice() {
        let mut answers = lobby();
        answers.setup.clear();
        answers.requests.truncate(1);
        let text = scenario(&answers, "shop.toml");
        let read = deadheat_scenario::parse("shop.toml", &text, "/".as_ref()).expect("is one");
        assert_eq!(read.actors.len(), 2);
        assert_eq!(read.actors[0].work, read.actors[1].work);
    }

    #[test]
    fn a_body_that_toml_has_no_word_for_is_sent_as_it_is() {
        let mut answers = lobby();
        answers.setup.clear();
        let body = r#"POST /o {"note": null, "big": 18446744073709551615}"#;
        answers.requests = vec![Sent::parse(body).expect("is a request"); 9];
        let text = scenario(&answers, "shop.toml");
        assert!(text.contains("name = \"client9\""), "{text}");
        let read = deadheat_scenario::parse("shop.toml", &text, "/".as_ref()).expect("is one");
        let deadheat_scenario::Work::Requests(requests) = &read.actors[8].work else {
            panic!("requests");
        };
        let deadheat_scenario::Body::Text(sent) = &requests[0].body else {
            panic!("{:?}", requests[0].body);
        };
        assert_eq!(sent, r#"{"note":null,"big":18446744073709551615}"#);
    }

    #[test]
    fn what_is_no_request_is_said() {
        for text in ["", "POST", "POST orders", "/orders", "POST /orders {item"] {
            let said = Sent::parse(text).expect_err(text);
            assert!(said.contains("write it like this"), "{text}: {said}");
        }
    }
}
