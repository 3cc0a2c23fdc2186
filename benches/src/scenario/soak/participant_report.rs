//! What a consumer or a tab reports when it has disconnected.

use std::collections::BTreeMap;

use crate::scenario::message_counts::MessageCounts;

/// The report of one participant.
#[derive(Debug, Default)]
pub(super) struct ParticipantReport {
    pub(super) counts: MessageCounts,
    pub(super) stalls: u64,
    pub(super) kills: u64,
    pub(super) calls: u64,
    /// What was done in rooms, what was received of them, and how many gaps that had.
    pub(super) room_calls: u64,
    pub(super) room_events: u64,
    pub(super) room_gaps: u64,
    /// Calls of consumers that this tab received.
    pub(super) tab_calls: u64,
    pub(super) is_tab: bool,
    /// Connections that the server closed, by close code.
    pub(super) closes: BTreeMap<u16, u64>,
    /// Whether its copy equalled a fresh query, if it was connected at the end.
    pub(super) exact: Option<bool>,
    /// Checks that failed.
    pub(super) problems: Vec<String>,
}

impl ParticipantReport {
    pub(super) fn count_close(&mut self, code: u16) {
        *self.closes.entry(code).or_default() += 1;
    }
}
