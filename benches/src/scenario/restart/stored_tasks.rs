//! Tasks as they are in the database.

use std::collections::BTreeMap;

/// A task in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StoredTask {
    pub(super) id: String,
    pub(super) done: bool,
}

/// The tasks of one person by title.
#[derive(Debug, Default)]
pub(super) struct StoredTasks(BTreeMap<String, Vec<StoredTask>>);

impl StoredTasks {
    pub(super) fn add(&mut self, title: &str, task: StoredTask) {
        self.0.entry(title.to_owned()).or_default().push(task);
    }

    /// The tasks with this title.
    pub(super) fn titled(&self, title: &str) -> &[StoredTask] {
        self.0.get(title).map(Vec::as_slice).unwrap_or_default()
    }
}
