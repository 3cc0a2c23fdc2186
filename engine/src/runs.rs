//! Work that outlives the call that started it: tasks, and the agents whose runs rooms have.

pub(crate) mod latch;
pub(crate) mod task_state;
mod task_node;
pub(crate) mod executor;
pub(crate) mod task_runner;
pub(crate) mod gate;
pub(crate) mod attempt;
pub(crate) mod tool_result;
pub(crate) mod run_memory;
pub(crate) mod run_context;
pub(crate) mod tool;
pub(crate) mod agent;
pub(crate) mod agents;
mod links;
mod remote_attempt;
pub(crate) mod linked_agent;
