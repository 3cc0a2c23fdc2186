//! Work that outlives the call that started it. So far these are tasks.

mod task_state;
mod task_node;

pub(crate) mod task_runner;
