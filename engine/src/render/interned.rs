//! Values that are kept once, by number.

use std::hash::{BuildHasher, Hash};

use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};

/// Different values in the order in which they came.
#[derive(Debug)]
pub(super) struct Interned<V> {
    values: Vec<V>,
    numbers: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl<V> Default for Interned<V> {
    fn default() -> Self {
        Self { values: Vec::new(), numbers: HashTable::new(), hasher: DefaultHashBuilder::default() }
    }
}

impl<V: Hash + Eq> Interned<V> {
    /// The number of a value.
    pub(super) fn number(&mut self, value: V) -> u32 {
        let (values, hasher) = (&self.values, &self.hasher);
        let rehash = |number: &u32| hasher.hash_one(&values[*number as usize]);
        match self.numbers.entry(hasher.hash_one(&value), |number| values[*number as usize] == value, rehash) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(gap) => {
                let number = u32::try_from(values.len()).expect("a pass makes fewer than four billion different reads");
                gap.insert(number);
                self.values.push(value);
                number
            }
        }
    }

    /// The value of a number that was given before.
    pub(super) fn get(&self, number: u32) -> &V {
        &self.values[number as usize]
    }
}
