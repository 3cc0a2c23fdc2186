//! A story as it is lived by an engine, and the checks of what its people are sent.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use grove_engine::testing::{ManualClock, TestConsumer};
use grove_engine::{
    Clock, Config, Connection, Descriptor, Engine, Frame, PerSession, Scope, Session, SessionProvider, Source,
};
use serde_json::{Value, json};

use crate::person::{Claims, id, marker, markers};
use crate::program::{Data, PATHS, Program, own_text, told_alone, tree_alone};
use crate::reference::{View, children, expect_equal, id_of, set_children};
use crate::story::{Change, Reach, Read, Story};

/// How many subscriptions one person has at most.
const VIEWS: usize = 4;

/// What was checked.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Done {
    pub(crate) cases: u64,
    pub(crate) bytes: u64,
}

impl std::ops::AddAssign for Done {
    fn add_assign(&mut self, more: Self) {
        self.cases += more.cases;
        self.bytes += more.bytes;
    }
}

/// An engine, the application's data, and all people.
pub(crate) struct World {
    engine: Engine,
    clock: Arc<ManualClock>,
    data: Data,
    programs: Vec<Program>,
    per_session: bool,
    people: Vec<Person>,
    /// Whose data changed since it was last told to the engine.
    changed: BTreeSet<String>,
    done: Done,
}

/// One session, known or not.
struct Person {
    number: usize,
    claims: Claims,
    /// With which claims the consumer connected; it comes back with them.
    seated_with: Claims,
    session: Session,
    /// What they may be sent: what their claims allow, or did since they were last looked at.
    allowed: BTreeSet<String>,
    /// What is registered for them alone.
    own: Option<u64>,
    consumer: Option<TestConsumer>,
    views: Vec<(String, View)>,
    tab: Option<Connection>,
}

impl Person {
    fn new(number: usize, claims: Claims) -> Self {
        let session = claims.session(number);
        let allowed = claims.markers(number).collect();
        let seated_with = claims.clone();
        Self { number, claims, seated_with, session, allowed, own: None, consumer: None, views: Vec::new(), tab: None }
    }

    fn id(&self) -> String {
        id(self.number)
    }

    fn some_marker(&self, which: usize) -> String {
        let all: Vec<String> = self.claims.markers(self.number).collect();
        all[which % all.len()].clone()
    }

    fn leave(&mut self, engine: &Engine) {
        if self.own.take().is_some() {
            engine.restore_for(&self.id(), "own").unwrap();
        }
        self.gone();
    }

    fn gone(&mut self) {
        (self.consumer, self.tab, self.own) = (None, None, None);
        self.views.clear();
    }

    /// Looks for markers of others in what was sent.
    fn search(&self, sent: &str) {
        for found in markers(sent) {
            assert!(self.allowed.contains(found), "{found} was sent to session {}: {sent}", self.number);
        }
    }
}

impl World {
    pub(crate) async fn live(story: &Story) -> Done {
        let mut world = Self::new(story);
        for number in 0..world.people.len() {
            world.seat(number).await;
        }
        for step in &story.steps {
            for (who, change) in &step.changes {
                world.change(*who, change).await;
            }
            world.rest().await;
            world.check().await;
            for (who, read) in &step.reads {
                world.read(*who, read).await;
            }
        }
        world.done
    }

    fn new(story: &Story) -> Self {
        let mut config = Config::immediate();
        config.execution.pass_threads = story.pass_threads;
        (config.times.idle_tree, config.times.idle_session, config.times.resume_window) =
            (Duration::from_millis(1_000), Duration::from_millis(5_000), Duration::from_millis(2_000));
        config.memory.idle_trees = 2;
        let clock = ManualClock::new();
        let builder = Engine::builder("app", "App").config(config).clock(Arc::clone(&clock) as Arc<dyn Clock>);
        let (data, programs) = (Data::default(), story.programs.clone());
        let engine = if story.per_session {
            let (data, programs) = (Arc::clone(&data), programs.clone());
            let make = move |session: &Session| {
                let each = PATHS.iter().zip(&programs);
                each.fold(SessionProvider::new(), |instance, (path, program)| {
                    program.instantiate(instance, path, session, &data)
                })
            };
            PerSession::with_options(builder, make).engine().clone()
        } else {
            let engine = builder.build();
            for (path, program) in PATHS.iter().zip(&programs) {
                program.register(&engine, path, &data);
            }
            engine
        };
        let people = story.people.iter().enumerate().map(|(number, claims)| Person::new(number, claims.clone()));
        Self {
            engine,
            clock,
            data,
            programs,
            per_session: story.per_session,
            people: people.collect(),
            changed: BTreeSet::new(),
            done: Done::default(),
        }
    }

    // ------------------------------------------------------------ changes

