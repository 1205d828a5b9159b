//! The keys of a scenario, as tables, from the schema that editors use.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

/// The headings of the tables, and the schemas that describe them.
const TABLES: [(&str, &str); 10] = [
    ("`[database]`", "Database"),
    ("`[service.NAME]`", "Service"),
    ("`ready` as a table", "Log"),
    ("`[[actor]]`", "Actor"),
    ("An entry of `requests`", "Request"),
    ("An entry of `sql`", "Sql"),
    ("`[[before]]`", "Before"),
    ("`[check]`", "Check"),
    ("An entry of `invariants`", "Invariant"),
    ("`[explore]`", "Explore"),
];

/// All keys, table by table. A key that means the same in a table before is not described again.
pub fn all() -> String {
    let schema = deadheat_scenario::schema();
    let definitions = schema["definitions"].as_object().expect("definitions");
    let named = |name: &String| TABLES.iter().any(|(_, known)| known == name);
    let unknown: Vec<_> = definitions.keys().filter(|name| !named(name)).collect();
    assert!(
        unknown.is_empty(),
        "give these a heading in TABLES: {unknown:?}"
    );
    let mut text = String::new();
    let mut described = BTreeMap::new();
    describe("The file", &schema, &mut described, &mut text);
    for (heading, name) in TABLES {
        describe(heading, &definitions[name], &mut described, &mut text);
    }
    text
}

/// One table of the file: its keys. `described` are those of the tables before, with where they are.
fn describe<'s>(
    heading: &'s str,
    schema: &'s Value,
    described: &mut BTreeMap<(String, String), &'s str>,
    text: &mut String,
) {
    let required: Vec<&str> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let about = schema["description"].as_str().unwrap_or_default();
    let mut rows = String::new();
    let mut elsewhere: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let keys = schema["properties"].as_object().expect("keys");
    for (key, value) in keys {
        let place = (key.clone(), value.to_string());
        if let Some(before) = described.get(&place) {
            elsewhere
                .entry(before)
                .or_default()
                .push(format!("`{key}`"));
            continue;
        }
        described.insert(place, heading);
        let needed = match (required.contains(&key.as_str()), &value["default"]) {
            (true, _) => " It must be there.".to_owned(),
            (false, Value::Null) => String::new(),
            (false, default) => format!(" Default: `{default}`."),
        };
        let meaning = value["description"].as_str().unwrap_or_default();
        let row = [
            format!("`{key}`"),
            form(value),
            format!("{meaning}{needed}"),
        ];
        let row = row.map(|cell| cell.replace('|', "\\|"));
        writeln!(rows, "| {} |", row.join(" | ")).expect("a string takes all");
    }
    write!(text, "\n### {heading}\n\n{about}\n").expect("a string takes all");
    if !rows.is_empty() {
        write!(
            text,
            "\n| key | value | meaning |\n| --- | --- | --- |\n{rows}"
        )
        .expect("as above");
    }
    for (before, keys) in elsewhere {
        write!(text, "\nAs under “{before}”: {}.\n", keys.join(", ")).expect("as above");
    }
}

/// What a value looks like, in words.
fn form(schema: &Value) -> String {
    if let Some(choices) = schema["enum"].as_array() {
        let choices: Vec<String> = choices.iter().map(|one| format!("`{one}`")).collect();
        return choices.join(" or ");
    }
    if let Some(only) = schema.get("const") {
        return format!("`{only}`");
    }
    if let Some(any) = schema["anyOf"].as_array().or(schema["allOf"].as_array()) {
        let mut forms: Vec<String> = any.iter().map(form).collect();
        forms.dedup();
        return forms.join(" or ");
    }
    if schema.get("$ref").is_some() || schema.get("properties").is_some() {
        return "table".to_owned();
    }
    match &schema["type"] {
        Value::Array(types) => {
            let words = types.iter().filter_map(Value::as_str).map(word);
            words.collect::<Vec<_>>().join(", ")
        }
        Value::String(name) => match name.as_str() {
            "array" => match form(&schema["items"]).as_str() {
                inner if inner.contains(" or ") => format!("list ({inner})"),
                inner => format!("list of {inner}s"),
            },
            "object" => {
                let inner = form(&schema["additionalProperties"]);
                format!("names and values ({inner})")
            }
            "integer" => match (schema["minimum"].as_u64(), schema["maximum"].as_u64()) {
                (Some(least), Some(most)) => format!("whole number, {least} to {most}"),
                (Some(least), None) => format!("whole number, at least {least}"),
                _ => "whole number".to_owned(),
            },
            other => word(other).to_owned(),
        },
        _ => "any value".to_owned(),
    }
}

fn word(name: &str) -> &str {
    match name {
        "string" => "text",
        "boolean" => "true or false",
        other => other,
    }
}
