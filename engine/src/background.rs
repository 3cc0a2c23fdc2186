//! Work that goes on by itself, counted until it ends.

use std::sync::Arc;

use crate::in_flight::InFlight;
use crate::sync::Runtime;

/// The runtime, and how much of the engine's own work runs on it.
#[derive(Debug)]
pub(crate) struct Background {
    pub(crate) runtime: Runtime,
    pub(crate) in_flight: Arc<InFlight>,
}

impl Background {
    /// Runs in the background and counts as work until it ends.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let token = self.in_flight.begin();
        self.runtime.spawn(async move {
            work.await;
            drop(token);
        });
    }
}
