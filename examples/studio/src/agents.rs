//! The agents.

mod run;

pub(crate) mod model;
pub(crate) mod research;
pub(crate) mod summarize;
