//! Logins: which secret stands for which person, and until when.

use rusqlite::{Connection, OptionalExtension, params};

use super::database::Store;
use super::people::person_at;
use crate::clock::Moment;
use crate::error::Result;
use crate::people::Person;

/// A login, without the secret that proves it.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    /// The public id of this login, and of its engine session.
    pub(crate) id: String,
    pub(crate) person: Person,
    /// `None` for a development token, which is valid as long as the file exists.
    pub(crate) expires: Option<Moment>,
}

impl Store {
    /// The login that `token` belongs to now, for its pages.
    pub(crate) fn login(&self, token: &str) -> Result<Option<Login>> {
        self.find_login(
            "SELECT id, expires, name, display, org, role FROM logins JOIN people ON name = person
             WHERE token = ?1 AND (expires IS NULL OR expires > ?2)",
            token,
        )
    }

    /// The login whose tree `token` gives access to now: its own token, or its agent token.
    pub(crate) fn login_of_agent(&self, token: &str) -> Result<Option<Login>> {
        self.find_login(
            "SELECT id, expires, name, display, org, role FROM logins JOIN people ON name = person
             WHERE (token = ?1 OR agent_token = ?1) AND (expires IS NULL OR expires > ?2)",
            token,
        )
    }

    fn find_login(&self, query: &str, token: &str) -> Result<Option<Login>> {
        let connection = self.lock();
        let login = connection.prepare_cached(query)?.query_row(params![token, Moment::now()], |row| {
            Ok(Login { id: row.get(0)?, expires: row.get(1)?, person: person_at(row, 2)? })
        });
        Ok(login.optional()?)
    }

    /// The agent token of a login, which becomes `fresh` if it has none; `None` when the login no longer exists.
    pub(crate) fn agent_token(&self, id: &str, fresh: &str) -> Result<Option<String>> {
        let connection = self.lock();
        let mut write = connection.prepare_cached(
            "UPDATE logins SET agent_token = coalesce(agent_token, ?2) WHERE id = ?1 RETURNING agent_token",
        )?;
        Ok(write.query_row([id, fresh], |row| row.get(0)).optional()?)
    }

    /// Stores a browser's login, and deletes those that have expired.
    pub(crate) fn add_login(&self, token: &str, id: &str, person: &str, expires: Moment) -> Result<()> {
        self.in_transaction(|connection| {
            connection.prepare_cached("DELETE FROM logins WHERE expires <= ?1")?.execute([Moment::now()])?;
            connection
                .prepare_cached(
                    "INSERT INTO logins (token, id, person, development, expires) VALUES (?1, ?2, ?3, FALSE, ?4)",
                )?
                .execute(params![token, id, person, expires])?;
            Ok(())
        })
    }

    /// Extends a login; false when it no longer exists.
    pub(crate) fn extend_login(&self, id: &str, expires: Moment) -> Result<bool> {
        let connection = self.lock();
        let mut write =
            connection.prepare_cached("UPDATE logins SET expires = ?2 WHERE id = ?1 AND NOT development")?;
        Ok(write.execute(params![id, expires])? > 0)
    }

    /// Deletes a browser's login. A development token stays: it belongs to the file, not to a browser.
    pub(crate) fn end_login(&self, id: &str) -> Result<bool> {
        let connection = self.lock();
        let mut write = connection.prepare_cached("DELETE FROM logins WHERE id = ?1 AND NOT development")?;
        Ok(write.execute([id])? > 0)
    }

    /// The development token of each person, as name and token, by name.
    pub(crate) fn development_tokens(&self) -> Result<Vec<(String, String)>> {
        let connection = self.lock();
        let mut query =
            connection.prepare_cached("SELECT person, token FROM logins WHERE development ORDER BY person")?;
        let tokens = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(tokens.collect::<Result<_, _>>()?)
    }
}

pub(crate) fn insert_development_token(connection: &Connection, token: &str, person: &str) -> Result<()> {
    connection
        .prepare_cached("INSERT INTO logins (token, id, person, development) VALUES (?1, ?2, ?3, TRUE)")?
        .execute([token, &format!("dev-{person}"), person])?;
    Ok(())
}
