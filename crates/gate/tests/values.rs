//! Binary values are shown as PostgreSQL itself writes them.

mod common;

use bytes::Bytes;
use common::{Server, Wire, cell};
use deadheat_gate::Param;

/// Type, values.
const VALUES: [(u32, &str, &[&str]); 13] = [
    (16, "bool", &["true", "false"]),
    (17, "bytea", &["'\\x00ff10'", "''"]),
    (20, "int8", &["9223372036854775807", "-1"]),
    (21, "int2", &["-32768"]),
    (23, "int4", &["42", "-2147483648"]),
    (26, "oid", &["4294967295"]),
    (701, "float8", &["1.5", "'-Infinity'", "'NaN'", "0.1"]),
    (
        1082,
        "date",
        &[
            "'2024-02-29'",
            "'1999-12-31'",
            "'0001-01-01'",
            "'0044-03-15 BC'",
            "'infinity'",
            "'12345-06-07'",
        ],
    ),
    (
        1114,
        "timestamp",
        &[
            "'2024-02-29 23:59:59.123456'",
            "'1969-12-31 00:00:00.5'",
            "'4713-01-01 12:00 BC'",
            "'-infinity'",
        ],
    ),
    (
        1184,
        "timestamptz",
        &[
            "'2024-07-01 12:34:56+02'",
            "'2000-01-01 00:00:00.000001+00'",
        ],
    ),
    (
        1700,
        "numeric",
        &[
            "0",
            "0.00",
            "1",
            "-1.50",
            "123456789.000100",
            "0.00001",
            "-0.0005",
            "10000",
            "100000000",
            "1e20",
            "'NaN'",
            "'Infinity'",
            "12345678901234567890.123456789",
            "9999.9999",
            "0.1",
            "1e-20",
        ],
    ),
    (2950, "uuid", &["'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"]),
    (3802, "jsonb", &["'{\"a\": [1, null]}'"]),
];

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).expect("hex"), 16).expect("hex"))
        .collect()
}

#[tokio::test]
async fn binary_values_read_like_text_values() {
    let server = Server::shared();
    let mut wire = Wire::tcp(server.addr(), "postgres").await;
    wire.run("set timezone = 'UTC'").await;
    for (oid, name, values) in VALUES {
        let send = match name {
            "oid" | "int2" | "int4" | "int8" | "float8" | "bool" | "bytea" => format!("{name}send"),
            _ => format!("{name}_send"),
        };
        for value in values {
            let text = cell(&wire.run(&format!("select (({value})::{name})::text")).await);
            let text = match text.as_str() {
                "true" => "t",
                "false" => "f",
                _ => &text,
            };
            let hex = cell(
                &wire
                    .run(&format!("select encode({send}(({value})::{name}), 'hex')"))
                    .await,
            );
            let param = Param {
                value: Some(Bytes::from(unhex(&hex))),
                format: 1,
                oid,
            };
            assert_eq!(param.text().as_deref(), Some(text), "{value}::{name}");
        }
    }
}

#[test]
fn null_unknown_and_broken_values() {
    let param = |value: Option<&'static [u8]>, format, oid| {
        Param {
            value: value.map(Bytes::from_static),
            format,
            oid,
        }
        .text()
    };
    assert_eq!(param(None, 1, 23), None);
    assert_eq!(param(Some(b"\x01\x02"), 1, 600), Some("\\x0102".to_owned()));
    assert_eq!(param(Some(b"\x01\x02"), 1, 23), Some("\\x0102".to_owned()));
    assert_eq!(param(Some(b"anything"), 0, 0), Some("anything".to_owned()));
}
