//! Property values as they stand in a packed node, each with a tag.

use std::hash::Hasher;

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::{Reader, put_text, put_varint};
use crate::model::value::Value;
use crate::render::symbols::Dictionary;

mod tag {
    pub(super) const NULL: u8 = 0;
    pub(super) const FALSE: u8 = 1;
    pub(super) const TRUE: u8 = 2;
    pub(super) const INT: u8 = 3;
    pub(super) const UINT: u8 = 4;
    pub(super) const FLOAT: u8 = 5;
    pub(super) const TEXT: u8 = 6;
    pub(super) const JSON: u8 = 7;
    /// From here on, four each: a symbol whose number is the two low bits of the tag and the byte behind it.
    pub(super) const SHORT_TEXT: u8 = 8;
    pub(super) const SHORT_JSON: u8 = 12;
    /// From here on the tag itself is a small integer.
    pub(super) const SMALL: u8 = 16;
}

/// A value as it stands in a packed node.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ValueRef<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    Text(&'a str),
    /// The text of an array or object.
    Json(&'a str),
}

/// Fractions are the same if they are the same bits, as they are for the hash by which equal content is found.
impl PartialEq for ValueRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (*self, *other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(mine), Self::Bool(theirs)) => mine == theirs,
            (Self::Int(mine), Self::Int(theirs)) => mine == theirs,
            (Self::Uint(mine), Self::Uint(theirs)) => mine == theirs,
            (Self::Float(mine), Self::Float(theirs)) => mine.to_bits() == theirs.to_bits(),
            (Self::Text(mine), Self::Text(theirs)) | (Self::Json(mine), Self::Json(theirs)) => mine == theirs,
            _ => false,
        }
    }
}

impl ValueRef<'_> {
    /// Whether this is the value that an application gave.
    pub(crate) fn is_same_as(&self, value: &Value) -> bool {
        match (*self, value) {
            (Self::Null, Value::Null) => true,
            (Self::Bool(mine), Value::Bool(theirs)) => mine == *theirs,
            (Self::Int(mine), Value::Int(theirs)) => mine == *theirs,
            (Self::Uint(mine), Value::Uint(theirs)) => mine == *theirs,
            (Self::Float(mine), Value::Float(theirs)) => mine.to_bits() == theirs.to_bits(),
            (Self::Text(mine), Value::Text(theirs)) => mine == theirs,
            (Self::Json(mine), Value::Json(theirs)) => mine == theirs.as_str(),
            _ => false,
        }
    }
}

impl<'a> ValueRef<'a> {
    /// Reads the next value.
    pub(crate) fn read(reader: &mut Reader<'a>) -> Self {
        match reader.byte() {
            tag::NULL => Self::Null,
            tag::FALSE => Self::Bool(false),
            tag::TRUE => Self::Bool(true),
            tag::INT => {
                let zigzag = reader.varint();
                Self::Int((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64))
            }
            tag::UINT => Self::Uint(reader.varint()),
            tag::FLOAT => Self::Float(reader.float()),
            tag::TEXT => Self::Text(reader.text()),
            tag::JSON => Self::Json(reader.text()),
            short @ tag::SHORT_TEXT..tag::SHORT_JSON => Self::Text(short_symbol(reader, short - tag::SHORT_TEXT)),
            short @ tag::SHORT_JSON..tag::SMALL => Self::Json(short_symbol(reader, short - tag::SHORT_JSON)),
            small => Self::Int(i64::from(small - tag::SMALL)),
        }
    }
}

fn short_symbol<'a>(reader: &mut Reader<'a>, high: u8) -> &'a str {
    let low = reader.byte();
    reader.symbols().text(u64::from(high) << 8 | u64::from(low))
}

impl Serialize for ValueRef<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(flag) => serializer.serialize_bool(*flag),
            Self::Int(number) => serializer.serialize_i64(*number),
            Self::Uint(number) => serializer.serialize_u64(*number),
            Self::Float(number) => serializer.serialize_f64(*number),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Json(text) => raw(text).serialize(serializer),
        }
    }
}

/// Packed JSON text, to be written as it is.
pub(crate) fn raw(text: &str) -> &RawValue {
    serde_json::from_str(text).expect("packed JSON is JSON")
}

