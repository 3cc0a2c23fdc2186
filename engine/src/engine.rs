//! The engine as an application holds it.

pub(crate) mod drain;
mod driver;
mod options;
pub(crate) mod builder;
mod foundation;
mod lifecycle_parts;
mod room_parts;
mod cluster_parts;
mod connection_parts;
pub(crate) mod parts;
pub(crate) mod rooms;
mod agents;
mod across;
#[cfg(feature = "testing")]
mod settle;

use std::fmt;
use std::sync::Arc;

use builder::EngineBuilder;
use drain::Shutdown;
use parts::Parts;
use rooms::Rooms;

use crate::client::Client;
use crate::config::{Config, ConfigError};
use crate::connection::Connection;
use crate::deliver::peer_kind::PeerKind;
use crate::error::{ConnectError, FrameError, RegisterError};
use crate::event::Event;
use crate::model::Text;
use crate::model::path;
use crate::model::room::handle::Room;
use crate::model::session::Session;
use crate::protocol::CAPABILITIES;
use crate::provider::{Discovery, Provider, Renewed, Role};
use crate::receive::greeter::Greeter;
use crate::refresh::refresher::Urgency;
use crate::refresh::scope::Scope;
use crate::render::room_layouts::ROOMS;
use crate::render::room_source::RoomSource;
use crate::render::source::{IntoDescriptor, Source};
use crate::sessions::paths::Paths;
use crate::sessions::revocations::Revocation;
use crate::sessions::source_edit::SourceEdits;
use crate::stats::Stats;

/// One provider for many users: sources and actions are registered once, each session sees its own tree.
///
/// A cheap handle; all clones are the same engine. It ends when the last clone and the last connection are dropped.
#[derive(Clone)]
pub struct Engine {
    parts: Arc<Parts>,
}

impl Engine {
    /// Starts an engine for the provider with this id and name.
    ///
    /// # Panics
    /// If the id cannot be a node id (contract 2.5).
    #[track_caller]
    pub fn builder(id: impl Into<Text>, name: impl Into<Text>) -> EngineBuilder {
        let id = id.into();
        if let Err(why) = crate::model::id::check(&id) {
            panic!("`{id}` cannot be a provider id: {why}");
        }
        EngineBuilder::new(id, name.into())
    }

    /// Is told of every event from now on. It must not block.
    pub fn observe(&self, observer: impl Fn(&Event) + Send + Sync + 'static) {
        self.parts.observers.add(observer);
    }

    /// Registers a descriptor function under a path, in place of the one before. It may block. Sessions that are shown
    /// get it with the next pass.
    ///
    /// # Panics
    /// If a segment of the path cannot be a node id (contract 2.5). [`Engine::try_register`] answers instead.
    #[track_caller]
    pub fn register<R: IntoDescriptor>(&self, path: &str, describe: impl Fn(&Session) -> R + Send + Sync + 'static) {
        self.register_source(path, Source::new(describe));
    }

