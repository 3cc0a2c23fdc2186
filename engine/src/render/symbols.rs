//! The dictionary of what repeats: forms of nodes, types, ids and short values are kept once and named by a number.
//!
//! Reading takes no lock at all; finding a known text takes a shared one.
//! It only grows, up to a bound in bytes; past the bound texts are kept where they stand. Nothing depends on whether a
//! text is in here; only memory does.

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use hashbrown::{DefaultHashBuilder, HashTable};
use parking_lot::RwLock;

use super::form::{Form, Wanted, find_hash};
use crate::model::Text;

/// Longer texts rarely repeat and are never kept here. It is also what a `Text` holds without an allocation.
const LONGEST: usize = 24;

/// A text that may be unique to somebody enters when it was seen this often.
const SIGHTINGS: u8 = 3;

/// How many counters the doorkeeper has; a collision only lets a text in early.
const DOOR: usize = 1 << 15;

/// After how many hits the counters are halved. So few that most counters stay at zero whatever passes: otherwise
/// texts of people who came once would collect in here until it is full of them.
const FORGETTING: usize = DOOR / 8;

/// Bytes that an entry costs beside its text: the value, the index, the slack of the vector.
const ENTRY_BYTES: usize = 48;

/// The dictionary. Its lock is held for a look-up, never across a call.
pub(crate) struct Symbols {
    texts: boxcar::Vec<Text>,
    forms: boxcar::Vec<Form>,
    index: RwLock<Index>,
    /// How often what is not in here yet was seen, by hash.
    doorkeeper: Box<[AtomicU8]>,
    /// Sightings since the counters were halved.
    seen: AtomicUsize,
    hasher: DefaultHashBuilder,
    limit: usize,
}

struct Index {
    texts: HashTable<u32>,
    forms: HashTable<u32>,
    bytes: usize,
}

