//! How much was carried, and what was not.

use std::sync::atomic::{AtomicU64, Ordering};

/// How much was carried, and what was not, since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NatsStats {
    /// Messages handed to the connection.
    pub sent: u64,
    /// Messages and requests handed to the engine.
    pub received: u64,
    /// Messages dropped since the queue had no place.
    pub dropped_full: u64,
    /// Messages dropped since there was no connection.
    pub dropped_away: u64,
    /// Messages dropped since the server would not have accepted their size.
    pub dropped_too_large: u64,
    /// Messages received that are not UTF-8, and ignored.
    pub malformed: u64,
    /// Times that messages were dropped since the engine did not take them fast enough.
    pub too_slow: u64,
    /// Publications and subscriptions that the server refused.
    pub refused: u64,
    /// Connections made.
    pub connections: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) sent: AtomicU64,
    pub(crate) received: AtomicU64,
    pub(crate) dropped_full: AtomicU64,
    pub(crate) dropped_away: AtomicU64,
    pub(crate) dropped_too_large: AtomicU64,
    pub(crate) malformed: AtomicU64,
    pub(crate) too_slow: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) connections: AtomicU64,
}

pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Counters {
    pub(crate) fn read(&self) -> NatsStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        NatsStats {
            sent: read(&self.sent),
            received: read(&self.received),
            dropped_full: read(&self.dropped_full),
            dropped_away: read(&self.dropped_away),
            dropped_too_large: read(&self.dropped_too_large),
            malformed: read(&self.malformed),
            too_slow: read(&self.too_slow),
            refused: read(&self.refused),
            connections: read(&self.connections),
        }
    }
}
