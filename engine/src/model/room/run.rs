//! One execution of an agent in a room.

pub(crate) mod failure;
pub(crate) mod delivery;
pub(crate) mod output;
pub(crate) mod asked;
pub(crate) mod state;
