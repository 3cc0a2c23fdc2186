//! One provider for each session, behind the same [`Provider`] as one for all.

use std::fmt;
use std::time::Duration;

use crate::config::Config;
use crate::connection::Connection;
use crate::engine::Engine;
use crate::engine::builder::EngineBuilder;
use crate::error::ConnectError;
use crate::event::Event;
use crate::model::Text;
use crate::model::session::Session;
use crate::protocol::close_reason::CloseReason;
use crate::provider::{Discovery, Provider, Renewed, Role};
use crate::refresh::scope::Scope;
use crate::session_provider::SessionProvider;
use crate::stats::Stats;

/// A provider for each session: a factory makes it when the session first connects, and it ends with the session.
///
/// Each has a registry, trees and subscriptions of its own; what one registers, or breaks, is in no other. Everything
/// else is as with one [`Engine`] for all: adapters, scopes, bounds, idleness, events. Two sockets of one session share
/// its instance.
///
/// A cheap handle; all clones are the same.
///
/// ```
/// use grove_engine::{Descriptor, SessionProvider, PerSession, Scope, Session};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let desk = PerSession::new("desk", "Desk", |session: &Session| {
///     let user = session.user().unwrap_or("nobody").to_owned();
///     SessionProvider::new().register("context", move || Descriptor::context().prop("user", user.as_str()))
/// });
/// let consumer = desk.engine().connect(&Session::new("login-1").with_user("alice"))?; // an adapter does this
/// desk.refresh(Scope::user("alice")); // in every session of alice's
/// assert!(desk.close("login-1")); // her sockets, her registry, her trees
/// # drop(consumer);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PerSession {
    engine: Engine,
}

impl PerSession {
    /// Providers with this id and name, as the factory makes them. It runs when a session is opened and again when its
    /// claims change; if it panics, that session alone is refused.
    ///
    /// # Panics
    /// If the id cannot be a node id (contract 2.5), or outside a tokio runtime.
    #[must_use]
    #[track_caller]
    pub fn new(
        id: impl Into<Text>,
        name: impl Into<Text>,
        factory: impl Fn(&Session) -> SessionProvider + Send + Sync + 'static,
    ) -> Self {
        Self::with_options(Engine::builder(id, name), factory)
    }

    /// The same, with bounds, a clock, observers or whatever else a builder takes.
    ///
    /// ```
    /// # use grove_engine::{Config, Engine, SessionProvider, PerSession, Session};
    /// # #[tokio::main]
    /// # async fn main() {
    /// let mut bounds = Config::default();
    /// bounds.limits.sessions = 100;
    /// let desk = PerSession::with_options(Engine::builder("desk", "Desk").config(bounds), |_: &Session| SessionProvider::new());
    /// # drop(desk);
    /// # }
    /// ```
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use]
    #[track_caller]
    pub fn with_options(
        options: EngineBuilder,
        factory: impl Fn(&Session) -> SessionProvider + Send + Sync + 'static,
    ) -> Self {
        Self { engine: options.per_session(factory).build() }
    }

    /// The engine that keeps the instances apart, for whatever this type has no word for: events, claims, revocation,
    /// what one session alone registers. What is registered with [`Engine::register`] is in every instance.
    #[must_use]
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Renders the sessions of a scope again. See [`Engine::refresh`].
    pub fn refresh(&self, scope: Scope) -> usize {
        self.engine.refresh(scope)
    }

    /// Renders the sessions of a scope at once. See [`Engine::refresh_now`].
    pub async fn refresh_now(&self, scope: Scope) -> usize {
        self.engine.refresh_now(scope).await
    }

    /// Ends one session's provider: its sockets are closed (1000), its registry, trees and whatever its closures hold are
    /// dropped. Others notice nothing; a return makes it anew. False if there is none for that session.
    pub fn close(&self, session: &str) -> bool {
        self.engine.close_session(session)
    }

    /// Makes one session's provider anew, as after a fault in it; its sockets stay and are sent what changed. False if
    /// there is none for that session.
    ///
    /// # Errors
    /// [`ConnectError::ProviderFailed`] if the factory panics; then the session is closed (1013).
    pub fn restart(&self, session: &str) -> Result<bool, ConnectError> {
        self.engine.parts().opener.restart(session)
    }

    /// Ends all: new connections are refused, calls in flight get until the deadline, every connection is closed with
    /// 1001, and every instance is dropped. See [`Engine::shutdown`].
    pub async fn stop(&self, deadline: Duration) {
        self.engine.shutdown(deadline).await;
        let parts = self.engine.parts();
        for slot in parts.table.all() {
            parts.closer.close(&slot, CloseReason::ShuttingDown);
        }
    }

    /// How much there is of everything now, in all instances together.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.engine.stats()
    }
}

impl Provider for PerSession {
    fn discovery(&self) -> Discovery {
        self.engine.discovery()
    }

    fn connect(&self, session: Session, role: Role) -> Result<Connection, ConnectError> {
        Provider::connect(&self.engine, session, role)
    }

    fn renew(&self, session: Session) -> Result<Option<Renewed>, ConnectError> {
        self.engine.renew(session)
    }

    fn config(&self) -> &Config {
        self.engine.config()
    }

    fn note(&self, event: Event) {
        self.engine.note(event);
    }

    fn is_closing(&self) -> bool {
        self.engine.is_closing()
    }
}

impl fmt::Debug for PerSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PerSession").field(&self.engine).finish()
    }
}
