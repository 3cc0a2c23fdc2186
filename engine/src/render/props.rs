//! Reading the properties of a packed node.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::codec::Reader;
use super::codec::value::ValueRef;
use super::template::Template;
use crate::model::Text;

/// The properties of a node.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Props<'a> {
    count: usize,
    /// Absent if each value follows its key.
    keys: Option<&'a [Text]>,
    entries: Reader<'a>,
}

impl<'a> Props<'a> {
    /// Finds the properties of a node and moves the reader past them.
    pub(super) fn take(reader: &mut Reader<'a>, template: Option<&'a Template>) -> Self {
        let keys = template.map(|template| &*template.keys);
        let count = keys.map_or_else(|| reader.varint() as usize, <[Text]>::len);
        let length = reader.varint() as usize;
        let entries = Reader::new(reader.take(length), reader.symbols());
        Self { count, keys, entries }
    }

    /// Whether both are equal, in the same order. The same bytes under the same keys are, at almost no cost.
    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        let same_symbols = std::ptr::eq(self.entries.symbols(), other.entries.symbols());
        let same_bytes = same_symbols && self.has_same_keys(other) && self.entries.rest() == other.entries.rest();
        self.count == other.count && (same_bytes || self.iter().eq(other.iter()))
    }

    /// Whether both surely have the same keys in the same order, or each holds its own.
    fn has_same_keys(&self, other: &Self) -> bool {
        match (self.keys, other.keys) {
            (Some(mine), Some(theirs)) => std::ptr::eq(mine, theirs),
            (None, None) => true,
            _ => false,
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.count
    }

    /// Keys and values in declaration order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'a str, ValueRef<'a>)> + use<'a> {
        let (keys, mut entries) = (self.keys, self.entries);
        (0..self.count).map(move |at| {
            let key = keys.map_or_else(|| entries.text(), |keys| keys[at].as_str());
            (key, ValueRef::read(&mut entries))
        })
    }
}

impl Serialize for Props<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.count))?;
        for (key, value) in self.iter() {
            map.serialize_entry(key, &value)?;
        }
        map.end()
    }
}
