//! What a consumer was promised, and whether the store has kept it.

use std::collections::BTreeMap;

/// A task as the store has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StoredTask {
    pub(super) id: String,
    pub(super) done: bool,
}

/// One person's tasks by title.
#[derive(Debug, Default)]
pub(super) struct StoredTasks(BTreeMap<String, Vec<StoredTask>>);

impl StoredTasks {
    pub(super) fn add(&mut self, title: &str, task: StoredTask) {
        self.0.entry(title.to_owned()).or_default().push(task);
    }

    fn of(&self, title: &str) -> &[StoredTask] {
        self.0.get(title).map(Vec::as_slice).unwrap_or_default()
    }
}

/// A task that was acknowledged.
#[derive(Debug)]
struct Promised {
    title: String,
    id: String,
    /// As it was acknowledged last; nothing if a tick got no answer, so that either is right.
    done: Option<bool>,
}

/// What one consumer knows of its own actions.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    promised: Vec<Promised>,
    /// Titles that may be there, once.
    possible: Vec<String>,
    pub(super) acknowledged: u64,
    pub(super) doubtful: u64,
    pub(super) refused: u64,
}

/// Something that was asked for and has no answer yet.
#[derive(Debug)]
pub(super) enum Asked {
    Add(String),
    /// The tick of a promised task, by its place.
    Tick(usize),
}

impl Ledger {
    /// A promised task to tick: its place and its id.
    pub(super) fn pick(&self, random: &mut fastrand::Rng) -> Option<(usize, &str)> {
        let at = random.usize(0..self.promised.len().max(1));
        self.promised.get(at).map(|task| (at, task.id.as_str()))
    }

    /// It was done, and for a new task this is its id.
    pub(super) fn acknowledge(&mut self, asked: Asked, id: &str) {
        self.acknowledged += 1;
        match asked {
            Asked::Add(title) => self.promised.push(Promised { title, id: id.to_owned(), done: Some(false) }),
            Asked::Tick(at) => {
                let task = &mut self.promised[at];
                task.done = task.done.map(|done| !done);
            }
        }
    }

    /// It was not done.
    pub(super) fn refuse(&mut self) {
        self.refused += 1;
    }

    /// Nobody knows.
    pub(super) fn doubt(&mut self, asked: Asked) {
        self.doubtful += 1;
        match asked {
            Asked::Add(title) => self.possible.push(title),
            Asked::Tick(at) => self.promised[at].done = None,
        }
    }

    /// Adds the counts of another.
    pub(super) fn add_up(&mut self, other: &Self) {
        self.acknowledged += other.acknowledged;
        self.doubtful += other.doubtful;
        self.refused += other.refused;
    }

    /// What the store has not kept, or has twice.
    pub(super) fn compare(&self, stored: Option<&StoredTasks>) -> Vec<String> {
        let Some(stored) = stored else { return vec!["somebody's tasks were not listed".to_owned()] };
        let broken = self.promised.iter().filter_map(|task| match stored.of(&task.title) {
            [kept] if kept.id == task.id && task.done.is_none_or(|done| done == kept.done) => None,
            kept => Some(format!("{task:?} was acknowledged, and the store has {kept:?}")),
        });
        let doubled = self.possible.iter().filter(|title| stored.of(title).len() > 1);
        broken.chain(doubled.map(|title| format!("`{title}` is there more than once"))).collect()
    }
}

#[cfg(test)]
mod tests {
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
        ledger.acknowledge(Asked::Add("a".to_owned()), "1");
        ledger.acknowledge(Asked::Tick(0), "");
        ledger.doubt(Asked::Add("b".to_owned()));
        ledger
    }

    #[test]
    fn what_was_acknowledged_is_there_once_and_what_is_doubtful_at_most_once() {
        assert!(ledger().compare(Some(&stored(&[("a", "1", true)]))).is_empty());
        assert!(ledger().compare(Some(&stored(&[("a", "1", true), ("b", "2", false)]))).is_empty());
    }

    #[test]
    fn a_lost_a_doubled_and_a_forgotten_action_are_noticed() {
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
    fn after_a_tick_without_an_answer_either_is_right() {
        let mut ledger = ledger();
        ledger.doubt(Asked::Tick(0));
        for done in [true, false] {
            assert!(ledger.compare(Some(&stored(&[("a", "1", done)]))).is_empty());
        }
    }
}
