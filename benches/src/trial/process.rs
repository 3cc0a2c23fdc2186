//! A server in a process of its own, which is ended as an operator ends it.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::Failure;
use crate::stopwatch::Moment;

/// How long a server may take to say a line.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server that runs.
pub(super) struct Process {
    child: Child,
    /// Lines to its standard input.
    orders: ChildStdin,
    /// Lines from its standard output.
    said: Lines<BufReader<ChildStdout>>,
}

impl Process {
    pub(super) fn start(command: &mut Command) -> Result<Self, Failure> {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| format!("cannot start {:?}: {error}", command.as_std()))?;
        let orders = child.stdin.take().ok_or("the server has no standard input")?;
        let out = child.stdout.take().ok_or("the server has no standard output")?;
        Ok(Self { child, orders, said: BufReader::new(out).lines() })
    }

    /// The next line that it says.
    pub(super) async fn line(&mut self) -> Result<String, Failure> {
        let line = timeout(PATIENCE, self.said.next_line()).await.map_err(|_| "the server says nothing")??;
        Ok(line.ok_or("the server ended too soon")?)
    }

    /// Gives an order and waits for its answer, each a line.
    pub(super) async fn order(&mut self, order: &str) -> Result<String, Failure> {
        self.orders.write_all(format!("{order}\n").as_bytes()).await?;
        self.line().await
    }

    /// Sends SIGTERM and waits for the end. Answers how long it took.
    pub(super) async fn stop(&mut self, deadline: Duration) -> Result<Duration, Failure> {
        let id = self.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)).ok_or("the server has ended")?;
        let start = Moment::now();
        kill_process(id, Signal::TERM)?;
        let status = timeout(deadline, self.child.wait()).await;
        let status = status.map_err(|_| format!("the server did not end within {deadline:?}"))??;
        if !status.success() {
            return Err(format!("the server ended with {status}").into());
        }
        Ok(start.elapsed())
    }
}
