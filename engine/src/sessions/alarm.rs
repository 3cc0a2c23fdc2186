//! When a slot wants to be looked at again.

/// The one entry on the wheel that counts. Entries are never taken off; one that was overtaken by an earlier one finds
/// that it does not count any more.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    /// In ms; 0 if there is none.
    due_ms: u64,
}

impl Alarm {
    /// Wants to be looked at by this time; false if that is so already.
    pub(crate) const fn set(&mut self, at_ms: u64) -> bool {
        if self.due_ms != 0 && self.due_ms <= at_ms {
            return false;
        }
        self.due_ms = if at_ms == 0 { 1 } else { at_ms };
        true
    }

    /// Whether the entry for this time is the one that counts; then there is none any more.
    pub(crate) const fn rings(&mut self, at_ms: u64) -> bool {
        let rings = self.due_ms == if at_ms == 0 { 1 } else { at_ms };
        if rings {
            self.due_ms = 0;
        }
        rings
    }
}
