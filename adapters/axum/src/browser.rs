//! The module by which a page becomes a tab (wire contract 3). It is a file of this crate, `browser/tab.js`, so that
//! the page and the server that it talks to are always of one version.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::LazyLock;

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

const MODULE: &str = include_str!("../browser/tab.js");

static TAG: LazyLock<String> = LazyLock::new(|| {
    let mut hasher = DefaultHasher::new();
    MODULE.hash(&mut hasher);
    format!("\"{:016x}\"", hasher.finish())
});

/// Where the module is when the endpoint is at `path`.
pub(crate) fn path(path: &str) -> String {
    format!("{}/tab.js", path.trim_end_matches('/'))
}

/// Answers `GET /slop/tab.js`: the same for everybody. Browsers may keep it but have to ask whether it is still the
/// one, so that a deployment is seen at once.
pub(crate) async fn module(headers: HeaderMap) -> Response {
    let about = [(ETAG, TAG.as_str()), (CACHE_CONTROL, "public, no-cache")];
    if is_known(&headers) {
        return (StatusCode::NOT_MODIFIED, about).into_response();
    }
    (about, [(CONTENT_TYPE, "text/javascript; charset=utf-8")], MODULE).into_response()
}

fn is_known(headers: &HeaderMap) -> bool {
    let lists = headers.get_all(IF_NONE_MATCH).iter().filter_map(|list| list.to_str().ok());
    let mut tags = lists.flat_map(|list| list.split(',')).map(str::trim);
    tags.any(|tag| tag == "*" || tag.trim_start_matches("W/") == TAG.as_str())
}
