//! The bytes of a packed node: varints, texts that are either inline or a symbol, and values with a tag.
//!
//! ```text
//! node     length body
//! body     form id values? meta? offers? content? children?
//! form     symbol*2+1, and then the form says what there is; or fields*2 kind
//! values   length value*; without a known form: count length (key value)*
//! meta     length packed, if the form does not hold it
//! offers   link                                   a list of actions
//! content  text                                   JSON
//! children count node*; or count link*            in runs of their own
//! ```
//!
//! Only [`pack`](super::pack) writes them and only [`node_ref`](super::node_ref) reads them.

use super::symbols::Symbols;
use crate::model::value::Value;

/// Which fields a node has.
pub(crate) mod field {
    pub(crate) const PROPS: u8 = 1;
    pub(crate) const META: u8 = 2;
    pub(crate) const OFFERS: u8 = 4;
    pub(crate) const CONTENT: u8 = 8;
    pub(crate) const CHILDREN: u8 = 16;
    /// The children stand in runs of their own.
    pub(crate) const RUNS: u8 = 32;
}

/// Which fields a `meta` has; a flag that is set has its value in the bit above.
pub(crate) mod meta_field {
    pub(crate) const SUMMARY: u64 = 1;
    pub(crate) const SALIENCE: u64 = 1 << 1;
    pub(crate) const PINNED: u64 = 1 << 2;
    pub(crate) const FOCUS: u64 = 1 << 4;
    pub(crate) const CHANGED: u64 = 1 << 6;
    pub(crate) const URGENCY: u64 = 1 << 8;
    pub(crate) const REASON: u64 = 1 << 9;
    pub(crate) const TOTAL: u64 = 1 << 10;
    pub(crate) const WINDOW: u64 = 1 << 11;
    pub(crate) const EXTRA: u64 = 1 << 12;
}

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
    /// Whether this is what an application gave.
    pub(crate) fn says(&self, value: &Value) -> bool {
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

pub(crate) fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

pub(crate) fn put_text(out: &mut Vec<u8>, symbol: Option<u32>, text: &str) {
    if let Some(symbol) = symbol {
        put_varint(out, u64::from(symbol) << 1 | 1);
    } else {
        put_varint(out, (text.len() as u64) << 1);
        out.extend_from_slice(text.as_bytes());
    }
}

/// A fraction between 0 and 1 is nearly always a few thousandths exactly, which fit two bytes.
pub(crate) fn put_fraction(out: &mut Vec<u8>, number: f64) {
    // What is negative, too large or not a number comes out as another number, and is told by its bits.
    let thousandths = (number * 1000.0).round() as u64;
    if (thousandths as f64 / 1000.0).to_bits() == number.to_bits() && thousandths < 1 << 32 {
        put_varint(out, thousandths << 1 | 1);
    } else {
        put_varint(out, 0);
        out.extend_from_slice(&number.to_bits().to_le_bytes());
    }
}

pub(crate) fn put_value(out: &mut Vec<u8>, symbols: &Symbols, value: &Value) {
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
fn put_tagged(out: &mut Vec<u8>, symbols: &Symbols, long: u8, short: u8, text: &str) {
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

/// Walks over the bytes of one block. What it reads was written by this process, so a wrong byte is a bug and panics.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    symbols: &'a Symbols,
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8], symbols: &'a Symbols) -> Self {
        Self { bytes, symbols }
    }

    pub(crate) const fn symbols(&self) -> &'a Symbols {
        self.symbols
    }

    /// What has not been read yet.
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let byte = self.bytes[0];
        self.bytes = &self.bytes[1..];
        byte
    }

    pub(crate) fn take(&mut self, count: usize) -> &'a [u8] {
        let (head, tail) = self.bytes.split_at(count);
        self.bytes = tail;
        head
    }

    pub(crate) fn varint(&mut self) -> u64 {
        let mut number = 0;
        for shift in (0..).step_by(7) {
            let byte = self.byte();
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        number
    }

    pub(crate) fn text(&mut self) -> &'a str {
        let header = self.varint();
        if header & 1 == 1 {
            self.symbols.text(header >> 1)
        } else {
            let bytes = self.take((header >> 1) as usize);
            std::str::from_utf8(bytes).expect("a packed text is UTF-8")
        }
    }

    fn short_symbol(&mut self, high: u8) -> &'a str {
        let low = self.byte();
        self.symbols.text(u64::from(high) << 8 | u64::from(low))
    }

    fn float(&mut self) -> f64 {
        let bytes = self.take(8).try_into().expect("eight bytes were taken");
        f64::from_bits(u64::from_le_bytes(bytes))
    }

    pub(crate) fn fraction(&mut self) -> f64 {
        let header = self.varint();
        if header & 1 == 1 { (header >> 1) as f64 / 1000.0 } else { self.float() }
    }

    pub(crate) fn value(&mut self) -> ValueRef<'a> {
        match self.byte() {
            tag::NULL => ValueRef::Null,
            tag::FALSE => ValueRef::Bool(false),
            tag::TRUE => ValueRef::Bool(true),
            tag::INT => {
                let zigzag = self.varint();
                ValueRef::Int((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64))
            }
            tag::UINT => ValueRef::Uint(self.varint()),
            tag::FLOAT => ValueRef::Float(self.float()),
            tag::TEXT => ValueRef::Text(self.text()),
            tag::JSON => ValueRef::Json(self.text()),
            short @ tag::SHORT_TEXT..tag::SHORT_JSON => ValueRef::Text(self.short_symbol(short - tag::SHORT_TEXT)),
            short @ tag::SHORT_JSON..tag::SMALL => ValueRef::Json(self.short_symbol(short - tag::SHORT_JSON)),
            small => ValueRef::Int(i64::from(small - tag::SMALL)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_back(value: &Value) -> String {
        let symbols = Symbols::new(1 << 16);
        let mut out = Vec::new();
        put_value(&mut out, &symbols, value);
        let mut reader = Reader::new(&out, &symbols);
        let text = format!("{:?}", reader.value());
        assert!(reader.bytes.is_empty());
        text
    }

    proptest! {
        #[test]
        fn every_integer_reads_back(number: i64) {
            prop_assert_eq!(read_back(&Value::Int(number)), format!("Int({number})"));
        }

        #[test]
        fn every_fraction_reads_back_bit_for_bit(number: f64, thousandths in 0u32..2000) {
            let symbols = Symbols::new(1 << 16);
            for number in [number, f64::from(thousandths) / 1000.0] {
                let mut out = Vec::new();
                put_fraction(&mut out, number);
                prop_assert_eq!(Reader::new(&out, &symbols).fraction().to_bits(), number.to_bits());
            }
        }
    }

    #[test]
    fn a_text_reads_back_whatever_its_symbol_is() {
        let symbols = Symbols::new(1 << 20);
        assert!((0..2_000).all(|n| symbols.intern(&n.to_string()).is_some()));
        for n in [0, 255, 256, 1_023, 1_024, 1_999] {
            let mut out = Vec::new();
            put_value(&mut out, &symbols, &Value::Text(n.to_string().into()));
            put_value(&mut out, &symbols, &Value::of([n]));
            assert!(out.len() <= 3 + 2 + "[1999]".len(), "{out:?}");
            let mut reader = Reader::new(&out, &symbols);
            assert_eq!(reader.value(), ValueRef::Text(&n.to_string()));
            assert_eq!(reader.value(), ValueRef::Json(&format!("[{n}]")));
        }
    }

    #[test]
    fn a_small_number_is_one_byte() {
        let mut out = Vec::new();
        put_value(&mut out, &Symbols::new(0), &Value::Int(239));
        assert_eq!(out.len(), 1);
        assert_eq!(read_back(&Value::Int(240)), "Int(240)");
    }
}
