//! A script as it is played by an engine, and the checks of what its viewers are sent.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use grove_engine::testing::{ManualClock, TestConsumer};
use grove_engine::{
    Clock, Config, Connection, Descriptor, Engine, Frame, PerSession, RoomOptions, Scope, Session, SessionProvider,
    Source,
};
use serde_json::{Value, json};

use crate::claims::{Claims, marker};
use crate::reference::{View, children, expect_equal, id_of, set_children};
use crate::rooms::Rooms;
use crate::script::{Change, Request, Script, Target};
use crate::source_model::{Data, PATHS, SourceModel, expected_result, expected_tree, own_text};
use crate::viewer::Viewer;

/// The maximum number of subscriptions of one viewer.
const VIEWS: usize = 4;

/// How much was checked.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Totals {
    pub(crate) cases: u64,
    pub(crate) bytes: u64,
    /// Events of rooms.
    pub(crate) events: u64,
}

impl std::ops::AddAssign for Totals {
    fn add_assign(&mut self, more: Self) {
        self.cases += more.cases;
        self.bytes += more.bytes;
        self.events += more.events;
    }
}

/// An engine, the application's data, and all viewers.
pub(crate) struct Simulation {
    engine: Engine,
    clock: Arc<ManualClock>,
    data: Data,
    sources: Vec<SourceModel>,
    per_session: bool,
    viewers: Vec<Viewer>,
    rooms: Rooms,
    /// The keys of data that changed since the last refresh.
    changed: BTreeSet<String>,
    totals: Totals,
}

impl Simulation {
    pub(crate) async fn run(script: &Script) -> Totals {
        let mut simulation = Self::new(script);
        for number in 0..simulation.viewers.len() {
            simulation.connect(number).await;
        }
        for step in &script.steps {
            for (who, change) in &step.changes {
                simulation.change(*who, change).await;
            }
            simulation.settle().await;
            simulation.check().await;
            for (who, request) in &step.requests {
                simulation.request(*who, request).await;
            }
        }
        Totals { events: simulation.rooms.checked, ..simulation.totals }
    }

    fn new(script: &Script) -> Self {
        let mut config = Config::immediate();
        config.execution.pass_threads = script.pass_threads;
        (config.times.idle_tree, config.times.idle_session, config.times.resume_window) =
            (Duration::from_millis(1_000), Duration::from_millis(5_000), Duration::from_millis(2_000));
        config.memory.idle_trees = 2;
        // The script advances the clock while passes run, and the expected trees know no evaluation that timed out.
        config.times.evaluation_timeout = Duration::from_secs(24 * 3600);
        let clock = ManualClock::new();
        let builder = Engine::builder("app", "App").config(config).clock(Arc::clone(&clock) as Arc<dyn Clock>);
        let builder = builder.rooms(RoomOptions::new());
        let (data, sources) = (Data::default(), script.sources.clone());
        let engine = if script.per_session {
            let (data, sources) = (Arc::clone(&data), sources.clone());
            let factory = move |session: &Session| {
                let paths = PATHS.iter().zip(&sources);
                paths.fold(SessionProvider::new(), |provider, (path, source)| {
                    source.register_in(provider, path, session, &data)
                })
            };
            PerSession::with_options(builder, factory).engine().clone()
        } else {
            let engine = builder.build();
            for (path, source) in PATHS.iter().zip(&sources) {
                source.register(&engine, path, &data);
            }
            engine
        };
        let viewers = script.viewers.iter().enumerate().map(|(number, claims)| Viewer::new(number, claims.clone()));
        Self {
            engine,
            clock,
            data,
            sources,
            per_session: script.per_session,
            viewers: viewers.collect(),
            rooms: Rooms::default(),
            changed: BTreeSet::new(),
            totals: Totals::default(),
        }
    }

