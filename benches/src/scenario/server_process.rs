//! A server in its own process, which is stopped as an operator would stop it.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::failure::Failure;
use crate::measure::stopwatch::Stopwatch;

/// How long a server may take to print a line.
const LINE_TIMEOUT: Duration = Duration::from_secs(30);

/// A running server.
pub(super) struct ServerProcess {
    child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl ServerProcess {
    pub(super) fn start(command: &mut Command) -> Result<Self, Failure> {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| format!("cannot start {:?}: {error}", command.as_std()))?;
        let stdin = child.stdin.take().ok_or("the server has no standard input")?;
        let stdout = child.stdout.take().ok_or("the server has no standard output")?;
        Ok(Self { child, stdin, lines: BufReader::new(stdout).lines() })
    }

    /// The next line of its standard output.
    pub(super) async fn next_line(&mut self) -> Result<String, Failure> {
        let line = timeout(LINE_TIMEOUT, self.lines.next_line()).await;
        let line = line.map_err(|_| format!("the server printed nothing for {LINE_TIMEOUT:?}"))??;
        Ok(line.ok_or("the server ended although it was not stopped")?)
    }

    /// Writes a command to its standard input and waits for the reply, each a line.
    pub(super) async fn command(&mut self, command: &str) -> Result<String, Failure> {
        self.stdin.write_all(format!("{command}\n").as_bytes()).await?;
        self.next_line().await
    }

    /// Sends SIGTERM and waits until the process exits successfully. Returns how long it took.
    pub(super) async fn stop(&mut self, deadline: Duration) -> Result<Duration, Failure> {
        let id = self.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let id = id.ok_or("the server ended although it was not stopped")?;
        let start = Stopwatch::start();
        kill_process(id, Signal::TERM)?;
        let status = timeout(deadline, self.child.wait()).await;
        let status = status.map_err(|_| format!("the server did not end within {deadline:?} of SIGTERM"))??;
        if !status.success() {
            return Err(format!("the server ended with {status} after SIGTERM").into());
        }
        Ok(start.elapsed())
    }
}
