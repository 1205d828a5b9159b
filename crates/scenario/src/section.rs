//! Tables with known keys.
//!
//! A [`section!`] declares the keys of one table: each key's name, type, default and documentation stand in one
//! place, and the decoder, the list of known keys and the JSON Schema all come from there.

use std::borrow::Cow;
use std::ops::Range;

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::DeTable;

use crate::decode::{Context, Decode, Node, entries};
use crate::problem::Problem;

/// The table of a section while its keys are read.
pub(crate) struct Fields<'a> {
    table: &'a DeTable<'a>,
    /// Where the table begins.
    pub span: Range<usize>,
    /// Known keys that unknown ones were probably meant to be.
    slips: Vec<String>,
}

impl<'a> Fields<'a> {
    /// Opens a table; keys that are not `known` are problems.
    pub fn open(node: Node<'a>, known: &[&str], cx: &mut Context) -> Option<Self> {
        let Some(table) = node.value.get_ref().as_table() else {
            node.wrong_type("a table", cx);
            return None;
        };
        let mut slips = Vec::new();
        for (key, _) in entries(table) {
            let name = key.get_ref().as_ref();
            if !known.contains(&name) {
                cx.report(unknown_key(key, known));
                slips.extend(nearest(name, known).map(str::to_owned));
            }
        }
        Some(Self {
            table,
            span: node.span(),
            slips,
        })
    }

    /// Whether a key is there, perhaps misspelt.
    pub fn has(&self, key: &str) -> bool {
        self.table.contains_key(key) || self.slips.iter().any(|meant| meant == key)
    }

    /// Whether some key was misspelt: what it would say is not known.
    pub fn has_slips(&self) -> bool {
        !self.slips.is_empty()
    }

    /// Reads one key.
    pub fn take<T: Decode>(
        &self,
        key: &str,
        doc: &str,
        default: Option<T>,
        cx: &mut Context,
    ) -> Option<T> {
        if let Some(value) = self.table.get(key) {
            return T::decode(Node { key, doc, value }, cx);
        }
        let value = default.or_else(T::missing);
        if value.is_none() && !self.has(key) {
            let problem = Problem::at(self.span.clone(), format!("`{key}` is missing"))
                .label("in this table");
            cx.report(problem.help(format!("`{key}`: {doc}")));
        }
        value
    }
}

/// The problem of a key that nobody knows.
pub(crate) fn unknown_key(key: &Spanned<Cow<'_, str>>, known: &[&str]) -> Problem {
    let name = key.get_ref().as_ref();
    let problem =
        Problem::at(key.span(), format!("unknown key `{name}`")).label("nothing reads this");
    problem.help(suggest(name, known, "the keys here are"))
}

/// "did you mean `x`?", or all there is to choose from.
pub(crate) fn suggest<S: AsRef<str>>(wrong: &str, known: &[S], all: &str) -> String {
    if let Some(near) = nearest(wrong, known) {
        return format!("did you mean `{near}`?");
    }
    let names: Vec<_> = known
        .iter()
        .map(|name| format!("`{}`", name.as_ref()))
        .collect();
    format!("{all} {}", names.join(", "))
}

