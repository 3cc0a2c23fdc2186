//! What cannot be removed.

use hashbrown::HashSet;
use rusqlite::Connection;

use super::schema;
use crate::storage::store::Write;

/// In which of the rooms and archives from which something should be removed something cannot be read: SQLite removes no row
/// without reading all of it. Found before a transaction begins, since after such an error it makes no other change in one.
#[derive(Debug, Default)]
pub(super) struct Damage {
    rooms: HashSet<i64>,
    /// Those of which it cannot be read what the engine has written about them.
    pub(super) archives: HashSet<i64>,
}

impl Damage {
    pub(super) fn find(connection: &Connection, writes: &[Write]) -> rusqlite::Result<Self> {
        let mut damage = Self::default();
        for write in writes {
            match write {
                Write::Purge { room, .. } | Write::Remove { room } | Write::Archive { room, .. } => {
                    damage.look_at(connection, "SELECT number FROM rooms WHERE id = ?1", room.as_str())?;
                }
                Write::PurgeArchives { before_ms } => {
                    let before_ms = i64::try_from(*before_ms).unwrap_or(i64::MAX);
                    damage.look_at(connection, "SELECT room FROM archives WHERE at < ?1", before_ms)?;
                }
                Write::Put { .. } | Write::Delete { .. } | Write::Append { .. } | Write::LossTold => {}
            }
        }
        Ok(damage)
    }

    fn look_at(&mut self, connection: &Connection, numbers: &str, of: impl rusqlite::ToSql) -> rusqlite::Result<()> {
        let mut statement = connection.prepare_cached(numbers)?;
        let numbers = statement.query_map([of], |row| row.get(0))?;
        for number in numbers.collect::<rusqlite::Result<Vec<i64>>>()? {
            let [from, to] = schema::places(number);
            let events = format!("SELECT sum(length(text)) FROM events WHERE place BETWEEN {from} AND {to}");
            let parts = format!("SELECT sum(length(value)) FROM parts WHERE room = {number}");
            if !can_be_read(connection, &events)? || !can_be_read(connection, &parts)? {
                self.rooms.insert(number);
            }
            if !can_be_read(connection, &format!("SELECT sum(length(about)) FROM archives WHERE room = {number}"))? {
                self.archives.insert(number);
            }
        }
        Ok(())
    }

    /// Whether an event or a part of a room cannot be read.
    pub(super) fn is_in(&self, number: i64) -> bool {
        self.rooms.contains(&number)
    }
}

/// The length of a text is that of its characters, so all of it is read.
fn can_be_read(connection: &Connection, lengths: &str) -> rusqlite::Result<bool> {
    match connection.query_row(lengths, [], |_| Ok(())) {
        Err(why) if schema::is_damage(&why) => Ok(false),
        read => read.map(|()| true),
    }
}
