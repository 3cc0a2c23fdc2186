//! What `cluster` measures.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// One question about several instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ClusterCase {
    /// From a change on one instance to the frame of a consumer on another
    Notice,
    /// 100,000 notices per second that concern no session
    Foreign,
}

impl ClusterCase {
    pub(crate) const ALL: [Self; 2] = [Self::Notice, Self::Foreign];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Notice => "notice",
            Self::Foreign => "foreign",
        }
    }
}
