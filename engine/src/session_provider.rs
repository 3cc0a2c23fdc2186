//! Provider per session: what a factory makes for one session when it first connects.
//!
//! The other mode, where one registry serves every session, is the default and the lighter one. This one fits few
//! sessions, strong separation, or code whose descriptors already close over their user.

use crate::error::RegisterError;
use crate::event::{Event, Observers, PanicSite};
use crate::model::Text;
use crate::model::session::Session;
use crate::panics;
use crate::panics::guarded::Guarded;
use crate::render::source::{IntoDescriptor, Source};

/// What one session's provider registers. A factory returns one for each session.
///
/// ```
/// use grove_engine::{Descriptor, PerSession, Session, SessionProvider};
///
/// # #[tokio::main]
/// # async fn main() {
/// let providers = PerSession::new("app", "App", |session: &Session| {
///     let user = session.user().unwrap_or("nobody").to_owned();
///     SessionProvider::new().register("context", move || Descriptor::context().prop("user", user.as_str()))
/// });
/// # drop(providers);
/// # }
/// ```
#[derive(Debug, Default)]
pub struct SessionProvider {
    sources: Vec<(Text, Source)>,
}

/// Makes the instance of a session.
pub(crate) type Factory = Guarded<Box<dyn Fn(&Session) -> SessionProvider + Send + Sync>>;

impl SessionProvider {
    /// An instance that registers nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers a descriptor function that takes nothing: the session is in its closure.
    ///
    /// # Panics
    /// If a segment of the path cannot be a node id (contract 2.5). In a factory that ends this one session.
    #[must_use]
    #[track_caller]
    pub fn register<R: IntoDescriptor>(self, path: &str, describe: impl Fn() -> R + Send + Sync + 'static) -> Self {
        self.register_source(path, Source::new(move |_: &Session| describe()))
    }

    /// Registers a source with its options.
    ///
    /// # Panics
    /// If a segment of the path cannot be a node id (contract 2.5). In a factory that ends this one session.
    #[must_use]
    #[track_caller]
    pub fn register_source(mut self, path: &str, source: Source) -> Self {
        match RegisterError::check(path) {
            Ok(registered) => self.sources.push((registered, source)),
            Err(why) => panic!("{why}"),
        }
        self
    }
}

/// Runs a factory. Its panic ends with this session and is told to observers.
pub(crate) fn make(factory: &Factory, session: &Session, observers: &Observers) -> Option<Vec<(Text, Source)>> {
    match panics::catch(|| factory(session)) {
        Ok(instance) => Some(instance.sources),
        Err(why) => {
            observers.warn(&Event::Panicked { what: PanicSite::Factory, why });
            None
        }
    }
}
