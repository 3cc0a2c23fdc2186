//! What the daemon answers on its socket (peers 4).

use std::convert::Infallible;
use std::num::NonZeroU64;
use std::sync::{Arc, Weak};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::connect_info::{ConnectInfo, Connected};
use axum::extract::{FromRequestParts, Path, State};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{StatusCode, Uri};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::serve::IncomingStream;
use futures_util::StreamExt;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::answer::{Refusal, json_answer};
use super::ask::Question;
use super::limits::{BODY_BYTES, BODY_TIMEOUT};
use super::link::Link;
use super::link_state::LinkState;
use super::listen::Guarded;
use super::registration::Registration;
use super::sessions::Sessions;
use crate::token::Token;

/// How long a registration waits for its link.
const LINK: Duration = Duration::from_secs(3);

type Shared = State<Arc<Sessions>>;

pub(crate) fn routes(sessions: Arc<Sessions>) -> Router {
    let not_found = || async { Refusal::new(StatusCode::NOT_FOUND, "no_such_route", "there is nothing at this path") };
    let wrong = || async { Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "wrong_method", "the path has other methods") };
    Router::new()
        .route("/v1/daemon", get(daemon))
        .route("/v1/sessions/register", post(register))
        .route("/v1/sessions/{token}", delete(deregister))
        .route("/v1/sessions", get(sessions_list))
        .route("/v1/session", get(own_session))
        .route("/v1/peers", get(peers))
        .route("/v1/send", post(send))
        .route("/v1/inbox", get(inbox))
        .fallback(not_found)
        .method_not_allowed_fallback(wrong)
        .with_state(sessions)
}

/// The connection on which a request came, as long as it is open.
#[derive(Debug, Clone)]
pub(crate) struct Owner(Weak<()>);

impl Connected<IncomingStream<'_, Guarded>> for Owner {
    fn connect_info(stream: IncomingStream<'_, Guarded>) -> Self {
        Self(stream.io().alive())
    }
}

/// The session that acts. Without a token there is none, and never "everything" (U32).
struct Acting {
    session_id: String,
    link: Arc<Link>,
}

impl FromRequestParts<Arc<Sessions>> for Acting {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, sessions: &Arc<Sessions>) -> Result<Self, Refusal> {
        let header = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let bearer =
            header.and_then(|value| value.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let (_, text) =
            bearer.ok_or_else(|| Refusal::unauthorized("the token of a session is required (GROVE_TOKEN)"))?;
        let found = Token::parse(text).and_then(|token| sessions.of_token(&token));
        let (session_id, link) = found.ok_or_else(|| Refusal::unauthorized("no session has this token"))?;
        Ok(Self { session_id, link })
    }
}

async fn read(body: Body) -> Result<Bytes, Refusal> {
    let too_large =
        || Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", format!("a body has at most {BODY_BYTES} bytes"));
    let late = Refusal::new(StatusCode::REQUEST_TIMEOUT, "too_slow", "the body did not arrive in time");
    timeout(BODY_TIMEOUT, to_bytes(body, BODY_BYTES)).await.map_err(|_| late)?.map_err(|_| too_large())
}

async fn daemon(State(sessions): Shared) -> Response {
    let (upstream, member) = (&sessions.upstream, sessions.member.state());
    let shown = json!({
        "server": upstream.url, "project": upstream.project, "audience": upstream.audience(),
        "participant": member.participant(), "link": member.to_json(), "session_presence": sessions.is_presence_on,
        "server_knows_sessions": !upstream.knows_no_sessions(), "sessions": sessions.list().len(),
        "links_up": sessions.links_up(), "version": env!("CARGO_PKG_VERSION"),
    });
    json_answer(StatusCode::OK, &shown)
}

async fn register(
    State(sessions): Shared,
    ConnectInfo(Owner(owner)): ConnectInfo<Owner>,
    body: Body,
) -> Result<Response, Refusal> {
    let bytes = read(body).await?;
    let reading = tokio::task::spawn_blocking(move || Registration::read(&bytes, owner)).await;
    let lost = |_| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "reading the registration failed");
    let (token, link) = sessions.register(reading.map_err(lost)??)?;
    let state = link.settled(LINK).await;
    let mut answer = json!({ "token": token.as_str() });
    if let Some(participant) = state.participant() {
        answer["participant"] = participant.into();
    }
    answer["link"] = state.to_json();
    Ok(json_answer(StatusCode::CREATED, &answer))
}

