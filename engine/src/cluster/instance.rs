//! One process of an application.

use serde::{Deserialize, Serialize};

use crate::model::Text;

/// One process of an application: its name, and which life of it this is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Instance {
    /// Unique among the instances that live at the same time.
    pub name: Text,
    /// Larger than that of every earlier life of the same name: when it began, in ms since 1970.
    pub incarnation: u64,
}
