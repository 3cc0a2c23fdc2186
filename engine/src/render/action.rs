//! Actions: declared once, offered by many nodes.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::FutureExt;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::params::Params;
use super::task::{Task, TaskFuture, TaskHost, TaskResult};
use super::typed_params;
use crate::error::ActionError;
use crate::model::Text;
use crate::model::affordance::{Affordance, Estimate};
use crate::model::id;
use crate::model::path;
use crate::model::room::handle::Room;
use crate::model::room::policy::Trust;
use crate::model::session::Session;
use crate::panics::guarded::{Guarded, Owner};

/// One call of an action.
pub struct Invocation<P = Value> {
    /// Who calls: the session that owns the connection. Reads of it are not tracked.
    pub session: Session,
    /// The node's path from the root, such as `/tasks/t1`.
    pub path: String,
    /// The action's name.
    pub action: Text,
    /// The checked parameters.
    pub params: P,
    /// The room at or above the node.
    pub room: Option<Room>,
    /// What the caller calls the work to which the call belongs, if it said so. Not checked.
    pub trace_id: Option<Text>,
    pub(crate) host: Arc<dyn TaskHost>,
}

impl<P> Invocation<P> {
    /// The id of the node on which the action was invoked: the last segment of the path.
    #[must_use]
    pub fn node_id(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// Starts work that outlives the call: the consumer gets `accepted` with the task's id, and the node
    /// `/tasks/{id}` of this session shows status, progress and message, and offers `cancel`.
    ///
    /// # Errors
    /// `busy` if the session has too many tasks, `internal` if it has ended meanwhile.
    pub fn start_task<F>(
        &self,
        title: impl Into<Text>,
        work: impl FnOnce(Task) -> F + Send + 'static,
    ) -> Result<Outcome, ActionError>
    where
        F: Future<Output = TaskResult> + Send + 'static,
    {
        let work = Box::new(move |task| -> TaskFuture { Box::pin(work(task)) });
        self.host.start(&self.session, title.into(), work).map(Outcome::accepted)
    }

    pub(crate) fn with<Q>(self, params: Q) -> Invocation<Q> {
        let Self { session, path, action, room, trace_id, host, .. } = self;
        Invocation { session, path, action, params, room, trace_id, host }
    }
}

impl<P: fmt::Debug> fmt::Debug for Invocation<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invocation").field("path", &self.path).field("params", &self.params).finish_non_exhaustive()
    }
}

/// What an action returns.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    pub(crate) accepted: bool,
    pub(crate) data: Option<Value>,
}

impl Outcome {
    /// Done, without data.
    #[must_use]
    pub const fn done() -> Self {
        Self { accepted: false, data: None }
    }

    /// Done, with data for the consumer. A value marked `"__async": true` means accepted (contract 1.7).
    pub fn data(data: impl Serialize) -> Self {
        let data = serde_json::to_value(data).unwrap_or_default();
        match data {
            Value::Null => Self::done(),
            Value::Object(keys) if keys.is_empty() => Self::done(),
            Value::Object(mut keys) if keys.get("__async") == Some(&Value::Bool(true)) => {
                keys.shift_remove("__async");
                Self { accepted: true, data: Some(Value::Object(keys)) }
            }
            data => Self { accepted: false, data: Some(data) },
        }
    }

    /// Accepted: the work goes on under this task id.
    pub fn accepted(task: impl Into<Text>) -> Self {
        let task: Text = task.into();
        Self { accepted: true, data: Some(serde_json::json!({ "taskId": task.as_str() })) }
    }
}

impl Outcome {
    /// What the handler returned, or the task's id if the work goes on.
    #[must_use]
    pub const fn value(&self) -> Option<&Value> {
        self.data.as_ref()
    }

    /// Whether the work goes on as a task.
    #[must_use]
    pub const fn is_accepted(&self) -> bool {
        self.accepted
    }
}

/// What a handler may return.
pub trait IntoOutcome {
    /// Returns the result for the consumer.
    ///
    /// # Errors
    /// When the handler itself returned an error.
    fn into_outcome(self) -> Result<Outcome, ActionError>;
}

impl IntoOutcome for () {
    fn into_outcome(self) -> Result<Outcome, ActionError> {
        Ok(Outcome::done())
    }
}

impl IntoOutcome for Outcome {
    fn into_outcome(self) -> Result<Outcome, ActionError> {
        Ok(self)
    }
}

impl IntoOutcome for Value {
    fn into_outcome(self) -> Result<Outcome, ActionError> {
        Ok(Outcome::data(self))
    }
}

impl IntoOutcome for String {
    fn into_outcome(self) -> Result<Outcome, ActionError> {
        Ok(Outcome::data(self))
    }
}

impl IntoOutcome for &str {
    fn into_outcome(self) -> Result<Outcome, ActionError> {
        Ok(Outcome::data(self))
    }
}

impl<T: IntoOutcome, E: Into<ActionError>> IntoOutcome for Result<T, E> {
    fn into_outcome(self) -> Result<Outcome, ActionError> {
        self.map_err(Into::into)?.into_outcome()
    }
}

