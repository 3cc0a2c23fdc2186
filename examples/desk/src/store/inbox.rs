//! Each person's messages, newest first.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::database::Store;
use crate::clock::Moment;
use crate::error::Result;
use crate::id::MessageId;

/// A message in somebody's inbox.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) id: MessageId,
    /// The sender's name as a person reads it.
    pub(crate) sender: String,
    /// The sender's login name, when the sender has a desk here.
    pub(crate) colleague: Option<String>,
    pub(crate) subject: String,
    pub(crate) body: String,
    pub(crate) received: Moment,
    pub(crate) unread: bool,
    pub(crate) replied: bool,
}

/// A message on its way into `owner`'s inbox.
#[derive(Debug)]
pub(crate) struct NewMessage<'a> {
    pub(crate) owner: &'a str,
    pub(crate) sender: &'a str,
    pub(crate) colleague: Option<&'a str>,
    pub(crate) subject: &'a str,
    pub(crate) body: &'a str,
    pub(crate) received: Moment,
    pub(crate) unread: bool,
}

/// An inbox in numbers, without what is archived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InboxCounts {
    pub(crate) total: u64,
    pub(crate) unread: u64,
}

fn message_at(row: &Row<'_>) -> rusqlite::Result<Message> {
    Ok(Message {
        id: row.get(0)?,
        sender: row.get(1)?,
        colleague: row.get(2)?,
        subject: row.get(3)?,
        body: row.get(4)?,
        received: row.get(5)?,
        unread: row.get(6)?,
        replied: row.get(7)?,
    })
}

impl Store {
    /// `count` messages from position `offset`, newest first.
    pub(crate) fn messages(&self, owner: &str, offset: u64, count: u64) -> Result<Vec<Message>> {
        let connection = self.lock();
        let mut question = connection.prepare_cached(
            "SELECT id, sender, colleague, subject, body, received, unread, replied FROM messages
             WHERE owner = ?1 AND NOT archived ORDER BY received DESC, id DESC LIMIT ?3 OFFSET ?2",
        )?;
        let messages = question.query_map(params![owner, offset, count], message_at)?;
        Ok(messages.collect::<Result<_, _>>()?)
    }

    /// One message that is not archived.
    pub(crate) fn message(&self, owner: &str, id: MessageId) -> Result<Option<Message>> {
        let connection = self.lock();
        let mut question = connection.prepare_cached(
            "SELECT id, sender, colleague, subject, body, received, unread, replied FROM messages
             WHERE owner = ?1 AND id = ?2 AND NOT archived",
        )?;
        Ok(question.query_row(params![owner, id], message_at).optional()?)
    }

    pub(crate) fn inbox_counts(&self, owner: &str) -> Result<InboxCounts> {
        let connection = self.lock();
        let mut question = connection.prepare_cached(
            "SELECT COUNT(*), COUNT(*) FILTER (WHERE unread) FROM messages WHERE owner = ?1 AND NOT archived",
        )?;
        Ok(question.query_row([owner], |row| Ok(InboxCounts { total: row.get(0)?, unread: row.get(1)? }))?)
    }

    /// Answers whether `owner` has such a message, like the write below.
    pub(crate) fn mark_read(&self, owner: &str, id: MessageId) -> Result<bool> {
        let connection = self.lock();
        let mut write = connection
            .prepare_cached("UPDATE messages SET unread = FALSE WHERE owner = ?1 AND id = ?2 AND NOT archived")?;
        Ok(write.execute(params![owner, id])? > 0)
    }

    pub(crate) fn archive(&self, owner: &str, id: MessageId) -> Result<bool> {
        let connection = self.lock();
        let mut write = connection.prepare_cached(
            "UPDATE messages SET archived = TRUE, unread = FALSE WHERE owner = ?1 AND id = ?2 AND NOT archived",
        )?;
        Ok(write.execute(params![owner, id])? > 0)
    }

    /// Marks `id` as answered and, when its sender has a desk here, delivers the answer, both or neither.
    pub(crate) fn reply(&self, owner: &str, id: MessageId, answer: Option<&NewMessage<'_>>) -> Result<()> {
        self.in_transaction(|connection| {
            connection
                .prepare_cached("UPDATE messages SET replied = TRUE, unread = FALSE WHERE owner = ?1 AND id = ?2")?
                .execute(params![owner, id])?;
            answer.map_or(Ok(()), |answer| insert_message(connection, answer))
        })
    }
}

pub(crate) fn insert_message(connection: &Connection, message: &NewMessage<'_>) -> Result<()> {
    let NewMessage { owner, sender, colleague, subject, body, received, unread } = message;
    connection
        .prepare_cached(
            "INSERT INTO messages (owner, sender, colleague, subject, body, received, unread)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![owner, sender, colleague, subject, body, received, unread])?;
    Ok(())
}
