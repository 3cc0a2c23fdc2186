//! Whoever comes to the room of a board: a person at its page, or an AI. A bare WebSocket, which keeps the events.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::browser::Browser;
use crate::running::{Running, within_deadline};

/// After how long a tree is looked at again that is not yet as wanted.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

pub(crate) struct Guest {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    events: VecDeque<Value>,
    asked: u32,
}

impl Guest {
    /// The page of the board in a browser.
    pub(crate) async fn person(running: &Running, browser: &Browser) -> Self {
        Self::connect(&running.board_url(), Some(&browser.cookie)).await
    }

    /// An AI with a token.
    pub(crate) async fn ai(running: &Running, token: &str) -> Self {
        Self::connect(&running.url_with(token), None).await
    }

    async fn connect(url: &str, cookie: Option<&str>) -> Self {
        let mut request = url.into_client_request().expect("a request");
        if let Some(cookie) = cookie {
            request.headers_mut().insert("cookie", HeaderValue::from_str(cookie).expect("a header value"));
        }
        let connecting = tokio_tungstenite::connect_async(request);
        let (socket, _) = within_deadline("a connection", connecting).await.expect("a connection");
        let mut guest = Self { socket, events: VecDeque::new(), asked: 0 };
        assert_eq!(guest.hear().await["type"], "hello");
        guest
    }

    /// The next message that is no event.
    async fn hear(&mut self) -> Value {
        loop {
            let message = self.next().await.expect("a message");
            match message["type"].as_str() {
                Some("event") => self.events.push_back(message["data"].clone()),
                _ => return message,
            }
        }
    }

    /// The next message; `None` at the end.
    async fn next(&mut self) -> Option<Value> {
        loop {
            match within_deadline("a message", self.socket.next()).await? {
                Ok(Message::Text(text)) => return Some(serde_json::from_str(&text).expect("JSON")),
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// Sends a request. Returns the response.
    pub(crate) async fn ask(&mut self, kind: &str, fields: &Value) -> Value {
        self.asked += 1;
        let id = format!("{kind}-{}", self.asked);
        let mut request = fields.clone();
        request["type"] = kind.into();
        request["id"] = id.as_str().into();
        self.socket.send(Message::text(request.to_string())).await.expect("a request");
        loop {
            let message = self.hear().await;
            if message["id"] == id.as_str() {
                return message;
            }
        }
    }

    pub(crate) async fn query(&mut self, path: &str) -> Value {
        self.ask("query", &json!({"path": path})).await["tree"].clone()
    }

    /// Waits until the node at a path is as wanted.
    pub(crate) async fn until(&mut self, path: &str, wanted: impl Fn(&Value) -> bool) {
        within_deadline(path, async {
            while !wanted(&self.query(path).await) {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        })
        .await;
    }

    pub(crate) async fn invoke(&mut self, path: &str, action: &str, params: Value) -> Value {
        self.ask("invoke", &json!({"path": path, "action": action, "params": params})).await
    }

    /// The code with which an action is refused.
    pub(crate) async fn refusal(&mut self, path: &str, action: &str, params: Value) -> String {
        let result = self.invoke(path, action, params).await;
        result["error"]["code"].as_str().unwrap_or_else(|| panic!("this was not refused: {result}")).to_owned()
    }

    /// Joins a room by subscribing there. Returns what it shows.
    pub(crate) async fn join(&mut self, room: &str) -> Value {
        let snapshot = self.ask("subscribe", &json!({"path": room, "depth": -1})).await;
        assert_eq!(snapshot["type"], "snapshot", "{snapshot}");
        snapshot["tree"].clone()
    }

    /// The next event of the room.
    pub(crate) async fn event(&mut self) -> Value {
        loop {
            if let Some(event) = self.events.pop_front() {
                return event;
            }
            let message = self.next().await.expect("an event");
            if message["type"] == "event" {
                return message["data"].clone();
            }
        }
    }

    /// What happens next, in short: the kind, who did it, and the text or the reason.
    pub(crate) async fn heard(&mut self) -> String {
        let Value::Object(event) = self.event().await else { panic!("an event is an object") };
        let detail = [&event["body"]["text"], &event["body"]["reason"]].into_iter().find_map(Value::as_str);
        let told = [event["kind"].as_str(), event["actor"]["name"].as_str(), detail];
        told.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    /// The next events, by number and in short.
    pub(crate) async fn hears(&mut self, count: usize) -> Vec<(u64, String)> {
        let mut heard = Vec::new();
        for _ in 0..count {
            let event = self.event().await;
            let seq = event["seq"].as_u64().expect("a number");
            self.events.push_front(event);
            heard.push((seq, self.heard().await));
        }
        heard
    }

    /// Closes the connection with this code.
    pub(crate) async fn close(mut self, code: u16) {
        let frame = CloseFrame { code: code.into(), reason: "".into() };
        self.socket.close(Some(frame)).await.expect("a close frame");
        while self.next().await.is_some() {}
    }

    /// Waits for the server to close the connection.
    pub(crate) async fn ended(&mut self) {
        while self.next().await.is_some() {}
    }
}
