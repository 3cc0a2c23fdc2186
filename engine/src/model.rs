//! The nouns: plain data without locks, clocks or sockets.

pub mod affordance;
pub mod content_ref;
pub mod id;
pub mod meta;
pub mod nesting;
pub mod patch;
pub mod path;
pub(crate) mod read_log;
pub mod selector;
pub mod session;
pub mod value;

/// Short owned text: up to 24 bytes live inside the value itself.
pub type Text = compact_str::CompactString;
