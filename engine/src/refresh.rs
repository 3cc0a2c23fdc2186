//! Whose trees are rendered again, when, and how.

pub(crate) mod scope;

pub(crate) mod predicates;

pub(crate) mod notifier;

pub(crate) mod sources;

pub(crate) mod gathered;

pub(crate) mod schedule;

pub(crate) mod source_trace;

mod classes;

mod tickets;

mod job_queue;

mod pass;

mod awaiting;

mod costly_users;

mod crew;

mod lanes;

mod workers;

mod held;

mod evaluator;

pub(crate) mod tab_notifier;

pub(crate) mod passes;

pub(crate) mod refresher;

mod late_refreshes;

pub(crate) mod after_call;
