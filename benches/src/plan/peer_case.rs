//! What `peers` measures.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// One question about processes with keys of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PeerCase {
    /// A challenge and the check of its answer, in this process
    Hello,
    /// Live links in projects of 10, the server being another process
    Sockets,
    /// Live links in one project, where everyone is told of everyone
    Crowd,
}

impl PeerCase {
    pub(crate) const ALL: [Self; 3] = [Self::Hello, Self::Sockets, Self::Crowd];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Hello => "hello",
            Self::Sockets => "sockets",
            Self::Crowd => "crowd",
        }
    }

    /// How many of so many peers are in each project.
    pub(crate) const fn per_project(self, peers: u32) -> u32 {
        match self {
            Self::Hello | Self::Crowd => peers,
            Self::Sockets => 10,
        }
    }
}
