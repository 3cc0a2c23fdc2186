//! The shapes that the sources share: a query, a window of a long list, and one item of it.

use std::str::FromStr;

use grove_engine::{Descriptor, Item, Session, Source, WindowRequest};

use crate::desk::Desk;
use crate::error::Result;

/// A source that queries the store. When the store fails, the engine keeps the last good state of this path, reports an
/// event, and serves the rest of the tree.
pub(super) fn source(
    desk: &Desk,
    show: impl Fn(&Desk, &Session) -> Result<Descriptor> + Send + Sync + 'static,
) -> Source {
    let desk = desk.clone();
    Source::new(move |session: &Session| show(&desk, session))
}

/// The largest number of items in one window, however many are requested.
const LARGEST_WINDOW: u64 = 200;
/// The largest offset of a window.
const MAX_OFFSET: u64 = 1_000_000;

/// The windows of a long list, for [`Source::on_window`].
pub(super) fn window(
    desk: &Desk,
    items: impl Fn(&Desk, &Session, u64, u64) -> Result<Vec<Item>> + Send + Sync + 'static,
) -> impl Fn(&Session, &WindowRequest) -> Result<Vec<Item>> + Send + Sync + 'static {
    let desk = desk.clone();
    move |session, wanted| items(&desk, session, wanted.offset.min(MAX_OFFSET), wanted.count.min(LARGEST_WINDOW))
}

/// One item of a long list, for [`Source::on_item`]: an item that a window has shown can be acted on, although the tree
/// does not hold it. A path that is not the id of an item has no item.
pub(super) fn item_by_id<Id: FromStr>(
    desk: &Desk,
    find: impl Fn(&Desk, &Session, Id) -> Result<Option<Item>> + Send + Sync + 'static,
) -> impl Fn(&Session, &str) -> Result<Option<Item>> + Send + Sync + 'static {
    let desk = desk.clone();
    move |session, path| path.parse().map_or(Ok(None), |id| find(&desk, session, id))
}
