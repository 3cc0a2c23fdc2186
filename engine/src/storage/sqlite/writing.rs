//! How changes are made.

use std::fs;
use std::path::PathBuf;

use hashbrown::HashMap;
use rusqlite::{CachedStatement, Connection, OptionalExtension, Transaction, params};

use super::damage::Damage;
use super::schema::{self, place, seq_at};
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
    /// The file that says that history was lost, until all rooms know it.
    mark: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    number: i64,
    last_seq: u64,
}

/// How many rooms are known at most.
const MOST_KNOWN: usize = 10_000;

/// A number as SQLite has it.
pub(super) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl Writing {
    pub(super) fn new(connection: Connection, mark: Option<PathBuf>) -> Self {
        Self { connection, known: HashMap::new(), mark }
    }

    /// How many pages the file may have beyond those that it has. One more is refused like on a disk that is full.
    #[cfg(feature = "testing")]
    pub(super) fn limit_pages(&self, more: Option<u32>) -> rusqlite::Result<()> {
        let pages: u32 = self.connection.pragma_query_value(None, "page_count", |row| row.get(0))?;
        let most = more.map_or(u32::MAX - 1, |more| pages.saturating_add(more));
        self.connection.query_row(&format!("PRAGMA max_page_count = {most}"), [], |_| Ok(()))
    }

    /// All of these changes, or none. What should be removed and is damaged stays, where nobody finds it.
    pub(super) fn commit(&mut self, writes: &[Write]) -> rusqlite::Result<()> {
        match self.commit_once(writes, Damage::default()) {
            Err(why) if schema::is_damage(&why) => self.commit_once(writes, Damage::find(&self.connection, writes)?)?,
            committed => committed?,
        }
        if let Some(mark) = self.mark.take_if(|_| writes.contains(&Write::LossTold)) {
            // If it stays, it is told again.
            let _ = fs::remove_file(mark);
        }
        Ok(())
    }

    fn commit_once(&mut self, writes: &[Write], damage: Damage) -> rusqlite::Result<()> {
        if self.known.len() > MOST_KNOWN {
            self.known.clear();
        }
        let transaction = self.connection.transaction()?;
        let committed = Batch { transaction, known: &mut self.known, damage }.commit(writes);
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
    damage: Damage,
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
            Write::Remove { room } => self.remove(room),
            Write::Archive { room, id, at_ms, about } => self.archive(room, id, (int(*at_ms), about)),
            Write::PurgeArchives { before_ms } => self.purge_archives(int(*before_ms)),
            Write::LossTold => Ok(()),
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
        let last = self.run(schema::LAST_PLACE)?.query_row(schema::places(number), |row| row.get(0)).optional()?;
        let known = Known { number, last_seq: last.map_or(0, seq_at) };
        self.known.insert(room.clone(), known);
        Ok(Some(known))
    }

    fn find_or_make(&mut self, room: &Text) -> rusqlite::Result<Known> {
        if let Some(known) = self.find(room)? {
            return Ok(known);
        }
        let number = self.free_number()?;
        self.run("INSERT INTO rooms (number, id) VALUES (?1, ?2)")?.execute(params![number, room.as_str()])?;
        let known = Known { number, last_seq: 0 };
        self.known.insert(room.clone(), known);
        Ok(known)
    }

    fn free_number(&self) -> rusqlite::Result<i64> {
        let behind_all = self.run("SELECT coalesce(max(number), 0) + 1 FROM rooms")?.query_row([], |row| row.get(0))?;
        if behind_all <= schema::MOST_ROOMS {
            return Ok(behind_all);
        }
        self.run(
            "SELECT min(number) + 1 FROM (SELECT 0 AS number UNION ALL SELECT number FROM rooms) AS before
             WHERE NOT EXISTS (SELECT 1 FROM rooms WHERE number = before.number + 1)",
        )?
        .query_row([], |row| row.get(0))
    }

    fn put(&mut self, room: &Text, part: &Part) -> rusqlite::Result<()> {
        let number = self.find_or_make(room)?.number;
        self.run(
            "INSERT INTO parts (room, kind, key, value) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (room, kind, key) DO UPDATE SET value = excluded.value",
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
        self.run("INSERT INTO events (place, at, text) VALUES (?1, ?2, ?3)")?.execute(params![
            place(known.number, int(event.seq)),
            int(event.at_ms),
            &*event.text
        ])?;
        self.known.insert(room.clone(), Known { last_seq: event.seq, ..known });
        Ok(())
    }

    /// The oldest go until one is neither: so only as many are looked at as go.
    fn purge(&mut self, room: &Text, to_seq: i64, before_ms: i64) -> rusqlite::Result<()> {
        let Some(Known { number, last_seq }) = self.find(room)? else { return Ok(()) };
        if self.damage.is_in(number) {
            return Ok(());
        }
        let first_kept = self
            .run("SELECT place FROM events WHERE place > ?1 AND place <= ?2 AND at >= ?3 ORDER BY place LIMIT 1")?
            .query_row([place(number, to_seq), place(number, i64::MAX), before_ms], |row| row.get::<_, i64>(0))
            .optional()?;
        let first_kept = first_kept.unwrap_or_else(|| place(number, int(last_seq)));
        self.remove_events(place(number, 0), first_kept)
    }

    /// Removes the events from one place on and before another.
    fn remove_events(&self, from: i64, to: i64) -> rusqlite::Result<()> {
        self.run("DELETE FROM events WHERE place >= ?1 AND place < ?2")?.execute([from, to])?;
        Ok(())
    }

    fn remove_all_events(&self, number: i64) -> rusqlite::Result<()> {
        self.remove_events(place(number, 0), place(number + 1, 0))
    }

    fn remove_parts(&self, number: i64) -> rusqlite::Result<()> {
        self.run("DELETE FROM parts WHERE room = ?1")?.execute([number])?;
        Ok(())
    }

    fn remove(&mut self, room: &Text) -> rusqlite::Result<()> {
        let Some(Known { number, .. }) = self.find(room)? else { return Ok(()) };
        self.known.remove(room);
        if self.damage.is_in(number) {
            return self.without_id(number);
        }
        self.remove_all(number)
    }

    fn remove_all(&self, number: i64) -> rusqlite::Result<()> {
        self.remove_parts(number)?;
        self.remove_all_events(number)?;
        self.run("DELETE FROM rooms WHERE number = ?1")?.execute([number])?;
        Ok(())
    }

    /// Nobody finds a room any more by its id. Its number stays taken.
    fn without_id(&self, number: i64) -> rusqlite::Result<()> {
        self.run("UPDATE rooms SET id = NULL, place = NULL WHERE number = ?1")?.execute([number])?;
        Ok(())
    }

    fn archive(&mut self, room: &Text, id: &Text, (at_ms, about): (i64, &str)) -> rusqlite::Result<()> {
        let is_there = self.run("SELECT 1 FROM archives WHERE id = ?1")?.exists([id.as_str()])?;
        if is_there {
            return self.remove(room);
        }
        let number = self.find_or_make(room)?.number;
        self.known.remove(room);
        if !self.damage.is_in(number) {
            self.remove_parts(number)?;
        }
        self.without_id(number)?;
        self.run("INSERT INTO archives (room, id, at, about) VALUES (?1, ?2, ?3, ?4)")?.execute(params![
            number,
            id.as_str(),
            at_ms,
            about
        ])?;
        Ok(())
    }

    fn purge_archives(&self, before_ms: i64) -> rusqlite::Result<()> {
        let numbers: Vec<i64> = self
            .run("SELECT room FROM archives WHERE at < ?1")?
            .query_map([before_ms], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        for number in numbers.into_iter().filter(|number| !self.damage.archives.contains(number)) {
            self.run("DELETE FROM archives WHERE room = ?1")?.execute([number])?;
            if !self.damage.is_in(number) {
                self.remove_all(number)?;
            }
        }
        Ok(())
    }
}
