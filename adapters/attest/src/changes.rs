//! How the others learn that a peer is offline, is back, or is gone: from the presence of rooms.

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};

use grove_engine::{Engine, Event, Text};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::peers::Inner;

/// The rows that may have changed. There are no more of them than rows.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    participants: Mutex<BTreeSet<Text>>,
    notify: Notify,
}

/// Looks at each row that changes, until the peers are gone.
pub(crate) fn watch(engine: &Engine, inner: &Arc<Inner>, changes: &Arc<Changes>) {
    let (noticed, of) = (Arc::clone(changes), Arc::downgrade(inner));
    engine.observe(move |event| {
        if let Event::PresenceChanged { participant, .. } = event
            && of.upgrade().is_some_and(|inner| inner.is_peer(participant))
        {
            noticed.participants.lock().insert(participant.clone());
            noticed.notify.notify_one();
        }
    });
    tokio::spawn(look(Arc::downgrade(inner), Arc::clone(changes)));
}

async fn look(inner: Weak<Inner>, changes: Arc<Changes>) {
    loop {
        changes.notify.notified().await;
        let changed = std::mem::take(&mut *changes.participants.lock());
        let Some(inner) = inner.upgrade() else { return };
        changed.iter().for_each(|participant| inner.look_at(participant));
    }
}

/// Ends the task that looks.
impl Changes {
    pub(crate) fn end(&self) {
        self.notify.notify_one();
    }
}
