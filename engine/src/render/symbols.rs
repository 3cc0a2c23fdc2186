//! The dictionary of what repeats: templates of nodes, types, ids and short values are stored once and named by a number.
//!
//! Reading takes no lock at all; finding a known string takes a shared one.
//! It only grows, up to a bound in bytes; past the bound strings are stored inline, until the [`Store`](super::store::Store)
//! starts another one. Nothing depends on whether a string is in here; only memory does.

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use hashbrown::{DefaultHashBuilder, HashTable};

use super::template::{Template, TemplateKey, find_hash};
use crate::model::Text;
use crate::sync::RwLock;

/// Longer strings rarely repeat and are never stored here. It is also what a `Text` holds without an allocation.
const MAX_BYTES: usize = 24;

/// How many hits something needs that may be unique to one session.
const ADMITTED_AFTER: u8 = 3;

/// How many counters the doorkeeper has; a collision only admits something early.
const COUNTERS: usize = 1 << 15;

/// After how many hits the counters are halved. So few that most counters stay at zero under any load: otherwise
/// strings of users who came once would collect in here until it is full of them.
const HALVE_AFTER: usize = COUNTERS / 8;

/// Bytes that an entry costs beside its string: the value, the index, the slack of the vector.
const ENTRY_BYTES: usize = 48;

/// The dictionary.
///
/// The lock guards the index and the count of bytes. It is held for one look-up or one insertion, and nothing is ever
/// removed: all that is in here are strings of the engine's own, never a handle of the application's.
pub(crate) struct Symbols {
    texts: boxcar::Vec<Text>,
    templates: boxcar::Vec<Template>,
    index: RwLock<Index>,
    /// How often what is not in here yet was seen, by hash. The order of counting decides nothing, so these are no
    /// matter for a scheduler.
    doorkeeper: Box<[AtomicU8]>,
    /// Hits since the counters were halved.
    hits: AtomicUsize,
    hasher: DefaultHashBuilder,
    limit: usize,
}

struct Index {
    texts: HashTable<u32>,
    templates: HashTable<u32>,
    bytes: usize,
}

impl Symbols {
    /// An empty dictionary that stops growing at `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        let index = Index { texts: HashTable::new(), templates: HashTable::new(), bytes: 0 };
        Self {
            texts: boxcar::Vec::new(),
            templates: boxcar::Vec::new(),
            index: RwLock::new(index),
            doorkeeper: (0..COUNTERS).map(|_| AtomicU8::new(0)).collect(),
            hits: AtomicUsize::new(0),
            hasher: DefaultHashBuilder::default(),
            limit,
        }
    }

    /// The string under a number.
    pub(crate) fn text(&self, symbol: u64) -> &str {
        &self.texts[symbol as usize]
    }

    /// The template under a number.
    pub(crate) fn template(&self, symbol: u64) -> &Template {
        &self.templates[symbol as usize]
    }

    /// The dictionary for whoever packs. What an untrusted peer gave is only looked up: it could fill the dictionary for
    /// everybody else within seconds.
    pub(crate) const fn for_packing(&self, learns: bool) -> Dictionary<'_> {
        Dictionary { symbols: self, learns }
    }

    /// The number of a string that is sure to repeat, such as a type or a property key.
    fn intern(&self, text: &str) -> Option<u32> {
        self.find_or_add(text, 1)
    }

    /// The number of a string that may or may not repeat: it is admitted when it was seen a few times.
    fn notice(&self, text: &str) -> Option<u32> {
        self.find_or_add(text, ADMITTED_AFTER)
    }

    fn find_or_add(&self, text: &str, needed: u8) -> Option<u32> {
        if text.len() > MAX_BYTES {
            return None;
        }
        let hash = self.hasher.hash_one(text);
        if let Some(known) = self.find(&self.index.read(), hash, text) {
            return Some(known);
        }
        if !self.admits(hash, needed) {
            return None;
        }
        let mut index = self.index.write();
        if let Some(known) = self.find(&index, hash, text) {
            return Some(known);
        }
        if index.bytes + ENTRY_BYTES > self.limit_for(needed <= 1) {
            return None;
        }
        let at = u32::try_from(self.texts.push(text.into())).ok()?;
        index.bytes += ENTRY_BYTES;
        index.texts.insert_unique(hash, at, |at| self.hasher.hash_one(self.texts[*at as usize].as_str()));
        Some(at)
    }

    fn find(&self, index: &Index, hash: u64, text: &str) -> Option<u32> {
        index.texts.find(hash, |at| self.texts[*at as usize] == text).copied()
    }

    /// The number of a template, whose shape has this hash: it is admitted when it was seen a few times.
    fn notice_template(&self, key: &TemplateKey<'_>, shape_hash: u64) -> Option<u32> {
        let hash = find_hash(&self.hasher, shape_hash, key.meta);
        if let Some(known) = self.find_template(&self.index.read(), hash, key) {
            return Some(known);
        }
        if !self.admits(hash, ADMITTED_AFTER) {
            return None;
        }
        let mut index = self.index.write();
        if let Some(known) = self.find_template(&index, hash, key) {
            return Some(known);
        }
        let template = Template::of(*key, shape_hash);
        let bytes = ENTRY_BYTES + template.bytes();
        if index.bytes + bytes > self.limit_for(key.meta.is_none()) {
            return None;
        }
        let at = u32::try_from(self.templates.push(template)).ok()?;
        index.bytes += bytes;
        index.templates.insert_unique(hash, at, |at| {
            let template = &self.templates[*at as usize];
            find_hash(&self.hasher, template.shape_hash, template.meta.as_deref())
        });
        Some(at)
    }

    fn find_template(&self, index: &Index, hash: u64, key: &TemplateKey<'_>) -> Option<u32> {
        index.templates.find(hash, |at| self.templates[*at as usize].fits(key)).copied()
    }

    /// Whether something was seen often enough to be admitted. Counters that race lose a hit, which costs a delay.
    fn admits(&self, hash: u64, needed: u8) -> bool {
        if needed <= 1 {
            return true;
        }
        if self.hits.fetch_add(1, Ordering::Relaxed) > HALVE_AFTER {
            // Old hits count less, so that rare strings are not all admitted in the end.
            self.hits.store(0, Ordering::Relaxed);
            self.doorkeeper
                .iter()
                .for_each(|counter| counter.store(counter.load(Ordering::Relaxed) / 2, Ordering::Relaxed));
        }
        // Two counters each, so that something is admitted early only if both collide.
        let seen = [hash >> 20, hash >> 40].map(|bits| {
            let counter = &self.doorkeeper[bits as usize % COUNTERS];
            let seen = counter.load(Ordering::Relaxed).saturating_add(1);
            counter.store(seen, Ordering::Relaxed);
            seen
        });
        seen.iter().all(|seen| *seen >= needed)
    }

    /// How large it may grow for something. The last eighth is for what is sure to repeat: without the template of its
    /// kind a node is never reused as it is.
    const fn limit_for(&self, sure: bool) -> usize {
        if sure { self.limit } else { self.limit / 8 * 7 }
    }

    /// Whether what may or may not repeat is refused because the dictionary is full.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes() + ENTRY_BYTES > self.limit_for(false)
    }

    /// About how many bytes the dictionary holds.
    pub(crate) fn bytes(&self) -> usize {
        self.index.read().bytes
    }
}

