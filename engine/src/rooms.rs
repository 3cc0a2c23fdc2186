//! The living rooms: which there are, who is in them, and what happens there.

pub(crate) mod ids;
pub(crate) mod call_ids;
pub(crate) mod deadlines;
mod due;
mod leases;
mod attendees;
pub(crate) mod options;
pub(crate) mod said;
pub(crate) mod living;
mod attendance;
pub(crate) mod directory;
pub(crate) mod premises;
mod refusal;
mod step;
pub(crate) mod roles;
pub(crate) mod joining;
pub(crate) mod ending;
pub(crate) mod saying;
pub(crate) mod managing;
pub(crate) mod creating;
pub(crate) mod presence;
pub(crate) mod service;
pub(crate) mod actions;
pub(crate) mod sources;
pub(crate) mod by_path;
