//! The engine as an application holds it.

pub mod builder;
pub mod shutdown;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use builder::EngineBuilder;

use crate::clock::millis;
use crate::config::Config;
use crate::config::Limit;
use crate::connection::Connection;
use crate::core::{Core, Timer};
use crate::deliver::link::Link;
use crate::deliver::outbox::Outbox;
use crate::error::{ConnectError, RegisterError};
use crate::event::Event;
use crate::model::Text;
use crate::model::path;
use crate::model::session::Session;
use crate::protocol::close_reason::CloseReason;
use crate::protocol::{CAPABILITIES, encode};
use crate::provider::{Discovery, Provider, Renewed, Role};
use crate::receive::tab::TabPeer;
use crate::refresh::scope::Scope;
use crate::render::source::{IntoDescriptor, Source};
use crate::sessions::revocations::Revocation;
use crate::sessions::slot::Slot;
use crate::stats::Stats;
use crate::sync::Ordering;

/// One provider for many users: sources and actions are registered once, each session sees its own tree.
///
/// A cheap handle; all clones are the same engine. It ends when the last clone and the last connection are dropped.
#[derive(Clone)]
pub struct Engine {
    core: Arc<Core>,
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
        self.core.observers.add(observer);
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
        R: IntoDescriptor,
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
    /// `ui/tab-N` or below it.
    pub fn try_register(&self, path: &str, mut source: Source) -> Result<(), RegisterError> {
        let path = RegisterError::check(path)?;
        self.core.passes.runs.count(&path, &mut source);
        let before = self.core.passes.registry.write().insert(path.clone(), Arc::new(source));
        drop(before);
        self.refresh(Scope::all().paths([path]));
        Ok(())
    }

    /// Removes what is registered under exactly this path; what is registered below stays. False if there is nothing.
    pub fn unregister(&self, path: &str) -> bool {
        let path = path::normal(path);
        let before = self.core.passes.registry.write().remove(&path);
        let removed = before.0.is_some();
        drop(before);
        if removed {
            self.refresh(Scope::all().paths([path]));
        }
        removed
    }

    /// Registers a source for one session alone, over what everybody has at that path.
    ///
    /// # Errors
    /// [`RegisterError`] if the path is not valid or no such session is open.
    pub fn register_for(&self, session: &str, path: &str, mut source: Source) -> Result<(), RegisterError> {
        let path = RegisterError::check(path)?;
        self.core.passes.runs.count(&path, &mut source);
        self.set_own(session, &path, Some(Arc::new(source)))
    }

    /// Hides a path from one session alone, whether everybody has it or only this session.
    ///
    /// # Errors
    /// [`RegisterError`] if the path is not valid or no such session is open.
    pub fn unregister_for(&self, session: &str, path: &str) -> Result<(), RegisterError> {
        let path = RegisterError::check(path)?;
        // The root is always there; hidden, it is bare.
        let instead = path.is_empty().then(|| Arc::new(Source::new(|_: &Session| crate::Descriptor::default())));
        self.set_own(session, &path, instead)
    }

    /// Gives a session what everybody has at a path, or its instance, after [`Engine::register_for`] or
    /// [`Engine::unregister_for`].
    ///
    /// # Errors
    /// [`RegisterError`] if the path is not valid or no such session is open.
    pub fn restore_for(&self, session: &str, path: &str) -> Result<(), RegisterError> {
        let path = RegisterError::check(path)?;
        let slot = self.core.table.get(session).ok_or(RegisterError::NoSession)?;
        slot.forget_own(&path);
        self.core.refresh_own(&slot, &path);
        Ok(())
    }

    fn set_own(&self, session: &str, path: &Text, source: Option<Arc<Source>>) -> Result<(), RegisterError> {
        let slot = self.core.table.get(session).ok_or(RegisterError::NoSession)?;
        slot.set_own(path.clone(), source);
        self.core.refresh_own(&slot, path);
        Ok(())
    }

    /// Renders the sessions of a scope again, together with what else changes within the debounce time. Answers how many
    /// sessions the scope means; those that nobody looks at have no tree and cost nothing.
    #[expect(clippy::needless_pass_by_value, reason = "written as `refresh(Scope::all())`")]
    pub fn refresh(&self, scope: Scope) -> usize {
        self.core.refresh(&scope)
    }

