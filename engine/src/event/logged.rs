//! Events as lines of the log.

use super::Event;

impl Event {
    pub(super) fn log(&self) {
        match self {
            Self::SourceFailed { .. }
            | Self::Panicked { .. }
            | Self::RefreshRefused { .. }
            | Self::StorageFailed { .. } => {
                tracing::error!(target: "grove", event = ?self)
            }
            Self::Sanitised { .. }
            | Self::LimitReached { .. }
            | Self::Compacted { .. }
            | Self::ResultBeforePatch { .. }
            | Self::Refused { .. }
            | Self::RoomRefused { .. }
            | Self::SessionConflict { .. }
            | Self::StorageRepaired { .. }
            | Self::StorageRecovered { .. } => {
                tracing::warn!(target: "grove", event = ?self);
            }
            Self::Draining { .. }
            | Self::Revoked { .. }
            | Self::RoomCreated { .. }
            | Self::RoomClosed { .. }
            | Self::AgentLinked { .. }
            | Self::AgentUnlinked { .. } => {
                tracing::info!(target: "grove", event = ?self)
            }
            _ => tracing::debug!(target: "grove", event = ?self),
        }
    }
}
