//! What is kept for each session, and how sessions are found.

pub(crate) mod tab_tree;

pub(crate) mod tab;

pub(crate) mod alarm;

mod own;

pub(crate) mod slot;

pub(crate) mod table;

pub(crate) mod evict;

pub mod revoked;
