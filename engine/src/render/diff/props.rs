//! What differs between the properties of a node before and now.

use hashbrown::{HashMap, HashSet};

use crate::render::codec::value::ValueRef;
use crate::render::props::Props;

/// The keys that went, and those that came or changed, in the order of their declaration.
#[derive(Debug, Default, PartialEq)]
pub(super) struct PropChanges<'o, 'v> {
    pub(super) removed: Vec<&'o str>,
    pub(super) set: Vec<SetProp<'v>>,
}

/// A property that came or changed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct SetProp<'v> {
    pub(super) key: &'v str,
    pub(super) value: ValueRef<'v>,
    pub(super) is_new: bool,
}

/// Compares the properties in one walk over both.
pub(super) fn changes<'o, 'v>(old: Props<'o>, new: Props<'v>) -> PropChanges<'o, 'v> {
    if old.iter().map(|(key, _)| key).eq(new.iter().map(|(key, _)| key)) {
        let changed = |((_, before), (key, value))| (before != value).then_some(SetProp { key, value, is_new: false });
        return PropChanges { removed: Vec::new(), set: old.iter().zip(new.iter()).filter_map(changed).collect() };
    }
    let before: HashMap<&str, ValueRef<'_>> = old.iter().collect();
    let now: HashSet<&str> = new.iter().map(|(key, _)| key).collect();
    let set = |(key, value)| {
        let known = before.get(key);
        (known != Some(&value)).then_some(SetProp { key, value, is_new: known.is_none() })
    };
    PropChanges {
        removed: old.iter().map(|(key, _)| key).filter(|key| !now.contains(key)).collect(),
        set: new.iter().filter_map(set).collect(),
    }
}
