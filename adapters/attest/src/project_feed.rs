//! The feed of one project, and those who wait for it.

use std::sync::Arc;

use axum::extract::ws::Utf8Bytes;
use grove_engine::PresenceRow;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::feed::{Behind, Feed, Shows};
use crate::frames;
use crate::public_key::PublicKey;

/// How many changes a peer is told of before it is heard again.
const AT_ONCE: usize = 64;

/// A peer as it is shown.
#[derive(Debug)]
pub(crate) struct PeerRow {
    pub(crate) row: Arc<PresenceRow>,
    pub(crate) session_key: Option<PublicKey>,
}

/// What the peers of one project are to be told of each other; a handle.
#[derive(Debug, Clone, Default)]
pub(crate) struct ProjectFeed(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    feed: Mutex<Feed<PeerRow>>,
    /// The latest change.
    last: watch::Sender<u64>,
}

/// One peer that is told, until this is dropped.
#[derive(Debug)]
pub(crate) struct FeedReader {
    shared: Arc<Shared>,
    id: u64,
    last: watch::Receiver<u64>,
    has_more: bool,
}

impl ProjectFeed {
    /// A row is there, or is another one than before.
    pub(crate) fn show(&self, number: u64, member: &str, row: PeerRow) {
        self.change(|feed| feed.show(number, member, row));
    }

    /// A row is gone.
    pub(crate) fn leave(&self, number: u64) {
        self.change(|feed| feed.leave(number));
    }

    fn change(&self, change: impl FnOnce(&mut Feed<PeerRow>)) {
        let last = {
            let mut feed = self.0.feed.lock();
            change(&mut feed);
            feed.last()
        };
        // Whoever changes it at the same time may be first here.
        self.0.last.send_if_modified(|known| {
            last > *known && {
                *known = last;
                true
            }
        });
    }

    /// The peer with this number is told of what follows.
    pub(crate) fn reader(&self, number: u64, member: &str) -> FeedReader {
        let shared = Arc::clone(&self.0);
        // First, so that nothing is missed that follows.
        let last = shared.last.subscribe();
        let id = shared.feed.lock().open(number, member);
        FeedReader { shared, id, last, has_more: false }
    }
}

impl FeedReader {
    /// Waits until there is something to tell.
    pub(crate) async fn wait(&mut self) {
        if !self.has_more {
            // It ends with an error only when the sender is gone, which `shared` keeps.
            let _ = self.last.changed().await;
        }
    }

    /// What the peer is told next.
    pub(crate) fn take(&mut self) -> Result<Vec<Utf8Bytes>, Behind> {
        let (texts, is_all) = self.shared.feed.lock().take(self.id, AT_ONCE)?;
        self.has_more = !is_all;
        Ok(texts)
    }
}

impl Drop for FeedReader {
    fn drop(&mut self) {
        self.shared.feed.lock().close(self.id);
    }
}

impl Shows for PeerRow {
    fn frame(&self, kind: &str, is_own: bool) -> String {
        frames::changed(kind, &frames::row(&self.row, self.session_key.as_ref(), is_own))
    }
}
