//! What is kept in a room, by key.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use serde_json::Value;

use super::policy::{Invalid, check};
use crate::model::Text;
use crate::model::bounded_json;
use crate::model::id;
use crate::model::nesting::{DATA_LEVELS, is_shallow};

/// What is kept in a room: a pure type. Each write gets a number, which is the version of its entry and is never given
/// again, so that an entry which was removed and written anew is another one.
///
/// | step | an entry with the key | none |
/// |---|---|---|
/// | `put` | replaced, if it is the expected one and what results fits | added, if none is expected and it fits |
/// | `delete` | removed, if it is the expected one | refused |
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    /// In the order of the keys' bytes.
    entries: BTreeMap<Text, Entry>,
    /// The bytes of all keys and values.
    bytes: usize,
    /// The number of the latest write.
    version: u64,
}

/// What is kept under one key. The text is shared, so that whoever reads it holds no lock for long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// JSON.
    pub(crate) value: Arc<str>,
    pub(crate) version: u64,
}

/// What is to be kept, checked and encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewEntry {
    key: Text,
    value: Arc<str>,
}

/// How much may be kept in one room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MemoryBounds {
    pub(crate) keys: usize,
    pub(crate) bytes: usize,
}

/// Which entry there must be for a write to take place: compare and set. It is about the room's own entry, whatever it
/// inherits under the same key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Expected {
    /// Any, or none.
    #[default]
    Anything,
    /// None.
    Nothing,
    /// Any.
    Something,
    /// That with this version. 0 is the version of what is not there, or is inherited.
    Version(u64),
}

/// Why a step was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotKept {
    /// The room has ended.
    Ended,
    /// There are as many keys as may be.
    Keys,
    /// There are as many bytes as may be.
    Bytes,
    /// There is no entry.
    Unknown,
    /// There is another entry than was expected.
    Unexpected,
    /// The attempt at a run that writes counts no more.
    Stale,
}

/// How long a key may be, in bytes.
const KEY_BYTES: usize = 256;

/// How many levels there are between a message and the value of an entry.
const AROUND_LEVELS: usize = 4;

/// # Errors
/// A sentence about what is wrong with a key. It is the id of a node as well.
pub(crate) fn check_key(key: &str) -> Result<(), Invalid> {
    check(key.len() <= KEY_BYTES, || format!("a key must have at most {KEY_BYTES} bytes"))?;
    check(!key.contains(char::is_control), || "a key must not contain control characters".to_owned())?;
    id::check(key).map_err(|why| Invalid(format!("`key` cannot be used: {why}")))
}

/// Whether a key and a value may be kept where there is nothing else.
pub(crate) fn fits(key: &str, value: &Value, max_bytes: usize) -> bool {
    let left = max_bytes.checked_sub(key.len());
    key.len() <= KEY_BYTES && left.is_some_and(|left| bounded_json::fits(value, left))
}

impl NewEntry {
    /// # Errors
    /// A sentence about what is wrong with the key or the value.
    pub(crate) fn new(key: &str, value: &Value, bounds: MemoryBounds) -> Result<Self, Invalid> {
        check_key(key)?;
        check(is_shallow(value, DATA_LEVELS - AROUND_LEVELS), || "`value` is nested too deeply".to_owned())?;
        let too_long = |_| Invalid(format!("a key and its value must have at most {} bytes", bounds.bytes));
        let value = bounded_json::write(value, bounds.bytes.saturating_sub(key.len())).map_err(too_long)?;
        Ok(Self { key: key.into(), value: value.into() })
    }

    pub(crate) const fn key(&self) -> &Text {
        &self.key
    }

    fn bytes(&self) -> usize {
        self.key.len() + self.value.len()
    }
}

impl Expected {
    /// Whether an entry with this version may be replaced or removed.
    fn allows(self, version: Option<u64>) -> bool {
        match self {
            Self::Anything => true,
            Self::Nothing | Self::Version(0) => version.is_none(),
            Self::Something => version.is_some(),
            Self::Version(expected) => version == Some(expected),
        }
    }
}

impl Memory {
    /// What an earlier engine has kept, whose latest write had this number.
    pub(crate) fn recovered(entries: BTreeMap<Text, Entry>, version: u64) -> Self {
        let bytes = entries.iter().map(|(key, entry)| key.len() + entry.value.len()).sum();
        let version = entries.values().map(|entry| entry.version).fold(version, u64::max);
        let memory = Self { entries, bytes, version };
        memory.validate();
        memory
    }

    /// The number of the latest write.
    pub(crate) const fn version(&self) -> u64 {
        self.version
    }

    /// The bytes of all keys and values.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.get(key)
    }

    /// All entries, in the order of the keys' bytes.
    pub(crate) fn all(&self) -> impl ExactSizeIterator<Item = (&Text, &Entry)> {
        self.entries.iter()
    }

    /// The entries whose keys begin with a prefix and follow another key, in order.
    pub(crate) fn range(&self, prefix: &str, after: Option<&str>) -> impl Iterator<Item = (&Text, &Entry)> {
        let from = match after.filter(|after| *after >= prefix) {
            Some(after) => Bound::Excluded(after),
            None => Bound::Included(prefix),
        };
        self.entries.range::<str, _>((from, Bound::Unbounded)).take_while(move |(key, _)| key.starts_with(prefix))
    }

    /// Keeps something. Returns its version.
    pub(crate) fn put(&mut self, new: NewEntry, expected: Expected, bounds: MemoryBounds) -> Result<u64, NotKept> {
        let held = self.entries.get(&new.key);
        if !expected.allows(held.map(|held| held.version)) {
            return Err(NotKept::Unexpected);
        }
        if held.is_none() && self.entries.len() >= bounds.keys {
            return Err(NotKept::Keys);
        }
        let replaced = held.map_or(0, |held| new.key.len() + held.value.len());
        let bytes = self.bytes - replaced + new.bytes();
        // Less than before is always possible: the bounds may have been others when it was written.
        if bytes > bounds.bytes && bytes > self.bytes {
            return Err(NotKept::Bytes);
        }
        self.bytes = bytes;
        self.version += 1;
        let NewEntry { key, value } = new;
        self.entries.insert(key, Entry { value, version: self.version });
        self.validate();
        Ok(self.version)
    }

    /// Removes an entry.
    pub(crate) fn delete(&mut self, key: &str, expected: Expected) -> Result<(), NotKept> {
        let held = self.entries.get(key);
        if !expected.allows(held.map(|held| held.version)) {
            return Err(NotKept::Unexpected);
        }
        let held = self.entries.remove(key).ok_or(NotKept::Unknown)?;
        self.bytes -= key.len() + held.value.len();
        self.version += 1;
        self.validate();
        Ok(())
    }

    /// Checks what holds after every step.
    fn validate(&self) {
        if !cfg!(debug_assertions) {
            return;
        }
        let bytes: usize = self.entries.iter().map(|(key, entry)| key.len() + entry.value.len()).sum();
        assert_eq!(self.bytes, bytes, "the bytes are counted");
        let mut versions: Vec<_> = self.entries.values().map(|entry| entry.version).collect();
        versions.sort_unstable();
        versions.dedup();
        assert_eq!(versions.len(), self.entries.len(), "no two entries have the same version");
        assert!(versions.iter().all(|version| (1..=self.version).contains(version)), "versions are given in order");
        assert!(self.entries.keys().all(|key| check_key(key).is_ok()), "every key can be the id of a node");
    }
}

#[cfg(test)]
mod tests;