    /// Registers a descriptor function that awaits. See [`Engine::register`].
    ///
    /// # Panics
    /// If a segment of the path cannot be a node id (contract 2.5).
    #[track_caller]
    pub fn register_async<R, F>(&self, path: &str, describe: impl Fn(Session) -> F + Send + Sync + 'static)
    where
        R: IntoDescriptor + 'static,
        F: Future<Output = R> + Send + 'static,
    {
        self.register_source(path, Source::new_async(describe));
    }

    /// Registers a source with its options. See [`Engine::register`].
    ///
    /// # Panics
    /// If a segment of the path cannot be a node id (contract 2.5).
    #[track_caller]
    pub fn register_source(&self, path: &str, source: Source) {
        if let Err(error) = self.try_register(path, source) {
            panic!("{error}");
        }
    }

    /// Registers a source under a path that may not be valid.
    ///
    /// # Errors
    /// [`RegisterError::Path`] if a segment cannot be a node id (contract 2.5), [`RegisterError::ReservedForTabs`] if it is
    /// `ui/tab-N` or below it, [`RegisterError::ReservedForRooms`] if there are rooms and it is `rooms` or below it.
    pub fn try_register(&self, path: &str, source: Source) -> Result<(), RegisterError> {
        let path = self.check_path(path)?;
        self.parts.sources.register(&path, source);
        self.refresh_here(Scope::all().paths([path]));
        Ok(())
    }

    /// Removes what is registered under exactly this path; what is registered below stays. False if there is nothing.
    pub fn unregister(&self, path: &str) -> bool {
        let Ok(path) = self.check_path(path) else { return false };
        let removed = self.parts.sources.unregister(&path);
        if removed {
            self.refresh_here(Scope::all().paths([path]));
        }
        removed
    }

    /// The normal spelling of a path that is the application's.
    fn check_path(&self, path: &str) -> Result<Text, RegisterError> {
        let normal = RegisterError::check(path)?;
        let rooms = self.parts.rooms.as_ref();
        let is_taken = rooms.is_some_and(|rooms| rooms.shows(&normal));
        if is_taken { Err(RegisterError::ReservedForRooms(path.to_owned())) } else { Ok(normal) }
    }

    /// Registers a descriptor function under a path below each room, in place of the one before. It may block. Rooms that
    /// are shown get it with the next pass. See [`RoomSource`].
    ///
    /// # Panics
    /// If a segment of the path cannot be a node id (contract 2.5). [`Engine::try_register_room`] answers instead.
    #[track_caller]
    pub fn register_room<R: IntoDescriptor>(
        &self,
        path: &str,
        describe: impl Fn(&Room, &Session) -> R + Send + Sync + 'static,
    ) {
        self.register_room_source(path, RoomSource::new(describe));
    }

    /// Registers a descriptor function that awaits, for each room. See [`Engine::register_room`].
    ///
    /// # Panics
    /// If a segment of the path cannot be a node id (contract 2.5).
    #[track_caller]
    pub fn register_room_async<R, F>(&self, path: &str, describe: impl Fn(Room, Session) -> F + Send + Sync + 'static)
    where
        R: IntoDescriptor + 'static,
        F: Future<Output = R> + Send + 'static,
    {
        self.register_room_source(path, RoomSource::new_async(describe));
    }

    /// Registers a source with its options, for each room. See [`Engine::register_room`].
    ///
    /// # Panics
    /// If a segment of the path cannot be a node id (contract 2.5).
    #[track_caller]
    pub fn register_room_source(&self, path: &str, source: RoomSource) {
        if let Err(error) = self.try_register_room(path, source) {
            panic!("{error}");
        }
    }

    /// Registers a source for each room under a path that may not be valid.
    ///
    /// # Errors
    /// [`RegisterError::Path`] if a segment cannot be a node id (contract 2.5), [`RegisterError::ReservedForRooms`] if it
    /// is what the engine shows of each room itself.
    pub fn try_register_room(&self, path: &str, source: RoomSource) -> Result<(), RegisterError> {
        let path = RegisterError::check_in_room(path)?;
        self.parts.sources.register_room(&path, source);
        self.refresh_here(Scope::all().paths([ROOMS]));
        Ok(())
    }

    /// Removes what is registered under exactly this path below each room. False if there is nothing.
    pub fn unregister_room(&self, path: &str) -> bool {
        let path = RegisterError::check_in_room(path);
        let removed = path.is_ok_and(|path| self.parts.sources.unregister_room(&path));
        if removed {
            self.refresh_here(Scope::all().paths([ROOMS]));
        }
        removed
    }

    /// Registers a source for one session alone, over what everybody has at that path.
    ///
    /// # Errors
    /// [`RegisterError`] if the path is not valid or no such session is open.
    pub fn register_for(&self, session: &str, path: &str, source: Source) -> Result<(), RegisterError> {
        self.edit_sources_for(session, |sources| {
            sources.register(path, source);
        })
    }

    /// Hides a path from one session alone, whether everybody has it or only this session.
    ///
    /// # Errors
    /// [`RegisterError`] if the path is not valid or no such session is open.
    pub fn unregister_for(&self, session: &str, path: &str) -> Result<(), RegisterError> {
        self.edit_sources_for(session, |sources| {
            sources.unregister(path);
        })
    }

    /// Gives a session what everybody has at a path, or its instance, after [`Engine::register_for`] or
    /// [`Engine::unregister_for`].
    ///
    /// # Errors
    /// [`RegisterError`] if the path is not valid or no such session is open.
    pub fn restore_for(&self, session: &str, path: &str) -> Result<(), RegisterError> {
        self.edit_sources_for(session, |sources| {
            sources.restore(path);
        })
    }

    /// Changes the sources of one session alone in one step: its tree shows all of the changes or none.
    ///
    /// # Errors
    /// [`RegisterError`] if a path is not valid or no such session is open. Then nothing is changed.
    pub fn edit_sources_for(&self, session: &str, edit: impl FnOnce(&mut SourceEdits)) -> Result<(), RegisterError> {
        let mut edits = SourceEdits::default();
        edit(&mut edits);
        let refreshes = !edits.without_refresh;
        let edits = edits.finish(|path, source| {
            self.check_path(path)?;
            self.parts.sources.adopt_own(path, source);
            Ok(())
        })?;
        let slot = self.parts.table.get(session).ok_or(RegisterError::NoSession)?;
        let paths: Paths = edits.keys().cloned().collect();
        slot.edit_sources(edits);
        if refreshes {
            self.parts.refresher.request_session(&slot, &paths, Urgency::Own);
        }
        Ok(())
    }

    /// Renders the sessions of a scope again, together with what else changes within the debounce time. Answers how many
    /// sessions the scope means; those that nobody looks at have no tree and cost nothing.
    ///
    /// A descriptor function must not refresh, since it would be evaluated again for it, for ever. It is refused
    /// ([`Event::RefreshRefused`]) and answered with 0. Handlers, tasks, windows and items may.
    ///
    /// The other instances render the same, unless the scope is a closure ([`Scope::matching`]); see
    /// [`Engine::refresh_here`].
    #[expect(clippy::needless_pass_by_value, reason = "written as `refresh(Scope::all())`")]
    pub fn refresh(&self, scope: Scope) -> usize {
        self.parts.refresher.request_everywhere(&scope)
    }

    /// Renders the sessions of a scope at once. When it returns, their trees are committed. Answers how many sessions the
    /// scope means; zero if the runtime on which the engine was built has ended, since then nothing is committed.
    ///
    /// An observer is refused and answered with 0: it may have the thread that would have to render. A descriptor function is
    /// refused, as by [`Engine::refresh`]: it would wait for itself. That is noticed on its own
    /// thread and in its own future, and not in threads and tasks which it starts and waits for.
    pub async fn refresh_now(&self, scope: Scope) -> usize {
        let _work = self.parts.background.in_flight.begin();
        self.parts.refresher.request_everywhere_now(&scope).await
    }

    /// Sends an event, which changes no state, to every connection of the sessions of a scope. Answers how many there
    /// are.
    ///
    /// # Errors
    /// [`FrameError`] if the event does not fit a frame (`sizes.frame_bytes`). Then it was sent to nobody.
    #[expect(clippy::needless_pass_by_value, reason = "written as `emit(Scope::all(), ..)`")]
    pub fn emit(&self, scope: Scope, name: &str, data: Option<&serde_json::Value>) -> Result<usize, FrameError> {
        self.parts.emitter.emit(scope.target(), name, data)
    }

    /// The rooms in which sessions work together. Without [`EngineBuilder::rooms`] there are none, and every call is refused
    /// with `not_supported`.
    #[must_use]
    pub fn rooms(&self) -> Rooms {
        Rooms::new(Arc::clone(&self.parts))
    }

    /// Opens a session before anybody connects to it, so that it can be refreshed by user or attribute.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub fn open_session(&self, session: &Session) -> Result<(), ConnectError> {
        self.parts.opener.open(session).map(drop)
    }

    /// Gives an open session new claims on all instances; its tree is rendered with them, and its connections stay. False if
    /// no session with that id is open here, or if it is refused: expired, revoked, or over a limit.
    ///
    /// This is the application's own decision, so nothing is compared: also another user is taken over, with all
    /// connections. If it is another person, end the session first, by [`Engine::close_session`].
    pub fn update_session(&self, session: &Session) -> bool {
        self.parts.station.decider.update_session(session)
    }

    /// Forgets a session on all instances and closes its connections (1000). It may come back. False if none is open here.
    pub fn close_session(&self, id: &str) -> bool {
        self.parts.station.decider.close_session(id)
    }

    /// Ends sessions at once (1008) on all instances, and keeps them out from now on. Answers how many were open here.
    ///
    /// No revocation is forgotten as long as the engine lives, unless it has an end ([`Revocation::until`],
    /// `times.credential_lifetime`). If there are more than `limits.revocations`, so that one cannot be kept, sessions that
    /// are not open are refused from then on ([`ConnectError::LimitReached`]); [`Event::LimitReached`] says so.
    #[expect(clippy::needless_pass_by_value, reason = "written as `revoke(Revocation::user(..))`")]
    pub fn revoke(&self, revocation: Revocation) -> usize {
        self.parts.station.decider.revoke(&revocation)
    }

    /// Lets whom a revocation barred come back. False if it barred nobody.
    pub fn unrevoke(&self, revocation: &Revocation) -> bool {
        self.parts.station.decider.unrevoke(revocation)
    }

    /// Binds a consumer to a session, opening the session if need be.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub fn connect(&self, session: &Session) -> Result<Connection, ConnectError> {
        self.parts.connector.connect(session, PeerKind::Consumer)
    }

