//! From descriptor functions to trees and the steps between them. Knows no clock and no socket, awaits nothing.

mod node_position;
pub(crate) mod params;
pub(crate) mod read_trace;
pub(crate) mod task;
pub(crate) mod template;
pub(crate) mod symbols;
pub(crate) mod codec;
pub(crate) mod props;
mod weak_table;
mod typed_params;
pub(crate) mod action;
pub(crate) mod descriptor;
pub(crate) mod sanitise;
pub(crate) mod source;
pub(crate) mod layout;
pub(crate) mod registry;
pub(crate) mod run_counts;
pub(crate) mod fragment;
pub(crate) mod node_ref;
pub(crate) mod store;
pub(crate) mod pack;
pub(crate) mod evaluate;
pub(crate) mod tree;
pub(crate) mod view;
pub(crate) mod diff;
pub(crate) mod memo;
pub(crate) mod text;
