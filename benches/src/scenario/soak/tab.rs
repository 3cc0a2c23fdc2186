//! A browser tab that mounts a tree, changes it, executes calls, and closes or vanishes.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::participant_report::ParticipantReport;
use super::phase::Phase;
use super::session_pool::SessionPool;
use super::session_token::SessionToken;
use crate::scenario::secrets::Secrets;
use crate::websocket::{Socket, dial};

/// The time between two changes, in ms.
const PAUSE_MS: Range<u64> = 50..1_500;

/// How long a close handshake may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

struct Tab {
    socket: Socket,
    token: SessionToken,
    report: ParticipantReport,
    /// The id of the server's subscription.
    subscription: Option<Value>,
    version: u64,
    seq: u64,
    presses: u64,
}

/// Runs until the tab closes, vanishes, or is closed.
pub(super) async fn run(
    sessions: Arc<SessionPool>,
    mut random: fastrand::Rng,
    mut phase: watch::Receiver<Phase>,
) -> ParticipantReport {
    let token = sessions.pick(&mut random);
    let mut report = ParticipantReport { is_tab: true, ..ParticipantReport::default() };
    let Ok(socket) = dial(&format!("{}&slop_role=provider", sessions.url(token))).await else { return report };
    report.counts.connects = 1;
    let mut tab = Tab { socket, token, report, subscription: None, version: 1, seq: 0, presses: 0 };
    loop {
        let now = *phase.borrow_and_update();
        let pause = Duration::from_millis(random.u64(PAUSE_MS));
        tokio::select! {
            message = tab.socket.next() => if !tab.receive(message).await { break },
            () = sleep(pause), if now == Phase::Active => if !tab.step(&mut random).await { break },
            changed = phase.changed() => if changed.is_err() || *phase.borrow() == Phase::Verifying { break },
        }
    }
    // A tab that is connected at the end stays until all copies have been compared.
    if *phase.borrow() == Phase::Verifying {
        let _ = timeout(CLOSE_TIMEOUT, tab.stay()).await;
    }
    tab.report
}

impl Tab {
    /// Returns false if the connection is closed.
    async fn receive(&mut self, message: Option<Result<Message, Error>>) -> bool {
        match message {
            Some(Ok(Message::Text(text))) => self.handle(text.as_str()).await,
            Some(Ok(Message::Close(frame))) => {
                frame.into_iter().for_each(|frame| self.report.count_close(frame.code.into()));
                return false;
            }
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return false,
        }
        true
    }

    async fn handle(&mut self, text: &str) {
        if let Some(owner) = self.token.secrets().foreign(text) {
            let session = self.token.session_id();
            self.report.problems.push(format!("a tab of session {session} received a secret of {owner}"));
        }
        let Ok(message) = serde_json::from_str::<Value>(text) else { return };
        match message["type"].as_str() {
            Some("connect") => {
                let provider = json!({"id": "page", "name": "Page", "slop_version": "0.1", "capabilities": ["state"]});
                self.send(&json!({"type": "hello", "provider": provider})).await;
            }
            Some("subscribe") => self.subscribe(&message["id"]).await,
            Some("invoke") => {
                self.report.tab_calls += 1;
                self.change().await;
                self.send(&json!({"type": "result", "id": message["id"], "status": "ok"})).await;
            }
            _ => {}
        }
    }

    async fn subscribe(&mut self, id: &Value) {
        self.seq = 0;
        self.subscription = Some(id.clone());
        let snapshot = json!({"type": "snapshot", "id": id, "version": self.version, "tree": self.tree()});
        self.send(&snapshot).await;
    }

    /// Closes, vanishes or changes. Returns false if the connection is closed.
    async fn step(&mut self, random: &mut fastrand::Rng) -> bool {
        match random.u32(..20) {
            0 => {
                let _ = timeout(CLOSE_TIMEOUT, self.socket.close(None)).await;
                false
            }
            1 => {
                self.report.kills += 1;
                false
            }
            _ => {
                self.change().await;
                true
            }
        }
    }

    fn tree(&self) -> Value {
        let (user, session) = (self.token.user_name(), self.token.session_id());
        let secret = format!("{} {}", Secrets::of_user(&user), Secrets::of_session(&session));
        let page = json!({
            "id": "page", "type": "status", "properties": {"presses": self.presses, "secret": secret},
            "affordances": [{"action": "press"}],
        });
        json!({"id": "page-root", "type": "root", "children": [page]})
    }

    async fn change(&mut self) {
        self.presses += 1;
        let Some(subscription) = self.subscription.clone() else { return };
        self.version += 1;
        self.seq += 1;
        let op = json!({"op": "replace", "path": "/page/properties/presses", "value": self.presses});
        let (version, seq) = (self.version, self.seq);
        let patch = json!({
            "type": "patch", "subscription": subscription, "version": version, "seq": seq, "ops": [op],
        });
        self.send(&patch).await;
    }

    async fn send(&mut self, message: &Value) {
        // A broken socket is noticed when it is read.
        let _ = self.socket.send(Message::text(message.to_string())).await;
    }

    /// Reads until the connection is closed, and changes nothing.
    async fn stay(&mut self) {
        while let Some(Ok(_)) = self.socket.next().await {}
    }
}
