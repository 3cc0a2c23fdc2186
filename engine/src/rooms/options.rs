//! What an application chooses about rooms.

use std::fmt;

use crate::model::room::handle::Room;
use crate::model::room::role::Role;
use crate::model::session::Session;
use crate::panics::guarded::Guarded;
use crate::storage::choice::Storage;

/// The application's function that decides about roles.
pub(crate) type AccessFunction = Guarded<Box<dyn Fn(&Session, &Room) -> Option<Role> + Send + Sync>>;

/// Rooms as an application wants them. Their bounds are in [`Config::rooms`](crate::Config).
#[derive(Default)]
pub struct RoomOptions {
    pub(crate) access: Option<AccessFunction>,
    pub(crate) presence: bool,
    pub(crate) storage: Storage,
}

impl RoomOptions {
    /// Rooms with the built-in policies: the creator is the owner, and [`Access`](crate::Access) and the owner's word decide
    /// about others.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Decides which role a session has in a room of its project; without one, the session does not learn that the room
    /// exists. It stands in place of the built-in policies, the owner's included: it may ask [`Room::owner`],
    /// [`Room::access`] and [`Room::admitted`], or [`Room::role_of`] for what the policies say.
    ///
    /// It is asked when a session is opened or gets new claims, when a room is created, when its owner admits or dismisses
    /// somebody, and by [`Rooms::review`](crate::Rooms::review). It runs without a lock, and may block for as long as the
    /// caller may. If it panics, the session has no role.
    #[must_use]
    pub fn access(mut self, decide: impl Fn(&Session, &Room) -> Option<Role> + Send + Sync + 'static) -> Self {
        self.access = Some(Guarded::new(Box::new(decide)));
        self
    }

    /// Shows `/presence` in every tree: who of the session's project is there, by the presence cards of their sessions
    /// ([`Session::with_presence`]). Not shown otherwise, since each coming and going is a change for the whole project.
    #[must_use]
    pub const fn presence(mut self) -> Self {
        self.presence = true;
        self
    }

    /// Keeps what happens in rooms that are replayable or will be archived; in memory if it is not said.
    #[must_use]
    pub fn storage(mut self, storage: Storage) -> Self {
        self.storage = storage;
        self
    }
}

impl fmt::Debug for RoomOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoomOptions").finish_non_exhaustive()
    }
}
