//! A program that executes runs of a server's rooms: it connects to `/agents`, says which agents it is, and is given runs.
//!
//! ```no_run
//! use grove_client::agent::{RemoteAgent, Run, RunError, Worker};
//! use serde_json::{Value, json};
//!
//! async fn summarise(run: Run, input: Value) -> Result<Value, RunError> {
//!     let text = input["text"].as_str().ok_or_else(|| RunError::new("invalid_input", "`text` is required"))?;
//!     for word in text.split_whitespace().take(3) {
//!         run.chunk(format!("{word} ")).await;
//!     }
//!     Ok(json!({"words": text.split_whitespace().count()}))
//! }
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), grove_client::agent::WorkerError> {
//! Worker::new("ws://127.0.0.1:3000/agents")
//!     .token("a credential of this program")
//!     .agent(RemoteAgent::new("summary", summarise).concurrency(4))
//!     .run()
//!     .await
//! # }
//! ```
//!
//! # When a connection is lost
//!
//! The futures of its runs are dropped, and the worker connects again, after a pause that doubles each time, with jitter.
//! The server gives the runs to whoever is connected, as another attempt, or to this program when it is back. So make what an
//! agent does outside repeatable: all attempts at the same work have the same [`Run::call_id`], if the caller chose one.
//!
//! # Bounds
//!
//! The server sends an agent at most [`RemoteAgent::concurrency`] runs at once; one more is not begun. What a run streams
//! waits for the socket in a queue of 256 messages for each connection, and then the run waits. 256 inputs may wait for a
//! run; with one more, it has failed.

mod message;
mod run_error;
mod run;
mod remote_agent;
mod running;
mod link;
mod worker_error;
mod worker;

pub use message::{Actor, HistoryEntry};
pub use remote_agent::RemoteAgent;
pub use run::{Run, ToolResult};
pub use run_error::{ErrorClass, RunError};
pub use worker::Worker;
pub use worker_error::WorkerError;
