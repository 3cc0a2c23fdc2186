//! What was acknowledged to a worker, and whether the database has it.

use super::stored_tasks::StoredTasks;

/// A task whose creation was acknowledged.
#[derive(Debug)]
struct AcknowledgedTask {
    title: String,
    id: String,
    /// The last acknowledged state. `None` if a toggle got no result, so that either state is right.
    done: Option<bool>,
}

/// What one worker knows of its own actions.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    tasks: Vec<AcknowledgedTask>,
    /// Titles of tasks that may exist, at most once.
    unconfirmed_titles: Vec<String>,
    pub(super) counts: ActionCounts,
}

/// Counts of actions by their outcome.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct ActionCounts {
    pub(super) acknowledged: u64,
    /// Actions without a result, which may have been executed.
    pub(super) unconfirmed: u64,
    pub(super) rejected: u64,
}

/// An action that has no result yet.
#[derive(Debug)]
pub(super) enum PendingAction {
    /// Adds a task with this title.
    Add(String),
    /// Toggles an acknowledged task, by its index.
    Toggle(usize),
}

impl Ledger {
    /// A random acknowledged task to toggle: its index and its id.
    pub(super) fn pick(&self, random: &mut fastrand::Rng) -> Option<(usize, &str)> {
        let at = random.usize(0..self.tasks.len().max(1));
        self.tasks.get(at).map(|task| (at, task.id.as_str()))
    }

    /// The action was executed. `id` is that of an added task.
    pub(super) fn acknowledge(&mut self, action: PendingAction, id: &str) {
        self.counts.acknowledged += 1;
        match action {
            PendingAction::Add(title) => {
                self.tasks.push(AcknowledgedTask { title, id: id.to_owned(), done: Some(false) });
            }
            PendingAction::Toggle(at) => {
                let task = &mut self.tasks[at];
                task.done = task.done.map(|done| !done);
            }
        }
    }

    /// The action was not executed.
    pub(super) fn reject(&mut self) {
        self.counts.rejected += 1;
    }

    /// The action may have been executed.
    pub(super) fn leave_unconfirmed(&mut self, action: PendingAction) {
        self.counts.unconfirmed += 1;
        match action {
            PendingAction::Add(title) => self.unconfirmed_titles.push(title),
            PendingAction::Toggle(at) => self.tasks[at].done = None,
        }
    }

    /// What the database has lost, or has twice.
    pub(super) fn compare(&self, stored: Option<&StoredTasks>) -> Vec<String> {
        let Some(stored) = stored else { return vec!["the tasks of a person were not listed".to_owned()] };
        let lost = self.tasks.iter().filter_map(|task| match stored.titled(&task.title) {
            [stored] if stored.id == task.id && task.done.is_none_or(|done| done == stored.done) => None,
            stored => Some(format!("{task:?} was acknowledged, but the database has {stored:?}")),
        });
        let duplicated = self.unconfirmed_titles.iter().filter(|title| stored.titled(title).len() > 1);
        lost.chain(duplicated.map(|title| format!("`{title}` is in the database more than once"))).collect()
    }
}

impl std::ops::AddAssign for ActionCounts {
    fn add_assign(&mut self, other: Self) {
        self.acknowledged += other.acknowledged;
        self.unconfirmed += other.unconfirmed;
        self.rejected += other.rejected;
    }
}

#[cfg(test)]
mod tests {
    use super::super::stored_tasks::StoredTask;
    use super::*;

    fn stored(tasks: &[(&str, &str, bool)]) -> StoredTasks {
        let mut stored = StoredTasks::default();
        for (title, id, done) in tasks {
            stored.add(title, StoredTask { id: (*id).to_owned(), done: *done });
        }
        stored
    }

    fn ledger() -> Ledger {
        let mut ledger = Ledger::default();
        ledger.acknowledge(PendingAction::Add("a".to_owned()), "1");
        ledger.acknowledge(PendingAction::Toggle(0), "");
        ledger.leave_unconfirmed(PendingAction::Add("b".to_owned()));
        ledger
    }

    #[test]
    fn acknowledged_tasks_exist_once_and_unconfirmed_ones_at_most_once() {
        assert!(ledger().compare(Some(&stored(&[("a", "1", true)]))).is_empty());
        assert!(ledger().compare(Some(&stored(&[("a", "1", true), ("b", "2", false)]))).is_empty());
    }

    #[test]
    fn a_lost_a_duplicated_and_a_reverted_action_are_noticed() {
        for wrong in [
            &stored(&[]),
            &stored(&[("a", "1", false)]),
            &stored(&[("a", "1", true), ("a", "2", true)]),
            &stored(&[("a", "1", true), ("b", "2", false), ("b", "3", false)]),
        ] {
            assert_eq!(ledger().compare(Some(wrong)).len(), 1, "{wrong:?}");
        }
    }

    #[test]
    fn after_an_unconfirmed_toggle_either_state_is_right() {
        let mut ledger = ledger();
        ledger.leave_unconfirmed(PendingAction::Toggle(0));
        for done in [true, false] {
            assert!(ledger.compare(Some(&stored(&[("a", "1", done)]))).is_empty());
        }
    }
}
