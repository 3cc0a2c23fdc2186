//! Provider-per-session mode: makes what a session's factory registers.

use std::fmt;
use std::sync::Arc;

use crate::error::ConnectError;
use crate::event::Observers;
use crate::model::session::Session;
use crate::protocol::close_reason::CloseReason;
use crate::refresh::refresher::Refresher;
use crate::refresh::sources::Sources;
use crate::session_provider::{self, Factory};
use crate::sessions::slot::Slot;

use super::closer::Closer;

/// Runs the factory, if there is one.
pub(crate) struct Providers {
    factory: Option<Factory>,
    sources: Arc<Sources>,
    refresher: Arc<Refresher>,
    closer: Arc<Closer>,
    observers: Arc<Observers>,
}

impl Providers {
    pub(crate) fn new(
        factory: Option<Factory>,
        sources: Arc<Sources>,
        refresher: Arc<Refresher>,
        closer: Arc<Closer>,
        observers: Arc<Observers>,
    ) -> Self {
        Self { factory, sources, refresher, closer, observers }
    }

    /// Whether each session has a provider of its own.
    pub(super) const fn are_per_session(&self) -> bool {
        self.factory.is_some()
    }

    /// Makes what this session registers. A session for which that fails is closed.
    pub(super) fn make(&self, slot: &Arc<Slot>, session: &Session) -> Result<(), ConnectError> {
        let Some(factory) = &self.factory else { return Ok(()) };
        let untracked = Session::untracked(Arc::clone(session.context()));
        let Some(mut sources) = session_provider::make(factory, &untracked, &self.observers) else {
            self.closer.close(slot, CloseReason::ProviderFailed);
            return Err(ConnectError::ProviderFailed);
        };
        for (path, source) in &mut sources {
            self.sources.adopt(path, source);
        }
        // No lock is held here: of two sources under one path the first is dropped.
        let sources = sources.into_iter().map(|(path, source)| (path, Arc::new(source))).collect();
        if slot.set_provider(session.context(), sources) {
            self.refresher.request_first_tree(slot);
        }
        Ok(())
    }
}

impl fmt::Debug for Providers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Providers").field("per_session", &self.are_per_session()).finish_non_exhaustive()
    }
}