/// The dictionary as one packer uses it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dictionary<'s> {
    symbols: &'s Symbols,
    learns: bool,
}

impl Dictionary<'_> {
    /// The number of a string that is sure to repeat, such as a type or a property key.
    pub(crate) fn intern(self, text: &str) -> Option<u32> {
        if self.learns { self.symbols.intern(text) } else { self.find(text) }
    }

    /// The number of a string that may or may not repeat.
    pub(crate) fn notice(self, text: &str) -> Option<u32> {
        if self.learns { self.symbols.notice(text) } else { self.find(text) }
    }

    /// The number of a template, whose shape has this hash.
    pub(crate) fn notice_template(self, key: &TemplateKey<'_>, shape_hash: u64) -> Option<u32> {
        if self.learns {
            return self.symbols.notice_template(key, shape_hash);
        }
        let hash = find_hash(&self.symbols.hasher, shape_hash, key.meta);
        self.symbols.find_template(&self.symbols.index.read(), hash, key)
    }

    fn find(self, text: &str) -> Option<u32> {
        if text.len() > MAX_BYTES {
            return None;
        }
        self.symbols.find(&self.symbols.index.read(), self.symbols.hasher.hash_one(text), text)
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
    fn a_string_is_admitted_when_it_was_seen_a_few_times() {
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
    fn the_last_eighth_is_for_what_is_sure_to_repeat() {
        let symbols = Symbols::new(ENTRY_BYTES * 8);
        (0..7).for_each(|n| assert!(symbols.intern(&n.to_string()).is_some()));
        assert!(symbols.is_full());
        assert_eq!([(); 4].map(|()| symbols.notice("once")), [None; 4]);
        assert!(symbols.intern("kind").is_some());
    }

    #[test]
    fn what_is_only_looked_up_is_found_and_never_learned() {
        let symbols = Symbols::new(1 << 20);
        let known = symbols.intern("item").unwrap();
        let key = TemplateKey { has: 1, kind: "item", props: &[], meta: None };
        for _ in 0..3 {
            symbols.notice_template(&key, 7);
        }
        let (bytes, dictionary) = (symbols.bytes(), symbols.for_packing(false));
        for _ in 0..9 {
            assert_eq!((dictionary.intern("item"), dictionary.notice("item")), (Some(known), Some(known)));
            assert_eq!((dictionary.intern("new"), dictionary.notice("newer")), (None, None));
            assert_eq!(dictionary.notice_template(&key, 7), Some(0));
            assert_eq!(dictionary.notice_template(&TemplateKey { kind: "new", ..key }, 8), None);
        }
        assert_eq!(symbols.bytes(), bytes);
    }

    #[test]
    fn equal_templates_have_one_number() {
        let symbols = Symbols::new(1 << 20);
        let props = [("title".into(), "a".into()), ("done".into(), true.into())];
        let key = TemplateKey { has: 1, kind: "item", props: &props, meta: None };
        assert_eq!(symbols.notice_template(&key, 7), None, "one hit says nothing");
        symbols.notice_template(&key, 7);
        let first = symbols.notice_template(&key, 7).unwrap();
        let others = [("title".into(), "b".into()), ("done".into(), false.into())];
        assert_eq!(
            symbols.notice_template(&TemplateKey { props: &others, ..key }, 7),
            Some(first),
            "values do not count"
        );
        assert_eq!(symbols.notice_template(&TemplateKey { meta: Some(b"m"), ..key }, 7), None);
        assert_eq!(*symbols.template(first.into()).keys, ["title", "done"]);
    }
}
