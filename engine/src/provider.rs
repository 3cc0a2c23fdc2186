//! What an adapter serves, whichever way sessions are kept apart.

use std::sync::Arc;
use std::time::Duration;

use crate::config::Config;
use crate::connection::Connection;
use crate::error::ConnectError;
use crate::event::Event;
use crate::model::session::Session;

/// What discovery says about a provider: the application, never a session (contract 4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discovery {
    /// The provider's id.
    pub id: String,
    /// The provider's name.
    pub name: String,
    /// What it can do.
    pub capabilities: &'static [&'static str],
}

/// Who is at the other end of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// An AI consumer.
    Consumer,
    /// A browser page that provides its own subtree.
    Tab {
        /// The mount that its URL names; a wish, not a path.
        mount: String,
    },
}

/// What a renewal leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewed {
    /// How long the authentication holds from now on; `None` is for good.
    pub expires_in: Option<Duration>,
}

/// A provider as adapters see it.
pub trait Provider: Send + Sync + 'static {
    /// What discovery says.
    fn discovery(&self) -> Discovery;

    /// Binds a peer to an authenticated session.
    ///
    /// # Errors
    /// See [`ConnectError`].
    fn connect(&self, session: Session, role: Role) -> Result<Connection, ConnectError>;

    /// Takes over what a new credential says of an open session, its claims and its expiry, while its connections stay.
    /// `None` if no session with its id is open, or if that is another user's or project's: who was anonymous may have
    /// logged in, but nobody becomes somebody else.
    ///
    /// # Errors
    /// See [`ConnectError`].
    fn renew(&self, session: Session) -> Result<Option<Renewed>, ConnectError>;

    /// The bounds that an adapter has to keep.
    fn config(&self) -> &Config;

    /// Tells observers what happened in the adapter.
    fn note(&self, event: Event);

    /// Whether it is shutting down.
    fn is_closing(&self) -> bool;
}

impl<P: Provider + ?Sized> Provider for Arc<P> {
    fn discovery(&self) -> Discovery {
        (**self).discovery()
    }

    fn connect(&self, session: Session, role: Role) -> Result<Connection, ConnectError> {
        (**self).connect(session, role)
    }

    fn renew(&self, session: Session) -> Result<Option<Renewed>, ConnectError> {
        (**self).renew(session)
    }

    fn config(&self) -> &Config {
        (**self).config()
    }

    fn note(&self, event: Event) {
        (**self).note(event);
    }

    fn is_closing(&self) -> bool {
        (**self).is_closing()
    }
}
