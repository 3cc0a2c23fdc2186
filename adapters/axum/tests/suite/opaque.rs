//! Credentials that the application looks up.

use grove_axum::{Refusal, Slop, opaque};
use grove_engine::Session;

use crate::server::Server;

async fn server() -> Server {
    let authenticator = opaque("desk", |token: String| async move {
        (token == "s3cret").then(|| Session::new("login 1").with_user("alice"))
    });
    Server::start(|engine| Slop::new(engine, authenticator)).await
}

#[tokio::test]
async fn the_credential_is_found_in_the_query_the_header_and_the_cookie() {
    let server = server().await;
    assert_eq!(server.dial("/slop?token=s3cret", &[]).await.unwrap().user().await, "alice");
    assert_eq!(server.dial("/slop", &[("authorization", "Bearer s3cret")]).await.unwrap().user().await, "alice");
    assert_eq!(server.dial("/slop", &[("cookie", "desk=s3cret")]).await.unwrap().user().await, "alice");
}

#[tokio::test]
async fn a_missing_and_a_wrong_credential_get_the_same_response() {
    let server = server().await;
    let mut bodies = Vec::new();
    for target in ["/slop", "/slop?token=", "/slop?token=guess"] {
        let refused = server.dial(target, &[]).await.unwrap_err();
        assert_eq!(refused.status, 401, "{target}");
        bodies.push(refused.body);
    }
    assert!(bodies.iter().all(|body| *body == bodies[0]));
    let (none, wrong) = ((401, "there is no credential"), (401, "the credential is not known"));
    assert_eq!(server.refused(), [none, none, wrong]);
}

#[tokio::test]
async fn a_failed_lookup_returns_its_own_refusal() {
    let authenticator = opaque("desk", |_| async {
        Err::<Option<Session>, _>(Refusal::unavailable().because("the database cannot be reached"))
    });
    let server = Server::start(|engine| Slop::new(engine, authenticator)).await;
    assert_eq!(server.dial("/slop?token=s3cret", &[]).await.unwrap_err().status, 503);
    assert_eq!(server.refused(), [(503, "the database cannot be reached")]);
}
