//! The rooms of an engine, as an application and its adapters hold them.

pub(crate) mod query;
pub(crate) mod received_event;
mod backlog;
mod refused;
pub(crate) mod room_memory;
pub(crate) mod room_events;
mod runs;

use std::fmt;
use std::sync::Arc;

use query::{RoomPage, RoomQuery};
use refused::refused;
use room_events::{RoomEvents, RoomPosition};
use room_memory::RoomMemory;
use serde_json::Value;

use super::parts::Parts;
use crate::clock::Clock;
use crate::connection::Connection;
use crate::deliver::peer_kind::PeerKind;
use crate::error::{ActionError, ConnectError};
use crate::model::Text;
use crate::model::room::end_reason::EndReason;
use crate::model::room::handle::{ParticipantView, Room};
use crate::model::room::message::Message;
use crate::model::room::policy::NewRoom;
use crate::model::room::record::RoomState;
use crate::model::room::role::Role;
use crate::model::session::Session;
use crate::protocol::code::ErrorCode;
use crate::rooms::creating::CreatedRoom;
use crate::rooms::ending::{Ended, RoomEnding};
use crate::rooms::presence::PresenceRow;
use crate::rooms::reading_archives::ArchivedEvents;
use crate::rooms::replaying::Replay;
use crate::rooms::room_stats::RoomStats;
use crate::rooms::said::Said;
use crate::rooms::service::RoomService;
use crate::sessions::slot::Slot;

/// The rooms in which sessions work together. A cheap handle; all clones are the same rooms.
///
/// Every call takes the session that acts. To a session without a role in it, a room does not exist: it is refused with
/// `not_found`, as for an id that nobody ever had (SEC30). What is refused is reported by
/// [`Event::RoomRefused`](crate::Event::RoomRefused).
///
/// ```
/// use grove_engine::{Access, Engine, Message, NewRoom, RoomOptions, Session};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let engine = Engine::builder("app", "App").rooms(RoomOptions::new()).build();
/// let ann = Session::new("s1").with_user("ann").with_project("acme");
/// let room = engine.rooms().create(&ann, &NewRoom::new("Board").access(Access::Project))?.room;
/// let mut events = engine.rooms().events(&ann, room.id())?;
/// engine.rooms().say(&ann, room.id(), &Message::text("hello"))?;
/// assert_eq!(events.next().await.map(|event| event.kind), Some("participant.joined".into()));
/// assert_eq!(events.next().await.map(|event| event.data["body"]["text"].clone()), Some("hello".into()));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Rooms {
    parts: Arc<Parts>,
    /// That of whoever calls.
    trace_id: Option<Text>,
}

/// Why a session cannot be in a room.
fn not_connected() -> ActionError {
    ActionError::conflict("the session has no connection: only who is connected can be in a room")
}

impl Rooms {
    pub(super) const fn new(parts: Arc<Parts>) -> Self {
        Self { parts, trace_id: None }
    }

    /// The same rooms for a call that has a trace id: `tx-` and a UUID (rooms 4). Every event that is caused by what is called
    /// on this has it, but for what runs say, which has the trace id of the call that started the run. Another text counts as
    /// none; then what a call causes gets a new one.
    #[must_use]
    pub fn traced(&self, trace_id: impl Into<Text>) -> Self {
        Self { trace_id: Some(trace_id.into()), ..self.clone() }
    }

    fn service(&self) -> Result<&Arc<RoomService>, ActionError> {
        let disabled = || ActionError::new(ErrorCode::NotSupported, "rooms are not enabled");
        self.parts.rooms.as_ref().ok_or_else(disabled)
    }

    /// The rooms, for a session whose access has neither expired nor was revoked.
    fn service_for(&self, session: &Session) -> Result<&Arc<RoomService>, ActionError> {
        let service = self.service()?;
        self.parts.opener.check_access(session.context()).map_err(|error| refused(&error))?;
        Ok(service)
    }

    /// The slot of a session that is open for the same user.
    fn slot(&self, session: &Session) -> Result<Arc<Slot>, ActionError> {
        let context = session.context();
        let slot = self.parts.table.get(context.id()).ok_or_else(not_connected)?;
        let held = slot.context();
        let is_same = held.user() == context.user() && held.project() == context.project();
        if is_same { Ok(slot) } else { Err(ActionError::unauthorized("the session is somebody else's")) }
    }