    /// A consumer of a session in this process: it sees and may do what the session may, without a socket.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub fn client(&self, session: &Session) -> Result<Client, ConnectError> {
        self.parts.connector.connect(session, PeerKind::InProcess).map(Client::new)
    }

    /// Binds a browser tab to a session. Its tree is shown under `/ui/tab-N`, where the engine chooses `N`.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub fn connect_tab(&self, session: &Session) -> Result<Connection, ConnectError> {
        self.parts.connector.connect(session, PeerKind::Tab)
    }

    /// Point-in-time counters. They wait for no connection.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let parts = &self.parts;
        let store = &parts.renderer.store;
        let runs = parts.sources.runs();
        let (running_evaluations, waiting_sessions) = parts.passes.load();
        Stats {
            sessions: parts.table.len(),
            trees: parts.trees.count(),
            connections: parts.quota.connections(),
            subscriptions: parts.quota.subscriptions(),
            tabs: parts.quota.mounted_tabs(),
            tree_bytes: store.fragment_bytes(),
            dictionary_bytes: store.dictionary_bytes(),
            subscription_bytes: parts.outbox_counts.kept.get(),
            outbox_bytes: parts.outbox_counts.waiting.get(),
            event_bytes: parts.outbox_counts.events.get(),
            evaluations: runs.into_iter().map(|(path, runs)| (path::absolute(&path), runs)).collect(),
            own_evaluations: parts.sources.own_runs(),
            shared_evaluations: parts.passes.shared(),
            running_evaluations,
            waiting_sessions,
            commits: parts.trees.commits(),
            diffs: parts.delivery.memo.diffs(),
            encodes: parts.delivery.memo.encodes(),
            collapse_orders: parts.delivery.orders.found(),
            instances: parts.station.instances().len(),
            bus_connected: parts.station.bus.is_connected(),
            notices_in: parts.station.bus.counts.notices_in.get(),
            notices_out: parts.station.bus.counts.notices_out.get(),
            resyncs: parts.station.bus.counts.resyncs.get(),
        }
    }

    /// Stops: new connections are refused, consumers are sent `server.draining`, and every connection is closed with
    /// 1001 when its turn has come, its own calls are answered and the tasks of its session have ended. At the deadline
    /// calls that still run are answered with `internal`, tasks fail, and whoever is left is closed. Returns when all
    /// connections are gone and no task runs, or at the deadline plus a second. From then on nothing is rendered any more,
    /// whatever asks for it.
    ///
    /// The event's data is `{"retry_in_ms": N}`: how long the consumer should wait after the close before it connects
    /// again, different for each. Without a spread there is no event.
    pub async fn shutdown(&self, how: impl Into<Shutdown>) {
        self.parts.drain.run(how.into()).await;
    }

    /// The name by which a consumer that comes back may refer to a connection. A consumer learns its own from `hello`; a
    /// tab is told none.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn connection_name(&self, connection: &Connection) -> String {
        self.parts.greeter.connection_name(connection.number())
    }

    pub(crate) const fn parts(&self) -> &Arc<Parts> {
        &self.parts
    }
}