    async fn change(&mut self, who: usize, change: &Change) {
        match change {
            Change::AllData => self.change_data(String::new()),
            Change::Data(which) => self.change_data(self.people[who].some_marker(*which)),
            Change::Refresh(reach, path) => self.refresh(who, *reach, *path),
            Change::Claims(claims) => self.change_claims(who, claims),
            Change::Watch(view) => self.watch(who, view),
            Change::Unwatch(which) => self.unwatch(who, *which),
            Change::Return => self.seat(who).await,
            Change::Leave => self.people[who].leave(&self.engine),
            Change::Reconnect => self.reconnect(who).await,
            Change::Close => self.close(who),
            Change::Own(stays) => self.change_own(who, *stays),
            Change::Tab(opens) => self.tab(who, *opens).await,
            Change::Emit => self.emit(who),
            Change::Program(at, program) => self.change_program(at % self.programs.len(), program),
            Change::Wait(ms) => self.clock.advance(*ms),
        }
    }

    fn change_data(&mut self, key: String) {
        *self.data.lock().entry(key.clone()).or_default() += 1;
        self.changed.insert(key);
    }

    fn refresh(&self, who: usize, reach: Reach, path: Option<&'static str>) {
        let person = &self.people[who];
        let named = |kind, number: Option<u8>| marker(kind, number.unwrap_or_default());
        let scope = match reach {
            Reach::All => Scope::all(),
            Reach::Session => Scope::session(person.id()),
            Reach::User => Scope::user(named('u', person.claims.user)),
            Reach::Org => Scope::attribute("org", named('o', person.claims.org)),
            Reach::Everybody => Scope::matching(|session: &Session| !session.id().is_empty()),
        };
        self.engine.refresh(match path {
            Some(path) => scope.paths([path]),
            None => scope,
        });
    }

    fn change_claims(&mut self, who: usize, claims: &Claims) {
        let person = &mut self.people[who];
        person.claims = claims.clone();
        person.session = claims.session(person.number);
        person.allowed.extend(claims.markers(person.number));
        self.engine.update_session(&person.session);
    }

    /// Connects, and watches everything.
    async fn seat(&mut self, who: usize) {
        let person = &mut self.people[who];
        if person.consumer.is_none() {
            person.seated_with = person.claims.clone();
            person.consumer = Some(TestConsumer::connect(&self.engine, person.session.clone()).await);
            self.watch(who, &View::whole());
        }
    }

    fn watch(&mut self, who: usize, view: &View) {
        let tree = self.alone(who);
        let person = &mut self.people[who];
        let exists = !view.of(&tree).is_null();
        if let Some(consumer) = person.consumer.as_mut().filter(|_| exists && person.views.len() < VIEWS) {
            let id = consumer.start_subscription(view.options());
            person.views.push((id, view.clone()));
        }
    }

    fn unwatch(&mut self, who: usize, which: usize) {
        let person = &mut self.people[who];
        if let Some(consumer) = person.consumer.as_mut().filter(|_| !person.views.is_empty()) {
            let (id, _) = person.views.swap_remove(which % person.views.len());
            consumer.unsubscribe(&id);
        }
    }

    async fn reconnect(&mut self, who: usize) {
        let person = &mut self.people[who];
        if let Some(consumer) = &mut person.consumer {
            person.allowed.extend(person.seated_with.markers(person.number));
            consumer.reconnect().await;
            self.take(who).await;
            self.engine.update_session(&self.people[who].session);
        }
    }

    fn close(&mut self, who: usize) {
        let person = &mut self.people[who];
        self.engine.close_session(&person.id());
        person.gone();
    }

    fn change_own(&mut self, who: usize, stays: bool) {
        let person = &mut self.people[who];
        if person.consumer.is_none() {
            return;
        }
        if !stays {
            self.engine.restore_for(&person.id(), "own").unwrap();
            person.own = None;
            return;
        }
        let revision = person.own.map_or(1, |revision| revision + 1);
        let text = own_text(person.number, revision);
        let source = Source::new(move |_: &Session| Descriptor::status().prop("own", text.as_str()));
        self.engine.register_for(&person.id(), "own", source).unwrap();
        person.own = Some(revision);
    }

    /// A page of theirs publishes a secret, or goes.
    async fn tab(&mut self, who: usize, opens: bool) {
        let person = &mut self.people[who];
        person.tab = None;
        if !opens || person.consumer.is_none() {
            return;
        }
        let tab = self.engine.connect_tab(&person.session).unwrap();
        assert_eq!(next(&tab).await["type"], "connect");
        let hello =
            json!({"type": "hello", "provider": {"id": "ui", "name": "UI", "slop_version": "0.1", "capabilities": []}});
        tab.receive(&hello.to_string());
        let subscribe = next(&tab).await;
        let route = json!({"id": "route", "type": "status", "properties": {"of": marker('s', person.number)}});
        let ui = json!({"id": "ui", "type": "root", "children": [route]});
        let snapshot = json!({"type": "snapshot", "id": subscribe["id"], "version": 1, "tree": ui});
        tab.receive(&snapshot.to_string());
        person.tab = Some(tab);
    }

    fn emit(&self, who: usize) {
        let person = &self.people[who];
        self.engine.emit(Scope::session(person.id()), "note", Some(&json!({"for": marker('s', person.number)})));
    }

    fn change_program(&mut self, at: usize, program: &Program) {
        // An instance is what its factory made.
        if !self.per_session {
            program.register(&self.engine, PATHS[at], &self.data);
            self.programs[at] = program.clone();
        }
    }

