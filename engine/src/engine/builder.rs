//! Builder for `Engine`.

use std::fmt;
use std::sync::Arc;

use futures_util::FutureExt;

use super::options::EngineOptions;
use crate::clock::Clock;
use crate::clock::system::SystemClock;
use crate::cluster::Cluster;
use crate::cluster::instance::Instance;
use crate::config::Config;
use crate::error::ActionError;
use crate::event::{Event, Observers};
use crate::model::Text;
use crate::model::session::Session;
use crate::panics::guarded::Guarded;
use crate::render::action::Action;
use crate::rooms::options::RoomOptions;
use crate::session_provider::SessionProvider;

/// Builder for an [`Engine`](super::Engine).
pub struct EngineBuilder(pub(super) EngineOptions);

impl EngineBuilder {
    pub(super) fn new(id: Text, name: Text) -> Self {
        Self(EngineOptions {
            id,
            name,
            config: Config::default(),
            clock: Arc::new(SystemClock::new()),
            observers: Observers::default(),
            authorize: None,
            hello_fields: Vec::new(),
            factory: None,
            rooms: None,
            cluster: None,
            wait_for: None,
        })
    }

    /// The bounds; see [`Config`].
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.0.config = config;
        self
    }

    /// Where time comes from. Tests bring a clock of their own.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.0.clock = clock;
        self
    }

    /// Is told of every event, on whatever thread it happens. It must not block.
    #[must_use]
    pub fn observer(self, observer: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.0.observers.add(observer);
        self
    }

    /// Is asked before every call, with the session's current claims, the node's path and the action. Handlers still
    /// check what only they know.
    #[must_use]
    pub fn authorize(
        mut self,
        authorize: impl Fn(&Session, &str, &Action) -> Result<(), ActionError> + Send + Sync + 'static,
    ) -> Self {
        self.0.authorize = Some(Guarded::new(Box::new(authorize)));
        self
    }

    /// Lets `hello` tell the consumer these fields of its session: `user`, `project`, or attributes by name. None by
    /// default.
    #[must_use]
    pub fn hello_session<F: Into<Text>>(mut self, fields: impl IntoIterator<Item = F>) -> Self {
        self.0.hello_fields = fields.into_iter().map(Into::into).collect();
        self
    }

    /// Lets sessions work together in rooms; see [`Rooms`](crate::Rooms). Without it there are none, and they cost nothing.
    #[must_use]
    pub fn rooms(mut self, options: RoomOptions) -> Self {
        self.0.rooms = Some(options);
        self
    }

    /// Makes this process an instance of an application that has several, under a name that none of the others has at the
    /// same time. Sessions may then be served by any of them: what is refreshed, revoked or closed on one is so on all. See
    /// [`Cluster`]. Without it there is no other instance, and nothing is encoded.
    ///
    /// # Panics
    /// If the name is empty, longer than 64 bytes, or holds a control character.
    #[must_use]
    #[track_caller]
    pub fn cluster(mut self, name: impl Into<Text>, cluster: Arc<dyn Cluster>) -> Self {
        let name = name.into();
        if let Err(why) = Instance::check_name(&name) {
            panic!("{name:?} cannot be the name of an instance: {why}");
        }
        self.0.cluster = Some((name, cluster));
        self
    }

    /// How this instance waits until a commit can be seen here that another one has named ([`Scope::after`]), if it reads
    /// from a replica. It is given at most `cluster.commit_wait`, and what it was waited for is rendered then in any case.
    /// Without it, what the commit has changed is rendered at once and again after that time.
    ///
    /// [`Scope::after`]: crate::Scope::after
    #[must_use]
    pub fn wait_for<F>(mut self, wait: impl Fn(Text) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.0.wait_for = Some(Guarded::new(Box::new(move |commit| wait(commit).boxed())));
        self
    }

    /// Provider-per-session mode: each session gets what the factory registers for it, and nothing that it registers for
    /// another. The factory runs when a session is opened and again when its claims change; if it panics, only that
    /// session is refused.
    pub(crate) fn per_session(mut self, factory: impl Fn(&Session) -> SessionProvider + Send + Sync + 'static) -> Self {
        self.0.factory = Some(Guarded::new(Box::new(factory)));
        self
    }
}

impl fmt::Debug for EngineBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineBuilder").field("id", &self.0.id).finish_non_exhaustive()
    }
}
