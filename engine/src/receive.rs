//! What comes in: each message is decoded once and goes to one place.

mod begin;
pub(crate) mod dispatch;
pub(crate) mod invoke;
pub(crate) mod load;
pub(crate) mod query;
pub(crate) mod supersede;
pub(crate) mod tab;
pub(crate) mod tasks;
