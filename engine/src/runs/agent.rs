//! Agents: named executors that take an input in a room, stream output and return one result.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use schemars::JsonSchema;
use serde_json::Value;

use super::run_context::{RunContext, Tools};
use super::tool::Tool;
use super::tool_result::ToolFuture;
use crate::error::ActionError;
use crate::model::Text;
use crate::model::room::run::failure::RunError;
use crate::panics::guarded::{Guarded, Owner};
use crate::render::params::Params;
use crate::render::typed_params;

/// What a run returns.
pub type RunResult = Result<Value, RunError>;

/// The future of one attempt at a run. Dropping it is cancellation.
pub type RunFuture = Pin<Box<dyn Future<Output = RunResult> + Send>>;

/// Executes the runs of an agent. A closure is one by [`Agent::new`].
pub trait RunAgent: Send + Sync + 'static {
    /// Begins one attempt at a run. Must not block.
    fn dispatch(&self, run: RunContext, input: Value) -> RunFuture;
}

struct Closure<F>(F);

impl<F, R> RunAgent for Closure<F>
where
    F: Fn(RunContext, Value) -> R + Send + Sync + 'static,
    R: Future<Output = RunResult> + Send + 'static,
{
    fn dispatch(&self, run: RunContext, input: Value) -> RunFuture {
        Box::pin(self.0(run, input))
    }
}

/// How many runs of one agent are in progress at once, unless it says otherwise.
pub(crate) const CONCURRENCY: usize = 256;

/// How many iterations a run may have, unless its agent says otherwise.
const ITERATIONS: u32 = 100;

/// How long the names of agents, contracts and tools may be, in bytes.
const NAME_BYTES: usize = 128;

/// A named executor: it takes an input in a room, streams output and returns one result.
///
/// ```
/// use grove_engine::{Agent, Engine, RoomOptions, RunContext, Value};
/// use serde_json::json;
///
/// # #[tokio::main]
/// # async fn main() {
/// let engine = Engine::builder("app", "App").rooms(RoomOptions::new()).build();
/// engine.register_agent(Agent::new("greet", |run: RunContext, input: serde_json::Value| async move {
///     run.chunk(format!("Hello, {}!", input["name"].as_str().unwrap_or("you")));
///     Ok(json!({"greeted": true}))
/// }));
/// # }
/// ```
pub struct Agent {
    name: Text,
    contract: Option<Text>,
    input: Option<Params>,
    tools: Vec<Tool>,
    concurrency: usize,
    max_iterations: u32,
    /// Whoever executes its runs is elsewhere.
    is_linked: bool,
    executor: Guarded<Box<dyn RunAgent>>,
}

impl Agent {
    /// An agent of this name whose runs are futures of a closure.
    ///
    /// # Panics
    /// If the name has not 1 to 128 bytes.
    #[track_caller]
    pub fn new<F, R>(name: impl Into<Text>, run: F) -> Self
    where
        F: Fn(RunContext, Value) -> R + Send + Sync + 'static,
        R: Future<Output = RunResult> + Send + 'static,
    {
        Self::executed_by(name, Closure(run))
    }

    /// An agent of this name whose runs somebody else executes.
    ///
    /// # Panics
    /// If the name has not 1 to 128 bytes.
    #[track_caller]
    pub fn executed_by(name: impl Into<Text>, executor: impl RunAgent) -> Self {
        Self {
            name: checked("an agent", name.into()),
            contract: None,
            input: None,
            tools: Vec::new(),
            concurrency: CONCURRENCY,
            max_iterations: ITERATIONS,
            is_linked: false,
            executor: Guarded::new(Box::new(executor)),
        }
    }

    /// An agent elsewhere: its name and contract were checked, and so was its schema.
    pub(crate) fn linked(
        (name, contract): (Text, Option<Text>),
        input: Option<Params>,
        concurrency: usize,
        executor: impl RunAgent,
    ) -> Self {
        let executor = Guarded::new(Box::new(executor) as Box<dyn RunAgent>);
        Self {
            name,
            contract,
            input,
            tools: Vec::new(),
            concurrency,
            max_iterations: ITERATIONS,
            is_linked: true,
            executor,
        }
    }

