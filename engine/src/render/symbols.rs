//! The dictionary of what repeats: property keys, types, ids and short values are kept once and named by a number.
//!
//! Reading takes no lock at all; finding a known text takes a shared one.
//! It only grows, up to a bound in bytes; past the bound texts are kept where they stand. Nothing depends on whether a
//! text is in here; only memory does.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};
use parking_lot::RwLock;

use crate::model::Text;

/// Longer texts rarely repeat and are never kept here. It is also what a `Text` holds without an allocation.
const LONGEST: usize = 24;

/// A text that may be unique to somebody enters when it was seen this often.
const SIGHTINGS: u8 = 3;

/// How many counters the door has; a collision only lets a text in early.
const DOOR: usize = 1 << 15;

/// Bytes that an entry costs beside its text: the value, the index, the slack of the vector.
const ENTRY_BYTES: usize = 48;

/// The keys of one set of properties, in order.
pub(crate) type Shape = Box<[Text]>;

/// The dictionary. Its lock is held for a look-up, never across a call.
pub(crate) struct Symbols {
    texts: boxcar::Vec<Text>,
    shapes: boxcar::Vec<Shape>,
    index: RwLock<Index>,
    hasher: DefaultHashBuilder,
    limit: usize,
}

struct Index {
    texts: HashTable<u32>,
    shapes: HashTable<u32>,
    door: Box<[u8]>,
    /// Sightings since the counters were halved.
    seen: usize,
    bytes: usize,
}

impl Symbols {
    /// An empty dictionary that stops growing at about `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        let index =
            Index { texts: HashTable::new(), shapes: HashTable::new(), door: vec![0; DOOR].into(), seen: 0, bytes: 0 };
        Self {
            texts: boxcar::Vec::new(),
            shapes: boxcar::Vec::new(),
            index: RwLock::new(index),
            hasher: DefaultHashBuilder::default(),
            limit,
        }
    }

    /// The text under a number.
    pub(crate) fn text(&self, symbol: u64) -> &str {
        &self.texts[symbol as usize]
    }

    /// The keys under a number.
    pub(crate) fn shape(&self, symbol: u64) -> &[Text] {
        &self.shapes[symbol as usize]
    }

    /// The number of a text that is sure to repeat, such as a type or a property key.
    pub(crate) fn intern(&self, text: &str) -> Option<u32> {
        self.find_or_add(text, 1)
    }

    /// The number of a text that may or may not repeat: it enters when it was seen a few times.
    pub(crate) fn notice(&self, text: &str) -> Option<u32> {
        self.find_or_add(text, SIGHTINGS)
    }

    fn find_or_add(&self, text: &str, sightings: u8) -> Option<u32> {
        if text.len() > LONGEST {
            return None;
        }
        let hash = self.hasher.hash_one(text);
        let find = |index: &Index| index.texts.find(hash, |at| self.texts[*at as usize] == text).copied();
        if let Some(known) = find(&self.index.read()) {
            return Some(known);
        }
        let mut index = self.index.write();
        if let Some(known) = find(&index) {
            return Some(known);
        }
        if index.bytes >= self.limit || !index.admits(hash, sightings) {
            return None;
        }
        let at = u32::try_from(self.texts.push(text.into())).ok()?;
        index.bytes += ENTRY_BYTES;
        index.texts.insert_unique(hash, at, |at| self.hasher.hash_one(self.texts[*at as usize].as_str()));
        Some(at)
    }

    /// The number of a list of keys.
    pub(crate) fn intern_shape<'a>(&self, keys: impl Iterator<Item = &'a Text> + Clone) -> Option<u32> {
        let hash = self.shape_hash(keys.clone());
        let same = |at: &u32| self.shapes[*at as usize].iter().eq(keys.clone());
        if let Some(known) = self.index.read().shapes.find(hash, same) {
            return Some(*known);
        }
        let mut index = self.index.write();
        if let Some(known) = index.shapes.find(hash, same) {
            return Some(*known);
        }
        if !index.admits(hash, SIGHTINGS) {
            return None;
        }
        let shape: Shape = keys.cloned().collect();
        let bytes = ENTRY_BYTES + shape.iter().map(|key| size_of::<Text>() + key.len()).sum::<usize>();
        if index.bytes + bytes > self.limit {
            return None;
        }
        let at = u32::try_from(self.shapes.push(shape)).ok()?;
        index.bytes += bytes;
        index.shapes.insert_unique(hash, at, |at| self.shape_hash(self.shapes[*at as usize].iter()));
        Some(at)
    }

    fn shape_hash<'a>(&self, keys: impl Iterator<Item = &'a Text>) -> u64 {
        keys.fold(0, |hash, key| self.hasher.hash_one((hash, key.as_str())))
    }

    /// About how many bytes the dictionary holds.
    pub(crate) fn bytes(&self) -> usize {
        self.index.read().bytes
    }
}

impl Index {
    fn admits(&mut self, hash: u64, sightings: u8) -> bool {
        if sightings <= 1 {
            return true;
        }
        self.seen += 1;
        if self.seen > DOOR {
            // Old sightings count less, so that rare texts do not all get in in the end.
            self.seen = 0;
            self.door.iter_mut().for_each(|counter| *counter /= 2);
        }
        let counter = &mut self.door[(hash >> 20) as usize % DOOR];
        *counter = counter.saturating_add(1);
        *counter >= sightings
    }
}

impl std::fmt::Debug for Symbols {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Symbols").field("texts", &self.texts.count()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_enters_when_it_was_seen_a_few_times() {
        let symbols = Symbols::new(1 << 20);
        assert_eq!(symbols.notice("todo-1"), None);
        assert_eq!(symbols.notice("todo-1"), None);
        let symbol = symbols.notice("todo-1").unwrap();
        assert_eq!(symbols.text(symbol.into()), "todo-1");
        assert_eq!(symbols.notice("todo-1"), Some(symbol));
    }

    #[test]
    fn a_full_dictionary_refuses_and_goes_on() {
        let symbols = Symbols::new(ENTRY_BYTES * 2);
        assert!(symbols.intern("a").is_some());
        assert!(symbols.intern("b").is_some());
        assert_eq!(symbols.intern("c"), None);
        assert!(symbols.intern("a").is_some());
    }

    #[test]
    fn equal_key_lists_have_one_number() {
        let symbols = Symbols::new(1 << 20);
        let keys = [Text::from("title"), Text::from("done")];
        assert_eq!(symbols.intern_shape(keys.iter()), None, "one sighting says nothing");
        symbols.intern_shape(keys.iter());
        let first = symbols.intern_shape(keys.iter()).unwrap();
        assert_eq!(symbols.intern_shape(keys.iter()), Some(first));
        assert_eq!(symbols.shape(first.into()), keys);
    }
}
