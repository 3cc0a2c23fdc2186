//! The effects of driver actions.

use std::sync::Arc;
use std::time::Duration;

use grove_engine::normal_path;
use grove_engine::{ActionError, Invocation, Outcome, Scope, Task};
use serde_json::{Map, Value, json};
use tokio::time::sleep;

use crate::app::App;
use crate::catalog::Driver;
use crate::content::Reference;
use crate::own::{ChangeResult, LATE, Own, Registrations};
use crate::step::Step;
use crate::tree::is_registered;

/// The number of steps of a task of `async`.
const TASK_STEPS: u32 = 4;

impl Driver for App {
    /// The session's data stays locked, so that no one renders half of a change.
    fn drive(&self, call: &Invocation<Value>, action: &str) -> Result<Outcome, ActionError> {
        let step = Step::read(action, &call.params)?;
        let own = self.state.own(call.session.id());
        let mut own = own.lock();
        self.perform_all(call, &mut own, [step])
    }

    async fn drive_and_wait(
        self: Arc<Self>,
        call: Invocation<Value>,
        action: &'static str,
    ) -> Result<Outcome, ActionError> {
        match Step::read(action, &call.params)? {
            Step::Many { steps } => self.many(&call, &steps).await,
            Step::Burst { n } => self.burst(&call, n).await,
            Step::Sleep { ms } => {
                sleep(Duration::from_millis(ms)).await;
                Ok(Outcome::done())
            }
            step => {
                let own = self.state.own(call.session.id());
                let mut own = own.lock();
                self.perform_all(&call, &mut own, [step])
            }
        }
    }
}

impl App {
    /// Performs all steps as one change, up to the first that fails. All are read before the first is performed. Waits
    /// come first, since the rest is one change.
    async fn many(&self, call: &Invocation<Value>, steps: &[Value]) -> Result<Outcome, ActionError> {
        let steps = steps.iter().map(Step::read_entry).collect::<Result<Vec<_>, _>>()?;
        for step in &steps {
            if let Step::Sleep { ms } = step {
                sleep(Duration::from_millis(*ms)).await;
            }
        }
        let own = self.state.own(call.session.id());
        let mut own = own.lock();
        self.perform_all(call, &mut own, steps)?;
        Ok(Outcome::done())
    }

    /// Performs steps up to the first that fails, and returns the last one's outcome. What they change is registered in one
    /// step at the end: no tree is laid out by some of them.
    fn perform_all(
        &self,
        call: &Invocation<Value>,
        own: &mut Own,
        steps: impl IntoIterator<Item = Step>,
    ) -> Result<Outcome, ActionError> {
        let before = own.registrations();
        let outcome = steps.into_iter().try_fold(Outcome::done(), |_, step| self.perform(call, own, step));
        self.register_changes(call.session.id(), own, &before)?;
        outcome
    }

    async fn burst(&self, call: &Invocation<Value>, n: u64) -> Result<Outcome, ActionError> {
        let session = call.session.id();
        let own = self.state.own(session);
        for at in 1..=n {
            own.lock().burst(at)?;
            self.engine.refresh_now(Scope::session(session).paths(["todos"])).await;
        }
        Ok(Outcome::done())
    }

    fn perform(&self, call: &Invocation<Value>, own: &mut Own, step: Step) -> Result<Outcome, ActionError> {
        let session = call.session.id();
        match step {
            Step::Set { node, key, value } => own.set(&node, &key, value)?,
            Step::Unset { node, key } => own.unset(&node, &key)?,
            Step::Insert { id, index } => own.insert(&id, index)?,
            Step::Remove { id } => own.remove(&id)?,
            Step::Order { ids } => own.order(&ids)?,
            Step::Meta { node, meta } => own.set_meta(&node, meta)?,
            Step::Unmeta { node } => own.set_meta(&node, Map::new())?,
            Step::Acts { node, names } => own.set_offers(&node, names)?,
            Step::Retype { node, kind } => own.set_kind(&node, &kind)?,
            Step::Cref { node, content } => own.set_content(&node, content.map(Reference::read).transpose()?)?,
            Step::Gone { path, gone } => set_gone(own, &path, gone)?,
            Step::Late { on } => own.set_late(on),
            Step::Fail { code, message } => {
                return Err(ActionError::new(code.unwrap_or_else(|| "internal".to_owned()), message));
            }
            Step::MutateFail {} => {
                own.set("/todos/t1", "title", "changed".into())?;
                return Err(ActionError::conflict("it failed after changing something"));
            }
            Step::Panic {} => panic!("asked to panic"),
            Step::Break { path, broken } => {
                self.state.set_broken(session, &registered(own, &path)?, broken);
            }
            Step::Async { ms } => return self.start(call, ms),
            Step::Scalar {} => return Ok(Outcome::data(7)),
            Step::Typed(params) => return Ok(Outcome::data(params)),
            Step::Emit { name, data } => {
                self.engine.emit(Scope::session(session), &name, data.as_ref())?;
            }
            Step::Burst { n } if n > 0 => own.burst(n)?,
            Step::Grow { n } => own.grow(n),
            Step::Board { text } => self.set_board(session, text),
            Step::BadNodes {} => own.spoil()?,
            Step::Nothing {} | Step::Burst { .. } | Step::Sleep { .. } => {}
            Step::Many { .. } => return Err(ActionError::internal("`many` cannot be a step of itself")),
        }
        Ok(Outcome::done())
    }

    /// Updates the engine's registrations of the paths that came or went since. They are rendered with what else the call
    /// changed.
    fn register_changes(&self, session: &str, own: &Own, before: &Registrations) -> ChangeResult {
        let changed = own.registrations().changed_since(before);
        if changed.is_empty() {
            return Ok(());
        }
        let registered = self.engine.edit_sources_for(session, |sources| {
            sources.without_refresh();
            for path in changed {
                if own.gone.contains(&path) {
                    sources.unregister(&path);
                } else if path == LATE && own.is_late() {
                    sources.register(&path, self.tree.source(LATE));
                } else {
                    sources.restore(&path);
                }
            }
        });
        registered.map_err(|error| ActionError::internal(error.to_string()))
    }

    /// Changes the board for everyone on this instance. The caller's own tree is refreshed with the result of the call.
    fn set_board(&self, session: &str, text: String) {
        self.state.set_board(text);
        let caller = session.to_owned();
        self.engine.refresh(Scope::matching(move |other| other.id() != caller).paths(["board"]));
    }

    /// Starts a task that ends, and is shown as ended, within `ms`.
    fn start(&self, call: &Invocation<Value>, ms: u64) -> Result<Outcome, ActionError> {
        let step = Duration::from_millis(ms.saturating_sub(self.debounce_ms)).mul_f64(0.9) / TASK_STEPS;
        call.start_task("waiting", move |task: Task| async move {
            for at in 0..TASK_STEPS {
                task.progress(f64::from(at) / f64::from(TASK_STEPS), "waiting");
                sleep(step).await;
            }
            Ok(json!({ "waited_ms": ms }))
        })
    }
}

fn set_gone(own: &mut Own, path: &str, gone: bool) -> ChangeResult {
    let path = registered(own, path)?;
    if gone {
        own.gone.insert(path);
    } else {
        own.gone.remove(&path);
    }
    Ok(())
}

/// The normal form of a path that is registered for everyone, or for this session.
fn registered(own: &Own, path: &str) -> Result<String, ActionError> {
    let normal = normal_path(path);
    if is_registered(&normal) || (normal == LATE && own.is_late()) {
        Ok(normal.into())
    } else {
        Err(ActionError::not_found(format!("nothing is registered at `{path}`")))
    }
}
