//! What is measured: an engine of Grove, or servers of the peer.

pub(crate) mod database;
pub(crate) mod grove;
pub(crate) mod house;
pub(crate) mod manual_clock;
pub(crate) mod nats;
pub(crate) mod slop_ai;
pub(crate) mod work;
