//! JSON text in and out: the only place that knows how messages are spelled.

pub(crate) mod code;
pub(crate) mod close_reason;
mod json;

pub(crate) mod message;
pub(crate) mod decode;
pub(crate) mod decode_tab;
pub(crate) mod encode;
pub(crate) mod room_part;
pub(crate) mod encoded_event;
pub(crate) mod room_event;
pub(crate) mod from_agent;
pub(crate) mod to_agent;

/// The version of the protocol that `hello` and discovery name.
pub const SLOP_VERSION: &str = "0.1";

/// What this engine can do, as `hello` and discovery say it (contract 1.1). `resume` is ours: a consumer that does not
/// know it never meets it.
pub const CAPABILITIES: &[&str] =
    &["state", "patches", "affordances", "attention", "windowing", "async", "content_refs", "resume"];
