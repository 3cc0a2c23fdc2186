//! Changes to one person's own tasks.

use super::{Desk, may_write, text};
use crate::change::{Area, Change};
use crate::clock::{Day, NotADay};
use crate::error::{DeskError, Result};
use crate::id::{ExportId, TaskId};
use crate::people::Person;

impl Desk {
    /// `due` is a day like `2026-03-09`; nothing, or an empty text, is a task without one.
    pub(crate) fn add_task(&self, person: &Person, title: &str, due: Option<&str>) -> Result<TaskId> {
        may_write(person)?;
        let title = text::line("A title", title)?;
        let due = due.map(str::trim).filter(|day| !day.is_empty()).map(day).transpose()?;
        let id = self.store().add_task(&person.name, &title, due)?;
        self.tasks_changed(person);
        Ok(id)
    }

    pub(crate) fn toggle_task(&self, person: &Person, id: TaskId) -> Result<()> {
        may_write(person)?;
        self.task_written(person, id, self.store().toggle_task(&person.name, id)?)
    }

    pub(crate) fn rename_task(&self, person: &Person, id: TaskId, title: &str) -> Result<()> {
        may_write(person)?;
        let title = text::line("A title", title)?;
        self.task_written(person, id, self.store().rename_task(&person.name, id, &title)?)
    }

    pub(crate) fn delete_task(&self, person: &Person, id: TaskId) -> Result<()> {
        may_write(person)?;
        self.task_written(person, id, self.store().delete_task(&person.name, id)?)
    }

    /// Keeps a finished export, for the link on the page.
    pub(crate) fn add_export(&self, person: &Person, rows: u64, csv: &str) -> Result<ExportId> {
        may_write(person)?;
        let id = self.store().add_export(&person.name, rows, csv)?;
        self.tasks_changed(person);
        Ok(id)
    }

    fn task_written(&self, person: &Person, id: TaskId, found: bool) -> Result<()> {
        if !found {
            return Err(DeskError::no_such("task", id));
        }
        self.tasks_changed(person);
        Ok(())
    }

    fn tasks_changed(&self, person: &Person) {
        self.announce(Change::Own { area: Area::Tasks, person: person.name.clone() });
    }
}

fn day(typed: &str) -> Result<Day> {
    typed.parse().map_err(|NotADay| DeskError::Invalid(format!("{typed:?} is not a day like 2026-03-09.")))
}
