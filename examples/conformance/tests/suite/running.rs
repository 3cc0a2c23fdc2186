//! The app in this process, on a free port.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;
use conformance::{Options, start};
use serde_json::Value;

use crate::consumer::{Consumer, upgrade};
use crate::http::{self, Response};

/// Longer than any step takes; only a failing test waits this long.
const DEADLINE: Duration = Duration::from_secs(20);

/// Waits for something that must happen soon.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(value) => value,
        Err(_) => panic!("this did not happen in time: {what}"),
    }
}

pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) app: conformance::Running,
}

impl Running {
    /// Starts the app with a short debounce, so that tests need not wait for it.
    pub(crate) async fn start() -> Self {
        Self::with(&["--debounce-ms", "5"]).await
    }

    pub(crate) async fn with(arguments: &[&str]) -> Self {
        let options = Options::parse_from(["conformance", "--listen", "127.0.0.1:0"].iter().chain(arguments));
        let app = start(&options).await.unwrap();
        Self { address: app.address(), app }
    }

    /// Connects a consumer of this session.
    pub(crate) async fn consumer(&self, token: &str) -> Consumer {
        Consumer::connect(self.address, token).await
    }

    /// Connects a consumer of this session and subscribes it to the whole tree.
    pub(crate) async fn subscribed(&self, token: &str) -> Consumer {
        let mut consumer = self.consumer(token).await;
        consumer.subscribe("/", -1).await;
        consumer
    }

    /// The status of an upgrade with this query and these headers; 101 if it succeeds.
    pub(crate) async fn upgrade(&self, query: &str, headers: &[(&'static str, &str)]) -> u16 {
        match upgrade(&format!("ws://{}/slop{query}", self.address), headers).await {
            Ok(_) => 101,
            Err(status) => status,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        http::request(self.address, "GET", path, "").await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Response {
        http::request(self.address, "POST", path, body).await
    }

    /// Requests a refresh, and returns how many sessions matched.
    pub(crate) async fn refresh(&self, body: &Value) -> u64 {
        let response = self.post("/control/refresh", &body.to_string()).await;
        assert_eq!(response.status, 200, "{response:?}");
        response.json["matched"].as_u64().unwrap()
    }

    pub(crate) async fn stats(&self) -> Value {
        self.get("/control/stats").await.json
    }

    pub(crate) async fn commits(&self) -> u64 {
        self.stats().await["commits"].as_u64().unwrap()
    }

    /// Waits until the stats are as wanted.
    pub(crate) async fn until(&self, what: &str, wanted: impl Fn(&Value) -> bool) {
        let reached = async {
            while !wanted(&self.stats().await) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        soon(what, reached).await;
    }
}
