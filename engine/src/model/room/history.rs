//! What was said between a room and its agents.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::timestamp::rfc3339;
use crate::model::Text;
use crate::model::cut::cut;

/// Who said something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum HistoryRole {
    /// Who started a run: its input.
    User,
    /// The agent: the result of a run.
    Agent,
    /// A tool: what it returned.
    Tool,
}

/// One entry of the history of a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HistoryEntry {
    /// Who said it.
    pub role: HistoryRole,
    /// The text: a string as it is, anything else as JSON.
    pub text: Text,
    /// In which run.
    pub run: Text,
    /// When, as RFC 3339.
    pub at: String,
}

/// How much is kept of a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HistoryBounds {
    pub(crate) entries: usize,
    pub(crate) bytes: usize,
}

/// The latest entries, in the order in which they were appended: a pure type. The oldest are evicted first.
#[derive(Debug, Default)]
pub(crate) struct History {
    entries: VecDeque<HistoryEntry>,
    /// The bytes of their texts.
    bytes: usize,
    /// The number of the oldest entry. Numbers are never given twice.
    first: u64,
    /// The numbers of the entries that are kept with the room, as far as that is known.
    kept: Range<u64>,
}

/// What is kept of a history otherwise than before.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct HistoryChange {
    /// The numbers of entries that are kept no more.
    pub(crate) dropped: Range<u64>,
    /// New entries, with their numbers.
    pub(crate) added: Vec<(u64, HistoryEntry)>,
}

impl History {
    /// Appends what was said. A text longer than all may be is cut.
    pub(crate) fn append(&mut self, role: HistoryRole, said: &Value, run: &Text, unix_ms: u64, bounds: HistoryBounds) {
        let text: Text = match said {
            Value::String(text) => text.as_str().into(),
            other => other.to_string().into(),
        };
        let text = cut(text, bounds.bytes);
        self.bytes += text.len();
        self.entries.push_back(HistoryEntry { role, text, run: run.clone(), at: rfc3339(unix_ms) });
        self.shrink(bounds);
    }

    fn shrink(&mut self, bounds: HistoryBounds) {
        while self.entries.len() > bounds.entries || self.bytes > bounds.bytes {
            let Some(oldest) = self.entries.pop_front() else { return };
            self.bytes -= oldest.text.len();
            self.first += 1;
        }
    }

    /// What an earlier engine has kept, by number.
    pub(crate) fn recovered(kept: BTreeMap<u64, HistoryEntry>, bounds: HistoryBounds) -> Self {
        let first = kept.first_key_value().map_or(0, |(number, _)| *number);
        let end = kept.last_key_value().map_or(0, |(number, _)| number + 1);
        let bytes = kept.values().map(|entry| entry.text.len()).sum();
        // If one is missing, those behind it have other numbers, and are kept anew.
        let is_whole = end - first == kept.len() as u64;
        let entries = kept.into_values().collect();
        let mut history = Self { entries, bytes, first: if is_whole { first } else { end }, kept: first..end };
        history.shrink(bounds);
        history
    }

    /// What has changed since this was asked last, for whoever keeps the entries.
    pub(crate) fn take_change(&mut self) -> HistoryChange {
        let end = self.first + self.entries.len() as u64;
        let dropped = self.kept.start..self.kept.end.min(self.first);
        let from = self.kept.end.max(self.first);
        let skipped = usize::try_from(from - self.first).unwrap_or(usize::MAX);
        let added = (from..).zip(self.entries.iter().skip(skipped).cloned()).collect();
        self.kept = self.first..end;
        HistoryChange { dropped, added }
    }

    /// A copy of its own for each reader.
    pub(crate) fn entries(&self) -> Vec<HistoryEntry> {
        self.entries.iter().cloned().collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.first += self.entries.len() as u64;
        (self.entries, self.bytes) = (VecDeque::new(), 0);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn texts(history: &History) -> Vec<String> {
        history.entries().into_iter().map(|entry| entry.text.to_string()).collect()
    }

    #[test]
    fn the_oldest_are_evicted_by_number_and_by_bytes() {
        let bounds = HistoryBounds { entries: 3, bytes: 10 };
        let mut history = History::default();
        let mut append = |said: Value| {
            history.append(HistoryRole::User, &said, &"r_1".into(), 0, bounds);
            texts(&history)
        };
        assert_eq!(append(json!("a")), ["a"]);
        assert_eq!(append(json!({"b": 1})), ["a", "{\"b\":1}"]);
        assert_eq!(append(json!("cd")), ["a", "{\"b\":1}", "cd"]);
        assert_eq!(append(json!("e")), ["{\"b\":1}", "cd", "e"]);
        assert_eq!(append(json!("fghi")), ["cd", "e", "fghi"]);
        assert_eq!(append(json!("longer than everything")), ["longer tha"]);
        history.clear();
        assert_eq!((texts(&history).len(), history.bytes), (0, 0));
    }

    #[test]
    fn what_is_kept_of_it_follows_in_small_steps() {
        let bounds = HistoryBounds { entries: 3, bytes: 100 };
        let mut history = History::default();
        let mut kept: BTreeMap<u64, HistoryEntry> = BTreeMap::new();
        for step in 0..40_u64 {
            for number in 0..step % 4 {
                history.append(HistoryRole::User, &json!(format!("{step}-{number}")), &"r_1".into(), 0, bounds);
            }
            if step % 7 == 6 {
                history.clear();
            }
            let HistoryChange { dropped, added } = history.take_change();
            assert!(added.len() <= 3 && dropped.end.saturating_sub(dropped.start) <= 3, "{step}");
            dropped.for_each(|number| assert!(kept.remove(&number).is_some(), "{step}"));
            kept.extend(added);
            assert!(kept.values().cloned().eq(history.entries()), "{step}");
            if step % 5 == 0 {
                history = History::recovered(kept.clone(), bounds);
                assert_eq!(history.take_change(), HistoryChange { dropped: dropped_of(&kept), added: Vec::new() });
            }
        }
    }

    /// Nothing, before the first entry.
    fn dropped_of(kept: &BTreeMap<u64, HistoryEntry>) -> Range<u64> {
        let first = kept.first_key_value().map_or(0, |(number, _)| *number);
        first..first
    }

    #[test]
    fn a_history_with_a_hole_is_kept_anew() {
        let bounds = HistoryBounds { entries: 3, bytes: 100 };
        let mut history = History::default();
        ["a", "b", "c"].iter().for_each(|text| history.append(HistoryRole::User, &json!(text), &"r".into(), 0, bounds));
        let mut kept: BTreeMap<_, _> = history.take_change().added.into_iter().collect();
        kept.remove(&1);
        let mut history = History::recovered(kept, bounds);
        let HistoryChange { dropped, added } = history.take_change();
        assert_eq!((dropped, added.iter().map(|(number, _)| *number).collect::<Vec<_>>()), (0..3, vec![3, 4]));
        assert_eq!(texts(&history), ["a", "c"]);
    }

    #[test]
    fn a_reader_has_a_copy_of_its_own() {
        let mut history = History::default();
        let bounds = HistoryBounds { entries: 3, bytes: 10 };
        history.append(HistoryRole::Agent, &json!("a"), &"r_1".into(), 0, bounds);
        let mut copy = history.entries();
        copy[0].text = "changed".into();
        copy.clear();
        assert_eq!(texts(&history), ["a"]);
    }
}
