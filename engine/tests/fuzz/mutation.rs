//! Random changes of JSON values.

use proptest::prelude::*;
use serde_json::Value;

use crate::json::{json_value, word};

/// One mutation of a JSON value. The number selects the part to change, counted depth first.
#[derive(Debug, Clone)]
pub(crate) enum Mutation {
    Replace(usize, Value),
    Remove(usize),
    Insert(usize, String, Value),
}

pub(crate) fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        (0_usize..24, json_value()).prop_map(|(at, value)| Mutation::Replace(at, value)),
        (0_usize..24).prop_map(Mutation::Remove),
        (0_usize..24, word(), json_value()).prop_map(|(at, key, value)| Mutation::Insert(at, key, value)),
    ]
}

/// Changes the part of a value that comes after `left` others; returns whether it was found.
fn apply(value: &mut Value, left: &mut usize, mutation: &Mutation) -> bool {
    if let (Mutation::Insert(_, key, new), 0) = (mutation, *left) {
        match value {
            Value::Object(keys) => drop(keys.insert(key.clone(), new.clone())),
            Value::Array(list) => list.push(new.clone()),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
        return true;
    }
    let keys: Vec<usize> = match value {
        Value::Object(keys) => (0..keys.len()).collect(),
        Value::Array(list) => (0..list.len()).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return false,
    };
    for at in keys {
        if *left == 0 {
            match (value, mutation) {
                (Value::Object(keys), Mutation::Remove(_)) => {
                    let key = keys.keys().nth(at).cloned().unwrap();
                    keys.shift_remove(&key);
                }
                (Value::Array(list), Mutation::Remove(_)) => drop(list.remove(at)),
                (Value::Object(keys), Mutation::Replace(_, new)) => *keys.values_mut().nth(at).unwrap() = new.clone(),
                (Value::Array(list), Mutation::Replace(_, new)) => list[at] = new.clone(),
                _ => {}
            }
            return true;
        }
        *left -= 1;
        let inner = match value {
            Value::Object(keys) => keys.values_mut().nth(at),
            Value::Array(list) => list.get_mut(at),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
        };
        if inner.is_some_and(|inner| apply(inner, left, mutation)) {
            return true;
        }
    }
    false
}

/// Applies mutations to a value, one after the other.
pub(crate) fn mutated(mut value: Value, mutations: &[Mutation]) -> Value {
    for mutation in mutations {
        let (Mutation::Replace(at, _) | Mutation::Remove(at) | Mutation::Insert(at, ..)) = mutation;
        apply(&mut value, &mut at.clone(), mutation);
    }
    value
}
