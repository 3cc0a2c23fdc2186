//! What a connection is called towards its own consumer.

use std::hash::{BuildHasher, RandomState};

/// Names for connections. Nobody can guess another's, nor read from one how many there are; so who names a connection was
/// told its name by it.
#[derive(Debug, Default)]
pub(crate) struct ConnectionNames(RandomState);

impl ConnectionNames {
    /// The name of the connection that events call by this number.
    pub(crate) fn of(&self, number: u64) -> String {
        format!("{:016x}", self.0.hash_one(number))
    }
}
