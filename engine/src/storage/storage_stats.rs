//! What is known of the writing of what is kept.

/// What the engine has written of what happened in rooms, and what waits for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct StorageStats {
    /// Bytes of changes that wait to be written, about.
    pub unwritten_bytes: usize,
    /// Changes that were made durable since the start. In memory none is counted.
    pub changes: u64,
    /// In how many commits: what comes while one is made goes into the next.
    pub commits: u64,
    /// How often something that was damaged was repaired when the engine was built.
    pub repairs: usize,
    /// Whether the last commit has failed, so that everything waits.
    pub is_failing: bool,
}
