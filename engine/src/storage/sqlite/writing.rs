//! How changes are made.

use hashbrown::HashMap;
use rusqlite::{CachedStatement, Connection, OptionalExtension, Transaction, params};

use crate::model::Text;
use crate::storage::event_log::LoggedEvent;
use crate::storage::room_store::Part;
use crate::storage::store::Write;

/// Makes changes, one transaction for each batch.
#[derive(Debug)]
pub(super) struct Writing {
    connection: Connection,
    /// The numbers of the rooms that were written to lately, and the numbers of their latest events.
    known: HashMap<Text, Known>,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    number: i64,
    last_seq: u64,
}

/// How many rooms are known at most.
const MOST_KNOWN: usize = 10_000;

/// A number as SQLite has it.
fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl Writing {
    pub(super) fn new(connection: Connection) -> Self {
        Self { connection, known: HashMap::new() }
    }

    /// All of these changes, or none.
    pub(super) fn commit(&mut self, writes: &[Write]) -> rusqlite::Result<()> {
        if self.known.len() > MOST_KNOWN {
            self.known.clear();
        }
        let committed = Batch { transaction: self.connection.transaction()?, known: &mut self.known }.commit(writes);
        if committed.is_err() {
            // What was learned may be of a transaction that was rolled back.
            self.known.clear();
        }
        committed
    }
}

/// The changes of one transaction.
struct Batch<'a> {
    transaction: Transaction<'a>,
    known: &'a mut HashMap<Text, Known>,
}