/// The part of a content hash that a value is, whatever its bytes are.
pub(crate) fn hash_value(hasher: &mut impl Hasher, value: &Value) {
    match value {
        Value::Null => hasher.write_u8(0),
        Value::Bool(flag) => hasher.write_u8(1 + u8::from(*flag)),
        Value::Int(number) => hasher.write_i64(*number),
        Value::Uint(number) => hasher.write_u64(*number),
        Value::Float(number) => hasher.write_u64(number.to_bits()),
        Value::Text(text) => {
            hasher.write(text.as_bytes());
            hasher.write_u8(0xff);
        }
        Value::Json(json) => {
            hasher.write(json.as_str().as_bytes());
            hasher.write_u8(0xfe);
        }
    }
}

pub(crate) fn put_value(out: &mut Vec<u8>, symbols: Dictionary<'_>, value: &Value) {
    match value {
        Value::Null => out.push(tag::NULL),
        Value::Bool(false) => out.push(tag::FALSE),
        Value::Bool(true) => out.push(tag::TRUE),
        Value::Int(number) => put_int(out, *number),
        Value::Uint(number) => {
            out.push(tag::UINT);
            put_varint(out, *number);
        }
        Value::Float(number) => {
            out.push(tag::FLOAT);
            out.extend_from_slice(&number.to_bits().to_le_bytes());
        }
        Value::Text(text) => put_tagged(out, symbols, tag::TEXT, tag::SHORT_TEXT, text),
        Value::Json(json) => put_tagged(out, symbols, tag::JSON, tag::SHORT_JSON, json.as_str()),
    }
}

/// The first thousand symbols, which are the most frequent values, take two bytes with their tag.
fn put_tagged(out: &mut Vec<u8>, symbols: Dictionary<'_>, long: u8, short: u8, text: &str) {
    match symbols.notice(text) {
        Some(symbol) if symbol >> 8 < 4 => out.extend([short + (symbol >> 8) as u8, symbol as u8]),
        symbol => {
            out.push(long);
            put_text(out, symbol, text);
        }
    }
}

fn put_int(out: &mut Vec<u8>, number: i64) {
    match u8::try_from(number).ok().and_then(|small| small.checked_add(tag::SMALL)) {
        Some(small) => out.push(small),
        None => {
            out.push(tag::INT);
            put_varint(out, (number << 1 ^ number >> 63) as u64);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::render::symbols::Symbols;

    fn read_back(value: &Value) -> String {
        let symbols = Symbols::new(1 << 16);
        let mut out = Vec::new();
        put_value(&mut out, symbols.for_packing(true), value);
        let mut reader = Reader::new(&out, &symbols);
        let text = format!("{:?}", ValueRef::read(&mut reader));
        assert!(reader.rest().is_empty());
        text
    }

    proptest! {
        #[test]
        fn every_integer_reads_back(number: i64) {
            prop_assert_eq!(read_back(&Value::Int(number)), format!("Int({number})"));
        }
    }

    #[test]
    fn a_text_reads_back_whatever_its_symbol_is() {
        let symbols = Symbols::new(1 << 20);
        assert!((0..2_000).all(|n| symbols.for_packing(true).intern(&n.to_string()).is_some()));
        for n in [0, 255, 256, 1_023, 1_024, 1_999] {
            let mut out = Vec::new();
            put_value(&mut out, symbols.for_packing(true), &Value::Text(n.to_string().into()));
            put_value(&mut out, symbols.for_packing(true), &Value::of([n]));
            assert!(out.len() <= 3 + 2 + "[1999]".len(), "{out:?}");
            let mut reader = Reader::new(&out, &symbols);
            assert_eq!(ValueRef::read(&mut reader), ValueRef::Text(&n.to_string()));
            assert_eq!(ValueRef::read(&mut reader), ValueRef::Json(&format!("[{n}]")));
        }
    }

    #[test]
    fn a_small_number_is_one_byte() {
        let mut out = Vec::new();
        put_value(&mut out, Symbols::new(0).for_packing(true), &Value::Int(239));
        assert_eq!(out.len(), 1);
        assert_eq!(read_back(&Value::Int(240)), "Int(240)");
    }
}
