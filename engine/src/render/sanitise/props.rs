//! Each property of a node once.

use std::borrow::Cow;

use hashbrown::hash_map::Entry;
use hashbrown::{HashMap, HashSet};

use crate::model::Text;
use crate::model::value::Value;

/// Up to this many properties, comparing each key with all others is cheaper than a table.
const FEW: usize = 16;

/// The properties of a node. One that was set twice has its last value, at its first place.
pub(super) fn last_of_each(props: &[(Text, Value)]) -> Cow<'_, [(Text, Value)]> {
    if are_unique(props) {
        return Cow::Borrowed(props);
    }
    let mut places: HashMap<&Text, usize> = HashMap::with_capacity(props.len());
    let mut once: Vec<(Text, Value)> = Vec::with_capacity(props.len());
    for (key, value) in props {
        match places.entry(key) {
            Entry::Occupied(place) => once[*place.get()].1 = value.clone(),
            Entry::Vacant(gap) => {
                gap.insert(once.len());
                once.push((key.clone(), value.clone()));
            }
        }
    }
    Cow::Owned(once)
}

fn are_unique(props: &[(Text, Value)]) -> bool {
    if props.len() <= FEW {
        return props.iter().enumerate().all(|(at, (key, _))| props[..at].iter().all(|(other, _)| other != key));
    }
    let mut seen = HashSet::with_capacity(props.len());
    props.iter().all(|(key, _)| seen.insert(key))
}
