//! A browser tab that mounts, changes its tree, answers calls, and closes or vanishes.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message;

use super::Phase;
use super::tally::Parting;
use super::world::{Pass, World};
use crate::trial::secrets::Secrets;
use crate::trial::visitor::{Socket, dial};

/// How long between two changes, in ms.
const CHANGES_MS: std::ops::Range<u64> = 50..1_500;

/// How long a farewell may take.
const FAREWELL: Duration = Duration::from_secs(5);

struct Tab {
    socket: Socket,
    pass: Pass,
    parting: Parting,
    /// Under which id the server has subscribed.
    subscription: Option<Value>,
    version: u64,
    seq: u64,
    presses: u64,
}

/// Lives until it closes, vanishes, or is closed.
pub(super) async fn live(world: Arc<World>, mut random: fastrand::Rng, mut phase: watch::Receiver<Phase>) -> Parting {
    let pass = world.pass(&mut random);
    let parting = Parting { is_tab: true, ..Parting::default() };
    let Ok(socket) = dial(&format!("{}&slop_role=provider", world.url(pass))).await else { return parting };
    let mut tab = Tab { socket, pass, parting, subscription: None, version: 1, seq: 0, presses: 0 };
    tab.parting.counts.connects = 1;
    loop {
        let now = *phase.borrow_and_update();
        let pause = Duration::from_millis(random.u64(CHANGES_MS));
        tokio::select! {
            message = tab.socket.next() => match message {
                Some(Ok(Message::Text(text))) => tab.take(text.as_str()).await,
                Some(Ok(Message::Close(frame))) => {
                    if let Some(frame) = frame {
                        *tab.parting.closes.entry(frame.code.into()).or_default() += 1;
                    }
                    break;
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => break,
            },
            () = sleep(pause), if now == Phase::Living => match random.u32(..20) {
                0 => {
                    let _ = timeout(FAREWELL, tab.socket.close(None)).await;
                    break;
                }
                1 => {
                    tab.parting.kills += 1;
                    break;
                }
                _ => tab.change().await,
            },
            changed = phase.changed() => if changed.is_err() || *phase.borrow() == Phase::Checking { break },
        }
    }
    // Those that are there at the end stay until all copies have been compared.
    if *phase.borrow() == Phase::Checking {
        let _ = timeout(FAREWELL, tab.stay()).await;
    }
    tab.parting
}

impl Tab {
    async fn take(&mut self, text: &str) {
        if let Some(owner) = self.pass.secrets().foreign(text) {
            self.parting.problems.push(format!("a tab of {} received a secret of {owner}", self.pass.session()));
        }
        let Ok(message) = serde_json::from_str::<Value>(text) else { return };
        match message["type"].as_str() {
            Some("connect") => {
                let provider = json!({"id": "page", "name": "Page", "slop_version": "0.1", "capabilities": ["state"]});
                self.send(&json!({"type": "hello", "provider": provider})).await;
            }
            Some("subscribe") => {
                self.seq = 0;
                self.subscription = Some(message["id"].clone());
                let tree = self.tree();
                let version = self.version;
                self.send(&json!({"type": "snapshot", "id": message["id"], "version": version, "tree": tree})).await;
            }
            Some("invoke") => {
                self.parting.tab_calls += 1;
                self.presses += 1;
                self.patch().await;
                self.send(&json!({"type": "result", "id": message["id"], "status": "ok"})).await;
            }
            _ => {}
        }
    }

    async fn change(&mut self) {
        self.presses += 1;
        self.patch().await;
    }

    fn tree(&self) -> Value {
        let secret =
            format!("{} {}", Secrets::of_user(&self.pass.user_name()), Secrets::of_session(&self.pass.session()));
        let page = json!({
            "id": "page", "type": "status", "properties": {"presses": self.presses, "secret": secret},
            "affordances": [{"action": "press"}],
        });
        json!({"id": "page-root", "type": "root", "children": [page]})
    }

    async fn patch(&mut self) {
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
        // A socket that fails is noticed when it is read.
        let _ = self.socket.send(Message::text(message.to_string())).await;
    }

    /// Answers, and changes nothing.
    async fn stay(&mut self) {
        while let Some(Ok(_)) = self.socket.next().await {}
    }
}
