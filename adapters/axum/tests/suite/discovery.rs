//! The well-known document describes the app and is the same for everyone (S1.69).

use grove_axum::Slop;
use serde_json::{Value, json};

use crate::server::{Server, known_users};

async fn document(server: &Server, headers: &str) -> (u16, String) {
    server.raw(&format!("GET /.well-known/slop HTTP/1.1\r\n{headers}connection: close\r\n\r\n")).await
}

async fn url(server: &Server, headers: &str) -> String {
    let (status, all) = document(server, headers).await;
    assert_eq!(status, 200, "{all}");
    body(&all)["transport"]["url"].as_str().unwrap().to_owned()
}

fn body(all: &str) -> Value {
    serde_json::from_str(all.split_once("\r\n\r\n").unwrap().1).unwrap()
}

#[tokio::test]
async fn the_document_describes_the_app_and_is_the_same_for_everyone() {
    let server = Server::for_known_users().await;
    let (status, nobody) = document(&server, "host: app.example:8080\r\n").await;
    assert_eq!(status, 200);
    assert!(nobody.contains("content-type: application/json") && nobody.contains("max-age=60"), "{nobody}");
    let described = body(&nobody);
    assert_eq!(described["id"], "desk");
    assert_eq!(described["name"], "Desk");
    assert_eq!(described["slop_version"], "0.1");
    assert_eq!(described["transport"], json!({"type": "ws", "url": "ws://app.example:8080/slop"}));
    assert!(described["capabilities"].as_array().unwrap().contains(&json!("state")));
    assert!(!nobody.contains("greeting") && !nobody.contains("set-cookie"), "{nobody}");

    let (_, alice) = document(&server, "host: app.example:8080\r\ncookie: session=alice\r\n").await;
    assert_eq!(body(&alice), described);
}

#[tokio::test]
async fn a_trusted_proxy_names_the_public_address() {
    let headers = "host: 10.0.0.1:3000\r\nx-forwarded-proto: https\r\nx-forwarded-host: app.example\r\n";
    let wary = Server::for_known_users().await;
    assert_eq!(url(&wary, headers).await, "ws://10.0.0.1:3000/slop");
    let trusting = Server::start(|engine| Slop::new(engine, known_users()).trust_forwarded(true)).await;
    assert_eq!(url(&trusting, headers).await, "wss://app.example/slop");
    assert_eq!(url(&trusting, "host: app.example\r\nforwarded: proto=https\r\n").await, "wss://app.example/slop");
}

#[tokio::test]
async fn the_path_and_the_whole_url_can_be_chosen() {
    let elsewhere = Server::start(|engine| Slop::new(engine, known_users()).path("/agents")).await;
    assert_eq!(url(&elsewhere, "host: app.example\r\n").await, "ws://app.example/agents");
    assert_eq!(elsewhere.dial("/agents?token=alice", &[]).await.unwrap().user().await, "alice");
    let announced = Server::start(|engine| Slop::new(engine, known_users()).announce("wss://app.example/slop")).await;
    assert_eq!(url(&announced, "host: 10.0.0.1\r\n").await, "wss://app.example/slop");
}

#[tokio::test]
async fn a_missing_or_malformed_host_is_refused() {
    let server = Server::for_known_users().await;
    for host in ["", "host: user@app.example\r\n", "host: app.example/x\r\n", "host: a\r\nhost: b\r\n"] {
        assert_eq!(document(&server, host).await.0, 400, "{host:?}");
    }
}
