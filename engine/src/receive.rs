//! What comes in: each message is decoded once and goes to one place.

pub(crate) mod peer;

pub(crate) mod admission;

pub(crate) mod greeter;

pub(crate) mod loader;

pub(crate) mod calls;

pub(crate) mod queries;

pub(crate) mod subscriptions;

pub(crate) mod tabs;

pub(crate) mod inbound;
