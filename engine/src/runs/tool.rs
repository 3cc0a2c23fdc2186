//! What an agent may call while it runs.

use std::fmt;
use std::future::{Future, ready};

use schemars::JsonSchema;
use serde_json::Value;

use super::run_context::RunContext;
use super::tool_result::ToolFuture;
use crate::error::ActionError;
use crate::model::Text;
use crate::panics::guarded::{Guarded, Owner};
use crate::render::params::Params;
use crate::render::typed_params;

type ToolFunction = Guarded<Box<dyn Fn(RunContext, Value) -> ToolFuture + Send + Sync>>;

/// Something that an agent may call by name: everybody in the room sees the call and its result (rooms 4).
pub struct Tool {
    pub(super) name: Text,
    input: Option<Params>,
    function: ToolFunction,
}

impl Tool {
    /// A tool with this name. It is called with the run that calls it, and the arguments.
    pub fn new<F>(name: impl Into<Text>, call: impl Fn(RunContext, Value) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Value, ActionError>> + Send + 'static,
    {
        let call = move |run: RunContext, arguments: Value| -> ToolFuture { Box::pin(call(run, arguments)) };
        Self { name: name.into(), input: None, function: Guarded::new(Box::new(call)) }
    }

    /// Which arguments it takes; others are refused with `invalid_params`, as data.
    ///
    /// # Panics
    /// If `T` is not read from a JSON object.
    #[must_use]
    #[track_caller]
    pub fn input<T: JsonSchema + 'static>(mut self) -> Self {
        let schema = typed_params::schema_of::<T>();
        self.input = schema.unwrap_or_else(|why| panic!("the input of the tool `{}` {why}", self.name));
        self
    }

    pub(super) fn belongs_to(&self, owner: &Owner) {
        self.function.belongs_to(owner);
    }

    /// Runs code of the application.
    pub(super) fn call(&self, run: RunContext, arguments: Value) -> ToolFuture {
        match self.input.as_ref().map_or(Ok(()), |input| input.check_as("arguments", &arguments)) {
            Ok(()) => (self.function)(run, arguments),
            Err(sentence) => Box::pin(ready(Err(ActionError::invalid_params(sentence)))),
        }
    }
}

impl fmt::Debug for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tool").field("name", &self.name).finish_non_exhaustive()
    }
}
