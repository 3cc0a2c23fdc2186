//! The app as a whole: its data, its engine, and what connects the two.

use std::sync::Arc;

use grove_engine::{Engine, PerSession, Session};

use crate::catalog::Catalog;
use crate::options::Options;
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
    /// How long a change may take to be shown, in ms.
    pub(crate) debounce_ms: u64,
}

impl App {
    /// Connects all parts. Actions hold the app weakly: the engine holds them, and the app holds the engine.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub(crate) fn new(options: &Options) -> Arc<Self> {
        Arc::new_cyclic(|app| {
            let state = Arc::new(State::new());
            let catalog = Catalog::new(&state, app);
            let tree = Arc::new(Tree::new(Arc::clone(&state), catalog));
            let (engine, providers) = engine(options, &tree);
            Self { engine, providers, state, tree, debounce_ms: options.debounce_ms }
        })
    }
}

/// The engine with everything registered: once for all sessions, or for each of them.
fn engine(options: &Options, tree: &Arc<Tree>) -> (Engine, Option<PerSession>) {
    let builder = Engine::builder("app", "Conf App").config(options.config());
    if options.per_session {
        let tree = Arc::clone(tree);
        let providers = PerSession::with_options(builder, move |_: &Session| tree.instance());
        (providers.engine().clone(), Some(providers))
    } else {
        let engine = builder.build();
        tree.register(&engine);
        (engine, None)
    }
}
