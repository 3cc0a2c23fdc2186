//! Events as lines of the log.

use std::fmt;

use super::between::ClusterEvent;
use super::{Event, Observers};

impl Event {
    pub(super) fn log(&self) {
        match self {
            Self::SourceFailed { .. }
            | Self::Panicked { .. }
            | Self::RefreshRefused { .. }
            | Self::RoomUnreadable { .. }
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
            | Self::PeerReplaced { .. }
            | Self::PeerRevoked { .. }
            | Self::AgentLinked { .. }
            | Self::AgentUnlinked { .. } => {
                tracing::info!(target: "grove", event = ?self)
            }
            Self::Cluster(
                ClusterEvent::InstanceSeen { .. } | ClusterEvent::Connected | ClusterEvent::Resynced { .. },
            ) => tracing::info!(target: "grove", event = ?self),
            Self::Cluster(_) => tracing::warn!(target: "grove", event = ?self),
            _ => tracing::debug!(target: "grove", event = ?self),
        }
    }
}

impl fmt::Debug for Observers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observers").finish_non_exhaustive()
    }
}
