//! Plain HTTP requests, and attempts to connect a WebSocket.

use std::net::SocketAddr;

use serde_json::{Map, Value};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};

/// Sends a request; returns the status, the head, and the body as JSON.
pub(crate) async fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &Map<String, Value>,
    body: &str,
) -> (u16, String, Value) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let length = body.len();
    let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {length}\r\n");
    if !headers.contains_key("Host") {
        head.push_str("Host: example.test:8080\r\n");
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {}\r\n", value.as_str().unwrap()));
    }
    stream.write_all(format!("{head}\r\n{body}").as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, head.to_lowercase(), serde_json::from_str(body).unwrap_or_default())
}

/// Returns the status of the response to an attempt to connect.
pub(crate) async fn upgrade(address: SocketAddr, path: &str, headers: &Map<String, Value>) -> u16 {
    let mut request = format!("ws://{address}{path}").into_client_request().unwrap();
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        request.headers_mut().append(name, HeaderValue::from_str(value.as_str().unwrap()).unwrap());
    }
    match tokio_tungstenite::connect_async(request).await {
        Ok((_, response)) => response.status().as_u16(),
        Err(Error::Http(response)) => response.status().as_u16(),
        Err(other) => panic!("neither a connection nor a refusal: {other}"),
    }
}