    pub(crate) const fn is_linked(&self) -> bool {
        self.is_linked
    }

    /// The contract that it fulfils: rooms may ask for it when they are created.
    ///
    /// # Panics
    /// If the name has not 1 to 128 bytes.
    #[must_use]
    #[track_caller]
    pub fn contract(mut self, name: impl Into<Text>) -> Self {
        self.contract = Some(checked("a contract", name.into()));
        self
    }

    /// Which input it takes, by the JSON Schema of a type. Another one is refused with `invalid_params` before it begins.
    ///
    /// # Panics
    /// If `T` is not read from a JSON object.
    #[must_use]
    #[track_caller]
    pub fn input<T: JsonSchema + 'static>(mut self) -> Self {
        let schema = typed_params::schema_of::<T>();
        self.input = schema.unwrap_or_else(|why| panic!("the input of the agent `{}` {why}", self.name));
        self
    }

    /// The same by a JSON Schema of type object, or in the shorthand of [`Action::params`](crate::Action::params).
    ///
    /// # Panics
    /// If the schema cannot be compiled.
    #[must_use]
    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "written as `.input_schema(json!({..}))`")]
    pub fn input_schema(mut self, schema: Value) -> Self {
        self.input = Some(Params::compile(&schema).unwrap_or_else(|why| panic!("{why}")));
        self
    }

    /// The tools that its runs may call. Another one is not there.
    ///
    /// # Panics
    /// If the name of one has not 1 to 128 bytes.
    #[must_use]
    #[track_caller]
    pub fn tools(mut self, tools: impl IntoIterator<Item = Tool>) -> Self {
        self.tools.extend(tools);
        self.tools.iter().for_each(|tool| {
            checked("a tool", tool.name.clone());
        });
        self
    }

    /// How many of its runs are in progress at once, over all rooms (default 256): 1 makes them strictly sequential. The
    /// others wait in order of arrival.
    ///
    /// # Panics
    /// If it is 0.
    #[must_use]
    #[track_caller]
    pub fn concurrency(mut self, runs: usize) -> Self {
        assert!(runs > 0, "an agent executes at least one run at a time");
        self.concurrency = runs;
        self
    }

    /// How many iterations a run may have (default 100); see [`RunContext::iteration`].
    #[must_use]
    pub const fn max_iterations(mut self, iterations: u32) -> Self {
        self.max_iterations = iterations;
        self
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &Text {
        &self.name
    }

    pub(crate) const fn contract_name(&self) -> Option<&Text> {
        self.contract.as_ref()
    }

    pub(super) const fn limit(&self) -> usize {
        self.concurrency
    }

    pub(crate) const fn iterations(&self) -> u32 {
        self.max_iterations
    }

    /// # Errors
    /// A sentence about what is wrong with an input.
    pub(crate) fn check(&self, input: &Value) -> Result<(), String> {
        self.input.as_ref().map_or(Ok(()), |schema| schema.check_as("input", input))
    }

    /// Begins an attempt: runs code of the application.
    pub(crate) fn dispatch(&self, run: RunContext, input: Value) -> RunFuture {
        self.executor.dispatch(run, input)
    }

    pub(super) fn belongs_to(&self, owner: &Owner) {
        self.executor.belongs_to(owner);
        self.tools.iter().for_each(|tool| tool.belongs_to(owner));
    }
}

impl Tools for Agent {
    fn call(&self, name: &str, run: RunContext, arguments: Value) -> Option<ToolFuture> {
        let tool = self.tools.iter().find(|tool| tool.name == name)?;
        Some(tool.call(run, arguments))
    }

    fn owner(&self) -> Option<Owner> {
        self.executor.owner().cloned()
    }
}

#[track_caller]
fn checked(what: &str, name: Text) -> Text {
    assert!((1..=NAME_BYTES).contains(&name.len()), "the name of {what} has 1 to 128 bytes: `{name}`");
    name
}

/// For an agent that passes a failure on.
impl From<ActionError> for RunError {
    fn from(error: ActionError) -> Self {
        Self::new(error.code(), error.message())
    }
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agent").field("name", &self.name).finish_non_exhaustive()
    }
}
