//! What is kept for each session, and how sessions are found.

pub(crate) mod tab_tree;

pub(crate) mod tab;

mod overlay;

pub(crate) mod latch;

pub(crate) mod paths;

pub(crate) mod slot;

mod idle_list;

mod slot_set;

pub(crate) mod table;

pub mod revocations;
