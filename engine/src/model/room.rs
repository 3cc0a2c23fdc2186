//! A place in which several sessions work together.

pub(crate) mod role;
pub(crate) mod record;
pub(crate) mod handle;
pub(crate) mod memberships;
