//! What a worker reports at the end.

use super::ledger::Ledger;
use crate::scenario::message_counts::MessageCounts;

/// The outcome of one worker.
pub(super) struct WorkerOutcome {
    pub(super) person: String,
    pub(super) ledger: Ledger,
    pub(super) counts: MessageCounts,
    /// Whether its copy equalled a fresh query.
    pub(super) exact: bool,
    /// Checks that failed.
    pub(super) problems: Vec<String>,
}
