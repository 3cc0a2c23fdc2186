//! A place in which several sessions work together.

pub(crate) mod timestamp;
pub(crate) mod role;
pub(crate) mod policy;
pub(crate) mod message;
pub(crate) mod participant;
mod participants;
pub(crate) mod leave_reason;
pub(crate) mod memory;
pub(crate) mod memory_entry;
pub(crate) mod memory_query;
pub(crate) mod about;
pub(crate) mod end_reason;
pub(crate) mod lasting;
pub(crate) mod run;
pub(crate) mod new_run;
pub(crate) mod history;
pub(crate) mod runs;
pub(crate) mod record;
pub(crate) mod event;
pub(crate) mod run_event;
pub(crate) mod run_view;
pub(crate) mod handle;
pub(crate) mod memberships;
