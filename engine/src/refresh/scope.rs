//! Whose trees a refresh touches.

use std::fmt;
use std::sync::Arc;

use crate::entered::{self, Function};
use crate::event::{Event, Observers, PanicSite};
use crate::model::Text;
use crate::model::path;
use crate::model::selector::Selector;
use crate::model::session::Session;
use crate::panics;
use crate::panics::guarded::Guarded;
use crate::sessions::paths::Paths;
use crate::sessions::slot::Slot;
use crate::sessions::table::Table;

/// Whose trees a refresh touches, and which of their paths.
#[derive(Debug, Clone)]
pub struct Scope {
    target: Target,
    paths: Paths,
    /// What other instances wait for before they look.
    commit: Option<Text>,
}

/// Whose sessions a refresh means.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    Selected(Selector),
    /// What only this process can decide.
    Matching(Predicate),
}

/// A closure over the session.
#[derive(Clone)]
pub(crate) struct Predicate(Arc<Guarded<Decide>>);

type Decide = Box<dyn Fn(&Session) -> bool + Send + Sync>;

impl fmt::Debug for Predicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Predicate")
    }
}

impl From<Selector> for Scope {
    fn from(selector: Selector) -> Self {
        Self { target: Target::Selected(selector), paths: Paths::All, commit: None }
    }
}

impl Scope {
    /// Every session.
    #[must_use]
    pub const fn all() -> Self {
        Self { target: Target::Selected(Selector::All), paths: Paths::All, commit: None }
    }

    /// One session.
    pub fn session(id: impl Into<Text>) -> Self {
        Selector::Session(id.into()).into()
    }

    /// All sessions of a user. Takes time by how many those are, not by how many sessions there are.
    pub fn user(user: impl Into<Text>) -> Self {
        Selector::User(user.into()).into()
    }

    /// All sessions with an attribute. Takes time by how many those are, not by how many sessions there are.
    pub fn attribute(name: impl Into<Text>, value: impl Into<Text>) -> Self {
        Selector::Attribute { name: name.into(), value: value.into() }.into()
    }

    /// All sessions of a project. Takes time by how many those are, not by how many sessions there are.
    pub fn project(name: impl Into<Text>) -> Self {
        Selector::Project(name.into()).into()
    }

    /// The sessions that have joined a room. Takes time by how many those are, not by how many sessions there are.
    pub fn room(id: impl Into<Text>) -> Self {
        Selector::Room(id.into()).into()
    }

    /// The sessions for which a closure returns true. It is called for every session, and may panic for one without harm
    /// to the others (that one is left out). It may refresh and register like any other code, except by a predicate: such a
    /// scope means nobody there, since the predicate would be asked for ever.
    ///
    /// A closure means sessions of this instance alone. [`Scope::named`] means those of every instance.
    pub fn matching(predicate: impl Fn(&Session) -> bool + Send + Sync + 'static) -> Self {
        Self { target: Target::Matching(Predicate::new(predicate)), paths: Paths::All, commit: None }
    }

    /// The sessions for which the predicate holds that is registered under this name
    /// ([`Engine::register_predicate`](crate::Engine::register_predicate)), on every instance by its own predicate of that
    /// name. A refresh means all sessions where there is none; an event means nobody there.
    pub fn named(predicate: impl Into<Text>) -> Self {
        Selector::Named(predicate.into()).into()
    }

    /// The change is in the commit that the application calls so. Other instances, which may read a replica, wait for it
    /// before they look ([`EngineBuilder::wait_for`](crate::EngineBuilder::wait_for)).
    #[must_use]
    pub fn after(mut self, commit: impl Into<Text>) -> Self {
        self.commit = Some(commit.into());
        self
    }

    /// Only sources at, above or below these paths.
    #[must_use]
    pub fn paths<P: AsRef<str>>(mut self, paths: impl IntoIterator<Item = P>) -> Self {
        self.paths = paths.into_iter().map(|path| path::normal(path.as_ref())).collect();
        self
    }

    pub(crate) const fn target(&self) -> &Target {
        &self.target
    }

    pub(crate) const fn wanted(&self) -> &Paths {
        &self.paths
    }

    pub(crate) const fn commit(&self) -> Option<&Text> {
        self.commit.as_ref()
    }
}

impl Target {
    /// The sessions that it means now; none if a predicate of the same engine asks by a predicate, which would ask for ever.
    pub(crate) fn resolve(&self, table: &Table, observers: &Observers) -> Vec<Arc<Slot>> {
        match self {
            Self::Selected(selector) => table.select(selector),
            Self::Matching(_) if entered::is_in(observers.number(), Function::Predicate) => {
                tracing::error!(target: "grove", "a predicate asks for the sessions of a predicate: none is meant");
                Vec::new()
            }
            Self::Matching(predicate) => {
                let mut slots = table.all();
                slots.retain(|slot| predicate.holds(&slot.session(), observers));
                slots
            }
        }
    }
}

impl Predicate {
    pub(crate) fn new(predicate: impl Fn(&Session) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(Guarded::new(Box::new(predicate))))
    }

    fn holds(&self, session: &Session, observers: &Observers) -> bool {
        panics::catch(|| entered::within(observers.number(), Function::Predicate, || (self.0)(session))).unwrap_or_else(
            |why| {
                observers.warn(&Event::Panicked { what: PanicSite::Predicate, why });
                false
            },
        )
    }
}
