//! Values as text: parameters and cells, whichever format they travelled in.

use bytes::Bytes;

/// A parameter of a statement, as it was bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Param {
    /// The bytes; `None` is NULL.
    pub value: Option<Bytes>,
    /// 0 text, 1 binary.
    pub format: i16,
    /// Type, from Parse or from the ParameterDescription the client asked for; 0 when neither names it.
    pub oid: u32,
}

impl Param {
    /// The value in PostgreSQL's text form (`\x…` for binary values of other than the common types), `None` for NULL.
    pub fn text(&self) -> Option<String> {
        self.value
            .as_deref()
            .map(|value| decode(value, self.format, self.oid))
    }
}

/// Types of `pg_type.dat` whose binary form is known here.
mod oid {
    pub const BOOL: u32 = 16;
    pub const BYTEA: u32 = 17;
    pub const INT8: u32 = 20;
    pub const INT2: u32 = 21;
    pub const INT4: u32 = 23;
    pub const OID: u32 = 26;
    pub const XID: u32 = 28;
    pub const FLOAT4: u32 = 700;
    pub const FLOAT8: u32 = 701;
    pub const DATE: u32 = 1082;
    pub const TIMESTAMP: u32 = 1114;
    pub const TIMESTAMPTZ: u32 = 1184;
    pub const NUMERIC: u32 = 1700;
    pub const UUID: u32 = 2950;
    pub const JSONB: u32 = 3802;
    pub const XID8: u32 = 5069;
    /// "char", name, text, json, xml, unknown, bpchar, varchar: the text itself.
    pub const TEXTS: [u32; 8] = [18, 19, 25, 114, 142, 705, 1042, 1043];
}

/// A value as text.
pub(crate) fn decode(value: &[u8], format: i16, oid: u32) -> String {
    if format == 0 {
        return String::from_utf8_lossy(value).into_owned();
    }
    binary(value, oid).unwrap_or_else(|| hex(value))
}

fn hex(value: &[u8]) -> String {
    let mut text = String::with_capacity(2 + value.len() * 2);
    text.push_str("\\x");
    for byte in value {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(digit.into(), 16).unwrap_or('0'));
        }
    }
    text
}

fn binary(value: &[u8], oid: u32) -> Option<String> {
    let i64s = || value.try_into().map(i64::from_be_bytes).ok();
    let i32s = || value.try_into().map(i32::from_be_bytes).ok();
    let u32s = || value.try_into().map(u32::from_be_bytes).ok();
    Some(match oid {
        oid::BOOL => match value {
            [0] => "f".into(),
            [1] => "t".into(),
            _ => return None,
        },
        oid::BYTEA => hex(value),
        oid::INT2 => value.try_into().map(i16::from_be_bytes).ok()?.to_string(),
        oid::INT4 => i32s()?.to_string(),
        oid::INT8 => i64s()?.to_string(),
        oid::OID | oid::XID => u32s()?.to_string(),
        oid::XID8 => value.try_into().map(u64::from_be_bytes).ok()?.to_string(),
        oid::FLOAT4 => float(f32::from_bits(u32s()?).to_string()),
        oid::FLOAT8 => float(f64::from_be_bytes(value.try_into().ok()?).to_string()),
        oid::DATE => date(i32s()?),
        oid::TIMESTAMP => timestamp(i64s()?, ""),
        oid::TIMESTAMPTZ => timestamp(i64s()?, "+00"),
        oid::NUMERIC => numeric(value)?,
        oid::UUID => uuid(value)?,
        oid::JSONB => match value.split_first()? {
            (1, text) => std::str::from_utf8(text).ok()?.to_owned(),
            _ => return None,
        },
        text if oid::TEXTS.contains(&text) => std::str::from_utf8(value).ok()?.to_owned(),
        _ => return None,
    })
}

