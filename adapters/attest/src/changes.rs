//! The rows that may be others than the others know.

use std::collections::BTreeSet;

use grove_engine::Text;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// The rows that may have changed. There are no more of them than rows.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    participants: Mutex<BTreeSet<Text>>,
    notify: Notify,
}

impl Changes {
    pub(crate) fn add(&self, participant: &Text) {
        self.participants.lock().insert(participant.clone());
        self.notify.notify_one();
    }

    /// Waits until there are some, and takes them.
    pub(crate) async fn next(&self) -> BTreeSet<Text> {
        self.notify.notified().await;
        std::mem::take(&mut *self.participants.lock())
    }

    /// Wakes whoever waits, since there will be no more.
    pub(crate) fn end(&self) {
        self.notify.notify_one();
    }
}