    /// Whether there are rooms at all: the engine was built with [`EngineBuilder::rooms`](crate::EngineBuilder::rooms).
    #[must_use]
    pub fn are_enabled(&self) -> bool {
        self.parts.rooms.is_some()
    }

    /// The engine's clock, for what an adapter does at certain times.
    ///
    /// # Errors
    /// `not_supported` without rooms.
    pub fn clock(&self) -> Result<Arc<dyn Clock>, ActionError> {
        Ok(self.service()?.clock())
    }

    /// Whether a session may act at all, which every call checks as well.
    ///
    /// # Errors
    /// That its access has expired or was revoked, or that the engine's runtime has ended.
    pub fn check_access(&self, session: &Session) -> Result<(), ConnectError> {
        self.parts.opener.check_access(session.context())
    }

    /// Creates a room, of which the session's user is the owner (S0.8).
    ///
    /// # Errors
    /// `unauthorized` for a session without a user, `invalid_params`, `caps_refused`, `unknown_agent`,
    /// `contract_violation`, `not_found` if there is no such parent, `conflict` if its id is taken or its parent has ended,
    /// `busy` if there are as many rooms as there may be.
    pub fn create(&self, session: &Session, new: &NewRoom) -> Result<CreatedRoom, ActionError> {
        self.service_for(session)?.create(session, new, self.trace_id.as_deref())
    }

    /// A room in which the session has a role.
    ///
    /// # Errors
    /// `not_found` if there is none.
    pub fn get(&self, session: &Session, id: &str) -> Result<Room, ActionError> {
        Ok(self.service_for(session)?.find(session, id)?.0.room.clone())
    }

    /// The role of a session in a room.
    ///
    /// # Errors
    /// `not_found` if it has none.
    pub fn role(&self, session: &Session, id: &str) -> Result<Role, ActionError> {
        Ok(self.service_for(session)?.find(session, id)?.1)
    }

    /// The rooms in which the session has a role, in order of creation.
    ///
    /// # Errors
    /// `not_found` if it has no role in the room after which the list shall begin.
    pub fn list(&self, session: &Session, query: &RoomQuery) -> Result<RoomPage, ActionError> {
        let service = self.service_for(session)?;
        let after = query.after.as_ref().map(|id| service.find(session, id)).transpose()?;
        let rooms = service.all(session).into_iter().map(|(living, _)| living.room.clone());
        Ok(query.page(rooms, after.map(|(living, _)| living.room.rank())))
    }

    /// A connected session joins a room. Returns the id of its participant, also if it has joined already.
    ///
    /// # Errors
    /// `not_found`, `conflict` if the room has ended or the session has no connection, `busy` if the room is full.
    pub fn join(&self, session: &Session, id: &str) -> Result<Text, ActionError> {
        let service = self.service_for(session)?;
        service.find(session, id)?;
        let slot = self.slot(session)?;
        if slot.connections() == 0 {
            return Err(not_connected());
        }
        service.join(&slot, id, self.trace_id.as_deref())
    }

    /// A session leaves a room.
    ///
    /// # Errors
    /// `not_found`, `unauthorized` if it has not joined.
    pub fn leave(&self, session: &Session, id: &str) -> Result<(), ActionError> {
        let service = self.service_for(session)?;
        service.find(session, id)?;
        service.leave(&self.slot(session)?, id, self.trace_id.as_deref())
    }

    /// A member says something in a room. The session need not have joined; then its events name no participant.
    ///
    /// # Errors
    /// `not_found`, `unauthorized` for an observer, `conflict` if the room has ended, `invalid_params` if the message is
    /// empty or too long (`rooms.message_bytes`).
    pub fn say(&self, session: &Session, id: &str, message: &Message) -> Result<Said, ActionError> {
        self.service_for(session)?.say(session, id, (message, self.trace_id.as_deref()))
    }

    /// Ends when everything that has happened in a room up to now is durable, so that it survives what ends the process. To
    /// call this after [`Rooms::create`], [`Rooms::say`] and the like is to wait for the acknowledgement that consumers get:
    /// the actions in the tree and the HTTP interface always wait. Of rooms that are neither replayable nor will be archived
    /// nothing is kept, so for them this ends at once.
    ///
    /// # Errors
    /// `busy` if that takes longer than `rooms.durable_timeout`. What was done was done all the same, and is kept as soon as
    /// that is possible.
    pub async fn durable(&self, id: &str) -> Result<(), ActionError> {
        self.service()?.durable(id).await
    }