impl EngineBuilder {
    /// Starts the engine.
    ///
    /// # Panics
    /// If the configuration cannot be used ([`EngineBuilder::try_build`] returns the error), or outside a tokio runtime.
    #[must_use]
    #[track_caller]
    pub fn build(self) -> Engine {
        match self.try_build() {
            Ok(engine) => engine,
            Err(error) => panic!("the configuration cannot be used: {error}"),
        }
    }

    /// Starts the engine with a configuration that may not be valid.
    ///
    /// # Errors
    /// [`ConfigError`] names the field that cannot be used, and says why.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[track_caller]
    pub fn try_build(self) -> Result<Engine, ConfigError> {
        self.0.config.validate()?;
        Greeter::validate(&self.0.id, &self.0.name, self.0.config.sizes.frame_bytes)?;
        if self.0.rooms.is_some() {
            self.0.config.rooms.fit(&self.0.config.sizes)?;
            self.0.config.runs.fit(&self.0.config.sizes)?;
        }
        Ok(Engine { parts: Parts::new(self.0) })
    }
}

/// A tab may wish for `ui` or something below it. The wish is only checked: the engine chooses the path, so that no tab
/// can take the place of server data or of another tab (contract 3.4).
fn may_mount(mount: &str) -> bool {
    path::registrable(mount).is_ok_and(|mount| mount.is_empty() || path::covers("ui", &mount))
}

