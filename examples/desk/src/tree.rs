//! The state tree: what a person's AI sees of the desk, and what it can do there.
//!
//! A source reads from the session only what it needs. `board` reads the org and whether the reader may write, so it is
//! evaluated once for all writers of an org and once for its viewers, however many of them are connected.

mod board;
mod context;
mod export;
mod inbox;
mod settings;
mod tasks;

use std::str::FromStr;

use grove_engine::{ActionError, Descriptor, Item, Session, Source, WindowRequest};

use crate::desk::Desk;
use crate::error::{DeskError, Result};
use crate::people::Person;
use crate::session::WRITE;

/// Registers every source with the desk's engine.
pub(crate) fn register(desk: &Desk) {
    context::register(desk);
    inbox::register(desk);
    tasks::register(desk);
    board::register(desk);
    settings::register(desk);
}

/// A source that queries the store. When the store fails, the engine keeps the last good state of this path, reports an
/// event, and serves the rest of the tree.
fn source(desk: &Desk, show: impl Fn(&Desk, &Session) -> Result<Descriptor> + Send + Sync + 'static) -> Source {
    let desk = desk.clone();
    Source::new(move |session: &Session| show(&desk, session))
}

/// The largest number of items in one window, however many are requested.
const LARGEST_WINDOW: u64 = 200;
/// The largest offset of a window.
const MAX_OFFSET: u64 = 1_000_000;

/// The windows of a long list, for [`Source::on_window`].
fn window(
    desk: &Desk,
    items: impl Fn(&Desk, &Session, u64, u64) -> Result<Vec<Item>> + Send + Sync + 'static,
) -> impl Fn(&Session, &WindowRequest) -> Result<Vec<Item>> + Send + Sync + 'static {
    let desk = desk.clone();
    move |session, wanted| items(&desk, session, wanted.offset.min(MAX_OFFSET), wanted.count.min(LARGEST_WINDOW))
}

/// One item of a long list, for [`Source::on_item`]: an item that a window has shown can be acted on, although the tree
/// does not hold it. A path that is not the id of an item has no item.
fn item_by_id<Id: FromStr>(
    desk: &Desk,
    find: impl Fn(&Desk, &Session, Id) -> Result<Option<Item>> + Send + Sync + 'static,
) -> impl Fn(&Session, &str) -> Result<Option<Item>> + Send + Sync + 'static {
    let desk = desk.clone();
    move |session, path| path.parse().map_or(Ok(None), |id| find(&desk, session, id))
}

/// The login name of the session's user. A session without one has an empty desk.
fn user(session: &Session) -> &str {
    session.user().unwrap_or_default()
}

/// The person who acts, as the store knows them now. Every handler checks again, although a viewer's tree offers no
/// actions: the tree decides what is shown, not what is allowed.
fn actor(desk: &Desk, session: &Session) -> Result<Person, ActionError> {
    if !session.can(WRITE) {
        return Err(DeskError::ViewOnly.into());
    }
    let person = desk.store().person(user(session))?;
    person.ok_or_else(|| ActionError::unauthorized("No one of this name works here any more."))
}

/// Reads the id of a node, as in `/tasks/t12`.
fn id<Id: FromStr>(kind: &str, text: &str) -> Result<Id, ActionError> {
    text.parse().map_err(|_| DeskError::no_such(kind, text).into())
}
