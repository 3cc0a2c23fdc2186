//! What is kept for each session, and how sessions are found.

pub(crate) mod committed_trees;

mod tab_node;

pub(crate) mod tab_tree;

pub(crate) mod tab;

pub(crate) mod source_edit;

pub(crate) mod overlay;

pub(crate) mod waiters;

pub(crate) mod paths;

pub(crate) mod resume_points;

pub(crate) mod turn;

mod recent_passes;

mod side_turns;

mod extras;

mod slot_state;

mod slot_tree;

mod slot_record;

pub(crate) mod slot;

mod idle_list;

mod expiry_index;

mod slot_set;

mod room_index;

pub(crate) mod evidence;

pub(crate) mod table;

pub(crate) mod timer;

pub(crate) mod idle_tracker;

pub(crate) mod quota;

pub(crate) mod call_quota;

mod blocking_queue;

pub(crate) mod blocking;

mod kept_revocations;

pub(crate) mod revocations;
