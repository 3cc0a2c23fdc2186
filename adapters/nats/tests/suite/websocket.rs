//! Participants that are web pages: the same credentials through the server's WebSocket listener (S0.34).

use std::net::{Ipv4Addr, TcpListener};

use data_encoding::BASE64URL_NOPAD;
use futures_util::{SinkExt, StreamExt};
use grove_engine::Cluster;
use grove_nats::{NatsOptions, Subjects};
use nkeys::KeyPair;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::accounts::{Accounts, now};
use crate::{LONG, connected, of_room, programs};

/// What a page does, by hand.
struct Page {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    received: String,
}

impl Page {
    async fn connect(port: u16) -> Self {
        let (socket, _) = connect_async(format!("ws://127.0.0.1:{port}/")).await.unwrap();
        Self { socket, received: String::new() }
    }

    async fn send(&mut self, text: String) {
        self.socket.send(Message::Binary(text.into_bytes().into())).await.unwrap();
    }

    /// Returns everything that was received, once it contains this.
    async fn until(&mut self, wanted: &str) -> String {
        let waiting = async {
            while !self.received.contains(wanted) {
                let message = self.socket.next().await.expect("an open connection").unwrap();
                self.received.push_str(std::str::from_utf8(&message.into_data()).unwrap());
            }
        };
        assert!(timeout(LONG, waiting).await.is_ok(), "{wanted} is not received: {}", self.received);
        self.received.clone()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_joins_with_minted_credentials_through_the_websocket_listener() {
    for program in programs() {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let listener = format!("websocket {{ listen: \"127.0.0.1:{port}\", no_tls: true }}\n");
        let accounts = Accounts::start_with(&program, &listener);
        let subjects = Subjects::below(Subjects::DEFAULT_PREFIX).unwrap();
        let minted = accounts.participants().mint(&subjects, "alice", ("a", "r1"), now() + LONG, now()).unwrap();
        let mut page = Page::connect(port).await;
        let info = page.until("\r\n").await;
        let info: Value = serde_json::from_str(info.trim().strip_prefix("INFO ").unwrap()).unwrap();
        let key = KeyPair::from_seed(&minted.seed).unwrap();
        let signature = key.sign(info["nonce"].as_str().unwrap().as_bytes()).unwrap();
        let connect = json!({"jwt": minted.jwt, "sig": BASE64URL_NOPAD.encode(&signature), "protocol": 1,
            "verbose": false, "pedantic": false, "lang": "page", "version": "1", "headers": true});
        let events = &minted.permissions.subscribe[0];
        page.send(format!("CONNECT {connect}\r\nSUB {events} 1\r\nSUB grove.v1.> 2\r\nPING\r\n")).await;
        let received = page.until("PONG").await;
        assert_eq!(received.matches("-ERR").count(), 1, "{received}");
        assert!(received.contains("Permissions Violation for Subscription to \"grove.v1.>\""), "{received}");

        let path = accounts.write_instance(None);
        let options = NatsOptions::new(&accounts.server.url()).credentials_file(path);
        let (cluster, _) = connected(options, "one").await;
        cluster.publish(&of_room("a", "r2"), "of another room".into());
        cluster.publish(&of_room("a", "r1"), "hello".into());
        let received = page.until("hello").await;
        assert!(!received.contains("of another room"), "{received}");
    }
}
