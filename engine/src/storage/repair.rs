//! What had to be done about something damaged.

/// What had to be done so that what is kept can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Repair {
    /// In a sentence for the log.
    pub(crate) what: String,
    /// Something that was confirmed may be missing.
    pub(crate) is_history_lost: bool,
}
