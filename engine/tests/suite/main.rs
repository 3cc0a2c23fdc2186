//! The engine's behaviour through its public API. Each file is named for a behaviour.

mod sharing;
mod tabs;
