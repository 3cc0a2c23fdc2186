//! What one consumer gets to see and when. The deciding half knows no clock and no socket: it is told the time.

pub(crate) mod versioned;

pub(crate) mod outbox_counts;

pub(crate) mod delivery;

mod fit;

pub(crate) mod query;

pub(crate) mod resume_point;

pub(crate) mod released;

pub(crate) mod subscription;

mod room_lane;

pub(crate) mod event_lane;

pub(crate) mod peer_kind;

pub(crate) mod frame;

pub(crate) mod replies;

pub(crate) mod outbox;

mod inbox;

pub(crate) mod call_log;

pub(crate) mod connection_name;

pub(crate) mod link;
