//! Lengths of time as people write them: `500ms`, `60s`, `2m`, `1h`, `1m30s`.

use std::time::Duration;

use schemars::{Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

use crate::decode::{Context, Decode, Node};
use crate::problem::Problem;

/// Parses a length of time: whole numbers with the units `ms`, `s`, `m` and `h`, one after the other.
/// `None` if it is written otherwise or too long to count.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total = None::<Duration>;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = rest
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(rest.len());
        let part = match &rest[..unit] {
            "ms" => Duration::from_millis(number),
            "s" => Duration::from_secs(number),
            "m" => Duration::from_secs(number.checked_mul(60)?),
            "h" => Duration::from_secs(number.checked_mul(3600)?),
            _ => return None,
        };
        total = Some(total.unwrap_or_default().checked_add(part)?);
        rest = &rest[unit..];
    }
    total
}

/// A length of time that is longer than none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Time(pub Duration);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_millis() {
            ms if ms % 1000 == 0 => serializer.serialize_str(&format!("{}s", ms / 1000)),
            ms => serializer.serialize_str(&format!("{ms}ms")),
        }
    }
}

impl Decode for Time {
    fn decode(node: Node<'_>, cx: &mut Context) -> Option<Self> {
        let text = String::decode(node, cx)?;
        let time = parse_duration(&text).filter(|time| !time.is_zero());
        if time.is_none() {
            let problem = Problem::at(
                node.span(),
                format!("`{}` is not a length of time", node.key),
            );
            cx.report(problem.help(
                "write a number and a unit: \"500ms\", \"60s\", \"2m\", \"1h\" or \"1m30s\"",
            ));
        }
        time.map(Self)
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^([0-9]+(ms|s|m|h))+$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_write_times_in_many_ways() {
        let seconds = |text| parse_duration(text).map(|time| time.as_secs_f64());
        assert_eq!(seconds("500ms"), Some(0.5));
        assert_eq!(seconds("60s"), Some(60.0));
        assert_eq!(seconds("2m"), Some(120.0));
        assert_eq!(seconds("1h1m30s"), Some(3690.0));
    }

    #[test]
    fn other_ways_are_refused() {
        for text in [
            "",
            "60",
            "s",
            "1.5s",
            "-1s",
            "1 s",
            "1d",
            "99999999999999999999s",
            "18446744073709551615h",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }
}
