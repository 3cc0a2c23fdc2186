//! The properties of a node: each once, not too many, and none nested too deeply.

use std::borrow::Cow;

use hashbrown::hash_map::Entry;
use hashbrown::{HashMap, HashSet};

use super::violation::Violations;
use crate::model::Text;
use crate::model::nesting::{VALUE_LEVELS, is_shallow_text};
use crate::model::value::Value;
use crate::render::node_position::NodePosition;

/// Up to this many properties, comparing each key with all others is cheaper than a table.
const FEW: usize = 16;

/// The properties of a node that may be packed, at most `max` of them.
pub(super) fn of<'d>(
    props: &'d [(Text, Value)],
    max: usize,
    at: &NodePosition<'_>,
    violations: &mut Violations,
) -> Cow<'d, [(Text, Value)]> {
    let mut props = last_of_each(props);
    if props.iter().any(|(_, value)| is_deep(value)) {
        for (key, _) in props.iter().filter(|(_, value)| is_deep(value)) {
            violations.add(at, format_args!("the property `{key}` was dropped: it is nested too deeply"));
        }
        props.to_mut().retain(|(_, value)| !is_deep(value));
    }
    if props.len() > max {
        violations.add(at, format_args!("the node has too many properties: {} were dropped", props.len() - max));
        props = match props {
            Cow::Borrowed(props) => Cow::Borrowed(&props[..max]),
            Cow::Owned(props) => Cow::Owned(props.into_iter().take(max).collect()),
        };
    }
    props
}

fn is_deep(value: &Value) -> bool {
    matches!(value, Value::Json(json) if !is_shallow_text(json.as_str(), VALUE_LEVELS))
}

/// One that was set twice has its last value, at its first place.
fn last_of_each(props: &[(Text, Value)]) -> Cow<'_, [(Text, Value)]> {
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
