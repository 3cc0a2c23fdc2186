//! What the server uses over time, and whether that stays within bounds.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::tally::Tally;

/// How many times what it was at first a server's live heap may become while as many peers are there, and how many
/// bytes more besides. Generous: what is looked for is growth without end.
const TIMES: f64 = 1.5;
const MORE_BYTES: f64 = 8e6;

/// How many bytes of live heap may be left in an empty server.
const LEFT_BYTES: u64 = 16_000_000;

/// With fewer reports nothing can be said of a life.
const ENOUGH: usize = 4;

/// What the server uses and has at one moment.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Usage {
    pub(super) rss_bytes: u64,
    pub(super) heap_bytes: u64,
    pub(super) symbol_bytes: usize,
    pub(super) sessions: usize,
    pub(super) trees: usize,
    pub(super) connections: usize,
    pub(super) subscriptions: usize,
    pub(super) tabs: usize,
    pub(super) tree_bytes: usize,
    pub(super) outbox_bytes: usize,
}

impl Usage {
    pub(super) fn is_empty(&self) -> bool {
        let left = [self.sessions, self.trees, self.connections, self.subscriptions, self.tabs];
        left.iter().sum::<usize>() + self.tree_bytes + self.outbox_bytes == 0
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        write!(
            f,
            "rss {:6.1} MB  heap {:6.1} MB  sessions {:3}  trees {:3}  connections {:3}  tabs {:2}  queued {} bytes",
            megabytes(self.rss_bytes),
            megabytes(self.heap_bytes),
            self.sessions,
            self.trees,
            self.connections,
            self.tabs,
            self.outbox_bytes
        )
    }
}

/// The reports of each server's life.
#[derive(Debug, Default)]
pub(super) struct Growth {
    lives: Vec<Vec<Usage>>,
}

impl Growth {
    pub(super) fn begin_life(&mut self) {
        self.lives.push(Vec::new());
    }

    pub(super) fn note(&mut self, usage: Usage) {
        if self.lives.is_empty() {
            self.begin_life();
        }
        if let Some(life) = self.lives.last_mut() {
            life.push(usage);
        }
    }

    /// The last report, of an empty server.
    pub(super) fn end(&mut self, usage: Usage) {
        self.lives.push(vec![usage]);
    }

    /// Notes what grew beyond its bounds.
    pub(super) fn judge(&self, tally: &mut Tally) {
        for life in self.lives.iter().filter(|life| life.len() >= ENOUGH) {
            // The first report is of a server that fills.
            let (early, late) = life[1..].split_at(life.len() / 2);
            let most = |of: &[Usage]| of.iter().map(|usage| usage.heap_bytes as f64).fold(0.0, f64::max);
            let (early, late) = (most(early), most(late));
            if late > early * TIMES + MORE_BYTES {
                tally.problems.push(format!("live heap grew from {early:.0} to {late:.0} bytes in one life"));
            }
        }
        let left = self.lives.last().and_then(|life| life.last()).map_or(0, |usage| usage.heap_bytes);
        if left > LEFT_BYTES {
            tally.problems.push(format!("an empty server holds {left} bytes of live heap"));
        }
    }
}
