//! What a measurement gave, and whether it meets its goals.

pub(crate) mod goal;
pub(crate) mod row;
