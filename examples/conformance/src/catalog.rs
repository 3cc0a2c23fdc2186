//! Every action, declared once. Nodes offer them by handle, so that a tree is the same from one evaluation to the next.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use grove_engine::{Action, ActionError, Estimate, Invocation, Outcome};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::node::Offer;
use crate::own::{ChangeResult, Own};
use crate::seed::DOC;
use crate::state::State;
use crate::step::declarations;

/// Performs driver actions. The app does; it is still being built when its actions are declared.
pub(crate) trait Driver: Send + Sync + 'static {
    /// Performs an action that does not wait.
    fn drive(&self, call: &Invocation<Value>, action: &str) -> Result<Outcome, ActionError>;

    /// Performs an action that waits.
    fn drive_and_wait(
        self: Arc<Self>,
        call: Invocation<Value>,
        action: &'static str,
    ) -> impl Future<Output = Result<Outcome, ActionError>> + Send;
}

/// All actions.
#[derive(Debug)]
pub(crate) struct Catalog {
    add: Action,
    clear: Action,
    toggle: Action,
    toggle_someday: Action,
    delete: Action,
    read_content: Action,
    driver: Vec<Action>,
    /// By name, created when they are first offered.
    plain: Mutex<HashMap<String, Action>>,
    state: Arc<State>,
}

impl Catalog {
    /// Declares the actions.
    pub(crate) fn new(state: &Arc<State>, driver: &Weak<impl Driver>) -> Self {
        Self {
            add: Action::new("add", {
                let state = Arc::clone(state);
                move |call| add(&state, &call)
            })
            .params(json!({"title": "string"})),
            clear: todo_action(state, "clear").dangerous(true).idempotent(true),
            toggle: todo_action(state, "toggle"),
            toggle_someday: with_estimate(todo_action(state, "toggle"), "someday"),
            delete: todo_action(state, "delete").dangerous(true),
            read_content: Action::new("read_content", |_: Invocation<()>| {
                Outcome::data(json!({"content": DOC, "encoding": "utf-8"}))
            }),
            driver: declarations().into_iter().map(|(name, params)| driver_action(driver, name, params)).collect(),
            plain: Mutex::default(),
            state: Arc::clone(state),
        }
    }

    /// The actions that a node offers.
    pub(crate) fn offered(&self, offers: &[Offer]) -> Vec<Action> {
        let mut actions = Vec::with_capacity(offers.len());
        for offer in offers {
            match offer {
                Offer::Add => actions.push(self.add.clone()),
                Offer::Clear => actions.push(self.clear.clone()),
                Offer::Toggle => actions.push(self.toggle.clone()),
                Offer::ToggleSomeday => actions.push(self.toggle_someday.clone()),
                Offer::Delete => actions.push(self.delete.clone()),
                Offer::ReadContent => actions.push(self.read_content.clone()),
                Offer::Driver => actions.extend_from_slice(&self.driver),
                Offer::Plain(name) => actions.push(self.plain(name)),
            }
        }
        actions
    }

    fn plain(&self, name: &str) -> Action {
        let mut plain = self.plain.lock();
        let declared = plain.entry(name.to_owned()).or_insert_with(|| todo_action(&self.state, name));
        declared.clone()
    }
}

fn add(state: &State, call: &Invocation<Value>) -> Result<Outcome, ActionError> {
    let title = call.params.get("title").and_then(Value::as_str);
    let title = title.ok_or_else(|| ActionError::invalid_params("params.title must be a string"))?;
    let id = state.own(call.session.id()).lock().add_todo(title);
    Ok(Outcome::data(json!({ "id": id })))
}

/// Sets an estimate by its name in the protocol; an unknown name is ignored.
fn with_estimate(action: Action, word: &str) -> Action {
    match Estimate::from_word(word) {
        Some(estimate) => action.estimate(estimate),
        None => action,
    }
}

/// An action without parameters. On a todo and on the list it does what its name says, elsewhere nothing.
fn todo_action(state: &Arc<State>, name: &str) -> Action {
    let (state, action) = (Arc::clone(state), name.to_owned());
    Action::new(name, move |call: Invocation<()>| -> ChangeResult {
        let own = state.own(call.session.id());
        change_todo(&mut own.lock(), &call.path, &action)
    })
}

fn change_todo(own: &mut Own, path: &str, action: &str) -> ChangeResult {
    match (path.trim_start_matches('/').split('/').collect::<Vec<_>>().as_slice(), action) {
        (["todos"], "clear") => own.clear_todos(),
        (["todos", id], "toggle") => own.toggle_todo(id)?,
        (["todos", id], "delete") => own.delete_todo(id)?,
        _ => {}
    }
    Ok(())
}

fn driver_action(driver: &Weak<impl Driver>, name: &'static str, params: Option<Value>) -> Action {
    let driver = Weak::clone(driver);
    let upgrade = move || driver.upgrade().ok_or_else(|| ActionError::internal("the app has ended"));
    let action = match name {
        "burst" | "many" | "sleep" => Action::new_async(name, move |call: Invocation<Value>| {
            let driver = upgrade();
            async move { driver?.drive_and_wait(call, name).await }
        }),
        _ => Action::new(name, move |call: Invocation<Value>| upgrade()?.drive(&call, name)),
    };
    match params {
        Some(params) => action.params(params),
        None => action,
    }
}