/// What a handler awaits.
pub(crate) type HandlerFuture = Pin<Box<dyn Future<Output = Result<Outcome, ActionError>> + Send>>;

/// What a handler that may block has come to.
pub(crate) enum Answer {
    Now(Outcome),
    /// What remains is awaited, and occupies no thread.
    Later(HandlerFuture),
}

/// What an action may change in the tree of its caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Changes {
    /// That was not declared.
    Anything,
    /// These paths, in the normal spelling.
    Paths(Box<[Text]>),
    /// What the source shows that offers it.
    ItsSource,
}

/// How a handler runs.
pub(crate) enum Handler {
    /// On a thread where it may block.
    Blocking(Box<dyn Fn(Invocation) -> Result<Answer, ActionError> + Send + Sync>),
    /// On the async runtime.
    Async(Box<dyn Fn(Invocation) -> HandlerFuture + Send + Sync>),
}

/// Something a consumer can do, with its handler.
///
/// Declare it once, outside the descriptor function, and offer it by handle: an item costs no closure then, and equal
/// nodes stay equal from one evaluation to the next.
#[derive(Clone)]
pub struct Action {
    pub(crate) inner: Arc<ActionInner>,
}

pub(crate) struct ActionInner {
    pub(crate) affordance: Affordance,
    pub(crate) params: Option<Params>,
    pub(crate) changes: Changes,
    /// How much whoever invokes it must be trusted.
    pub(crate) trust: Trust,
    pub(crate) handler: Guarded<Handler>,
}

impl Action {
    /// An action whose handler may block. `P` is decoded from the parameters, and its JSON Schema is what the consumer
    /// reads: a struct with a field for each parameter, or `()` for none, or [`serde_json::Value`] together with
    /// [`Action::params`] for a schema of your own.
    ///
    /// # Panics
    /// If the name is empty or holds `/` or `~` (contract 2.4), or if `P` is not read from a JSON object: parameters have
    /// names, so a `String` alone cannot be one.
    #[track_caller]
    pub fn new<P, R>(name: impl Into<Text>, handler: impl Fn(Invocation<P>) -> R + Send + Sync + 'static) -> Self
    where
        P: DeserializeOwned + JsonSchema + Send + 'static,
        R: IntoOutcome,
    {
        let run = move |call: Invocation| handler(decoded(call)?).into_outcome().map(Answer::Now);
        Self::build::<P>(name.into(), Handler::Blocking(Box::new(run)))
    }

    /// An action whose handler awaits. See [`Action::new`].
    ///
    /// # Panics
    /// If the name is empty or holds `/` or `~` (contract 2.4).
    #[track_caller]
    pub fn new_async<P, R, F>(
        name: impl Into<Text>,
        handler: impl Fn(Invocation<P>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        P: DeserializeOwned + JsonSchema + Send + 'static,
        R: IntoOutcome + 'static,
        F: Future<Output = R> + Send + 'static,
    {
        let run = move |call: Invocation| -> HandlerFuture {
            match decoded(call) {
                Ok(call) => Box::pin(handler(call).map(IntoOutcome::into_outcome)),
                Err(error) => Box::pin(std::future::ready(Err(error))),
            }
        };
        Self::build::<P>(name.into(), Handler::Async(Box::new(run)))
    }

    /// An action of the engine's own whose handler may block at first, and returns what remains to be awaited.
    pub(crate) fn new_in_two_steps<P>(
        name: &'static str,
        handler: impl Fn(Invocation<P>) -> Result<HandlerFuture, ActionError> + Send + Sync + 'static,
    ) -> Self
    where
        P: DeserializeOwned + JsonSchema + Send + 'static,
    {
        let run = move |call: Invocation| handler(decoded(call)?).map(Answer::Later);
        Self::build::<P>(Text::const_new(name), Handler::Blocking(Box::new(run)))
    }

    #[track_caller]
    fn build<P: JsonSchema + 'static>(name: Text, handler: Handler) -> Self {
        assert!(
            !name.is_empty() && !name.contains(['/', '~']) && name.len() <= id::MAX_BYTES,
            "an action's name must not be empty, longer than 512 bytes, or hold `/` or `~`: `{name}`"
        );
        let params = typed_params::schema_of::<P>().unwrap_or_else(|why| panic!("the parameters of `{name}` {why}"));
        let mut affordance = Affordance::named(name);
        affordance.params = params.as_ref().map(|params| params.schema().clone());
        let handler = Guarded::new(handler);
        Self {
            inner: Arc::new(ActionInner {
                affordance,
                params,
                changes: Changes::Anything,
                trust: Trust::Untrusted,
                handler,
            }),
        }
    }

    #[track_caller]
    fn edit(mut self, change: impl FnOnce(&mut ActionInner)) -> Self {
        change(Arc::get_mut(&mut self.inner).expect("an action is completed before it is cloned or offered"));
        self
    }

    /// The parameters, as JSON Schema of type object or in the shorthand `{"title": "string"}` (contract 2.2). It is a schema
    /// if `"type"` is `"object"` and either it is the only key or there are `"properties"` or `"required"`.
    ///
    /// # Panics
    /// If the schema cannot be compiled or is nested too deeply, or the action was cloned before.
    #[must_use]
    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "written as `.params(json!({..}))`")]
    pub fn params(self, schema: Value) -> Self {
        let params = Params::compile(&schema).unwrap_or_else(|why| panic!("{why}"));
        self.edit(|inner| {
            inner.affordance.params = Some(params.schema().clone());
            inner.params = Some(params);
        })
    }

