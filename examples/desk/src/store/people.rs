//! Orgs, people and what each has set for the own desk.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::database::Store;
use crate::error::Result;
use crate::people::Person;
use crate::theme::Theme;

/// What a person has set.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) display: String,
    pub(crate) signature: String,
    pub(crate) theme: Theme,
}

/// Reads a person from the columns `name, display, org, role`, starting at column `first`.
pub(super) fn person_at(row: &Row<'_>, first: usize) -> rusqlite::Result<Person> {
    Ok(Person {
        name: row.get(first)?,
        display: row.get(first + 1)?,
        org: row.get(first + 2)?,
        role: row.get(first + 3)?,
    })
}

impl Store {
    /// Everybody, by org and name.
    pub(crate) fn people(&self) -> Result<Vec<Person>> {
        let connection = self.lock();
        let mut question =
            connection.prepare_cached("SELECT name, display, org, role FROM people ORDER BY org, name")?;
        let people = question.query_map([], |row| person_at(row, 0))?;
        Ok(people.collect::<Result<_, _>>()?)
    }

    pub(crate) fn person(&self, name: &str) -> Result<Option<Person>> {
        let connection = self.lock();
        let mut question = connection.prepare_cached("SELECT name, display, org, role FROM people WHERE name = ?1")?;
        Ok(question.query_row([name], |row| person_at(row, 0)).optional()?)
    }

    /// Every org: its name, and the one it goes by.
    pub(crate) fn orgs(&self) -> Result<Vec<(String, String)>> {
        let connection = self.lock();
        let mut question = connection.prepare_cached("SELECT name, label FROM orgs ORDER BY name")?;
        let orgs = question.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(orgs.collect::<Result<_, _>>()?)
    }

    /// The name an org goes by: `Acme Logistics`.
    pub(crate) fn org_label(&self, org: &str) -> Result<Option<String>> {
        let connection = self.lock();
        let mut question = connection.prepare_cached("SELECT label FROM orgs WHERE name = ?1")?;
        Ok(question.query_row([org], |row| row.get(0)).optional()?)
    }

    pub(crate) fn settings(&self, person: &str) -> Result<Option<Settings>> {
        let connection = self.lock();
        let mut question = connection.prepare_cached("SELECT display, signature, theme FROM people WHERE name = ?1")?;
        let settings = question.query_row([person], |row| {
            Ok(Settings { display: row.get(0)?, signature: row.get(1)?, theme: row.get(2)? })
        });
        Ok(settings.optional()?)
    }

    pub(crate) fn set_signature(&self, person: &str, signature: &str) -> Result<()> {
        let connection = self.lock();
        let mut write = connection.prepare_cached("UPDATE people SET signature = ?2 WHERE name = ?1")?;
        write.execute([person, signature])?;
        Ok(())
    }

    pub(crate) fn set_theme(&self, person: &str, theme: Theme) -> Result<()> {
        let connection = self.lock();
        let mut write = connection.prepare_cached("UPDATE people SET theme = ?2 WHERE name = ?1")?;
        write.execute(params![person, theme])?;
        Ok(())
    }
}

pub(crate) fn insert_org(connection: &Connection, name: &str, label: &str) -> Result<()> {
    connection.prepare_cached("INSERT INTO orgs (name, label) VALUES (?1, ?2)")?.execute([name, label])?;
    Ok(())
}

pub(crate) fn insert_person(connection: &Connection, person: &Person, signature: &str) -> Result<()> {
    let Person { name, display, org, role } = person;
    connection
        .prepare_cached("INSERT INTO people (name, display, org, role, signature) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![name, display, org, role, signature])?;
    Ok(())
}
