//! The engine's behaviour through its public API. Each file is named for a behaviour.

mod apps;

mod access;
mod hello;
mod invoking;
mod many_users;
mod patches;
mod paths;
mod per_session;
mod refreshing;
mod resuming;
mod sharing;
mod subscriptions;
mod tabs;
mod views;
mod windows;
