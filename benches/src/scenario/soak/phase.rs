//! The phases of `soak`.

/// What all participants do at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Active,
    /// Nobody changes anything.
    Quiet,
    /// Each consumer compares its copy with a fresh query, and disconnects.
    Verifying,
}