impl Provider for Engine {
    fn discovery(&self) -> Discovery {
        Discovery {
            id: self.parts.greeter.id.to_string(),
            name: self.parts.greeter.name.to_string(),
            capabilities: CAPABILITIES,
        }
    }

    fn connect(&self, session: Session, role: Role) -> Result<Connection, ConnectError> {
        match role {
            Role::Consumer => Self::connect(self, &session),
            Role::Tab { mount } if may_mount(&mount) => self.connect_tab(&session),
            Role::Tab { .. } => Err(ConnectError::Invalid("a tab may only be mounted under `ui`".to_owned())),
        }
    }

    fn renew(&self, session: Session) -> Result<Option<Renewed>, ConnectError> {
        if self.parts.connector.is_closing() {
            return Err(ConnectError::Closing);
        }
        let renewed = self.parts.opener.renew(&session)?;
        Ok(renewed.map(|slot| Renewed { expires_in: self.parts.expiry.time_left(&slot.context()) }))
    }

    fn config(&self) -> &Config {
        &self.parts.config
    }

    fn note(&self, event: Event) {
        self.parts.observers.warn(&event);
    }

    fn is_closing(&self) -> bool {
        self.parts.connector.is_closing() || !self.parts.background.is_alive()
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("id", &self.parts.greeter.id).finish_non_exhaustive()
    }
}
