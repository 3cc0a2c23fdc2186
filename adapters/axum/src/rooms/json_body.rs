//! The body of a request, as a Rust type.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::timeout;

use super::failure::Failure;
use super::rooms_endpoint::RoomsEndpoint;

/// How many bytes a body may have (rooms 10).
const BODY_BYTES: usize = 1024 * 1024;

/// How much of a body that is too large is read all the same, so that its sender gets to read why it was refused.
const DISCARDED_BYTES: usize = BODY_BYTES;

/// How long the body of a request may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// A JSON object that is a `T`.
#[derive(Debug)]
pub(super) struct JsonBody<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Arc<RoomsEndpoint>> for JsonBody<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &Arc<RoomsEndpoint>) -> Result<Self, Failure> {
        let late = || Failure::new(StatusCode::REQUEST_TIMEOUT, "timeout", "the body took too long");
        let bytes = timeout(BODY_TIMEOUT, read(request.into_body())).await.map_err(|_elapsed| late())??;
        parse(&bytes).map(Self)
    }
}

async fn read(body: Body) -> Result<Vec<u8>, Failure> {
    let (mut chunks, mut bytes, mut received) = (body.into_data_stream(), Vec::new(), 0);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Failure::invalid("the body is incomplete"))?;
        received += chunk.len();
        if received <= BODY_BYTES {
            bytes.extend_from_slice(&chunk);
        } else if received > BODY_BYTES + DISCARDED_BYTES {
            break;
        }
    }
    if received <= BODY_BYTES {
        return Ok(bytes);
    }
    let message = format!("a body must have at most {BODY_BYTES} bytes");
    Err(Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message))
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    let Ok(body @ Value::Object(_)) = serde_json::from_slice::<Value>(bytes) else {
        return Err(Failure::invalid("the body must be a JSON object"));
    };
    serde_path_to_error::deserialize(body).map_err(|error| {
        let place = error.path().to_string();
        let place = if place == "." { "the body".to_owned() } else { format!("`{place}`") };
        Failure::invalid(format!("{place} cannot be read: {}", error.inner()))
    })
}