    /// What a person would read on a button.
    #[must_use]
    #[track_caller]
    pub fn label(self, label: impl Into<Text>) -> Self {
        self.edit(|inner| inner.affordance.label = Some(label.into()))
    }

    /// What it does.
    #[must_use]
    #[track_caller]
    pub fn description(self, description: impl Into<Text>) -> Self {
        self.edit(|inner| inner.affordance.description = Some(description.into()))
    }

    /// Whether it should be confirmed first.
    #[must_use]
    #[track_caller]
    pub fn dangerous(self, dangerous: bool) -> Self {
        self.edit(|inner| inner.affordance.dangerous = dangerous)
    }

    /// Whether doing it twice is the same as once.
    #[must_use]
    #[track_caller]
    pub fn idempotent(self, idempotent: bool) -> Self {
        self.edit(|inner| inner.affordance.idempotent = idempotent)
    }

    /// How much whoever invokes it must be trusted: the session, by [`Session::with_trust`], and in a room that as well.
    /// Others are refused with `unauthorized`; the action stays in their trees.
    ///
    /// ```
    /// use grove_engine::{Action, Invocation, Trust};
    ///
    /// let deploy = Action::new("deploy", |_: Invocation<()>| {}).requires_trust(Trust::Verified);
    /// ```
    #[must_use]
    #[track_caller]
    pub fn requires_trust(self, trust: Trust) -> Self {
        self.edit(|inner| inner.trust = trust)
    }

    /// How long it takes.
    #[must_use]
    #[track_caller]
    pub fn estimate(self, estimate: Estimate) -> Self {
        self.edit(|inner| inner.affordance.estimate = Some(estimate))
    }

    /// Which paths it may change, from the root of the tree.
    ///
    /// After a call these are rendered again, with what is above and below them, and nothing else of the session is; the
    /// result waits for them alone. With no path at all nothing is rendered. Without this the whole session is rendered
    /// again, and the result waits for what the action's own source shows, and for a short while for the rest: see
    /// `times.refresh_before_result` and `times.rest_before_result` in [`Config`](crate::Config).
    ///
    /// What the handler refreshes itself is not affected.
    ///
    /// ```
    /// use grove_engine::{Action, Invocation};
    ///
    /// let toggle = Action::new("toggle", |_: Invocation<()>| {}).changes(["/todos", "/statistics"]);
    /// ```
    #[must_use]
    #[track_caller]
    pub fn changes<P: AsRef<str>>(self, paths: impl IntoIterator<Item = P>) -> Self {
        let paths = paths.into_iter().map(|path| path::normal(path.as_ref())).collect();
        self.edit(|inner| inner.changes = Changes::Paths(paths))
    }

    /// It changes what the source shows that offers it, wherever that stands, and nothing else of the session.
    pub(crate) fn changes_its_source(self) -> Self {
        self.edit(|inner| inner.changes = Changes::ItsSource)
    }

    /// Whether somebody who is trusted so much may invoke it.
    pub(crate) fn check_trust(&self, trust: Trust) -> Result<(), ActionError> {
        if trust >= self.inner.trust {
            return Ok(());
        }
        Err(ActionError::unauthorized(format!("this needs the trust `{}`", self.inner.trust)))
    }

    /// Runs a handler that may block; an async one fails.
    pub(crate) fn run_blocking(&self, call: Invocation) -> Result<Answer, ActionError> {
        match &*self.inner.handler {
            Handler::Blocking(handler) => handler(call),
            Handler::Async(_) => Err(ActionError::internal("the handler awaits")),
        }
    }

    /// The engine that is told if its handler panics while it is dropped.
    pub(crate) fn belongs_to(&self, owner: &Owner) {
        self.inner.handler.belongs_to(owner);
    }

    /// The name to invoke.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.affordance.action
    }

    pub(crate) fn affordance(&self) -> &Affordance {
        &self.inner.affordance
    }

    /// Whether two lists hold handles of the same declarations in the same order.
    pub(crate) fn are_same(mine: &[Self], theirs: &[Self]) -> bool {
        mine.len() == theirs.len() && mine.iter().zip(theirs).all(|(a, b)| a.is(b))
    }

    /// Two handles of one declaration are the same action; two declarations never are, whatever they look like:
    /// their handlers may act for different people.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// Where the declaration lives, as a key for hashing.
    pub(crate) fn address(&self) -> usize {
        Arc::as_ptr(&self.inner) as usize
    }
}

impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Action").field(&self.name()).finish()
    }
}

fn decoded<P: DeserializeOwned>(call: Invocation) -> Result<Invocation<P>, ActionError> {
    let params = typed_params::decode(&call.params)?;
    Ok(call.with(params))
}
