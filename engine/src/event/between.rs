//! What happens between the instances of one application.

use std::fmt;

use crate::model::Text;

/// What happens between this instance and the others ([`Event::Cluster`](super::Event::Cluster)).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClusterEvent {
    /// Another instance is heard: for the first time, again after it was gone, or in a new life.
    InstanceSeen {
        /// Its name.
        instance: Text,
        /// Which life it is.
        incarnation: u64,
    },
    /// Another instance has been silent for too long to be sure that it lives (`cluster.suspect_after`).
    InstanceSuspect {
        /// Its name.
        instance: Text,
    },
    /// Another instance has left, or has been silent for so long that it counts as gone (`cluster.gone_after`).
    InstanceGone {
        /// Its name.
        instance: Text,
    },
    /// There is a connection to the other instances.
    Connected,
    /// There is no connection to the other instances. This one goes on by itself, and what it missed is repaired later.
    Disconnected {
        /// Why, for the log.
        why: String,
    },
    /// This instance is not allowed to listen to something. The rest goes on.
    Refused {
        /// The kind of the topic.
        topic: &'static str,
        /// Why, for the log.
        why: String,
    },
    /// A message of another instance could not be used, and was dropped.
    MessageDropped {
        /// The kind of the topic; `request` for a request.
        topic: &'static str,
        /// What is wrong with it, for the log.
        why: String,
        /// How many there are: more than one if those of a topic were only counted, since there were too many lately.
        messages: u64,
    },
    /// What other instances may have changed was missed, or may have been: watched sessions are refreshed.
    Resynced {
        /// Of which project; `None` means all.
        project: Option<Text>,
        /// What showed it.
        cause: RepairCause,
    },
}

/// Why what other instances may have changed is looked at again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RepairCause {
    /// A message came, and the one before it had not.
    Gap,
    /// A heartbeat said that there was a message which did not come.
    Mark,
    /// An instance began a new life: the last words of the one before may be lost.
    Restarted,
    /// An instance is heard again that was gone.
    Returned,
    /// An instance is gone: its last words may be lost.
    Gone,
    /// There is a connection to the others again.
    Reconnected,
    /// Messages for this instance were dropped.
    Lost,
    /// A message could not be read.
    Malformed,
    /// Nothing of a project is missed from now on, but what came before may have been.
    Subscribed,
}

impl RepairCause {
    /// The name in events and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gap => "gap",
            Self::Mark => "mark",
            Self::Restarted => "restarted",
            Self::Returned => "returned",
            Self::Gone => "gone",
            Self::Reconnected => "reconnected",
            Self::Lost => "lost",
            Self::Malformed => "malformed",
            Self::Subscribed => "subscribed",
        }
    }
}

impl fmt::Display for RepairCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