/// Rust writes `inf`, PostgreSQL `Infinity`.
fn float(text: String) -> String {
    match text.as_str() {
        "inf" => "Infinity".into(),
        "-inf" => "-Infinity".into(),
        _ => text,
    }
}

fn uuid(value: &[u8]) -> Option<String> {
    if value.len() != 16 {
        return None;
    }
    let mut text = hex(value).split_off(2);
    for at in [20, 16, 12, 8] {
        text.insert(at, '-');
    }
    Some(text)
}

/// Days from 1970-01-01 to 2000-01-01, PostgreSQL's day zero.
const EPOCH: i64 = 10_957;
const MICROS_A_DAY: i64 = 86_400_000_000;

fn date(days: i32) -> String {
    match days {
        i32::MAX => "infinity".into(),
        i32::MIN => "-infinity".into(),
        _ => {
            let (day, era) = calendar(days.into());
            day + era
        }
    }
}

fn timestamp(micros: i64, zone: &str) -> String {
    if micros == i64::MAX {
        return "infinity".into();
    }
    if micros == i64::MIN {
        return "-infinity".into();
    }
    let (day, era) = calendar(micros.div_euclid(MICROS_A_DAY));
    let rest = micros.rem_euclid(MICROS_A_DAY);
    let (seconds, fraction) = (rest / 1_000_000, rest % 1_000_000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let mut text = format!("{day} {hour:02}:{minute:02}:{second:02}");
    if fraction > 0 {
        text.push_str(format!(".{fraction:06}").trim_end_matches('0'));
    }
    text + zone + era
}

/// Year, month and day of a day counted from 2000-01-01 in the proleptic Gregorian calendar, and ` BC` where due.
///
/// The year is taken to begin in March, so that the leap day comes last and every month's start is linear.
fn calendar(days: i64) -> (String, &'static str) {
    let since = days + EPOCH + 719_468;
    let (era, day_of_era) = (since.div_euclid(146_097), since.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    if year > 0 {
        (format!("{year:04}-{month:02}-{day:02}"), "")
    } else {
        (format!("{:04}-{month:02}-{day:02}", 1 - year), " BC")
    }
}

/// Appends a digit in base 10000 with at least `width` decimal digits.
fn put(text: &mut String, digit: u16, width: usize) {
    let digits = digit.to_string();
    text.extend(std::iter::repeat_n('0', width.saturating_sub(digits.len())));
    text.push_str(&digits);
}

/// Digits in base 10000: count, weight of the first, sign, digits to show behind the point (`numeric_send`).
fn numeric(value: &[u8]) -> Option<String> {
    let words: Vec<u16> = value
        .chunks(2)
        .map(|pair| pair.try_into().ok().map(u16::from_be_bytes))
        .collect::<Option<_>>()?;
    let [count, weight, sign, scale, digits @ ..] = words.as_slice() else {
        return None;
    };
    if digits.len() != usize::from(*count)
        || digits.iter().any(|digit| *digit > 9999)
        || *scale > 0x3fff
    {
        return None;
    }
    let mut text = String::from(match sign {
        0 => "",
        0x4000 => "-",
        0xc000 => return Some("NaN".into()),
        0xd000 => return Some("Infinity".into()),
        0xf000 => return Some("-Infinity".into()),
        _ => return None,
    });
    let weight = i32::from(*weight as i16);
    let digit = |at: i32| {
        usize::try_from(at)
            .ok()
            .and_then(|at| digits.get(at))
            .copied()
            .unwrap_or(0)
    };
    if weight < 0 {
        text.push('0');
    }
    for at in 0..=weight {
        let width = if at == 0 { 1 } else { 4 };
        put(&mut text, digit(at), width);
    }
    if *scale > 0 {
        text.push('.');
        let end = text.len() + usize::from(*scale);
        for at in 0..i32::from(scale.div_ceil(4)) {
            put(&mut text, digit(weight + 1 + at), 4);
        }
        text.truncate(end);
    }
    Some(text)
}
