//! One consumer, as what it sends is served.

use std::sync::Arc;

use crate::deliver::link::Link;
use crate::sessions::slot::Slot;

/// One consumer: its session, and its way out.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) slot: Arc<Slot>,
    pub(crate) link: Arc<Link>,
}
