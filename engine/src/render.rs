//! From descriptor functions to trees and the steps between them. Knows no clock and no socket, awaits nothing.

pub(crate) mod action;
pub(crate) mod codec;
pub(crate) mod descriptor;
pub(crate) mod diff;
pub(crate) mod evaluate;
pub(crate) mod fragment;
pub(crate) mod layout;
pub(crate) mod memo;
mod node_position;
pub(crate) mod node_ref;
pub(crate) mod pack;
pub(crate) mod params;
pub(crate) mod props;
pub(crate) mod read_trace;
pub(crate) mod registry;
pub(crate) mod run_counts;
pub(crate) mod sanitise;
pub(crate) mod source;
pub(crate) mod store;
pub(crate) mod symbols;
pub(crate) mod task;
pub(crate) mod template;
pub(crate) mod text;
pub(crate) mod tree;
pub(crate) mod view;
mod weak_table;
