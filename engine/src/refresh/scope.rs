//! Whose trees a refresh touches.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use smallvec::SmallVec;

use crate::event::{Event, Observers, PanicSite};
use crate::model::Text;
use crate::model::path;
use crate::model::selector::Selector;
use crate::model::session::Session;
use crate::render::evaluate::panic_sentence;
use crate::sessions::paths::Paths;
use crate::sessions::slot::Slot;
use crate::sessions::table::Table;

/// Whose trees a refresh touches, and which of their paths.
#[derive(Debug, Clone)]
pub struct Scope {
    who: Who,
    paths: Paths,
}

#[derive(Debug, Clone)]
enum Who {
    Selected(Selector),
    /// What only this process can decide.
    Matching(Predicate),
}

#[derive(Clone)]
struct Predicate(Arc<dyn Fn(&Session) -> bool + Send + Sync>);

impl fmt::Debug for Predicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Predicate")
    }
}

impl Scope {
    const fn selected(selector: Selector) -> Self {
        Self { who: Who::Selected(selector), paths: Paths::All }
    }

    /// Every session.
    #[must_use]
    pub const fn all() -> Self {
        Self::selected(Selector::All)
    }

    /// One session.
    pub fn session(id: impl Into<Text>) -> Self {
        Self::selected(Selector::Session(id.into()))
    }

    /// All sessions of a user. Takes time by how many those are, not by how many sessions there are.
    pub fn user(user: impl Into<Text>) -> Self {
        Self::selected(Selector::User(user.into()))
    }

    /// All sessions with an attribute. Takes time by how many those are, not by how many sessions there are.
    pub fn attribute(name: impl Into<Text>, value: impl Into<Text>) -> Self {
        Self::selected(Selector::Attribute { name: name.into(), value: value.into() })
    }

    /// The sessions for which a closure says yes. It is asked about every session, and may panic for one without harm to
    /// the others (that one is left out).
    pub fn matching(predicate: impl Fn(&Session) -> bool + Send + Sync + 'static) -> Self {
        Self { who: Who::Matching(Predicate(Arc::new(predicate))), paths: Paths::All }
    }

    /// Only sources at, above or below these paths.
    #[must_use]
    pub fn paths<P: AsRef<str>>(mut self, paths: impl IntoIterator<Item = P>) -> Self {
        let paths: SmallVec<[Text; 1]> = paths.into_iter().map(|path| path::normal(path.as_ref())).collect();
        self.paths = if paths.iter().any(|path| path.is_empty()) { Paths::All } else { Paths::Only(paths) };
        self
    }

    pub(crate) const fn wanted(&self) -> &Paths {
        &self.paths
    }

    /// The sessions that it means now.
    pub(crate) fn resolve(&self, table: &Table, observers: &Observers) -> Vec<Arc<Slot>> {
        match &self.who {
            Who::Selected(selector) => table.select(selector),
            Who::Matching(predicate) => {
                let mut slots = table.all();
                slots.retain(|slot| predicate.holds(&slot.session(), observers));
                slots
            }
        }
    }
}

impl Predicate {
    fn holds(&self, session: &Session, observers: &Observers) -> bool {
        catch_unwind(AssertUnwindSafe(|| (self.0)(session))).unwrap_or_else(|panic| {
            observers.warn(&Event::Panicked { what: PanicSite::Predicate, why: panic_sentence(panic.as_ref()) });
            false
        })
    }
}
