//! How a consumer finds the endpoint: a well-known document and a tag for pages (wire contract 4). Both describe the
//! app, never a session.

use std::sync::Arc;

use axum::extract::{OriginalUri, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse, Response};
use grove_engine::Discovery;
use serde::Serialize;

use crate::endpoint::{DEFAULT_PATH, Endpoint};
use crate::public_address::PublicAddress;
use crate::refusal::Refusal;

/// Anyone may cache it for a minute: it is the same for everyone, and a deployment that changes it is seen soon.
const CACHE: &str = "public, max-age=60";

/// The description of a provider, used here and in [`LocalDescriptor`](crate::LocalDescriptor).
#[derive(Debug, Serialize)]
pub(crate) struct Description<'a> {
    id: &'a str,
    name: &'a str,
    slop_version: &'a str,
    transport: Transport<'a>,
    capabilities: &'a [&'static str],
}

#[derive(Debug, Serialize)]
struct Transport<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    url: &'a str,
}

impl<'a> Description<'a> {
    /// Describes `provider`, which can be reached at `url`.
    pub(crate) fn of(provider: &'a Discovery, url: &'a str) -> Self {
        Self {
            id: &provider.id,
            name: &provider.name,
            slop_version: grove_engine::SLOP_VERSION,
            transport: Transport { kind: "ws", url },
            capabilities: provider.capabilities,
        }
    }
}

/// Handles `GET /.well-known/slop`: the same document for everyone, without a credential. 400 if the request names no
/// valid host from which to build the URL.
pub(crate) async fn describe(
    State(endpoint): State<Arc<Endpoint>>,
    OriginalUri(original): OriginalUri,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    // What nesting has removed from the path.
    let mount = original.path().strip_suffix(uri.path()).unwrap_or_default();
    let Some(url) = endpoint.public_url(&headers, &uri, mount) else {
        return Refusal::bad_request("the Host header is missing or malformed").into_response();
    };
    let provider = endpoint.provider.discovery();
    let body = serde_json::to_string(&Description::of(&provider, &url)).expect("strings always serialize");
    let vary = "host, forwarded, x-forwarded-host, x-forwarded-proto, x-forwarded-prefix";
    ([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, CACHE), (VARY, vary)], body).into_response()
}

/// The URL of `/slop` on the host that a page's request names, such as `ws://app.example/slop`. `None` if the request
/// names no valid host.
///
/// This is [`Slop::public_url`](crate::Slop::public_url) with the default options: no proxy is trusted.
#[must_use]
pub fn public_url(headers: &HeaderMap, uri: &Uri) -> Option<String> {
    PublicAddress::of(headers, uri, false).map(|address| address.websocket_url(DEFAULT_PATH))
}

/// The tag for a page's `<head>` that tells browser extensions and the page's own scripts where the endpoint is.
///
/// ```
/// assert_eq!(
///     grove_axum::meta_tag("wss://app.example/slop?a=1&b=2"),
///     r#"<meta name="slop" content="wss://app.example/slop?a=1&amp;b=2">"#,
/// );
/// ```
#[must_use]
pub fn meta_tag(url: &str) -> String {
    let mut tag = String::from(r#"<meta name="slop" content=""#);
    for character in url.chars() {
        match character {
            '&' => tag.push_str("&amp;"),
            '<' => tag.push_str("&lt;"),
            '>' => tag.push_str("&gt;"),
            '"' => tag.push_str("&quot;"),
            '\'' => tag.push_str("&#39;"),
            other => tag.push(other),
        }
    }
    tag.push_str("\">");
    tag
}
