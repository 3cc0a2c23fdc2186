//! Endpoints below a prefix, behind proxies that remove one, and several endpoints in one application.

use axum::Router;
use axum::http::{HeaderMap, Uri};
use grove_axum::{Slop, router};
use grove_engine::{Engine, Provider};
use serde_json::Value;

use crate::server::{PeerAddresses, Server, known_users};

/// The id and the URL in the discovery document at `path`.
async fn discover(server: &Server, path: &str, headers: &str) -> (String, String) {
    let request = format!("GET {path} HTTP/1.1\r\nhost: app.example\r\n{headers}connection: close\r\n\r\n");
    let (status, all) = server.raw(&request).await;
    assert_eq!(status, 200, "{path}: {all}");
    let document: Value = serde_json::from_str(all.split_once("\r\n\r\n").unwrap().1).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&document["id"]), text(&document["transport"]["url"]))
}

/// The path of a URL of the server that [`discover`] asked.
fn path(url: &str) -> &str {
    url.strip_prefix("ws://app.example").unwrap()
}

async fn serve(app: impl FnOnce(Engine) -> Router) -> Server {
    Server::start_app(app, PeerAddresses::Known).await
}

fn mail() -> Engine {
    Engine::builder("mail", "Mail").build()
}

#[tokio::test]
async fn a_nested_endpoint_announces_the_url_at_which_it_can_be_reached() {
    let nested = serve(|engine| Router::new().nest("/app", router(engine, known_users()))).await;
    let (_, url) = discover(&nested, "/app/.well-known/slop", "").await;
    assert_eq!(url, "ws://app.example/app/slop");
    let target = format!("{}?token=alice", path(&url));
    assert_eq!(nested.dial(&target, &[]).await.unwrap().user().await, "alice");
}

#[tokio::test]
async fn nesting_twice_and_with_a_parameter_announces_the_path_of_the_request() {
    let inner = |engine| Router::new().nest("/{tenant}", router(engine, known_users()));
    let nested = serve(|engine| Router::new().nest("/app", inner(engine))).await;
    let (_, url) = discover(&nested, "/app/acme/.well-known/slop", "").await;
    assert_eq!(url, "ws://app.example/app/acme/slop");
    let target = format!("{}?token=alice", path(&url));
    assert_eq!(nested.dial(&target, &[]).await.unwrap().user().await, "alice");
}

#[tokio::test]
async fn the_prefix_that_a_proxy_removed_is_announced_if_the_proxy_is_trusted() {
    let forwarded = "x-forwarded-prefix: /desk/\r\n";
    let wary = Server::for_known_users().await;
    assert_eq!(discover(&wary, "/.well-known/slop", forwarded).await.1, "ws://app.example/slop");
    let trusting = Server::start(|engine| Slop::new(engine, known_users()).trust_forwarded(true)).await;
    assert_eq!(discover(&trusting, "/.well-known/slop", forwarded).await.1, "ws://app.example/desk/slop");
    for malformed in ["desk", "/a b", "/a?b", "//evil.example\"", ""] {
        let headers = format!("x-forwarded-prefix: {malformed}\r\n");
        assert_eq!(discover(&trusting, "/.well-known/slop", &headers).await.1, "ws://app.example/slop", "{malformed}");
    }
    let trusting = |engine| Slop::new(engine, known_users()).trust_forwarded(true).router();
    let nested = serve(|engine| Router::new().nest("/app", trusting(engine))).await;
    assert_eq!(discover(&nested, "/app/.well-known/slop", forwarded).await.1, "ws://app.example/desk/app/slop");
}

#[tokio::test]
async fn a_given_prefix_is_announced_in_the_document_and_to_pages() {
    let slop = |engine| Slop::new(engine, known_users()).public_prefix("/desk/");
    let server = Server::start(slop).await;
    assert_eq!(discover(&server, "/.well-known/slop", "").await.1, "ws://app.example/desk/slop");
    let headers = HeaderMap::from_iter([("host".parse().unwrap(), "app.example".parse().unwrap())]);
    let page = slop(mail()).public_url(&headers, &Uri::from_static("/"));
    assert_eq!(page.as_deref(), Some("ws://app.example/desk/slop"));
}

#[tokio::test]
async fn two_engines_can_be_merged_and_each_has_its_own_endpoint_and_document() {
    let server = serve(|engine| {
        let beside = Slop::new(mail(), known_users()).path("/mail/slop");
        router(engine, known_users()).merge(beside.router())
    })
    .await;
    let (desk, mail) = ("/.well-known/slop", "/mail/.well-known/slop");
    assert_eq!(discover(&server, desk, "").await, ("desk".to_owned(), "ws://app.example/slop".to_owned()));
    assert_eq!(discover(&server, mail, "").await, ("mail".to_owned(), "ws://app.example/mail/slop".to_owned()));
    let names = [("/slop", "Desk"), ("/mail/slop", "Mail")];
    for (endpoint, name) in names {
        let mut peer = server.dial(&format!("{endpoint}?token=alice"), &[]).await.unwrap();
        assert_eq!(peer.receive().await["provider"]["name"], name);
    }
}

#[tokio::test]
async fn two_engines_can_be_nested_side_by_side() {
    let server = serve(|engine| {
        Router::new().nest("/desk", router(engine, known_users())).nest("/mail", router(mail(), known_users()))
    })
    .await;
    for id in ["desk", "mail"] {
        let document = format!("/{id}/.well-known/slop");
        assert_eq!(discover(&server, &document, "").await, (id.to_owned(), format!("ws://app.example/{id}/slop")));
    }
}

#[tokio::test]
async fn the_document_can_be_moved() {
    let slop = |engine: Engine| {
        assert_eq!(engine.discovery().id, "desk");
        Slop::new(engine, known_users()).path("/api/agents").discovery_path("/.well-known/slop")
    };
    let server = Server::start(slop).await;
    assert_eq!(discover(&server, "/.well-known/slop", "").await.1, "ws://app.example/api/agents");
}
