//! A program that is one or more agents.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::AUTHORIZATION;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use super::link::{self, End};
use super::remote_agent::RemoteAgent;
use super::worker_error::WorkerError;
use crate::back_off::BackOff;

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(10);

/// The longest first pause before connecting again.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The largest message that is taken: servers send less than 1 MiB unless they were told otherwise.
const MESSAGE_BYTES: usize = 16 << 20;

type Token = Arc<dyn Fn() -> String + Send + Sync>;
type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A program that is one or more agents of a server. It stays connected, and executes what it is given.
#[derive(Clone)]
#[must_use = "a worker does nothing until it runs"]
pub struct Worker {
    url: String,
    token: Option<Token>,
    agents: Vec<RemoteAgent>,
}

impl Worker {
    /// A program that connects to this address, such as `wss://app.example/agents`.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), token: None, agents: Vec::new() }
    }

    /// The credential, which is sent as a bearer token.
    pub fn token(self, token: impl Into<String>) -> Self {
        let token = token.into();
        self.token_from(move || token.clone())
    }

    /// The same for a credential that changes: asked for before each connection. Must not block.
    pub fn token_from(mut self, token: impl Fn() -> String + Send + Sync + 'static) -> Self {
        self.token = Some(Arc::new(token));
        self
    }

    /// One more agent that this program is.
    pub fn agent(mut self, agent: RemoteAgent) -> Self {
        self.agents.push(agent);
        self
    }

    /// Works until something happens that trying again does not change.
    ///
    /// Dropping the future ends the connection and drops the futures of all runs: the server gives them to others.
    ///
    /// # Errors
    /// See [`WorkerError`].
    pub async fn run(self) -> Result<(), WorkerError> {
        self.run_until(std::future::pending()).await
    }

    /// Works until `stop` is ready. Then it begins no more runs, completes those that it has begun, and says farewell, so that
    /// the server gives what it was sent meanwhile to others.
    ///
    /// # Errors
    /// See [`WorkerError`].
    pub async fn run_until(self, stop: impl Future<Output = ()>) -> Result<(), WorkerError> {
        let agents: Arc<[RemoteAgent]> = self.agents.clone().into();
        let (stop, mut back_off) = (stop.shared(), BackOff::starting_at(FIRST_PAUSE));
        loop {
            let connected = tokio::select! {
                connected = self.connect() => connected?,
                () = stop.clone() => return Ok(()),
            };
            if let Some(socket) = connected {
                let welcome = || back_off.reset();
                match link::serve(socket, Arc::clone(&agents), stop.clone(), welcome).await {
                    End::Stopped => return Ok(()),
                    End::NotAccepted { agent, code, message } if is_final(&code) => {
                        return Err(WorkerError::NotAccepted { agent, code, message });
                    }
                    End::NotAccepted { agent, code, .. } => {
                        tracing::warn!(target: "grove_client", agent, code, "the server does not take this agent now");
                    }
                    End::Lost => tracing::info!(target: "grove_client", "the connection is lost"),
                }
            }
            if pause(back_off.next_pause(), stop.clone()).await {
                return Ok(());
            }
        }
    }

    /// Connects. `None` if that may work later.
    async fn connect(&self) -> Result<Option<Socket>, WorkerError> {
        let address = |why: &dyn fmt::Display| WorkerError::Address(why.to_string());
        let mut request = self.url.as_str().into_client_request().map_err(|error| address(&error))?;
        if let Some(token) = &self.token {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", token())).map_err(|error| address(&error))?;
            value.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        let config =
            WebSocketConfig::default().max_message_size(Some(MESSAGE_BYTES)).max_frame_size(Some(MESSAGE_BYTES));
        match timeout(CONNECT, connect_async_with_config(request, Some(config), true)).await {
            Ok(Ok((socket, _))) => Ok(Some(socket)),
            Ok(Err(Error::Http(response))) if matches!(response.status().as_u16(), 401 | 403 | 404 | 426) => {
                Err(WorkerError::Refused { status: response.status().as_u16() })
            }
            Ok(Err(Error::Url(error))) => Err(address(&error)),
            Ok(Err(error)) => {
                tracing::info!(target: "grove_client", %error, "the server cannot be reached");
                Ok(None)
            }
            Err(_) => Ok(None),
        }
    }
}

/// Whether trying again changes nothing.
fn is_final(code: &str) -> bool {
    matches!(code, "unauthorized" | "invalid_params" | "bad_request")
}

/// Waits. True if the program shall stop meanwhile.
async fn pause(pause: Duration, stop: impl Future<Output = ()>) -> bool {
    tokio::select! {
        () = sleep(pause) => false,
        () = stop => true,
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("url", &self.url).field("agents", &self.agents).finish_non_exhaustive()
    }
}