    /// Tells the engine of every change of data, each in the narrowest words, and waits.
    async fn rest(&mut self) {
        for key in std::mem::take(&mut self.changed) {
            self.engine.refresh_now(scope_of(key)).await;
        }
        self.engine.settle().await;
    }

    // ------------------------------------------------------------ checks

    /// What this person's tree is if they are alone in the world.
    fn alone(&self, who: usize) -> Value {
        let person = &self.people[who];
        tree_alone(&self.programs, person.number, &person.claims, &self.data.lock(), person.own)
    }

    /// Searches everything that was sent, and compares every mirror.
    async fn check(&mut self) {
        for who in 0..self.people.len() {
            let tree = self.alone(who);
            self.take(who).await;
            let person = &self.people[who];
            if let Some(consumer) = &person.consumer {
                for (id, view) in &person.views {
                    let what = format!("session {}, {view:?}", person.number);
                    expect_equal(&without_tabs(consumer.tree(id), view), &view.of(&tree), &what);
                }
                self.done.cases += 1;
            }
            let person = &mut self.people[who];
            person.allowed = person.claims.markers(person.number).collect();
        }
    }

    /// Takes what was sent, and searches it.
    async fn take(&mut self, who: usize) {
        let Some(consumer) = &mut self.people[who].consumer else { return };
        for message in consumer.settled().await {
            self.searched(who, &message);
            assert_ne!(message["type"], "closed", "session {who} was closed: {message}");
        }
    }

    async fn read(&mut self, who: usize, read: &Read) {
        if self.people[who].consumer.is_none() {
            return;
        }
        match read {
            Read::Query(view) => self.query(who, view).await,
            Read::Foreign(whose, path) => {
                let path = self.some_path(*whose, *path);
                let view = View { path, ..View::whole() };
                self.query(who, &view).await;
            }
            Read::Invoke(whose, path) => {
                let path = self.some_path(*whose, *path);
                self.invoke(who, &path).await;
            }
            Read::Tabs => self.tabs(who).await,
        }
        self.done.cases += 1;
    }

    fn some_path(&self, who: usize, which: usize) -> String {
        let mut paths = Vec::new();
        collect_paths(&self.alone(who), "", &mut paths);
        paths.swap_remove(which % paths.len())
    }

    async fn query(&mut self, who: usize, view: &View) {
        let wanted = view.of(&self.alone(who));
        let person = &mut self.people[who];
        let Some(consumer) = &mut person.consumer else { return };
        let answer = consumer.query_with(view.options()).await;
        self.searched(who, &answer);
        if wanted.is_null() {
            assert_eq!(answer["error"]["code"], "not_found", "session {who}, {view:?}: {answer}");
        } else {
            expect_equal(&without_tabs(&answer["tree"], view), &wanted, &format!("session {who} asks {view:?}"));
        }
    }

    async fn invoke(&mut self, who: usize, path: &str) {
        let person = &self.people[who];
        let at = PATHS.iter().position(|known| path.strip_prefix('/') == Some(*known));
        let program = at.and_then(|at| self.programs.get(at)).filter(|program| program.acts());
        let wanted = program.map(|program| told_alone(program, person.number, &person.claims, &self.data.lock()));
        let Some(consumer) = &mut self.people[who].consumer else { return };
        let answer = consumer.invoke(path, "tell", Value::Null).await;
        self.searched(who, &answer);
        match wanted {
            Some(wanted) => assert_eq!(answer["data"], wanted, "session {who} calls at {path}: {answer}"),
            None => assert_eq!(answer["error"]["code"], "not_found", "session {who} calls at {path}: {answer}"),
        }
    }

    /// Their own tab's subtree is there, and nobody else's.
    async fn tabs(&mut self, who: usize) {
        let person = &mut self.people[who];
        let (number, is_open) = (person.number, person.tab.is_some());
        let Some(consumer) = &mut person.consumer else { return };
        let answer = consumer.query_with(json!({"path": "/ui", "depth": -1})).await;
        self.searched(who, &answer);
        match is_open {
            true => assert!(answer.to_string().contains(&marker('s', number)), "session {who}: {answer}"),
            false => assert_eq!(answer["error"]["code"], "not_found", "session {who}: {answer}"),
        }
    }

    fn searched(&mut self, who: usize, answer: &Value) {
        let text = answer.to_string();
        self.done.bytes += text.len() as u64;
        self.people[who].search(&text);
    }
}

async fn next(connection: &Connection) -> Value {
    match connection.next_frame().await {
        Frame::Text(text) => serde_json::from_str(&text).unwrap(),
        other => panic!("not a message: {other:?}"),
    }
}

/// The sessions that show what belongs to a marker.
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

/// A tab's subtree is the page's affair and compared apart.
fn without_tabs(tree: &Value, view: &View) -> Value {
    let mut tree = tree.clone();
    if view.path == "/" && tree.is_object() {
        let kept = children(&tree).iter().filter(|child| id_of(child) != "ui").cloned().collect();
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