    /// The events of a replayable room after a number (0 for all that are kept): at most as many as `limit` says, 100 if it
    /// does not, and never more than 1,000.
    ///
    /// # Errors
    /// `not_found`, `conflict` if the room is not replayable or has ended.
    pub async fn replay(
        &self,
        session: &Session,
        id: &str,
        since: u64,
        limit: Option<usize>,
    ) -> Result<Replay, ActionError> {
        self.service_for(session)?.replay(session, id, (since, limit))?.await
    }

    /// The events of a room that has ended and was archived, by the `cold_context_id` that its last event names. Its owner and
    /// the users who took part may read them, or every user of the project ([`ArchiveFor`](crate::ArchiveFor)).
    ///
    /// # Errors
    /// `not_found`, also for a session that may not read them.
    pub async fn archive(&self, session: &Session, id: &str) -> Result<ArchivedEvents, ActionError> {
        self.service_for(session)?.archive(session, id).await
    }

    /// What is kept in a room, as the session reads and writes it.
    ///
    /// # Errors
    /// `not_found`, `conflict` if the room has ended.
    pub fn memory(&self, session: &Session, id: &str) -> Result<RoomMemory, ActionError> {
        let service = self.service_for(session)?;
        service.readable(session, id)?;
        let memory = RoomMemory::new(&self.parts, service, session, id);
        Ok(match &self.trace_id {
            Some(trace_id) => memory.trace_id(trace_id.clone()),
            None => memory,
        })
    }

    /// The owner gives a user of the project a role in a room.
    ///
    /// # Errors
    /// `not_found`, `unauthorized`, `conflict` if the room has ended, `invalid_params` for the owner or the role of an
    /// owner, `busy` if there are as many as there may be.
    pub fn admit(&self, session: &Session, id: &str, user: impl Into<Text>, role: Role) -> Result<(), ActionError> {
        self.service_for(session)?.admit(session, id, (&user.into(), role), self.trace_id.as_deref())
    }

    /// The owner takes a user's role in a room away. Sessions of the user that are there leave. From a room that is open to
    /// the project, the user stays dismissed until the owner admits them.
    ///
    /// # Errors
    /// `not_found`, also for a user who was not admitted; `unauthorized`, `conflict` if the room has ended,
    /// `invalid_params` for the owner.
    pub fn dismiss(&self, session: &Session, id: &str, user: impl Into<Text>) -> Result<(), ActionError> {
        self.service_for(session)?.dismiss(session, id, &user.into(), self.trace_id.as_deref())
    }

    /// The owner, or a user of the project with the permission `rooms:admin`, ends a room (C35). From now on nothing is done
    /// in it, whether what is returned is awaited or not: that says how the room ended, as soon as its runs have, which are
    /// cancelled and have 10 s.
    ///
    /// # Errors
    /// `not_found`, `unauthorized`, `conflict` if the room has ended already, or is about to.
    pub fn close(
        &self,
        session: &Session,
        id: &str,
        note: Option<&str>,
    ) -> impl Future<Output = Result<Ended, ActionError>> + Send + use<> {
        ended(
            self.service_for(session).and_then(|service| service.close(session, id, (note, self.trace_id.as_deref()))),
        )
    }

    /// The application ends a room: it has done its work. As for [`Rooms::close`], the end begins at once.
    ///
    /// # Errors
    /// `not_found`, `conflict` if the room has ended already, or is about to.
    pub fn complete(&self, id: &str) -> impl Future<Output = Result<Ended, ActionError>> + Send + use<> {
        ended(self.service().and_then(|service| service.end(id, EndReason::Completed)))
    }

    /// The application ends a room: it has failed at its work. As for [`Rooms::close`], the end begins at once.
    ///
    /// # Errors
    /// `not_found`, `conflict` if the room has ended already, or is about to.
    pub fn fail(&self, id: &str) -> impl Future<Output = Result<Ended, ActionError>> + Send + use<> {
        ended(self.service().and_then(|service| service.end(id, EndReason::Failed)))
    }

    /// Asks the access function about all sessions again, for the application knows that it would say something else about
    /// this room. Whoever has no role any more leaves.
    ///
    /// # Errors
    /// `not_found` if there is no such room.
    pub fn review(&self, id: &str) -> Result<(), ActionError> {
        self.service()?.review(id)
    }

    /// Who takes part in a room, in order of joining.
    ///
    /// # Errors
    /// `not_found`.
    pub fn participants(&self, session: &Session, id: &str) -> Result<Vec<ParticipantView>, ActionError> {
        Ok(self.get(session, id)?.participants())
    }

