//! The board of each org: columns in a fixed order, cards in the order they came to their column.

use rusqlite::{Connection, OptionalExtension, params};

use super::database::Store;
use crate::error::Result;
use crate::id::CardId;

/// A column and the cards in it.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    /// Unique on its board: `doing`.
    pub(crate) id: String,
    pub(crate) label: String,
    pub(crate) cards: Vec<Card>,
}

/// A card on a board.
#[derive(Clone, Debug)]
pub(crate) struct Card {
    pub(crate) id: CardId,
    pub(crate) title: String,
    /// Who put it up, as a person reads it.
    pub(crate) author: String,
    stage: String,
}

impl Store {
    /// The whole board of an org.
    pub(crate) fn board(&self, org: &str) -> Result<Vec<Column>> {
        let connection = self.lock();
        let mut columns = columns_of(&connection, org)?;
        for card in cards_of(&connection, org)? {
            if let Some(column) = columns.iter_mut().find(|column| column.id == card.stage) {
                column.cards.push(card);
            }
        }
        Ok(columns)
    }

    /// What a column is called, if the org has it.
    pub(crate) fn column_label(&self, org: &str, column: &str) -> Result<Option<String>> {
        let connection = self.lock();
        let mut question = connection.prepare_cached("SELECT label FROM board_columns WHERE org = ?1 AND id = ?2")?;
        Ok(question.query_row([org, column], |row| row.get(0)).optional()?)
    }

    pub(crate) fn add_card(&self, org: &str, column: &str, title: &str, author: &str) -> Result<CardId> {
        let connection = self.lock();
        insert_card(&connection, org, column, title, author)
    }

    /// Returns the title of the card, if the org has it.
    pub(crate) fn move_card(&self, org: &str, card: CardId, column: &str) -> Result<Option<String>> {
        let connection = self.lock();
        let mut write = connection.prepare_cached(
            "UPDATE cards SET stage = ?3, moved = (SELECT MAX(moved) + 1 FROM cards WHERE org = ?1)
             WHERE org = ?1 AND id = ?2 RETURNING title",
        )?;
        Ok(write.query_row(params![org, card, column], |row| row.get(0)).optional()?)
    }
}

fn columns_of(connection: &Connection, org: &str) -> Result<Vec<Column>> {
    let mut question =
        connection.prepare_cached("SELECT id, label FROM board_columns WHERE org = ?1 ORDER BY position")?;
    let columns =
        question.query_map([org], |row| Ok(Column { id: row.get(0)?, label: row.get(1)?, cards: Vec::new() }))?;
    Ok(columns.collect::<Result<_, _>>()?)
}

fn cards_of(connection: &Connection, org: &str) -> Result<Vec<Card>> {
    let mut question = connection.prepare_cached(
        "SELECT cards.id, title, display, stage FROM cards JOIN people ON people.name = author
         WHERE cards.org = ?1 ORDER BY moved, cards.id",
    )?;
    let cards = question.query_map([org], |row| {
        Ok(Card { id: row.get(0)?, title: row.get(1)?, author: row.get(2)?, stage: row.get(3)? })
    })?;
    Ok(cards.collect::<Result<_, _>>()?)
}

pub(crate) fn insert_column(connection: &Connection, org: &str, id: &str, label: &str, position: usize) -> Result<()> {
    connection
        .prepare_cached("INSERT INTO board_columns (org, id, label, position) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![org, id, label, position])?;
    Ok(())
}

pub(crate) fn insert_card(
    connection: &Connection,
    org: &str,
    column: &str,
    title: &str,
    author: &str,
) -> Result<CardId> {
    connection
        .prepare_cached(
            "INSERT INTO cards (org, stage, title, author, moved)
             VALUES (?1, ?2, ?3, ?4, (SELECT COALESCE(MAX(moved), 0) + 1 FROM cards WHERE org = ?1))",
        )?
        .execute(params![org, column, title, author])?;
    Ok(CardId::from_row(connection.last_insert_rowid()))
}