    async fn change(&mut self, who: usize, change: &Change) {
        match change {
            Change::AllData => self.change_data(String::new()),
            Change::Data(which) => self.change_data(self.viewers[who].marker(*which)),
            Change::Refresh(target, path) => self.refresh(who, *target, *path),
            Change::Claims(claims) => self.change_claims(who, claims),
            Change::Subscribe(view) => self.subscribe(who, view),
            Change::Unsubscribe(which) => self.unsubscribe(who, *which),
            Change::Connect => self.connect(who).await,
            Change::Disconnect => self.viewers[who].disconnect(&self.engine),
            Change::Reconnect => self.reconnect(who).await,
            Change::Close => self.close(who),
            Change::OwnPath(registered) => self.change_own_path(who, *registered),
            Change::Tab(open) => self.change_tab(who, *open).await,
            Change::Emit => self.emit(who),
            Change::Source(at, source) => self.change_source(at % self.sources.len(), source),
            Change::Room(change) => {
                self.rooms.allow(&mut self.viewers);
                self.rooms.change(&self.engine, &mut self.viewers[who], change);
                self.rooms.allow(&mut self.viewers);
            }
            Change::Advance(ms) => self.clock.advance(*ms),
        }
    }

    fn change_data(&mut self, key: String) {
        *self.data.lock().entry(key.clone()).or_default() += 1;
        self.changed.insert(key);
    }

    fn refresh(&self, who: usize, target: Target, path: Option<&'static str>) {
        let viewer = &self.viewers[who];
        let named = |kind, number: Option<u8>| marker(kind, number.unwrap_or_default());
        let scope = match target {
            Target::All => Scope::all(),
            Target::Session => Scope::session(viewer.id()),
            Target::User => Scope::user(named('u', viewer.claims.user)),
            Target::Org => Scope::attribute("org", named('o', viewer.claims.org)),
            Target::Predicate => Scope::matching(|session: &Session| !session.id().is_empty()),
        };
        self.engine.refresh(match path {
            Some(path) => scope.paths([path]),
            None => scope,
        });
    }

    fn change_claims(&mut self, who: usize, claims: &Claims) {
        let viewer = &mut self.viewers[who];
        // Who it is stays: under its id nobody else connects, and it reconnects as it connected first.
        let (user, project) = (viewer.claims.user, viewer.claims.project);
        viewer.claims = Claims { user, project, ..claims.clone() };
        let claims = viewer.claims.clone();
        viewer.session = claims.session(viewer.number);
        viewer.allowed.extend(claims.markers(viewer.number));
        self.engine.update_session(&viewer.session);
    }

    /// Connects, and subscribes to the whole tree.
    async fn connect(&mut self, who: usize) {
        let viewer = &mut self.viewers[who];
        if viewer.consumer.is_none() {
            viewer.connected_with = viewer.claims.clone();
            self.rooms.lost(who);
            viewer.consumer = Some(TestConsumer::connect(&self.engine, viewer.session.clone()).await);
            self.subscribe(who, &View::whole());
        }
    }

    fn subscribe(&mut self, who: usize, view: &View) {
        let tree = self.expected(who);
        let viewer = &mut self.viewers[who];
        let exists = !view.of(&tree).is_null();
        if let Some(consumer) = viewer.consumer.as_mut().filter(|_| exists && viewer.views.len() < VIEWS) {
            let id = consumer.start_subscription(view.options());
            viewer.views.push((id, view.clone()));
        }
    }

    fn unsubscribe(&mut self, who: usize, which: usize) {
        let viewer = &mut self.viewers[who];
        if let Some(consumer) = viewer.consumer.as_mut().filter(|_| !viewer.views.is_empty()) {
            let (id, _) = viewer.views.swap_remove(which % viewer.views.len());
            consumer.unsubscribe(&id);
        }
    }

    async fn reconnect(&mut self, who: usize) {
        let viewer = &mut self.viewers[who];
        if let Some(consumer) = &mut viewer.consumer {
            viewer.allowed.extend(viewer.connected_with.markers(viewer.number));
            self.rooms.lost(who);
            consumer.reconnect().await;
            self.receive(who).await;
            self.engine.update_session(&self.viewers[who].session);
        }
    }

    fn close(&mut self, who: usize) {
        let viewer = &mut self.viewers[who];
        self.engine.close_session(&viewer.id());
        viewer.clear();
    }

    fn change_own_path(&mut self, who: usize, registered: bool) {
        let viewer = &mut self.viewers[who];
        if viewer.consumer.is_none() {
            return;
        }
        if !registered {
            self.engine.restore_for(&viewer.id(), "own").unwrap();
            viewer.own = None;
            return;
        }
        let revision = viewer.own.map_or(1, |revision| revision + 1);
        let text = own_text(viewer.number, revision);
        let source = Source::new(move |_: &Session| Descriptor::status().prop("own", text.as_str()));
        self.engine.register_for(&viewer.id(), "own", source).unwrap();
        viewer.own = Some(revision);
    }