/// The known name that is so near that it was probably meant.
pub(crate) fn nearest<'a, S: AsRef<str>>(wrong: &str, known: &'a [S]) -> Option<&'a str> {
    let wrong = wrong.to_lowercase();
    known
        .iter()
        .map(|name| {
            (
                strsim::osa_distance(&wrong, &name.as_ref().to_lowercase()),
                name.as_ref(),
            )
        })
        .filter(|(distance, name)| *distance <= 1 + name.len() / 4 && *distance < name.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Properties of an object schema while they are gathered.
#[derive(Default)]
pub(crate) struct Properties {
    pub all: Map<String, Value>,
    pub required: Vec<String>,
}

impl Properties {
    /// Adds a key with its documentation and default.
    pub fn add<T: Decode>(
        &mut self,
        key: &str,
        doc: &str,
        default: Option<Value>,
        generator: &mut SchemaGenerator,
    ) {
        let mut schema = T::schema(generator);
        schema.insert("description".into(), doc.into());
        if T::missing().is_none() && default.is_none() {
            self.required.push(key.to_owned());
        }
        if let Some(default) = default {
            schema.insert("default".into(), default);
        }
        self.all.insert(key.to_owned(), schema.to_value());
    }

    /// The schema of a table with these keys and no others.
    pub fn finish(self, doc: &str) -> Schema {
        json_schema!({
            "type": "object",
            "description": doc,
            "properties": self.all,
            "required": self.required,
            "additionalProperties": false,
        })
    }
}

/// Joins the lines of a doc comment.
pub(crate) fn join_doc(lines: &[&str]) -> String {
    lines
        .iter()
        .map(|line| line.trim())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Declares the keys of a table; see the module.
///
/// `key: Type` must be there unless the type knows what to do without; `key: Type = default` says so itself;
/// `..rest: Section` takes another section's keys into the same table.
macro_rules! section {
    (
        $(#[doc = $about:literal])+
        struct $name:ident {
            $( $(#[doc = $doc:literal])+ $key:ident: $type:ty $(= $default:expr)?, )+
            $( ..$rest:ident: $section:ty, )*
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug)]
        pub(crate) struct $name {
            $( $(#[doc = $doc])+ pub(crate) $key: $type, )+
            $( pub(crate) $rest: $section, )*
            /// Where the table begins. Not every table is spoken of as a whole.
            #[allow(dead_code)]
            pub(crate) at: std::ops::Range<usize>,
        }

        impl $name {
            /// Names of the keys.
            pub(crate) fn keys() -> Vec<&'static str> {
                #[allow(unused_mut)]
                let mut keys = vec![$(stringify!($key).trim_start_matches("r#")),+];
                $( keys.extend(<$section>::keys()); )*
                keys
            }

            /// Reads the keys of a table that is open.
            pub(crate) fn read(
                fields: &$crate::section::Fields<'_>,
                cx: &mut $crate::decode::Context,
            ) -> Option<Self> {
                $(
                    let doc = $crate::section::join_doc(&[$($doc),+]);
                    let default: Option<$type> = section!(@default $($default)?);
                    let $key = fields.take::<$type>(stringify!($key).trim_start_matches("r#"), &doc, default, cx);
                )+
                $( let $rest = <$section>::read(fields, cx); )*
                Some(Self { $($key: $key?,)+ $($rest: $rest?,)* at: fields.span.clone() })
            }

            /// Adds the keys to a schema.
            pub(crate) fn properties(
                properties: &mut $crate::section::Properties,
                generator: &mut schemars::SchemaGenerator,
            ) {
                $(
                    let doc = $crate::section::join_doc(&[$($doc),+]);
                    let default: Option<serde_json::Value> = section!(@json $($default)?);
                    let key = stringify!($key).trim_start_matches("r#");
                    properties.add::<$type>(key, &doc, default, generator);
                )+
                $( <$section>::properties(properties, generator); )*
            }
        }

        impl $crate::decode::Decode for $name {
            fn decode(node: $crate::decode::Node<'_>, cx: &mut $crate::decode::Context) -> Option<Self> {
                let fields = $crate::section::Fields::open(node, &Self::keys(), cx)?;
                Self::read(&fields, cx).filter(|_| !fields.has_slips())
            }

            fn schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                generator.subschema_for::<Self>()
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).trim_end_matches("Keys").into()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let mut properties = $crate::section::Properties::default();
                Self::properties(&mut properties, generator);
                properties.finish(&$crate::section::join_doc(&[$($about),+]))
            }
        }
    };
    (@default) => { None };
    (@default $default:expr) => { Some($default) };
    (@json) => { None };
    (@json $default:expr) => { serde_json::to_value($default).ok() };
}
pub(crate) use section;