async fn deregister(State(sessions): Shared, Path(token): Path<String>) -> Result<Response, Refusal> {
    let found = match Token::parse(&token) {
        Some(token) => sessions.deregister(&token).await,
        None => false,
    };
    match found {
        true => Ok(StatusCode::NO_CONTENT.into_response()),
        false => Err(Refusal::new(StatusCode::NOT_FOUND, "not_found", "no session has this token")),
    }
}

async fn sessions_list(State(sessions): Shared) -> Response {
    json_answer(StatusCode::OK, &json!({ "sessions": sessions.list() }))
}

/// What a session may know of itself, its credential for the server's other routes included.
async fn own_session(State(sessions): Shared, acting: Acting) -> Response {
    let state = acting.link.state();
    let mut shown = json!({
        "session_id": acting.session_id, "server": sessions.upstream.url, "project": sessions.upstream.project,
        "participant": state.participant(), "link": state.to_json(),
    });
    if let LinkState::Up(present) = state {
        shown["member"] = present.member.into();
        shown["access_token"] = present.access_token.into();
    }
    json_answer(StatusCode::OK, &shown)
}

/// Asks on the link of a session, or on the member's if sessions have none.
async fn ask(sessions: &Sessions, acting: &Acting, question: Question) -> Result<Value, Refusal> {
    match acting.link.settled(LINK).await.is_by_member() {
        true => sessions.member.ask(question).await,
        false => acting.link.ask(question).await,
    }
}

async fn peers(State(sessions): Shared, acting: Acting) -> Result<Response, Refusal> {
    Ok(json_answer(StatusCode::OK, &ask(&sessions, &acting, Question::List).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Message {
    to: String,
    body: Value,
}

async fn send(State(sessions): Shared, acting: Acting, body: Body) -> Result<Response, Refusal> {
    let bytes = read(body).await?;
    let message = serde_json::from_slice(&bytes);
    let Message { to, body } =
        message.map_err(|_| Refusal::malformed("the body must be {\"to\": TEXT, \"body\": ..}"))?;
    let sent = ask(&sessions, &acting, Question::Send { to, body }).await?;
    Ok(json_answer(StatusCode::ACCEPTED, &sent))
}

/// How many messages a reader wants; none if there is no end.
fn limit(query: Option<&str>) -> Result<Option<NonZeroU64>, Refusal> {
    let mut limits = query.unwrap_or_default().split('&').filter_map(|pair| match pair.split_once('=') {
        Some(("limit", value)) => Some(value),
        _ => (pair == "limit").then_some(""),
    });
    let malformed = || Refusal::malformed("`limit` must be a positive integer, and be there once");
    match (limits.next(), limits.next()) {
        (None, _) => Ok(None),
        (Some(text), None) => text.parse().map(Some).map_err(|_| malformed()),
        (Some(_), Some(_)) => Err(malformed()),
    }
}

async fn inbox(acting: Acting, uri: Uri) -> Result<Response, Refusal> {
    let limit = limit(uri.query())?;
    let state = acting.link.state();
    if state.is_by_member() {
        return Err(Refusal::not_connected(state.reason()));
    }
    let too_many =
        |_| Refusal::new(StatusCode::TOO_MANY_REQUESTS, "too_many_readers", "the inbox has as many readers as it may");
    let messages = acting.link.inbox().read(limit).map_err(too_many)?;
    let events = messages.map(|mail| {
        let data = serde_json::to_string(&mail).expect("a message serialises");
        Ok::<_, Infallible>(Event::default().event("message").id(mail.message).data(data))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_positive_integer_that_is_there_once() {
        for (query, wanted) in [(None, None), (Some(""), None), (Some("a=1"), None), (Some("a=1&limit=2"), Some(2))] {
            assert_eq!(limit(query).unwrap().map(NonZeroU64::get), wanted, "{query:?}");
        }
        for query in ["limit", "limit=", "limit=0", "limit=-1", "limit=1.5", "limit=x", "limit=1&limit=1"] {
            assert_eq!(limit(Some(query)).unwrap_err().code, "malformed", "{query}");
        }
    }
}
