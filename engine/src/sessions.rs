//! What is kept for each session, and how sessions are found.

pub(crate) mod tab_tree;

pub(crate) mod tab;

mod own;

pub(crate) mod done;

pub(crate) mod paths;

pub(crate) mod slot;

mod order;

mod places;

pub(crate) mod table;

pub mod revoked;
