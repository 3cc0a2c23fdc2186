//! Pages of other origins are refused, whatever cookie their browser sends (SEC23).

use grove_axum::Slop;

use crate::server::{Server, known_users};

const EXTENSION: &str = "chrome-extension://abcdefghijklmnopabcdefghijklmnop";

#[tokio::test]
async fn a_foreign_page_is_refused_even_with_the_right_cookie() {
    let server = Server::for_known_users().await;
    for origin in ["https://evil.example", "null", "http://127.0.0.1:1", EXTENSION, "nonsense"] {
        let headers = [("cookie", "session=alice"), ("origin", origin)];
        let refused = server.dial("/slop", &headers).await.unwrap_err();
        assert_eq!(refused.status, 403, "{origin}");
        assert!(refused.body.contains("forbidden"), "{}", refused.body);
    }
}

#[tokio::test]
async fn a_page_of_the_same_origin_connects() {
    let server = Server::for_known_users().await;
    let origin = format!("http://{}", server.address);
    let headers = [("cookie", "session=alice"), ("origin", origin.as_str())];
    assert_eq!(server.dial("/slop", &headers).await.unwrap().user().await, "alice");
}

#[tokio::test]
async fn a_listed_extension_connects() {
    let server = Server::start(|engine| Slop::new(engine, known_users()).allow_origin(EXTENSION)).await;
    let headers = [("cookie", "session=alice"), ("origin", EXTENSION)];
    assert_eq!(server.dial("/slop", &headers).await.unwrap().user().await, "alice");
}

#[tokio::test]
async fn a_page_behind_a_proxy_is_of_the_same_origin_only_if_the_proxy_is_trusted() {
    let headers =
        [("origin", "https://app.example"), ("x-forwarded-host", "app.example"), ("x-forwarded-proto", "https")];
    let wary = Server::for_known_users().await;
    assert_eq!(wary.dial("/slop?token=alice", &headers).await.unwrap_err().status, 403);
    let trusting = Server::start(|engine| Slop::new(engine, known_users()).trust_forwarded(true)).await;
    assert_eq!(trusting.dial("/slop?token=alice", &headers).await.unwrap().user().await, "alice");
}
