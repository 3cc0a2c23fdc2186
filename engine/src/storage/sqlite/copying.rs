//! How the rows of a damaged file come into a new one.

use rusqlite::{Connection, ErrorCode, Row, Statement, Transaction};

use super::schema::{self, Table};

/// Copies what can be read. Returns how many rows that are.
pub(super) fn copy_all(from: &Connection, into: &mut Connection) -> rusqlite::Result<usize> {
    let version = schema::version(from).unwrap_or_default();
    let transaction = into.transaction()?;
    let mut count = 0;
    for table in schema::ALL {
        count += copy_table(from, version, &table, &transaction)?;
    }
    remove_what_belongs_to_nothing(&transaction)?;
    remove_what_stands_before_a_hole(&transaction)?;
    transaction.commit()?;
    Ok(count)
}

/// At the first page that cannot be read, the rest of the table is read from its end.
fn copy_table(from: &Connection, version: i64, table: &Table, into: &Transaction<'_>) -> rusqlite::Result<usize> {
    let columns = table.columns.split(',').count();
    let places = ["?1", "?2", "?3", "?4"][..columns].join(", ");
    let insert = format!("INSERT OR IGNORE INTO {} ({}) VALUES ({places})", table.name, table.columns);
    let mut insert = into.prepare(&insert)?;
    let mut count = 0;
    for order in table.orders(version) {
        let select = format!("SELECT {} FROM {} {order}", table.columns_of(version), table.name);
        let Ok(mut statement) = from.prepare(&select) else { continue };
        let Ok(mut rows) = statement.query([]) else { continue };
        loop {
            match rows.next() {
                Ok(Some(row)) => count += copy(row, &mut insert, columns)?,
                Ok(None) => return Ok(count),
                Err(_) => break,
            }
        }
    }
    Ok(count)
}

fn copy(row: &Row<'_>, insert: &mut Statement<'_>, columns: usize) -> rusqlite::Result<usize> {
    let values: Vec<rusqlite::types::Value> = (0..columns).filter_map(|at| row.get(at).ok()).collect();
    if values.len() < columns {
        return Ok(0);
    }
    match insert.execute(rusqlite::params_from_iter(values)) {
        Err(why) if is_refused(&why) => Ok(0),
        copied => copied,
    }
}

/// Whether a value is not of the type of its column.
fn is_refused(why: &rusqlite::Error) -> bool {
    matches!(why.sqlite_error_code(), Some(ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch))
}

/// A room that could not be read has no events and no parts, so that another one may get its number. An archive keeps its.
fn remove_what_belongs_to_nothing(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute_batch(
        "INSERT OR IGNORE INTO rooms (number) SELECT room FROM archives;
         DELETE FROM parts WHERE room NOT IN (SELECT number FROM rooms);
         DELETE FROM events WHERE (place >> 36) NOT IN (SELECT number FROM rooms);",
    )
}

/// A log is a contiguous piece.
fn remove_what_stands_before_a_hole(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let mut behind_holes = transaction.prepare(
        "SELECT (place >> 36) << 36, max(place) FROM events AS later
         WHERE NOT EXISTS (SELECT 1 FROM events AS before WHERE before.place = later.place - 1)
         GROUP BY place >> 36",
    )?;
    let ranges = behind_holes.query_map([], |row| Ok([row.get(0)?, row.get(1)?]))?;
    for range in ranges.collect::<rusqlite::Result<Vec<[i64; 2]>>>()? {
        transaction.execute("DELETE FROM events WHERE place >= ?1 AND place < ?2", range)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_with_a_value_of_another_type_is_left_out_and_the_others_are_copied() {
        let from = Connection::open_in_memory().unwrap();
        from.execute_batch(
            "CREATE TABLE rooms (number, id, place);
             CREATE TABLE parts (room, kind, key, value);
             CREATE TABLE events (place, at, text);
             CREATE TABLE archives (room, id, at, about);
             INSERT INTO rooms VALUES (1, 'a', 1), (2, x'ff', 2), ('three', 'c', 3), (4, 'd', 4);
             INSERT INTO parts VALUES (1, 0, '', 'one'), (1, 1, '', x'00'), (4, 0, '', 'four');
             PRAGMA user_version = 2;",
        )
        .unwrap();
        let mut into = Connection::open_in_memory().unwrap();
        schema::make(&mut into).unwrap();
        assert_eq!(copy_all(&from, &mut into).unwrap(), 4);
        let ids: String = into.query_row("SELECT group_concat(id) FROM rooms", [], |row| row.get(0)).unwrap();
        let values: String = into.query_row("SELECT group_concat(value) FROM parts", [], |row| row.get(0)).unwrap();
        assert_eq!((ids.as_str(), values.as_str()), ("a,d", "one,four"));
    }
}
