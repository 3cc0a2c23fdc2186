//! What an engine is built from.

use std::sync::Arc;

use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::config::Config;
use crate::event::Observers;
use crate::instances::commits::WaitFor;
use crate::model::Text;
use crate::receive::calls::Authorize;
use crate::rooms::options::RoomOptions;
use crate::session_provider::Factory;

/// Everything that an application may choose.
pub(super) struct EngineOptions {
    pub(super) id: Text,
    pub(super) name: Text,
    pub(super) config: Config,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) observers: Observers,
    pub(super) authorize: Option<Authorize>,
    pub(super) hello_fields: Vec<Text>,
    /// Set in provider-per-session mode.
    pub(super) factory: Option<Factory>,
    /// Set if there are rooms.
    pub(super) rooms: Option<RoomOptions>,
    /// Set if there may be other instances: the name of this one, and what carries messages.
    pub(super) cluster: Option<(Text, Arc<dyn Cluster>)>,
    pub(super) wait_for: Option<WaitFor>,
}