impl Batch<'_> {
    fn commit(mut self, writes: &[Write]) -> rusqlite::Result<()> {
        for write in writes {
            self.write(write)?;
        }
        self.transaction.commit()
    }

    fn write(&mut self, write: &Write) -> rusqlite::Result<()> {
        match write {
            Write::Put { room, part } => self.put(room, part),
            Write::Delete { room, kind, key } => {
                let Some(known) = self.find(room)? else { return Ok(()) };
                self.run("DELETE FROM parts WHERE room = ?1 AND kind = ?2 AND key = ?3")?.execute(params![
                    known.number,
                    kind.number(),
                    key.as_str()
                ])?;
                self.without_place_if_empty(known.number)
            }
            Write::Append { room, event } => self.append(room, event),
            Write::Purge { room, to_seq, before_ms } => self.purge(room, int(*to_seq), int(*before_ms)),
            Write::Remove { room } => {
                let Some(known) = self.find(room)? else { return Ok(()) };
                self.known.remove(room);
                self.remove_parts(known.number)?;
                self.run("DELETE FROM events WHERE room = ?1")?.execute([known.number])?;
                self.run("DELETE FROM rooms WHERE number = ?1")?.execute([known.number])?;
                Ok(())
            }
            Write::Archive { room, id, at_ms, about } => self.archive(room, id, (int(*at_ms), about)),
            Write::PurgeArchives { before_ms } => self.purge_archives(int(*before_ms)),
        }
    }

    fn run(&self, sql: &str) -> rusqlite::Result<CachedStatement<'_>> {
        self.transaction.prepare_cached(sql)
    }

    fn find(&mut self, room: &Text) -> rusqlite::Result<Option<Known>> {
        if let Some(known) = self.known.get(room) {
            return Ok(Some(*known));
        }
        let number = self
            .run("SELECT number FROM rooms WHERE id = ?1")?
            .query_row([room.as_str()], |row| row.get::<_, i64>(0))
            .optional()?;
        let Some(number) = number else { return Ok(None) };
        let last = self
            .run("SELECT seq FROM events WHERE room = ?1 ORDER BY seq DESC LIMIT 1")?
            .query_row([number], |row| row.get::<_, i64>(0))
            .optional()?;
        let known = Known { number, last_seq: last.unwrap_or(0).unsigned_abs() };
        self.known.insert(room.clone(), known);
        Ok(Some(known))
    }

    fn find_or_make(&mut self, room: &Text) -> rusqlite::Result<Known> {
        if let Some(known) = self.find(room)? {
            return Ok(known);
        }
        self.run("INSERT INTO rooms (id) VALUES (?1)")?.execute([room.as_str()])?;
        let known = Known { number: self.transaction.last_insert_rowid(), last_seq: 0 };
        self.known.insert(room.clone(), known);
        Ok(known)
    }

    fn put(&mut self, room: &Text, part: &Part) -> rusqlite::Result<()> {
        let number = self.find_or_make(room)?.number;
        self.run(
            "INSERT INTO parts (room, kind, key, value) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET value = excluded.value",
        )?
        .execute(params![number, part.kind.number(), part.key.as_str(), &*part.value])?;
        self.run(
            "UPDATE rooms SET place = (SELECT coalesce(max(place), 0) + 1 FROM rooms)
             WHERE number = ?1 AND place IS NULL",
        )?
        .execute([number])?;
        Ok(())
    }

    fn without_place_if_empty(&self, number: i64) -> rusqlite::Result<()> {
        self.run(
            "UPDATE rooms SET place = NULL
             WHERE number = ?1 AND NOT EXISTS (SELECT 1 FROM parts WHERE room = ?1)",
        )?
        .execute([number])?;
        Ok(())
    }

    fn append(&mut self, room: &Text, event: &LoggedEvent) -> rusqlite::Result<()> {
        let known = self.find_or_make(room)?;
        if event.seq <= known.last_seq {
            return Ok(());
        }
        self.run("INSERT INTO events (room, seq, at, text) VALUES (?1, ?2, ?3, ?4)")?.execute(params![
            known.number,
            int(event.seq),
            int(event.at_ms),
            &*event.text
        ])?;
        self.known.insert(room.clone(), Known { last_seq: event.seq, ..known });
        Ok(())
    }

    /// The oldest go until one is neither: so only as many are looked at as go.
    fn purge(&mut self, room: &Text, to_seq: i64, before_ms: i64) -> rusqlite::Result<()> {
        let Some(known) = self.find(room)? else { return Ok(()) };
        let first_kept = self
            .run("SELECT seq FROM events WHERE room = ?1 AND seq > ?2 AND at >= ?3 ORDER BY seq LIMIT 1")?
            .query_row(params![known.number, to_seq, before_ms], |row| row.get::<_, i64>(0))
            .optional()?;
        let first_kept = first_kept.unwrap_or(int(known.last_seq));
        self.run("DELETE FROM events WHERE room = ?1 AND seq < ?2")?.execute([known.number, first_kept])?;
        Ok(())
    }

    fn remove_parts(&self, number: i64) -> rusqlite::Result<()> {
        self.run("DELETE FROM parts WHERE room = ?1")?.execute([number])?;
        Ok(())
    }

    fn archive(&mut self, room: &Text, id: &Text, (at_ms, about): (i64, &str)) -> rusqlite::Result<()> {
        let is_there = self.run("SELECT 1 FROM archives WHERE id = ?1")?.exists([id.as_str()])?;
        if is_there {
            return self.write(&Write::Remove { room: room.clone() });
        }
        let number = self.find_or_make(room)?.number;
        self.known.remove(room);
        self.remove_parts(number)?;
        self.run("UPDATE rooms SET id = NULL, place = NULL WHERE number = ?1")?.execute([number])?;
        self.run("INSERT INTO archives (id, room, at, about) VALUES (?1, ?2, ?3, ?4)")?.execute(params![
            id.as_str(),
            number,
            at_ms,
            about
        ])?;
        Ok(())
    }

    fn purge_archives(&self, before_ms: i64) -> rusqlite::Result<()> {
        let of_them = "(SELECT room FROM archives WHERE at < ?1)";
        self.run(&format!("DELETE FROM events WHERE room IN {of_them}"))?.execute([before_ms])?;
        self.run(&format!("DELETE FROM rooms WHERE number IN {of_them}"))?.execute([before_ms])?;
        self.run("DELETE FROM archives WHERE at < ?1")?.execute([before_ms])?;
        Ok(())
    }
}
