//! The state tree: what a person's AI sees of the desk, and what it can do there.
//!
//! A source reads from the session only what it needs. `board` reads the org and whether the reader may write, so it is
//! evaluated once for all writers of an org and once for its viewers, however many of them are connected.

mod actor;
mod board;
mod context;
mod export;
mod inbox;
mod settings;
mod source;
mod tasks;

use crate::desk::Desk;

/// Registers every source with the desk's engine.
pub(crate) fn register(desk: &Desk) {
    context::register(desk);
    inbox::register(desk);
    tasks::register(desk);
    board::register(desk);
    settings::register(desk);
}
