//! Whose trees are rendered again, when, and how.

pub(crate) mod pass;
pub(crate) mod schedule;
pub mod scope;
