//! The nouns: plain data without locks, clocks or sockets.

pub(crate) mod affordance;
pub(crate) mod bounded_json;
pub(crate) mod content_ref;
pub(crate) mod cut;
pub(crate) mod id;
pub(crate) mod meta;
pub(crate) mod nesting;
pub(crate) mod patch;
pub(crate) mod path;
pub(crate) mod read_log;
pub(crate) mod room;
pub(crate) mod selector;
pub(crate) mod context;
pub(crate) mod session;
pub(crate) mod claims;
pub(crate) mod value;

/// Short owned text: up to 24 bytes live inside the value itself.
pub type Text = compact_str::CompactString;
