//! Whose request it is: the checks of an upgrade, and one more for cookies.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequestParts, Request};
use axum::http::header::{COOKIE, ORIGIN};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use grove_engine::Session;

use super::failure::Failure;
use super::rooms_endpoint::RoomsEndpoint;
use crate::admission;
use crate::authenticate;
use crate::refusal::Refusal;

/// The session that acts, as the endpoint's authenticator says.
#[derive(Debug)]
pub(super) struct Caller(pub(super) Session);

impl FromRequestParts<Arc<RoomsEndpoint>> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<RoomsEndpoint>) -> Result<Self, Failure> {
        let mut head = parts.clone();
        if !cookies_count(&head.method, &head.headers) {
            head.headers.remove(COOKIE);
        }
        let authenticated = authenticate(state, head).await;
        authenticated.map(Self).map_err(|refusal| {
            state.endpoint.provider.note(refusal.event());
            refusal.into()
        })
    }
}

async fn authenticate(state: &RoomsEndpoint, head: Parts) -> Result<Session, Refusal> {
    let endpoint = &state.endpoint;
    let request = admission::receive(endpoint, Request::from_parts(head, Body::empty())).await?;
    let session = authenticate::run(&*endpoint.authenticator, request, endpoint.authenticate_timeout).await?;
    state.rooms.check_access(&session)?;
    Ok(session)
}

/// Whether a cookie says who the caller is. A browser sends it whichever page causes the request, so that page must be
/// one of ours or allowed. An origin that is neither is refused anyway; what remains are requests that name none, which a
/// browser never does for an unsafe method. For safe ones it says instead whether another site caused them.
fn cookies_count(method: &Method, headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").map(|site| site.as_bytes());
    headers.contains_key(ORIGIN) || method.is_safe() && !matches!(site, Some(b"cross-site" | b"same-site"))
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn a_cookie_counts_only_if_one_of_our_pages_or_no_browser_sent_it() {
        let counts = |method: Method, header: Option<(HeaderName, &'static str)>| {
            let headers = header.into_iter().map(|(name, value)| (name, HeaderValue::from_static(value))).collect();
            cookies_count(&method, &headers)
        };
        let site = || HeaderName::from_static("sec-fetch-site");
        assert!(counts(Method::POST, Some((ORIGIN, "https://app.example"))));
        assert!(!counts(Method::POST, None) && !counts(Method::DELETE, Some((site(), "same-origin"))));
        assert!(counts(Method::GET, None) && counts(Method::GET, Some((site(), "same-origin"))));
        assert!(!counts(Method::GET, Some((site(), "cross-site"))));
        assert!(!counts(Method::GET, Some((site(), "same-site"))));
    }
}
