//! fjall alone, without an engine.

use std::path::Path;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use super::event_log::{EventLog, LogRow, ReadLog};
use crate::failure::Failure;

/// fjall with a keyspace of events.
pub(crate) struct FjallLog {
    database: Database,
    events: Keyspace,
}

/// In the order of the rooms, and then of the numbers.
fn key(room: u32, seq: u64) -> Vec<u8> {
    [&room.to_be_bytes()[..], &seq.to_be_bytes()[..]].concat()
}

impl FjallLog {
    pub(crate) fn open(directory: &Path) -> Result<Self, Failure> {
        let database = Database::builder(directory.join("alone.fjall")).open()?;
        let events = database.keyspace("events", KeyspaceCreateOptions::default)?;
        Ok(Self { database, events })
    }
}

impl EventLog for FjallLog {
    fn append(&mut self, batch: &[LogRow<'_>]) -> Result<(), Failure> {
        let mut changes = self.database.batch().durability(Some(PersistMode::SyncData));
        for (room, seq, text) in batch {
            changes.insert(&self.events, key(*room, *seq), text.as_bytes());
        }
        Ok(changes.commit()?)
    }

    fn read(&self, room: u32) -> Result<ReadLog, Failure> {
        let mut log = ReadLog::new();
        for event in self.events.prefix(room.to_be_bytes()) {
            let (key, text) = event.into_inner()?;
            let seq = key.get(4..).and_then(|seq| Some(u64::from_be_bytes(seq.try_into().ok()?)));
            log.add(seq.unwrap_or_default(), std::str::from_utf8(&text)?);
        }
        Ok(log)
    }
}
