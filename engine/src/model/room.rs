//! A place in which several sessions work together.

pub(crate) mod timestamp;
pub(crate) mod role;
pub(crate) mod policy;
pub(crate) mod message;
pub(crate) mod participant;
mod participants;
pub(crate) mod leave_reason;
pub(crate) mod memory;
pub(crate) mod about;
pub(crate) mod record;
pub(crate) mod event;
pub(crate) mod handle;
pub(crate) mod memberships;
