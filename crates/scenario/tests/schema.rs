//! The schema that editors use: it knows every key, and it takes what the program takes.

use deadheat_scenario::schema;
use serde_json::{Value, json};

/// The schema a reference leads to.
fn resolve<'s>(root: &'s Value, schema: &'s Value) -> &'s Value {
    match (schema["$ref"].as_str(), schema["allOf"].as_array()) {
        (Some(reference), _) => {
            let to = root.pointer(
                reference
                    .strip_prefix('#')
                    .expect("a reference inside the file"),
            );
            to.unwrap_or_else(|| panic!("{reference} leads somewhere"))
        }
        (None, Some(all)) if all.len() == 1 => resolve(root, &all[0]),
        _ => schema,
    }
}

/// A check of the keywords that the schema uses; enough to hold it against a file.
fn accepts(root: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let schema = resolve(root, schema);
    let complain = |why: &str| Err(format!("{value} {why} {schema}"));
    if let Some(any) = schema["anyOf"].as_array() {
        let found = any
            .iter()
            .any(|schema| accepts(root, schema, value).is_ok());
        return if found {
            Ok(())
        } else {
            complain("is none of")
        };
    }
    let types: Vec<_> = match &schema["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    };
    let of_type = |name: &&str| match *name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64(),
        "number" => value.is_number(),
        other => panic!("unknown type {other}"),
    };
    if !types.is_empty() && !types.iter().any(of_type) {
        return complain("is not of the type of");
    }
    if let Some(choices) = schema["enum"].as_array()
        && !choices.contains(value)
    {
        return complain("is not among");
    }
    for (key, inner) in value.as_object().into_iter().flatten() {
        let known = schema["properties"]
            .get(key)
            .or_else(|| schema.get("additionalProperties"));
        match known {
            Some(Value::Bool(false)) => return complain(&format!("has the key {key} unlike")),
            Some(schema) => accepts(root, schema, inner)?,
            None => {}
        }
    }
    for key in schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        if value.get(key).is_none() && value.is_object() {
            return complain(&format!("lacks the key {key} of"));
        }
    }
    value
        .as_array()
        .into_iter()
        .flatten()
        .try_for_each(|item| accepts(root, &schema["items"], item))
}

#[test]
fn it_describes_every_key() {
    insta::assert_snapshot!(serde_json::to_string_pretty(&schema()).unwrap());
}

#[test]
fn it_takes_the_file_that_uses_every_key() {
    let text = std::fs::read_to_string("tests/lobby/lobby.toml").unwrap();
    let file: toml::Table = toml::from_str(&text).unwrap();
    let schema = schema();
    assert_eq!(
        accepts(&schema, &schema, &serde_json::to_value(file).unwrap()),
        Ok(())
    );
}

#[test]
fn it_refuses_what_the_program_refuses() {
    let schema = schema();
    let good =
        json!({ "database": { "engine": "postgres" }, "actor": [{ "name": "a", "run": "true" }] });
    assert_eq!(accepts(&schema, &schema, &good), Ok(()));
    for (at, wrong) in [
        ("/database/engine", json!(5)),
        ("/database", json!({ "logs": {} })),
        ("/actor/0", json!({ "run": "true" })),
        ("/actor/0/run", json!(["true"])),
        ("/actor", json!({})),
        ("/actor/0", json!({ "name": "a", "rnu": "true" })),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(at).unwrap() = wrong.clone();
        assert!(accepts(&schema, &schema, &bad).is_err(), "{at} = {wrong}");
    }
}

#[test]
fn every_key_is_documented() {
    fn check(path: &str, schema: &Value, seen: &mut usize) {
        for (key, inner) in schema["properties"].as_object().into_iter().flatten() {
            let doc = inner["description"].as_str().unwrap_or_default();
            assert!(
                doc.ends_with(['.', '"', ')', '…']) && doc.len() > 10,
                "{path}.{key}: {doc}"
            );
            *seen += 1;
        }
        for inner in schema
            .as_object()
            .into_iter()
            .flat_map(|fields| fields.values())
        {
            check(path, inner, seen);
        }
    }
    let mut seen = 0;
    check("", &schema(), &mut seen);
    assert!(seen > 50, "only {seen} keys");
}
