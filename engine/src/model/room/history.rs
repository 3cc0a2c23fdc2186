//! What was said between a room and its agents.

use std::collections::VecDeque;

use serde::Serialize;
use serde_json::Value;

use super::timestamp::rfc3339;
use crate::model::Text;
use crate::model::cut::cut;

/// Who said something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
        while self.entries.len() > bounds.entries || self.bytes > bounds.bytes {
            let Some(oldest) = self.entries.pop_front() else { return };
            self.bytes -= oldest.text.len();
        }
    }

    /// A copy of its own for each reader.
    pub(crate) fn entries(&self) -> Vec<HistoryEntry> {
        self.entries.iter().cloned().collect()
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
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