    /// Renders the sessions of a scope at once. When it returns, their trees are committed.
    pub async fn refresh_now(&self, scope: Scope) -> usize {
        let _work = self.core.in_flight.begin();
        self.core.refresh_now(&scope).await
    }

    /// Sends an event, which changes no state, to every connection of the sessions of a scope. Answers how many there
    /// are.
    #[expect(clippy::needless_pass_by_value, reason = "written as `emit(Scope::all(), ..)`")]
    pub fn emit(&self, scope: Scope, name: &str, data: Option<&serde_json::Value>) -> usize {
        self.core.emit(&scope, name, data)
    }

    /// Opens a session before anybody connects to it, so that it can be refreshed by user or attribute.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub fn open_session(&self, session: &Session) -> Result<(), ConnectError> {
        self.core.open(session).map(drop)
    }

    /// Gives an open session new claims; its tree is rendered with them. False if no session has that id.
    pub fn update_session(&self, session: &Session) -> bool {
        let known = self.core.table.get(session.context().id()).is_some();
        known && self.core.open(session).is_ok()
    }

    /// Forgets a session and closes its connections (1000). It may come back. False if no session has that id.
    pub fn close_session(&self, id: &str) -> bool {
        self.core.close_session(id, CloseReason::Closed)
    }

    /// Ends sessions at once (1008), and keeps them out from now on. Answers how many were open.
    #[expect(clippy::needless_pass_by_value, reason = "written as `revoke(Revocation::user(..))`")]
    pub fn revoke(&self, revocation: Revocation) -> usize {
        self.core.revoke(&revocation)
    }

    /// Lets whom a revocation barred come back. False if it barred nobody.
    pub fn unrevoke(&self, revocation: &Revocation) -> bool {
        self.core.revocations.remove(revocation)
    }

    /// Binds a consumer to a session, opening the session if need be.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub fn connect(&self, session: &Session) -> Result<Connection, ConnectError> {
        self.bind(session, false)
    }

    /// Binds a browser tab to a session. Its tree is shown under `/ui/tab-N`, where the engine chooses `N`.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub fn connect_tab(&self, session: &Session) -> Result<Connection, ConnectError> {
        self.bind(session, true)
    }

    fn bind(&self, session: &Session, is_tab: bool) -> Result<Connection, ConnectError> {
        let core = &self.core;
        if core.closing.load(Ordering::SeqCst) {
            return Err(ConnectError::Closing);
        }
        let count = core.connections.fetch_add(1, Ordering::SeqCst);
        let counted = Counted { core, kept: false };
        if count >= core.config.limits.connections {
            let session = session.context().id().clone();
            core.observers.warn(&Event::LimitReached { limit: Limit::Connections, session });
            return Err(ConnectError::LimitReached(Limit::Connections));
        }
        let slot = core.open(session)?;
        let number = core.next_number.fetch_add(1, Ordering::Relaxed);
        let (greeting, delay_ms) = match is_tab {
            true => (encode::TAB_CONNECT.to_owned(), 0),
            false => (core.hello(&slot, number), millis(core.config.times.hello_delay)),
        };
        let outbox = Outbox::new(greeting, delay_ms, core.config.sizes.outbox_bytes);
        let link = Arc::new(Link::new(number, is_tab, core.now_ms(), outbox));
        if !slot.attach(Arc::clone(&link)) {
            // It was closed since it was found: idle, expired or revoked. Looked for anew, it is made again or refused.
            drop(counted);
            return self.bind(session, is_tab);
        }
        let tab = self.admit(&slot, &link).inspect_err(|_| {
            // Whoever looked meanwhile saw a session that is not idle.
            if slot.detach(&link, core.now_ms()) {
                core.watch_idle(&slot);
            }
        })?;
        core.pin(&slot);
        if let Some(warning) = core.expiry_warning(session.context()).filter(|_| !is_tab) {
            link.reply(warning);
        }
        core.timers.at(
            core.now_ms().saturating_add(millis(core.config.times.ping_interval)),
            Timer::Check(Arc::downgrade(&link)),
        );
        core.observers.emit(|| Event::Connected { session: slot.context().id().clone(), connection: number });
        counted.keep();
        Ok(Connection::new(Arc::clone(core), slot, link, tab))
    }

    /// Whether a connection may stay that was just added to its session. A tab gets its place.
    fn admit(&self, slot: &Arc<Slot>, link: &Arc<Link>) -> Result<Option<TabPeer>, ConnectError> {
        let core = &self.core;
        let tab = || link.is_tab.then(|| TabPeer::open(core, slot, link)).transpose();
        let tab = core.check_connection_quota(slot).and_then(|()| tab()).map_err(|full| {
            core.limit_reached(full.limit, slot);
            ConnectError::LimitReached(full.limit)
        })?;
        if core.closing.load(Ordering::SeqCst) {
            tab.iter().for_each(TabPeer::close);
            return Err(ConnectError::Closing);
        }
        Ok(tab)
    }

    /// How much there is of everything now.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let core = &self.core;
        let slots = core.table.all();
        let links = slots.iter().flat_map(|slot| slot.links());
        let (mut subscriptions, mut outbox_bytes) = (0, 0);
        for link in links {
            let outbox = link.outbox.lock();
            subscriptions += outbox.subscriptions();
            outbox_bytes += outbox.bytes();
        }
        let store = &core.passes.renderer.store;
        Stats {
            sessions: slots.len(),
            trees: slots.iter().filter(|slot| slot.is_resident()).count(),
            connections: core.connections.load(Ordering::SeqCst),
            subscriptions,
            tabs: slots.iter().map(|slot| slot.tabs().iter().filter(|tab| tab.is_mounted()).count()).sum(),
            tree_bytes: store.fragment_bytes(),
            symbol_bytes: store.symbols().bytes(),
            outbox_bytes,
            evaluations: self.evaluations(),
            shared_evaluations: core.passes.shared(),
            commits: core.passes.commits(),
            diffs: core.delivery.memo.diffs(),
            encodes: core.delivery.memo.encodes(),
        }
    }

    fn evaluations(&self) -> BTreeMap<String, u64> {
        let runs = self.core.passes.runs.all();
        runs.into_iter().map(|(path, runs)| (path::absolute(&path), runs)).collect()
    }

    pub(crate) const fn core(&self) -> &Arc<Core> {
        &self.core
    }
}