    /// Opens a tab that publishes a secret, or closes it.
    async fn change_tab(&mut self, who: usize, open: bool) {
        let viewer = &mut self.viewers[who];
        viewer.tab = None;
        if !open || viewer.consumer.is_none() {
            return;
        }
        let tab = self.engine.connect_tab(&viewer.session).unwrap();
        assert_eq!(next(&tab).await["type"], "connect");
        let hello =
            json!({"type": "hello", "provider": {"id": "ui", "name": "UI", "slop_version": "0.1", "capabilities": []}});
        tab.receive(&hello.to_string());
        let subscribe = next(&tab).await;
        let route = json!({"id": "route", "type": "status", "properties": {"of": marker('s', viewer.number)}});
        let ui = json!({"id": "ui", "type": "root", "children": [route]});
        let snapshot = json!({"type": "snapshot", "id": subscribe["id"], "version": 1, "tree": ui});
        tab.receive(&snapshot.to_string());
        viewer.tab = Some(tab);
    }

    fn emit(&self, who: usize) {
        let viewer = &self.viewers[who];
        self.engine
            .emit(Scope::session(viewer.id()), "note", Some(&json!({"for": marker('s', viewer.number)})))
            .unwrap();
    }

    fn change_source(&mut self, at: usize, source: &SourceModel) {
        // A provider for one session keeps the sources that its factory registered.
        if !self.per_session {
            source.register(&self.engine, PATHS[at], &self.data);
            self.sources[at] = source.clone();
        }
    }

    /// Refreshes the narrowest scope of each change of data, and lets the engine settle.
    async fn settle(&mut self) {
        for key in std::mem::take(&mut self.changed) {
            self.engine.refresh_now(scope_of(key)).await;
        }
        self.engine.settle().await;
    }

    /// The tree of this viewer, computed for it alone.
    fn expected(&self, who: usize) -> Value {
        let viewer = &self.viewers[who];
        expected_tree(&self.sources, viewer.number, &viewer.claims, &self.data.lock(), viewer.own)
    }

    /// Searches everything that was sent, and compares every mirror.
    async fn check(&mut self) {
        self.rooms.allow(&mut self.viewers);
        for who in 0..self.viewers.len() {
            let tree = self.expected(who);
            self.receive(who).await;
            let viewer = &self.viewers[who];
            if let Some(consumer) = &viewer.consumer {
                for (id, view) in &viewer.views {
                    let what = format!("session {}, {view:?}", viewer.number);
                    expect_equal(&without_tabs(consumer.tree(id), view), &view.of(&tree), &what);
                    if view.path == "/" {
                        self.rooms.check(&self.engine, viewer, consumer.tree(id));
                    }
                }
                self.totals.cases += 1;
            }
            let viewer = &mut self.viewers[who];
            viewer.allowed = viewer.claims.markers(viewer.number).collect();
        }
        self.rooms.allow(&mut self.viewers);
    }

    /// Receives what was sent, and searches it.
    async fn receive(&mut self, who: usize) {
        let Some(consumer) = &mut self.viewers[who].consumer else { return };
        for message in consumer.settled().await {
            self.search(who, &message);
            self.rooms.receive(who, &message);
            assert_ne!(message["type"], "closed", "session {who} was closed: {message}");
        }
    }

    async fn request(&mut self, who: usize, request: &Request) {
        if self.viewers[who].consumer.is_none() {
            return;
        }
        match request {
            Request::Query(view) => self.query(who, view).await,
            Request::Foreign(whose, path) => {
                let path = self.some_path(*whose, *path);
                let view = View { path, ..View::whole() };
                self.query(who, &view).await;
            }
            Request::Invoke(whose, path) => {
                let path = self.some_path(*whose, *path);
                self.invoke(who, &path).await;
            }
            Request::Tabs => self.query_tabs(who).await,
            Request::Room(which) => self.query_room(who, *which).await,
        }
        self.totals.cases += 1;
    }

    fn some_path(&self, who: usize, which: usize) -> String {
        let mut paths = Vec::new();
        collect_paths(&self.expected(who), "", &mut paths);
        paths.swap_remove(which % paths.len())
    }

