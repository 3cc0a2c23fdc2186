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

impl Instance {
    /// Checks a name, as [`EngineBuilder::cluster`](crate::EngineBuilder::cluster) does.
    ///
    /// # Errors
    /// What a name needs, if this one is empty, longer than 64 bytes, or holds a control character.
    pub fn check_name(name: &str) -> Result<(), &'static str> {
        let is_valid = (1..=64).contains(&name.len()) && !name.chars().any(char::is_control);
        if is_valid { Ok(()) } else { Err("it needs 1 to 64 bytes without control characters") }
    }
}
