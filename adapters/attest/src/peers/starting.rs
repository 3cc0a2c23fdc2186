//! How the peers of a server begin, and how the others learn that one is offline, is back, or is gone: from the presence of
//! rooms.

use std::sync::{Arc, OnceLock, Weak};

use grove_engine::{ActionError, Engine, Event, Provider};
use parking_lot::Mutex;
use tokio::runtime::Handle;

use super::{Inner, Peers};
use crate::changes::Changes;
use crate::member::Members;
use crate::registry::Registry;
use crate::unanswered::Unanswered;

/// How many peers there may be, if nothing else is said.
const MAX_PEERS: usize = 10_000;

/// How many links there may be on which nobody has said yet who it is; one more closes the one that has waited longest.
const MAX_UNANSWERED: usize = 1_024;

impl Peers {
    /// The peers of the server with this name, which is what members sign: no attestation for another server counts here. To
    /// be called in a tokio runtime.
    ///
    /// # Errors
    /// `not_supported` if the engine was built without rooms, of whose presence peers are a part.
    pub fn new(
        engine: &Engine,
        members: impl Members + 'static,
        audience: impl Into<String>,
    ) -> Result<Self, ActionError> {
        let rooms = engine.rooms();
        let changes = Arc::new(Changes::default());
        let left_ms = u64::try_from(engine.config().rooms.left_after.as_millis()).unwrap_or(u64::MAX);
        let inner = Arc::new(Inner {
            engine: engine.clone(),
            clock: rooms.clock()?,
            rooms,
            members: Arc::new(members),
            audience: audience.into(),
            registry: Mutex::new(Registry::new(MAX_PEERS)),
            showing: Mutex::new(()),
            changes: Arc::clone(&changes),
            attributes: OnceLock::new(),
            left_ms,
            runtime: Handle::current(),
            unanswered: Arc::new(Unanswered::new(MAX_UNANSWERED)),
        });
        watch(engine, &inner, &changes);
        Ok(Self { inner })
    }
}

/// Looks at each row that changes, until the peers are gone.
fn watch(engine: &Engine, inner: &Arc<Inner>, changes: &Arc<Changes>) {
    let (noticed, of) = (Arc::clone(changes), Arc::downgrade(inner));
    engine.observe(move |event| {
        if let Event::PresenceChanged { participant, .. } = event
            && of.upgrade().is_some_and(|inner| inner.is_peer(participant))
        {
            noticed.add(participant);
        }
    });
    tokio::spawn(look(Arc::downgrade(inner), Arc::clone(changes)));
}

async fn look(inner: Weak<Inner>, changes: Arc<Changes>) {
    loop {
        let changed = changes.next().await;
        let Some(inner) = inner.upgrade() else { return };
        changed.iter().for_each(|participant| inner.look_at(participant));
    }
}
