//! The app as a whole: its data, its engine, and what connects the two.

use std::sync::Arc;

use grove_engine::{ActionError, Engine, EngineBuilder, Event, Invocation, PerSession, Session, Storage};
use serde_json::Value;

use crate::agents;
use crate::audit::Audit;
use crate::bus::Bus;
use crate::catalog::Catalog;
use crate::noted::Noted;
use crate::options::Options;
use crate::rooms::{self, NoteTaker};
use crate::state::State;
use crate::tree::Tree;

/// The running app.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) engine: Engine,
    /// Set in provider-per-session mode; its engine is the one above.
    pub(crate) providers: Option<PerSession>,
    pub(crate) state: Arc<State>,
    pub(crate) tree: Arc<Tree>,
    /// What was refused, created, closed, revoked and taken over, if there are rooms.
    pub(crate) audit: Option<Arc<Audit>>,
    /// What connects it with other instances, if there may be any.
    pub(crate) bus: Option<Bus>,
    /// How long a change may take to be shown, in ms.
    pub(crate) debounce_ms: u64,
}

impl App {
    /// Connects all parts. Actions hold the app weakly: the engine holds them, and the app holds the engine.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub(crate) fn new(options: &Options, (storage, noted): (Storage, Noted), bus: Option<Bus>) -> Arc<Self> {
        Arc::new_cyclic(|app| {
            let state = Arc::new(State::new());
            let catalog = Catalog::new(&state, app);
            let tree = Arc::new(Tree::new(Arc::clone(&state), catalog));
            let builder = Engine::builder("app", "Conf App").config(options.config());
            let audit = options.has_rooms().then(Arc::<Audit>::default);
            let builder = match &audit {
                Some(audit) => with_rooms(builder, audit, (&state, storage)),
                None => builder,
            };
            let builder = bus.iter().fold(builder, |builder, bus| bus.join(builder));
            let (engine, providers) = engine(builder, options.per_session, &tree);
            if options.has_rooms() {
                rooms::register(&engine, &state, app);
                agents::register(&engine, noted);
            }
            Self { engine, providers, state, tree, audit, bus, debounce_ms: options.debounce_ms }
        })
    }
}

impl NoteTaker for App {
    fn note(&self, call: &Invocation<Value>) -> Result<(), ActionError> {
        rooms::take_note(&self.engine, &self.state, call)
    }
}

/// The same with rooms, and with somebody who keeps a log of them.
fn with_rooms(builder: EngineBuilder, audit: &Arc<Audit>, (state, storage): (&Arc<State>, Storage)) -> EngineBuilder {
    let (audit, state) = (Arc::clone(audit), Arc::clone(state));
    builder.rooms(rooms::options(storage)).observer(move |event: &Event| {
        audit.record(event);
        if let Event::RoomClosed { room, .. } = event {
            state.notes.forget(room);
        }
    })
}

/// The engine with everything registered: once for all sessions, or for each of them.
fn engine(builder: EngineBuilder, is_per_session: bool, tree: &Arc<Tree>) -> (Engine, Option<PerSession>) {
    if is_per_session {
        let tree = Arc::clone(tree);
        let providers = PerSession::with_options(builder, move |_: &Session| tree.instance());
        (providers.engine().clone(), Some(providers))
    } else {
        let engine = builder.build();
        tree.register(&engine);
        (engine, None)
    }
}
