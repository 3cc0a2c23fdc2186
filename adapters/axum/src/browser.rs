//! The modules that make a page a tab (wire contract 3) or a consumer. They are files of this crate, below `browser/`,
//! so that a page and its server are always of the same version.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::header_list;

const MODULES: [(&str, &str); 2] =
    [("tab.js", include_str!("../browser/tab.js")), ("consumer.js", include_str!("../browser/consumer.js"))];

/// Routes to the modules, below the endpoint at `path`: the same for everyone.
pub(crate) fn modules<S>(path: &str) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    let below = path.trim_end_matches('/');
    MODULES.into_iter().fold(Router::new(), |routes, (name, text)| {
        let tag: Arc<str> = tag(text).into();
        let module = move |headers: HeaderMap| async move { module(text, &tag, &headers) };
        routes.route(&format!("{below}/{name}"), get(module))
    })
}

fn tag(text: &str) -> String {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    format!("\"{:016x}\"", hasher.finish())
}

/// Handles `GET /slop/tab.js` and the like. Browsers may cache a module but must revalidate it, so that a deployment is
/// seen at once.
fn module(text: &'static str, tag: &str, headers: &HeaderMap) -> Response {
    let caching = [(ETAG, tag), (CACHE_CONTROL, "public, no-cache")];
    if is_known(tag, headers) {
        return (StatusCode::NOT_MODIFIED, caching).into_response();
    }
    (caching, [(CONTENT_TYPE, "text/javascript; charset=utf-8")], text).into_response()
}

fn is_known(tag: &str, headers: &HeaderMap) -> bool {
    let mut tags = header_list::elements(headers, &IF_NONE_MATCH);
    tags.any(|known| known == b"*" || known.strip_prefix(b"W/").unwrap_or(known) == tag.as_bytes())
}