    async fn query(&mut self, who: usize, view: &View) {
        let expected = view.of(&self.expected(who));
        let viewer = &mut self.viewers[who];
        let Some(consumer) = &mut viewer.consumer else { return };
        let reply = consumer.query_with(view.options()).await;
        self.search(who, &reply);
        if expected.is_null() {
            assert_eq!(reply["error"]["code"], "not_found", "session {who}, {view:?}: {reply}");
        } else {
            expect_equal(&without_tabs(&reply["tree"], view), &expected, &format!("session {who} queries {view:?}"));
        }
    }

    async fn invoke(&mut self, who: usize, path: &str) {
        let viewer = &self.viewers[who];
        let at = PATHS.iter().position(|known| path.strip_prefix('/') == Some(*known));
        let source = at.and_then(|at| self.sources.get(at)).filter(|source| source.has_action());
        let expected = source.map(|source| expected_result(source, viewer.number, &viewer.claims, &self.data.lock()));
        let Some(consumer) = &mut self.viewers[who].consumer else { return };
        let result = consumer.invoke(path, "get", Value::Null).await;
        self.search(who, &result);
        match expected {
            Some(expected) => assert_eq!(result["data"], expected, "session {who} calls at {path}: {result}"),
            None => assert_eq!(result["error"]["code"], "not_found", "session {who} calls at {path}: {result}"),
        }
    }

    /// Asserts that the subtree of the viewer's own tab is there, and no other.
    async fn query_tabs(&mut self, who: usize) {
        let viewer = &mut self.viewers[who];
        let (number, is_open) = (viewer.number, viewer.tab.is_some());
        let Some(consumer) = &mut viewer.consumer else { return };
        let reply = consumer.query_with(json!({"path": "/ui", "depth": -1})).await;
        self.search(who, &reply);
        match is_open {
            true => assert!(reply.to_string().contains(&marker('s', number)), "session {who}: {reply}"),
            false => assert_eq!(reply["error"]["code"], "not_found", "session {who}: {reply}"),
        }
    }

    /// A room is there for those alone who have a role in it.
    async fn query_room(&mut self, who: usize, which: usize) {
        let viewer = &mut self.viewers[who];
        let Some((path, is_seen)) = self.rooms.some(&viewer.claims, which) else { return };
        let Some(consumer) = &mut viewer.consumer else { return };
        let reply = consumer.query_with(json!({"path": path, "depth": -1})).await;
        self.search(who, &reply);
        if !is_seen {
            assert_eq!(reply["error"]["code"], "not_found", "session {who}: {reply}");
        }
    }

    fn search(&mut self, who: usize, message: &Value) {
        let text = message.to_string();
        self.totals.bytes += text.len() as u64;
        self.viewers[who].search(&text);
    }
}

async fn next(connection: &Connection) -> Value {
    match connection.next_frame().await {
        Frame::Text(text) => serde_json::from_str(&text).unwrap(),
        other => panic!("not a message: {other:?}"),
    }
}

/// The scope of the sessions that show data of a marker's owner.
fn scope_of(key: String) -> Scope {
    let Some(kind) = key.chars().nth(1) else { return Scope::all() };
    match kind {
        's' => Scope::session(format!("session {key}")),
        'u' => Scope::user(key),
        'o' => Scope::attribute("org", key),
        't' => Scope::attribute("team", key),
        'p' => Scope::matching(move |session: &Session| session.project() == Some(&key)),
        'q' => Scope::matching(move |session: &Session| session.parent() == Some(&key)),
        _ => Scope::matching(move |session: &Session| session.can(&key)),
    }
}

/// Removes the subtrees of tabs and rooms, which are checked separately.
fn without_tabs(tree: &Value, view: &View) -> Value {
    let mut tree = tree.clone();
    if view.path == "/" && tree.is_object() {
        let kept = children(&tree).iter().filter(|child| !matches!(id_of(child), "ui" | "rooms")).cloned().collect();
        set_children(&mut tree, kept);
    }
    tree
}

fn collect_paths(node: &Value, at: &str, paths: &mut Vec<String>) {
    for child in children(node) {
        let path = format!("{at}/{}", id_of(child));
        collect_paths(child, &path, paths);
        paths.push(path);
    }
}
