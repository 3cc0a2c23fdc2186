//! What other instances say, and what follows from it here.

pub(crate) mod commits;
pub(crate) mod hearing;
pub(crate) mod renewals;
pub(crate) mod decider;
pub(crate) mod decision_requests;
pub(crate) mod station;
pub(crate) mod arrivals;
