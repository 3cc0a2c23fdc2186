//! The agents that run in this process. `proofread.py` is one that does not.

mod run;

pub(crate) mod model;
pub(crate) mod research;
pub(crate) mod summarize;
