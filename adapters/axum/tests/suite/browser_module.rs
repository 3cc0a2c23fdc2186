//! The modules that make a page a tab or a consumer, as a browser fetches them.

use grove_axum::Slop;

use crate::server::{Server, known_users};

async fn fetch(server: &Server, path: &str, headers: &str) -> (u16, String) {
    server.raw(&format!("GET {path} HTTP/1.1\r\nhost: app.example\r\n{headers}connection: close\r\n\r\n")).await
}

fn tag(answer: &str) -> &str {
    answer.lines().find_map(|line| line.strip_prefix("etag: ")).expect("a tag")
}

#[tokio::test]
async fn the_modules_are_served_below_the_endpoint_to_everyone() {
    let server = Server::for_known_users().await;
    for (path, export) in [("/slop/tab.js", "publish"), ("/slop/consumer.js", "connect")] {
        let (status, answer) = fetch(&server, path, "").await;
        assert_eq!(status, 200);
        assert!(answer.contains("content-type: text/javascript; charset=utf-8\r\n"), "{answer}");
        assert!(answer.contains("cache-control: public, no-cache\r\n"), "{answer}");
        assert!(answer.contains(&format!("export function {export}(")), "{answer}");
    }
    let elsewhere = Server::start(|engine| Slop::new(engine, known_users()).path("/api/agents/")).await;
    assert_eq!(fetch(&elsewhere, "/api/agents/tab.js", "").await.0, 200);
    assert_eq!(fetch(&elsewhere, "/api/agents/consumer.js", "").await.0, 200);
    assert_eq!(fetch(&elsewhere, "/slop/tab.js", "").await.0, 404);
}

#[tokio::test]
async fn a_cached_module_is_not_sent_again() {
    let server = Server::for_known_users().await;
    let (_, answer) = fetch(&server, "/slop/tab.js", "").await;
    let known = tag(&answer);
    for tags in [known.to_owned(), format!("\"other\", W/{known}"), "*".to_owned()] {
        let (status, answer) = fetch(&server, "/slop/tab.js", &format!("if-none-match: {tags}\r\n")).await;
        assert_eq!((status, tag(&answer)), (304, known), "{tags}");
        assert!(answer.ends_with("\r\n\r\n"), "{answer}");
    }
    assert_eq!(fetch(&server, "/slop/tab.js", "if-none-match: \"other\"\r\n").await.0, 200);
    let known = format!("if-none-match: {known}\r\n");
    assert_eq!(fetch(&server, "/slop/consumer.js", &known).await.0, 200, "each has a tag of its own");
}
