//! Each person's own tasks, and the exports made of them.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::database::Store;
use crate::clock::{Day, Moment};
use crate::error::Result;
use crate::id::{ExportId, TaskId};

/// Something one person has to do.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub(crate) id: TaskId,
    pub(crate) title: String,
    pub(crate) done: bool,
    pub(crate) due: Option<Day>,
    pub(crate) priority: Priority,
}

/// How much a task matters beside the others. Stored as its number, so that the higher sorts first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Priority {
    Low = 0,
    Normal = 1,
    High = 2,
}

impl Priority {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
        }
    }
}

impl ToSql for Priority {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok((*self as i64).into())
    }
}

impl FromSql for Priority {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value.as_i64()? {
            0 => Ok(Self::Low),
            1 => Ok(Self::Normal),
            2 => Ok(Self::High),
            other => Err(FromSqlError::OutOfRange(other)),
        }
    }
}

/// A person's tasks in numbers. `overdue` and `due_today` count open ones only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TaskCounts {
    pub(crate) total: u64,
    pub(crate) open: u64,
    pub(crate) overdue: u64,
    pub(crate) due_today: u64,
}

/// A finished export, without its text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Export {
    pub(crate) id: ExportId,
    pub(crate) created: Moment,
    pub(crate) rows: u64,
}

fn task_at(row: &Row<'_>) -> rusqlite::Result<Task> {
    Ok(Task { id: row.get(0)?, title: row.get(1)?, done: row.get(2)?, due: row.get(3)?, priority: row.get(4)? })
}

impl Store {
    /// `count` tasks from position `offset`: open ones first, then by due day (none last), then by priority.
    pub(crate) fn tasks(&self, owner: &str, offset: u64, count: u64) -> Result<Vec<Task>> {
        let connection = self.lock();
        let mut question = connection.prepare_cached(
            "SELECT id, title, done, due, priority FROM tasks WHERE owner = ?1
             ORDER BY done, due IS NULL, due, priority DESC, id LIMIT ?3 OFFSET ?2",
        )?;
        let tasks = question.query_map(params![owner, offset, count], task_at)?;
        Ok(tasks.collect::<Result<_, _>>()?)
    }

    pub(crate) fn task(&self, owner: &str, id: TaskId) -> Result<Option<Task>> {
        let connection = self.lock();
        let mut question = connection
            .prepare_cached("SELECT id, title, done, due, priority FROM tasks WHERE owner = ?1 AND id = ?2")?;
        Ok(question.query_row(params![owner, id], task_at).optional()?)
    }

    pub(crate) fn task_counts(&self, owner: &str, today: Day) -> Result<TaskCounts> {
        let connection = self.lock();
        let mut question = connection.prepare_cached(
            "SELECT COUNT(*), COUNT(*) FILTER (WHERE NOT done), COUNT(*) FILTER (WHERE NOT done AND due < ?2),
                    COUNT(*) FILTER (WHERE NOT done AND due = ?2)
             FROM tasks WHERE owner = ?1",
        )?;
        let counts = question.query_row(params![owner, today], |row| {
            Ok(TaskCounts { total: row.get(0)?, open: row.get(1)?, overdue: row.get(2)?, due_today: row.get(3)? })
        });
        Ok(counts?)
    }

    pub(crate) fn add_task(&self, owner: &str, title: &str, due: Option<Day>) -> Result<TaskId> {
        let connection = self.lock();
        insert_task(&connection, owner, title, due, Priority::Normal)
    }

    /// Answers whether `owner` has such a task, like every write below.
    pub(crate) fn toggle_task(&self, owner: &str, id: TaskId) -> Result<bool> {
        let connection = self.lock();
        let mut write = connection.prepare_cached("UPDATE tasks SET done = NOT done WHERE owner = ?1 AND id = ?2")?;
        Ok(write.execute(params![owner, id])? > 0)
    }

    pub(crate) fn rename_task(&self, owner: &str, id: TaskId, title: &str) -> Result<bool> {
        let connection = self.lock();
        let mut write = connection.prepare_cached("UPDATE tasks SET title = ?3 WHERE owner = ?1 AND id = ?2")?;
        Ok(write.execute(params![owner, id, title])? > 0)
    }

    pub(crate) fn delete_task(&self, owner: &str, id: TaskId) -> Result<bool> {
        let connection = self.lock();
        let mut write = connection.prepare_cached("DELETE FROM tasks WHERE owner = ?1 AND id = ?2")?;
        Ok(write.execute(params![owner, id])? > 0)
    }

    pub(crate) fn add_export(&self, owner: &str, rows: u64, csv: &str) -> Result<ExportId> {
        let connection = self.lock();
        connection
            .prepare_cached("INSERT INTO exports (owner, created, rows, csv) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![owner, Moment::now(), rows, csv])?;
        Ok(ExportId::from_row(connection.last_insert_rowid()))
    }

    pub(crate) fn latest_export(&self, owner: &str) -> Result<Option<Export>> {
        let connection = self.lock();
        let mut question = connection
            .prepare_cached("SELECT id, created, rows FROM exports WHERE owner = ?1 ORDER BY id DESC LIMIT 1")?;
        let export =
            question.query_row([owner], |row| Ok(Export { id: row.get(0)?, created: row.get(1)?, rows: row.get(2)? }));
        Ok(export.optional()?)
    }

    /// The text of an export.
    pub(crate) fn export_csv(&self, owner: &str, id: ExportId) -> Result<Option<String>> {
        let connection = self.lock();
        let mut question = connection.prepare_cached("SELECT csv FROM exports WHERE owner = ?1 AND id = ?2")?;
        Ok(question.query_row(params![owner, id], |row| row.get(0)).optional()?)
    }
}

pub(crate) fn insert_task(
    connection: &Connection,
    owner: &str,
    title: &str,
    due: Option<Day>,
    priority: Priority,
) -> Result<TaskId> {
    connection
        .prepare_cached("INSERT INTO tasks (owner, title, due, priority) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![owner, title, due, priority])?;
    Ok(TaskId::from_row(connection.last_insert_rowid()))
}

pub(crate) fn mark_done(connection: &Connection, id: TaskId) -> Result<()> {
    connection.prepare_cached("UPDATE tasks SET done = TRUE WHERE id = ?1")?.execute([id])?;
    Ok(())
}
