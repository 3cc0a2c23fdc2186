//! The engine's behaviour through its public API. Each file is named after a behaviour.

mod fixtures;

mod access;
mod assembly;
mod bad_input;
mod citations;
mod connections;
mod emitting;
mod eviction;
mod faults;
mod hello;
mod invoking;
mod isolation;
mod laws;
mod limits;
mod many_users;
mod patches;
mod paths;
mod per_session;
mod reference;
mod refreshing;
mod replay;
mod resuming;
mod sanitising;
mod sharding;
mod sharing;
mod shutdown;
mod spans;
mod subscriptions;
mod superseding;
mod tabs;
mod tasks;
mod tidy;
mod unchanged_protocol;
mod views;
mod windows;
