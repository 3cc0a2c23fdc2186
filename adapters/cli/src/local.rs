//! The daemon, as other commands on this machine speak to it.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use http_body_util::{BodyExt, BodyStream, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::failure::{Failure, Kind};
use crate::same_user::is_same_user;
use crate::token::Token;

/// How long the daemon may take to answer: longer than it waits for a link.
const ANSWER: Duration = Duration::from_secs(15);

/// The largest answer that is taken.
const ANSWER_BYTES: usize = 16 << 20;

/// One connection to the daemon.
#[derive(Debug)]
pub(crate) struct Local {
    requests: SendRequest<Full<Bytes>>,
    ended: JoinHandle<()>,
}

impl Local {
    /// Connects to the daemon at this socket.
    ///
    /// # Errors
    /// If there is none, or it is another user's.
    pub(crate) async fn connect(socket: &Path) -> Result<Self, Failure> {
        let unreachable = |why: &dyn std::fmt::Display| {
            Failure::new(Kind::Unreachable, format!("cannot reach the daemon at {}: {why}", socket.display()))
                .advice("start it with `grove daemon`, or give its socket with --socket or GROVE_SOCKET")
        };
        let stream = UnixStream::connect(socket).await.map_err(|error| match error.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => unreachable(&"none is running there"),
            _ => unreachable(&error),
        })?;
        if !is_same_user(&stream.peer_cred()) {
            return Err(Failure::new(Kind::Refused, format!("{} is another user's socket", socket.display())));
        }
        let (requests, connection) = handshake(TokioIo::new(stream)).await.map_err(|error| unreachable(&error))?;
        // How the connection ended is known by then from its requests.
        let ended = tokio::spawn(async { drop(connection.await) });
        Ok(Self { requests, ended })
    }

    /// Asks for something. Returns the body of the answer.
    ///
    /// # Errors
    /// If the daemon refuses, or is gone.
    pub(crate) async fn request(
        &mut self,
        (method, path): (Method, &str),
        token: Option<&Token>,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let answered = timeout(ANSWER, async {
            let response = self.send((method, path), token, body).await?;
            let is_success = response.status().is_success();
            let body = Limited::new(response.into_body(), ANSWER_BYTES).collect().await.map_err(|_| gone())?.to_bytes();
            let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
            if is_success { Ok(body) } else { Err(refused(&body)) }
        });
        answered.await.unwrap_or_else(|_| Err(Failure::new(Kind::Unreachable, "the daemon did not answer in time")))
    }

    /// Asks for a stream of events.
    ///
    /// # Errors
    /// If the daemon refuses, or is gone.
    pub(crate) async fn events(
        &mut self,
        path: &str,
        token: &Token,
    ) -> Result<impl Stream<Item = Bytes> + use<>, Failure> {
        let response = self.send((Method::GET, path), Some(token), None).await?;
        if response.status().is_success() {
            let data = |frame: Result<hyper::body::Frame<Bytes>, hyper::Error>| async { frame.ok()?.into_data().ok() };
            return Ok(BodyStream::new(response.into_body()).filter_map(data));
        }
        let body = Limited::new(response.into_body(), ANSWER_BYTES).collect().await.map_err(|_| gone())?.to_bytes();
        Err(refused(&serde_json::from_slice(&body).unwrap_or(Value::Null)))
    }

    /// Ends when the connection does: the daemon is gone.
    pub(crate) async fn ended(&mut self) {
        // A task that is over is an end as well.
        let _ = (&mut self.ended).await;
    }

    async fn send(
        &mut self,
        (method, path): (Method, &str),
        token: Option<&Token>,
        body: Option<&Value>,
    ) -> Result<Response<Incoming>, Failure> {
        let mut request = Request::builder().method(method).uri(path).header(HOST, "grove");
        if let Some(token) = token {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", token.as_str())).map_err(Failure::failed)?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        let bytes = body.map(Value::to_string).unwrap_or_default();
        let request = request.header(CONTENT_TYPE, "application/json").body(Full::new(Bytes::from(bytes)));
        self.requests.send_request(request.map_err(Failure::failed)?).await.map_err(|_| gone())
    }
}

fn gone() -> Failure {
    Failure::new(Kind::Unreachable, "the daemon ended while it was asked").advice("try again when it is back")
}

/// What the daemon says in its errors.
fn refused(body: &Value) -> Failure {
    let text = |field: &str| body["error"][field].as_str().map(str::to_owned);
    let code = text("code").unwrap_or_else(|| "unknown".to_owned());
    let kind = match code.as_str() {
        "not_found" => Kind::NotFound,
        "not_connected" => Kind::Unreachable,
        _ => Kind::Refused,
    };
    let message = text("message").unwrap_or_else(|| "it does not say why".to_owned());
    let failure = Failure::new(kind, format!("the daemon refuses: {message} ({code})"));
    match code.as_str() {
        "unauthorized" => failure.advice("the session has ended; start a new one with `grove launch`"),
        _ => failure,
    }
}