impl Symbols {
    /// An empty dictionary that stops growing at about `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        let index = Index { texts: HashTable::new(), forms: HashTable::new(), bytes: 0 };
        Self {
            texts: boxcar::Vec::new(),
            forms: boxcar::Vec::new(),
            index: RwLock::new(index),
            doorkeeper: (0..DOOR).map(|_| AtomicU8::new(0)).collect(),
            seen: AtomicUsize::new(0),
            hasher: DefaultHashBuilder::default(),
            limit,
        }
    }

    /// The text under a number.
    pub(crate) fn text(&self, symbol: u64) -> &str {
        &self.texts[symbol as usize]
    }

    /// The form under a number.
    pub(crate) fn form(&self, symbol: u64) -> &Form {
        &self.forms[symbol as usize]
    }

    /// The number of a text that is sure to repeat, such as a type or a property key.
    pub(crate) fn intern(&self, text: &str) -> Option<u32> {
        self.find_or_add(text, 1)
    }

    /// The number of a text that may or may not repeat: it enters when it was seen a few times.
    pub(crate) fn notice(&self, text: &str) -> Option<u32> {
        self.find_or_add(text, SIGHTINGS)
    }

    fn find_or_add(&self, text: &str, hits: u8) -> Option<u32> {
        if text.len() > LONGEST {
            return None;
        }
        let hash = self.hasher.hash_one(text);
        let find = |index: &Index| index.texts.find(hash, |at| self.texts[*at as usize] == text).copied();
        if let Some(known) = find(&self.index.read()) {
            return Some(known);
        }
        if !self.admits(hash, hits) {
            return None;
        }
        let mut index = self.index.write();
        if let Some(known) = find(&index) {
            return Some(known);
        }
        if index.bytes >= self.room(hits <= 1) {
            return None;
        }
        let at = u32::try_from(self.texts.push(text.into())).ok()?;
        index.bytes += ENTRY_BYTES;
        index.texts.insert_unique(hash, at, |at| self.hasher.hash_one(self.texts[*at as usize].as_str()));
        Some(at)
    }

    /// The number of a form, whose shape has this hash: it enters when it was seen a few times.
    pub(crate) fn notice_form(&self, wanted: &Wanted<'_>, shape_hash: u64) -> Option<u32> {
        let hash = find_hash(&self.hasher, shape_hash, wanted.meta);
        let same = |at: &u32| self.forms[*at as usize].is(wanted);
        if let Some(known) = self.index.read().forms.find(hash, same) {
            return Some(*known);
        }
        if !self.admits(hash, SIGHTINGS) {
            return None;
        }
        let mut index = self.index.write();
        if let Some(known) = index.forms.find(hash, same) {
            return Some(*known);
        }
        let form = Form::of(*wanted, shape_hash);
        let bytes = ENTRY_BYTES + form.bytes();
        if index.bytes >= self.room(wanted.meta.is_none()) {
            return None;
        }
        let at = u32::try_from(self.forms.push(form)).ok()?;
        index.bytes += bytes;
        index.forms.insert_unique(hash, at, |at| {
            let form = &self.forms[*at as usize];
            find_hash(&self.hasher, form.shape_hash, form.meta.as_deref())
        });
        Some(at)
    }

    /// Whether something was seen often enough to be let in. Counters that race lose a sighting, which costs a delay.
    fn admits(&self, hash: u64, hits: u8) -> bool {
        if hits <= 1 {
            return true;
        }
        if self.seen.fetch_add(1, Ordering::Relaxed) > FORGETTING {
            // Old hits count less, so that rare texts do not all get in in the end.
            self.seen.store(0, Ordering::Relaxed);
            self.doorkeeper
                .iter()
                .for_each(|counter| counter.store(counter.load(Ordering::Relaxed) / 2, Ordering::Relaxed));
        }
        // Two counters each, so that something is let in early only if both are others' too.
        let seen = [hash >> 20, hash >> 40].map(|bits| {
            let counter = &self.doorkeeper[bits as usize % DOOR];
            let seen = counter.load(Ordering::Relaxed).saturating_add(1);
            counter.store(seen, Ordering::Relaxed);
            seen
        });
        seen.iter().all(|seen| *seen >= hits)
    }

    /// How large it may grow for something. The last eighth is for what is sure to repeat: without the form of its kind a
    /// node is never taken over as it is.
    const fn room(&self, sure: bool) -> usize {
        if sure { self.limit } else { self.limit / 8 * 7 }
    }

    /// Whether what may or may not repeat is turned away because there is no room.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes() >= self.room(false)
    }

    /// About how many bytes the dictionary holds.
    pub(crate) fn bytes(&self) -> usize {
        self.index.read().bytes
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
    fn the_last_of_the_room_is_for_what_is_sure_to_repeat() {
        let symbols = Symbols::new(ENTRY_BYTES * 8);
        (0..7).for_each(|n| assert!(symbols.intern(&n.to_string()).is_some()));
        assert!(symbols.is_full());
        assert_eq!([(); 4].map(|()| symbols.notice("once")), [None; 4]);
        assert!(symbols.intern("kind").is_some());
    }

    #[test]
    fn equal_forms_have_one_number() {
        let symbols = Symbols::new(1 << 20);
        let props = [("title".into(), "a".into()), ("done".into(), true.into())];
        let wanted = Wanted { has: 1, kind: "item", props: &props, meta: None };
        assert_eq!(symbols.notice_form(&wanted, 7), None, "one sighting says nothing");
        symbols.notice_form(&wanted, 7);
        let first = symbols.notice_form(&wanted, 7).unwrap();
        let others = [("title".into(), "b".into()), ("done".into(), false.into())];
        assert_eq!(symbols.notice_form(&Wanted { props: &others, ..wanted }, 7), Some(first), "values do not count");
        assert_eq!(symbols.notice_form(&Wanted { meta: Some(b"m"), ..wanted }, 7), None);
        assert_eq!(*symbols.form(first.into()).keys, ["title", "done"]);
    }
}
