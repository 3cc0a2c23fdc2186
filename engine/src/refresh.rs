//! Whose trees are rendered again, when, and how.

mod classes;
pub(crate) mod pass;
pub(crate) mod schedule;
pub mod scope;
pub(crate) mod source_trace;
