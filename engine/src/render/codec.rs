//! The bytes of a packed node: varints, and strings that are either inline or a symbol.
//!
//! ```text
//! node     length body
//! body     template id values? meta? actions? content? children?
//! template symbol*2+1, and then the template says what there is; or fields*2 kind
//! values   length value*; without a known template: count length (key value)*
//! meta     length packed, if the template does not hold it
//! actions  link                                   a list of actions
//! content  string                                 JSON
//! children count node*; or count link*            in runs of their own
//! ```
//!
//! Only [`pack`](super::pack) writes them and only [`node_ref`](super::node_ref) reads them.

pub(crate) mod meta;
pub(crate) mod value;

use super::symbols::Symbols;

/// Which fields a node has.
pub(crate) mod field {
    pub(crate) const PROPS: u8 = 1;
    pub(crate) const META: u8 = 2;
    pub(crate) const ACTIONS: u8 = 4;
    pub(crate) const CONTENT: u8 = 8;
    pub(crate) const CHILDREN: u8 = 16;
    /// The children stand in runs of their own.
    pub(crate) const RUNS: u8 = 32;
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
    // What is negative, too large or not a number comes out as another number, which its bits show.
    let thousandths = (number * 1000.0).round() as u64;
    if (thousandths as f64 / 1000.0).to_bits() == number.to_bits() && thousandths < 1 << 32 {
        put_varint(out, thousandths << 1 | 1);
    } else {
        put_varint(out, 0);
        out.extend_from_slice(&number.to_bits().to_le_bytes());
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

    #[inline]
    pub(crate) fn byte(&mut self) -> u8 {
        let byte = self.bytes[0];
        self.bytes = &self.bytes[1..];
        byte
    }

    #[inline]
    pub(crate) fn take(&mut self, count: usize) -> &'a [u8] {
        let (head, tail) = self.bytes.split_at(count);
        self.bytes = tail;
        head
    }

    #[inline]
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

    /// A fraction as its bits.
    pub(crate) fn float(&mut self) -> f64 {
        let bytes = self.take(8).try_into().expect("eight bytes were taken");
        f64::from_bits(u64::from_le_bytes(bytes))
    }

    pub(crate) fn fraction(&mut self) -> f64 {
        let header = self.varint();
        if header & 1 == 1 { (header >> 1) as f64 / 1000.0 } else { self.float() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
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
}
