//! redb alone, without an engine.

use std::path::Path;

use redb::{Database, ReadableDatabase as _, TableDefinition};

use super::event_log::{EventLog, LogRow, ReadLog};
use crate::failure::Failure;

/// redb with a table of events.
pub(crate) struct RedbLog(Database);

const EVENTS: TableDefinition<'_, (u32, u64), &str> = TableDefinition::new("events");

impl RedbLog {
    pub(crate) fn open(directory: &Path) -> Result<Self, Failure> {
        let database = Database::create(directory.join("alone.redb"))?;
        let transaction = database.begin_write()?;
        transaction.open_table(EVENTS)?;
        transaction.commit()?;
        Ok(Self(database))
    }
}

impl EventLog for RedbLog {
    fn append(&mut self, batch: &[LogRow<'_>]) -> Result<(), Failure> {
        let transaction = self.0.begin_write()?;
        let mut table = transaction.open_table(EVENTS)?;
        for (room, seq, text) in batch {
            table.insert((*room, *seq), *text)?;
        }
        drop(table);
        Ok(transaction.commit()?)
    }

    fn read(&self, room: u32) -> Result<ReadLog, Failure> {
        let table = self.0.begin_read()?.open_table(EVENTS)?;
        let mut log = ReadLog::new();
        for event in table.range((room, 0)..=(room, u64::MAX))? {
            let (key, text) = event?;
            log.add(key.value().1, text.value());
        }
        Ok(log)
    }
}
