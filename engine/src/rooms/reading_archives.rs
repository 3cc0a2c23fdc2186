//! Who may read what stays of rooms that have ended.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use super::archived_room::ArchivedRoom;
use super::durability;
use super::premises::Premises;
use super::roles::project_of;
use crate::error::ActionError;
use crate::model::Text;
use crate::model::session::Session;
use crate::storage::event_log::{LoggedEvent, PageSize};

/// Lets those read archives who may.
#[derive(Debug)]
pub(crate) struct Archives {
    premises: Arc<Premises>,
}

/// How many events are read at once.
const PAGE: usize = 512;

/// The events of a room that has ended, from the first to the last.
pub struct ArchivedEvents {
    premises: Arc<Premises>,
    id: Text,
    /// The number of the last event that was read.
    reached: u64,
    read: VecDeque<Arc<str>>,
    is_over: bool,
}

/// What an archive is like to those who may not read it.
fn no_archive() -> ActionError {
    ActionError::not_found("there is no such archive")
}

impl Archives {
    pub(crate) const fn new(premises: Arc<Premises>) -> Self {
        Self { premises }
    }

    /// The events of an archive, for a session that may read them.
    pub(crate) async fn open(&self, session: &Session, id: &str) -> Result<ArchivedEvents, ActionError> {
        let id = Text::from(id);
        let mut about = self.about(&id).await?;
        if about.is_none() {
            // The room may have ended just now.
            let _ = durability::all_durable(&self.premises).await;
            about = self.about(&id).await?;
        }
        let about: ArchivedRoom = about.and_then(|about| serde_json::from_str(&about).ok()).ok_or_else(no_archive)?;
        let context = session.context();
        let may = context.user().is_some_and(|user| about.is_for(project_of(context), user));
        let (premises, read) = (Arc::clone(&self.premises), VecDeque::new());
        may.then(|| ArchivedEvents { premises, id, reached: 0, read, is_over: false }).ok_or_else(no_archive)
    }

    async fn about(&self, id: &Text) -> Result<Option<Arc<str>>, ActionError> {
        let archive = id.clone();
        let about = self.premises.journal.read(move |store| store.about_archive(&archive));
        about.await.map_err(|why| self.premises.unreadable(id, &why))
    }
}

impl ArchivedEvents {
    /// The next event, as JSON on one line; `None` behind the last one.
    ///
    /// # Errors
    /// `internal` if it is damaged, `busy` if it cannot be read now.
    pub async fn next(&mut self) -> Result<Option<Arc<str>>, ActionError> {
        if self.read.is_empty() && !self.is_over {
            let page = self.page().await?;
            self.is_over = page.is_empty();
            self.reached = page.last().map_or(self.reached, |event| event.seq);
            self.read.extend(page.into_iter().map(|event| event.text));
        }
        Ok(self.read.pop_front())
    }

    async fn page(&self) -> Result<Vec<LoggedEvent>, ActionError> {
        let (id, reached) = (self.id.clone(), self.reached);
        let size = PageSize { events: PAGE, bytes: self.premises.max_event_bytes };
        let read = self.premises.journal.read(move |store| store.read_archive(&id, reached, size));
        read.await.map_err(|why| self.premises.unreadable(&self.id, &why))
    }
}

impl fmt::Debug for ArchivedEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArchivedEvents").field("id", &self.id).finish_non_exhaustive()
    }
}
