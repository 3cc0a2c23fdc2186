//! The engine's behaviour through its public API. Each file is named for a behaviour.

mod apps;

mod access;
mod hello;
mod many_users;
mod paths;
mod per_session;
mod refreshing;
mod sharing;
mod tabs;
mod views;
mod windows;
