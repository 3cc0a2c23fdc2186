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
async fn it_is_found_in_the_query_in_the_header_and_in_the_cookie() {
    let server = server().await;
    assert_eq!(server.dial("/slop?token=s3cret", &[]).await.unwrap().user().await, "alice");
    assert_eq!(server.dial("/slop", &[("authorization", "Bearer s3cret")]).await.unwrap().user().await, "alice");
    assert_eq!(server.dial("/slop", &[("cookie", "desk=s3cret")]).await.unwrap().user().await, "alice");
}

#[tokio::test]
async fn a_peer_cannot_tell_no_credential_from_a_wrong_one() {
    let server = server().await;
    let mut bodies = Vec::new();
    for target in ["/slop", "/slop?token=", "/slop?token=guess"] {
        let refused = server.dial(target, &[]).await.unwrap_err();
        assert_eq!(refused.status, 401, "{target}");
        bodies.push(refused.body);
    }
    assert!(bodies.iter().all(|body| *body == bodies[0]));
    let (none, wrong) = ((401, "there is no credential"), (401, "nobody has this credential"));
    assert_eq!(server.refused(), [none, none, wrong]);
}

#[tokio::test]
async fn a_lookup_that_fails_is_no_answer_to_who_it_is() {
    let authenticator = opaque("desk", |_| async {
        Err::<Option<Session>, _>(Refusal::unavailable().because("the database cannot be reached"))
    });
    let server = Server::start(|engine| Slop::new(engine, authenticator)).await;
    assert_eq!(server.dial("/slop?token=s3cret", &[]).await.unwrap_err().status, 503);
    assert_eq!(server.refused(), [(503, "the database cannot be reached")]);
}