/// A tab may wish for `ui` or something below it. The wish is only checked: the engine chooses the path, so that no tab
/// can take the place of server data or of another tab (contract 3.4).
fn may_mount(mount: &str) -> bool {
    path::registrable(mount).is_ok_and(|mount| mount.is_empty() || path::covers("ui", &mount))
}

/// A connection that is counted before it exists; taken back if it comes to nothing.
struct Counted<'a> {
    core: &'a Core,
    kept: bool,
}

impl Counted<'_> {
    fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        if !self.kept {
            self.core.connections.fetch_sub(1, Ordering::SeqCst);
            self.core.connection_gone.notify(usize::MAX);
        }
    }
}

impl Provider for Engine {
    fn discovery(&self) -> Discovery {
        Discovery { id: self.core.id.to_string(), name: self.core.name.to_string(), capabilities: CAPABILITIES }
    }

    fn connect(&self, session: Session, role: Role) -> Result<Connection, ConnectError> {
        match role {
            Role::Consumer => Self::connect(self, &session),
            Role::Tab { mount } if may_mount(&mount) => self.connect_tab(&session),
            Role::Tab { .. } => Err(ConnectError::Invalid("a tab may only be mounted under `ui`".to_owned())),
        }
    }

    fn renew(&self, session: Session) -> Result<Option<Renewed>, ConnectError> {
        let renewed = self.core.renew(&session)?;
        Ok(renewed.then(|| Renewed { expires_in: self.core.time_left(session.context()) }))
    }

    fn config(&self) -> &Config {
        &self.core.config
    }

    fn note(&self, event: Event) {
        self.core.observers.warn(&event);
    }

    fn is_closing(&self) -> bool {
        self.core.closing.load(Ordering::SeqCst)
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("id", &self.core.id).finish_non_exhaustive()
    }
}
