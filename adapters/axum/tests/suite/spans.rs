//! The session and the call to which a log line belongs (U16).

use std::io::{self, Write};
use std::sync::{Arc, Mutex, OnceLock};

use grove_engine::{Action, Descriptor, Invocation, Session};
use serde_json::json;
use tracing_subscriber::filter::LevelFilter;

use crate::server::Server;

/// Everything that is logged in this process, as text.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// The log of all tests: handlers run on threads of their own, which only a global subscriber covers.
    fn all() -> &'static Self {
        static LOG: OnceLock<Log> = OnceLock::new();
        LOG.get_or_init(|| {
            let log = Self::default();
            let (writer, level) = (log.clone(), LevelFilter::DEBUG);
            tracing_subscriber::fmt().with_max_level(level).with_ansi(false).with_writer(move || writer.clone()).init();
            log
        })
    }

    fn line(&self, with: &str) -> String {
        let log = self.0.lock().unwrap();
        let text = String::from_utf8_lossy(&log);
        text.lines().find(|line| line.contains(with)).expect("the line was written").to_owned()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_refused_page_is_logged_with_both_sides_of_the_comparison() {
    let log = Log::all();
    let server = Server::for_known_users().await;
    let headers = [("origin", "https://refused.example:8443"), ("host", "refused.example")];
    assert_eq!(server.dial("/slop?token=alice", &headers).await.unwrap_err().status, 403);
    let line = log.line("https://refused.example:8443");
    assert!(line.contains("WARN") && line.contains("server=http(s)://refused.example"), "{line}");
}

#[tokio::test]
async fn a_handlers_log_lines_name_the_connection_and_the_call() {
    let log = Log::all();
    let server = Server::for_known_users().await;
    let act = Action::new("act", |_: Invocation<()>| tracing::info!("the handler of this test ran"));
    server.engine.register("n", move |_: &Session| Descriptor::group().action(&act));
    let mut peer = server.alice().await;
    assert_eq!(peer.receive().await["type"], "hello");
    peer.send(json!({"type": "invoke", "id": "i", "path": "/n", "action": "act"}).to_string()).await;
    assert_eq!(peer.receive().await["status"], "ok");
    let line = log.line("the handler of this test ran");
    let who = r#"session="session of alice" user="alice" connection="#;
    let (connection, invoke) = line.split_once("}:invoke{").expect("two spans");
    assert!(connection.contains(&format!("connection{{{who}")), "{line}");
    assert!(invoke.starts_with(who) && invoke.contains(r#" path="/n" action="act"}"#), "{line}");
}
