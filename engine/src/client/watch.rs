//! Follows a part of a session's tree.

use futures_util::Stream;
use futures_util::stream::unfold;

use super::attachment::{Attachment, node};
use super::change::{Change, operations};
use super::query::Query;
use super::view::View;
use crate::deliver::versioned::Versioned;
use crate::render::view::View as RenderedView;

/// Follows a part of a session's tree. Changes that nobody takes are coalesced: a slow reader gets one step to the newest
/// state, and costs a pointer meanwhile.
#[derive(Debug)]
pub struct Watch {
    attachment: Attachment,
    query: Query,
    /// The tree to which the last change led.
    sent: Option<Versioned>,
    gone: bool,
}

impl Watch {
    pub(super) const fn new(attachment: Attachment, query: Query) -> Self {
        Self { attachment, query, sent: None, gone: false }
    }

    /// The next change; `None` once the session has ended. May be dropped and called again at any time: nothing is lost.
    pub async fn next(&mut self) -> Option<Change> {
        loop {
            let seen = self.sent.as_ref().map(|sent| sent.version);
            let now = self.attachment.next_tree(seen).await?;
            if let Some(change) = self.step(&now) {
                return Some(change);
            }
        }
    }

    /// All changes as a stream, which ends with the session.
    pub fn into_stream(self) -> impl Stream<Item = Change> + Send {
        unfold(self, async |mut watch| watch.next().await.map(|change| (change, watch)))
    }

    /// What leads from the tree before to this one, if that shows.
    fn step(&mut self, now: &Versioned) -> Option<Change> {
        let before = self.sent.replace(now.clone());
        let options = self.query.options();
        let Some(located) = now.tree.resolve(&options.path) else {
            return (!std::mem::replace(&mut self.gone, true)).then_some(Change::Gone);
        };
        let known = self.attachment.known_orders(&now.tree);
        let new = RenderedView::new(options, located.node, None).within(None, Some(known));
        let snapshot = || Some(Change::Snapshot(View { version: now.version, root: node(&new) }));
        if std::mem::replace(&mut self.gone, false) {
            return snapshot();
        }
        let Some(before) = &before else { return snapshot() };
        let Some(located) = before.tree.resolve(&options.path) else { return snapshot() };
        let known = self.attachment.known_orders(&before.tree);
        let old = RenderedView::new(options, located.node, None).within(None, Some(known));
        match operations(old.root(), new.root()) {
            Ok(operations) if operations.is_empty() => None,
            Ok(operations) => Some(Change::Patch { version: now.version, operations }),
            Err(_) => snapshot(),
        }
    }
}
