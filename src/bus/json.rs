//! msgpack of Node servers as JSON text: the same text that their clients would be sent.
//! Used by the adapter's frames; it never keeps what it reads.

use std::fmt::Write;

use chrono::{DateTime, SecondsFormat};
use rmpv::ValueRef;

use super::Garbage;

/// Deeper than anything an application sends, and far from any stack's end.
pub const MAX_DEPTH: usize = 96;

/// What becomes of binary data, which JSON has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    Refused,
    /// It stands as `null`.
    Dropped,
}

/// Reads one value, which is all that there is.
///
/// # Errors
/// [`Garbage::TooDeep`] or [`Garbage::Malformed`].
pub fn read(bytes: &[u8]) -> Result<ValueRef<'_>, Garbage> {
    let mut rest = bytes;
    let value = rmpv::decode::read_value_ref_with_max_depth(&mut rest, MAX_DEPTH).map_err(|error| match error {
        rmpv::decode::Error::DepthLimitExceeded => Garbage::TooDeep,
        _ => Garbage::Malformed,
    })?;
    if rest.is_empty() { Ok(value) } else { Err(Garbage::Malformed) }
}

/// # Errors
/// [`Garbage::Binary`] where there is some and it is refused; [`Garbage::Malformed`] for text that is no UTF-8.
pub fn text(value: &ValueRef<'_>, binary: Binary) -> Result<String, Garbage> {
    let mut out = String::new();
    write_value(&mut out, value, binary)?;
    Ok(out)
}

fn write_value(out: &mut String, value: &ValueRef<'_>, binary: Binary) -> Result<(), Garbage> {
    match value {
        ValueRef::Boolean(flag) => out.push_str(if *flag { "true" } else { "false" }),
        ValueRef::Integer(number) => write!(out, "{number}").map_err(|_| Garbage::Malformed)?,
        ValueRef::F32(number) => write_number(out, f64::from(*number)),
        ValueRef::F64(number) => write_number(out, *number),
        ValueRef::String(text) => write_text(out, text.as_str().ok_or(Garbage::Malformed)?),
        ValueRef::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_value(out, item, binary)?;
            }
            out.push(']');
        }
        ValueRef::Map(members) => write_members(out, members, binary)?,
        ValueRef::Binary(_) if binary == Binary::Refused => return Err(Garbage::Binary),
        ValueRef::Nil | ValueRef::Binary(_) => out.push_str("null"),
        ValueRef::Ext(kind, data) => write_extension(out, *kind, data),
    }
    Ok(())
}

fn write_members(out: &mut String, members: &[(ValueRef<'_>, ValueRef<'_>)], binary: Binary) -> Result<(), Garbage> {
    out.push('{');
    let mut first = true;
    for (name, value) in members {
        // As in JavaScript: a member that is undefined is not there.
        if is_undefined(value) {
            continue;
        }
        let ValueRef::String(name) = name else { return Err(Garbage::Malformed) };
        if !std::mem::replace(&mut first, false) {
            out.push(',');
        }
        write_text(out, name.as_str().ok_or(Garbage::Malformed)?);
        out.push(':');
        write_value(out, value, binary)?;
    }
    out.push('}');
    Ok(())
}

/// notepack.io 2 and 3 write `undefined` as an extension of type 0 with one zero byte.
fn is_undefined(value: &ValueRef<'_>) -> bool {
    matches!(value, ValueRef::Ext(0, [0]))
}

/// notepack.io writes a date as an extension of type 0 with eight bytes, ms since 1970, and newer ones as
/// msgpack's own timestamp, type -1. What else there may be has no form in JSON.
fn write_extension(out: &mut String, kind: i8, data: &[u8]) {
    let time = match (kind, data) {
        (0, data) => data.try_into().ok().map(i64::from_be_bytes).and_then(DateTime::from_timestamp_millis),
        (-1, data) => timestamp(data),
        _ => None,
    };
    match time {
        Some(time) => write_text(out, &time.to_rfc3339_opts(SecondsFormat::Millis, true)),
        None => out.push_str("null"),
    }
}

fn timestamp(data: &[u8]) -> Option<DateTime<chrono::Utc>> {
    if let Ok(seconds) = <[u8; 4]>::try_from(data) {
        return DateTime::from_timestamp(u32::from_be_bytes(seconds).into(), 0);
    }
    if let Ok(both) = <[u8; 8]>::try_from(data) {
        let both = u64::from_be_bytes(both);
        return DateTime::from_timestamp(i64::try_from(both & 0x3_ffff_ffff).ok()?, u32::try_from(both >> 34).ok()?);
    }
    let (nanos, seconds) = data.split_first_chunk::<4>()?;
    DateTime::from_timestamp(i64::from_be_bytes(seconds.try_into().ok()?), u32::from_be_bytes(*nanos))
}

fn write_number(out: &mut String, number: f64) {
    let text = match serde_json::Number::from_f64(number) {
        // As JavaScript writes it: no fraction where there is none.
        Some(_) if number.fract() == 0.0 && number.abs() < 9e15 => format!("{number:.0}"),
        Some(number) => number.to_string(),
        None => "null".to_owned(),
    };
    out.push_str(&text);
}

fn write_text(out: &mut String, text: &str) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rmpv::Value;

    use super::*;

    fn json(value: Value) -> Result<String, Garbage> {
        let mut bytes = Vec::new();
        rmpv::encode::write_value(&mut bytes, &value).unwrap();
        text(&read(&bytes)?, Binary::Refused)
    }

    #[test]
    fn as_javascript_would_write_it() {
        let members = vec![
            (Value::from("z"), Value::from(1)),
            (Value::from("gone"), Value::Ext(0, vec![0])),
            (Value::from("a"), Value::from(vec![Value::from(1.5), Value::from(2.0), Value::Ext(0, vec![0])])),
            (Value::from("at"), Value::Ext(0, 86_400_000_i64.to_be_bytes().to_vec())),
            (Value::from("quote\""), Value::from(f64::NAN)),
        ];
        let expected = r#"{"z":1,"a":[1.5,2,null],"at":"1970-01-02T00:00:00.000Z","quote\"":null}"#;
        assert_eq!(json(Value::Map(members)).unwrap(), expected);
        assert_eq!(json(Value::Binary(vec![1])).unwrap_err(), Garbage::Binary);
        let deep = (0..MAX_DEPTH + 5).fold(Value::Nil, |inner, _| Value::Array(vec![inner]));
        assert_eq!(json(deep).unwrap_err(), Garbage::TooDeep);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_give_json_or_nothing(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(text) = read(&bytes).and_then(|value| text(&value, Binary::Dropped)) {
                prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{}", text);
            }
        }
    }
}