    /// The sessions of the project that have presence cards, as this one may see them. A session without a user sees none.
    ///
    /// # Errors
    /// `not_supported` without rooms.
    pub fn presence(&self, session: &Session) -> Result<Vec<PresenceRow>, ActionError> {
        Ok(self.service_for(session)?.presence(session))
    }

    /// A session's own row among those that have presence cards, as it sees it; `None` without a card or a connection.
    #[must_use]
    pub fn own_presence(&self, session: &Session) -> Option<PresenceRow> {
        self.service().ok()?.own_presence(&self.slot(session).ok()?)
    }

    /// Binds a process to a session, for as long as it is there: a connection of an adapter that speaks with it in its own
    /// way. It is sent no frames but [`Frame::Ping`](crate::Frame::Ping) and [`Frame::Close`](crate::Frame::Close), and takes
    /// none: whatever the process sends is a sign of life ([`Connection::heard`]), and to end it without
    /// [`Connection::closed`] is to lose it, after which its session has a while to come back (rooms 5).
    ///
    /// # Errors
    /// Those of [`Engine::connect`](crate::Engine::connect).
    pub fn attend(&self, session: &Session) -> Result<Connection, ConnectError> {
        self.parts.connector.connect(session, PeerKind::Present)
    }

    /// Joins a room with a connection of its own in this process, for as long as what is returned exists.
    ///
    /// # Errors
    /// `not_found`, `conflict` if the room has ended, `busy` if the room is full or there are as many connections as there
    /// may be.
    pub fn events(&self, session: &Session, id: &str) -> Result<RoomEvents, ActionError> {
        self.events_after(session, id, None)
    }

    /// Binds an agent elsewhere to a session: a connection on which the two sides speak as rooms 6 says. It is an agent as
    /// soon as it says which, if the session has the permission `agent:NAME`, or `agent:*`.
    ///
    /// # Errors
    /// See [`ConnectError`]; that it is [`ConnectError::Invalid`] without rooms.
    pub fn connect_agent(&self, session: &Session) -> Result<Connection, ConnectError> {
        if !self.are_enabled() {
            return Err(ConnectError::Invalid("there are no rooms".to_owned()));
        }
        self.parts.connector.connect(session, PeerKind::Agent)
    }

    /// The same for a reader that has seen the events up to a position. What it has missed since comes first: from the log if
    /// the room is replayable, otherwise as one `room.gap` (rooms 7). In a replayable room the log also stands in for what
    /// the reader does not take in time.
    ///
    /// # Errors
    /// As [`Rooms::events`].
    pub fn events_after(
        &self,
        session: &Session,
        id: &str,
        after: Option<&RoomPosition>,
    ) -> Result<RoomEvents, ActionError> {
        let service = self.service_for(session)?;
        let (living, _) = service.find(session, id)?;
        if living.room.state() == RoomState::Ended {
            return Err(ActionError::conflict("the room has ended"));
        }
        let connection = self.parts.connector.connect(session, PeerKind::Events).map_err(|error| refused(&error))?;
        let slot = Arc::clone(&connection.peer().slot);
        let mut events = RoomEvents::new(Arc::clone(service), connection, living.room.clone());
        service.join(&slot, id, self.trace_id.as_deref())?;
        if let Some(after) = after {
            events.resume(after);
        }
        Ok(events)
    }

    /// A room's properties, as the session's tree shows them (rooms 3).
    ///
    /// # Errors
    /// `not_found`.
    pub fn describe(&self, session: &Session, id: &str) -> Result<Value, ActionError> {
        let (living, role) = self.service_for(session)?.find(session, id)?;
        let slot = self.parts.table.get(session.context().id());
        let has_joined = slot.is_some_and(|slot| living.place_of(&slot).is_some());
        Ok(living.room.properties(role, has_joined))
    }

    /// How many rooms there are, and who is in them.
    #[must_use]
    pub fn stats(&self) -> RoomStats {
        self.parts.rooms.as_ref().map(|rooms| rooms.stats()).unwrap_or_default()
    }
}

/// Waits until a room has ended whose end has begun.
async fn ended(begun: Result<RoomEnding, ActionError>) -> Result<Ended, ActionError> {
    begun?.wait().await
}

impl fmt::Debug for Rooms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rooms").finish_non_exhaustive()
    }
}
