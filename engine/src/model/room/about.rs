//! What is fixed about a room.

use serde::{Deserialize, Serialize};

use super::policy::{Access, ArchiveFor, Facet, Mode, OnEnd, Origin, Queue, Trust};
use crate::model::Text;

/// What is fixed about a room when it is created, and so can be read without a lock.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct About {
    pub(crate) id: Text,
    pub(crate) project: Text,
    /// The order of creation, in this process.
    #[serde(skip)]
    pub(crate) rank: u64,
    pub(crate) title: Text,
    /// The user who created it.
    pub(crate) owner: Text,
    pub(crate) origin: Origin,
    /// When, in ms since 1970.
    pub(crate) created_ms: u64,
    /// Changes only if history was lost.
    pub(crate) epoch: Text,
    pub(crate) access: Access,
    pub(crate) trust: Trust,
    pub(crate) mode: Mode,
    pub(crate) queue: Queue,
    pub(crate) streaming: bool,
    pub(crate) replayable: bool,
    pub(crate) one_shot: bool,
    pub(crate) on_end: OnEnd,
    pub(crate) archive_for: ArchiveFor,
    pub(crate) particulars: Option<Box<Particulars>>,
}

/// What few rooms have. It stands apart, so that the others cost nothing for it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Particulars {
    pub(crate) agent: Option<Text>,
    /// The epoch that it was created with, if history was lost since.
    pub(crate) first_epoch: Option<Text>,
    pub(crate) parent: Option<Text>,
    /// That with which its parent was created, which tells that room from a later one with its id.
    pub(crate) parent_epoch: Option<Text>,
    /// How many rooms stand above it, each the parent of the next.
    pub(crate) generation: usize,
    pub(crate) inherit: Box<[Facet]>,
    /// By name, those that it inherits included.
    pub(crate) attributes: Box<[(Text, Text)]>,
}

impl Particulars {
    /// Nothing, if there are none.
    pub(crate) fn apart(self) -> Option<Box<Self>> {
        (self != Self::default()).then(|| Box::new(self))
    }
}

impl About {
    /// Whether its events are kept while it lives, and it is there again after a restart.
    pub(crate) fn is_kept(&self) -> bool {
        self.replayable || self.on_end == OnEnd::Archive
    }

    /// History was lost: this is the epoch from now on.
    pub(crate) fn lose_history(&mut self, epoch: Text) {
        if self.epoch != epoch {
            let before = std::mem::replace(&mut self.epoch, epoch);
            self.particulars.get_or_insert_default().first_epoch.get_or_insert(before);
        }
    }

    /// The epoch that it was created with, whatever was lost since.
    pub(crate) fn first_epoch(&self) -> &Text {
        let first = self.particulars.as_ref().and_then(|particulars| particulars.first_epoch.as_ref());
        first.unwrap_or(&self.epoch)
    }
}
