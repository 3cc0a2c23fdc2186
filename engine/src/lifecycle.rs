//! How sessions live: opened, renewed, evicted, revoked, expired, closed.

pub(crate) mod closer;

pub(crate) mod expiry;

pub(crate) mod evictor;

pub(crate) mod revoker;

pub(crate) mod resume;

pub(crate) mod providers;

pub(crate) mod opener;

pub(crate) mod liveness;

pub(crate) mod cache;
