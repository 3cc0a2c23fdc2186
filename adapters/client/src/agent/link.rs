//! One connection to a server.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Sink, SinkExt, Stream, StreamExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::message::{FromServer, ToServer};
use super::remote_agent::RemoteAgent;
use super::running::Running;

/// How many messages may wait for the socket.
const MESSAGES: usize = 256;

/// How often the server is asked for a sign of life, and how long it may give none.
const PING: Duration = Duration::from_secs(20);
const SILENCE: Duration = Duration::from_secs(60);

/// How long a farewell may take.
const FAREWELL: Duration = Duration::from_secs(5);

/// How a connection ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It was lost, or the server closed it.
    Lost,
    /// The server does not take this program as this agent.
    NotAccepted { agent: String, code: String, message: String },
    /// This program stops, and all its runs have ended.
    Stopped,
}

/// One connection: what was read of it so far.
struct Link {
    running: Running,
    messages: mpsc::Sender<String>,
    /// Which agents the server does not know yet. It is told one after the other.
    unknown: VecDeque<RemoteAgent>,
    heard: Instant,
}

/// Serves a connection until it ends, or until `stop` is ready and the runs have ended. `welcome` is called when the server
/// knows all agents.
pub(super) async fn serve<S>(
    socket: S,
    agents: Arc<[RemoteAgent]>,
    stop: impl Future<Output = ()>,
    welcome: impl FnOnce(),
) -> End
where
    S: Stream<Item = Result<Message, Error>> + Sink<Message, Error = Error> + Unpin,
{
    let (sink, stream) = socket.split();
    let (messages, waiting) = mpsc::channel(MESSAGES);
    let (pings, pinged) = mpsc::channel(1);
    let mut writing = pin!(write(sink, waiting, pinged));
    let link = Link {
        running: Running::new(Arc::clone(&agents), messages.clone()),
        messages,
        unknown: agents.iter().cloned().collect(),
        heard: Instant::now(),
    };
    let end = tokio::select! {
        end = link.read(stream, pings, stop, welcome) => end,
        () = &mut writing => return End::Lost,
    };
    if end == End::Stopped {
        // Nobody can say anything any more: what waits goes out, and the farewell. A timeout is an end as well.
        let _ = timeout(FAREWELL, writing).await;
    }
    end
}

/// Writes what waits, until nobody can say anything any more; then says farewell. Ends at once if the socket is gone.
async fn write(
    mut sink: impl Sink<Message, Error = Error> + Unpin,
    mut waiting: mpsc::Receiver<String>,
    mut pinged: mpsc::Receiver<()>,
) {
    loop {
        let message = tokio::select! {
            Some(()) = pinged.recv() => Message::Ping(Vec::new().into()),
            text = waiting.recv() => match text {
                Some(text) => Message::text(text),
                None => break,
            },
        };
        if sink.send(message).await.is_err() {
            return;
        }
    }
    // The connection ends either way.
    let _ = sink.close().await;
}

impl Link {
    async fn read(
        mut self,
        mut stream: impl Stream<Item = Result<Message, Error>> + Unpin,
        pings: mpsc::Sender<()>,
        stop: impl Future<Output = ()>,
        welcome: impl FnOnce(),
    ) -> End {
        let mut welcome = Some(welcome);
        let mut ticks = interval(PING);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut stop, mut stops) = (pin!(stop), false);
        self.introduce().await;
        loop {
            if self.unknown.is_empty()
                && let Some(welcome) = welcome.take()
            {
                welcome();
            }
            if stops && self.running.is_empty() {
                return End::Stopped;
            }
            tokio::select! {
                message = stream.next() => match message {
                    Some(Ok(message)) => {
                        if let Some(end) = self.take(&message, stops).await {
                            return end;
                        }
                    }
                    Some(Err(_)) | None => return End::Lost,
                },
                () = self.running.ended() => {}
                () = &mut stop, if !stops => stops = true,
                _ = ticks.tick() => {
                    if self.heard.elapsed() >= SILENCE {
                        return End::Lost;
                    }
                    // If one waits already, that is enough.
                    let _ = pings.try_send(());
                }
            }
        }
    }

    /// Says which agent this program is, as long as there is one that the server does not know.
    async fn introduce(&self) {
        if let Some(agent) = self.unknown.front() {
            // If the connection is gone, reading ends.
            let _ = self.messages.send(ToServer::Ready(&agent.ready).encode()).await;
        }
    }

    /// Takes one message. Returns how the connection ends, if it does.
    async fn take(&mut self, message: &Message, stops: bool) -> Option<End> {
        self.heard = Instant::now();
        let text = match message {
            Message::Text(text) => text.as_str(),
            Message::Close(_) => return Some(End::Lost),
            Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => return None,
        };
        match serde_json::from_str(text) {
            Ok(FromServer::Welcome { agent }) if self.awaits(&agent) => {
                self.unknown.pop_front();
                self.introduce().await;
            }
            // Whoever else is there gets it when this connection ends.
            Ok(FromServer::Dispatch(_)) if stops => {}
            Ok(FromServer::Dispatch(dispatch)) => self.running.dispatch(*dispatch),
            Ok(FromServer::Cancel { about }) => self.running.cancel(&about),
            Ok(FromServer::Input { about, data }) => self.running.input(&about, data),
            Ok(FromServer::Error { code, message, run: None }) => return self.refused(code, message),
            Ok(FromServer::Error { code, message, run: Some(run) }) => {
                tracing::debug!(target: "grove_client", run, code, message, "the server did not take a message");
            }
            Ok(FromServer::Welcome { .. } | FromServer::Other) | Err(_) => {
                tracing::debug!(target: "grove_client", "the server sent something that is not known here");
            }
        }
        None
    }

    fn awaits(&self, agent: &str) -> bool {
        self.unknown.front().is_some_and(|first| first.ready.agent == agent)
    }

    /// Something was refused that is about no run: the agent that was introduced last.
    fn refused(&self, code: String, message: String) -> Option<End> {
        let agent = self.unknown.front()?.ready.agent.clone();
        Some(End::NotAccepted { agent, code, message })
    }
}
