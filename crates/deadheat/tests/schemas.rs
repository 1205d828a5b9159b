//! The JSON Schema of saved races holds for races that were found, and for nothing else.
#![allow(missing_docs)]

mod common;

use common::{Bench, example, root};
use serde_json::{Value, json};

/// The schema that the program prints.
fn schema() -> Value {
    let said = Bench::new().run(["schema", "--race"]);
    assert_eq!(said.code, 0, "{}", said.err);
    serde_json::from_str(&said.out).expect("the schema is JSON")
}

/// The keywords that the schema uses; another one would be overlooked.
const KEYWORDS: [&str; 23] = [
    "$schema",
    "$ref",
    "title",
    "description",
    "definitions",
    "type",
    "format",
    "minimum",
    "maximum",
    "default",
    "enum",
    "const",
    "anyOf",
    "oneOf",
    "allOf",
    "items",
    "additionalItems",
    "minItems",
    "maxItems",
    "uniqueItems",
    "properties",
    "required",
    "additionalProperties",
];

/// What is wrong with a value.
fn wrong(root: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let complain = |why: &str| Err(format!("{value} {why} {schema}"));
    let Some(keys) = schema.as_object() else {
        return if *schema == json!(false) {
            complain("may not be there")
        } else {
            Ok(())
        };
    };
    if let Some(other) = keys.keys().find(|key| !KEYWORDS.contains(&key.as_str())) {
        panic!("the schema uses {other}");
    }
    if let Some(to) = schema["$ref"].as_str() {
        let to = root.pointer(to.strip_prefix('#').expect("inside the file"));
        return wrong(root, to.expect("it leads somewhere"), value);
    }
    for all in schema["allOf"].as_array().into_iter().flatten() {
        wrong(root, all, value)?;
    }
    for (choice, exactly) in [("anyOf", false), ("oneOf", true)] {
        if let Some(any) = schema[choice].as_array() {
            let fit = any
                .iter()
                .filter(|one| wrong(root, one, value).is_ok())
                .count();
            if fit == 0 || (exactly && fit > 1) {
                return complain("is not one of");
            }
        }
    }
    let of_type = |name: &Value| match name.as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("null") => value.is_null(),
        other => panic!("unknown type {other:?}"),
    };
    let fits = match &schema["type"] {
        Value::Null => true,
        Value::Array(types) => types.iter().any(of_type),
        one => of_type(one),
    };
    let among = |key: &str| schema[key].as_array().is_none_or(|all| all.contains(value));
    if !(fits && among("enum") && keys.get("const").is_none_or(|only| only == value)) {
        return complain("is not of");
    }
    inside(root, schema, value)
}

/// What is wrong with the keys and the items of a value.
fn inside(root: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    for (n, item) in value.as_array().into_iter().flatten().enumerate() {
        let of = match &schema["items"] {
            Value::Array(each) => each.get(n).unwrap_or(&schema["additionalItems"]),
            one => one,
        };
        wrong(root, of, item)?;
    }
    for (key, inner) in value.as_object().into_iter().flatten() {
        let known = schema["properties"].get(key);
        let of = known.unwrap_or(&schema["additionalProperties"]);
        wrong(root, of, inner).map_err(|why| format!("{key}: {why}"))?;
    }
    let required = schema["required"].as_array().into_iter().flatten();
    let mut names = required.filter_map(Value::as_str);
    match names.find(|name| value.is_object() && value.get(name).is_none()) {
        Some(name) => Err(format!("{name} is missing")),
        None => Ok(()),
    }
}

/// The first race of a scenario, as it was saved.
fn saved(scenario: &std::path::Path) -> Value {
    let bench = Bench::new();
    let (said, json) = bench.find(scenario, &[]);
    assert_eq!(said.code, 1, "{}\n{}", said.out, said.err);
    let text = std::fs::read_to_string(bench.race(&json)).expect("the race was saved");
    serde_json::from_str(&text).expect("it is JSON")
}

#[track_caller]
fn held(schema: &Value, race: &Value) {
    if let Err(why) = wrong(schema, schema, race) {
        panic!("{why}");
    }
}

#[test]
fn races_of_every_sort_are_as_the_schema_says() {
    let schema = schema();
    let faults = root().join("crates/deadheat/tests/faults/task_after.toml");
    for scenario in ["lost-update", "lobby-5", "commit-gap", "deadlock-rows"] {
        held(&schema, &saved(&example(&format!("sql/{scenario}.toml"))));
    }
    held(&schema, &saved(&faults));
}

#[test]
fn a_race_is_changed_by_hand() {
    let schema = schema();
    let race = saved(&example("sql/lost-update.toml"));
    held(&schema, &race);
    let changes: [fn(&mut Value); 5] = [
        |race| race["kind"] = json!("lost-updaet"),
        |race| race["schedul"] = json!([]),
        |race| race["steps"][0]["fingerprint"] = json!(5),
        |race| race["record"]["end"] = json!("soon"),
        |race| {
            let keys = race.as_object_mut().expect("an object");
            keys.remove("schedule");
        },
    ];
    for (n, change) in changes.iter().enumerate() {
        let mut other = race.clone();
        change(&mut other);
        assert!(
            wrong(&schema, &schema, &other).is_err(),
            "change {n} is taken"
        );
    }
}
