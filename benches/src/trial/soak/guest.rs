//! A consumer that does at random what consumers do, and what happens to them.

use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;
use tokio::time::sleep;

use super::Phase;
use super::tally::Parting;
use super::world::World;
use crate::trial::visitor::{Away, Heard, Visitor};

/// How long a guest reads between two things it does, in ms.
const READS_MS: std::ops::Range<u64> = 50..2_000;

/// How long a guest stalls, in ms: some so long that the server gives them up.
const STALLS_MS: std::ops::Range<u64> = 200..9_000;

/// How many trees it asks for before it stalls: more than the kernels' buffers hold.
const UNREAD: u32 = 150;

/// How often a guest whose connection does not stand tries at the end.
const LAST_ATTEMPTS: u32 = 30;

pub(super) struct Guest {
    visitor: Visitor,
    random: fastrand::Rng,
    parting: Parting,
    calls: u64,
}

/// What a guest does next.
enum Deed {
    Call,
    CallTab,
    Stall,
    Kill,
    Subscribe,
    Leave,
}

impl Guest {
    pub(super) fn new(world: &World, mut random: fastrand::Rng) -> Self {
        let pass = world.pass(&mut random);
        let visitor = Visitor::new(world.url(pass), Some(pass.secrets()));
        Self { visitor, random, parting: Parting::default(), calls: 0 }
    }

    /// Lives until it leaves, its session is over, or all is checked.
    pub(super) async fn live(mut self, mut phase: watch::Receiver<Phase>) -> Parting {
        loop {
            let now = *phase.borrow_and_update();
            if now == Phase::Checking {
                self.check().await;
                break;
            }
            if !self.visitor.is_connected() {
                if self.come_back().await == Err(Away::Refused(401)) {
                    break;
                }
                continue;
            }
            let reads = Duration::from_millis(self.random.u64(READS_MS));
            tokio::select! {
                heard = self.visitor.next() => if self.is_over(heard) { break },
                () = sleep(reads), if now == Phase::Living => if !self.act().await { break },
                _ = phase.changed() => {}
            }
        }
        self.visitor.leave().await;
        self.parting.counts = self.visitor.counts;
        self.parting.problems = self.visitor.problems;
        self.parting
    }

    async fn come_back(&mut self) -> Result<(), Away> {
        sleep(self.visitor.backoff.next(&mut self.random)).await;
        self.visitor.connect().await
    }

    /// Whether what was heard ends this guest: its session has ended.
    fn is_over(&mut self, heard: Heard) -> bool {
        match heard {
            Heard::Message(message) => {
                let refused = message["type"] == "error" || message["type"] == "result" && message["status"] != "ok";
                if refused {
                    self.judge(&message["error"]["code"]);
                }
                false
            }
            Heard::Closed(code) => {
                if let Some(code) = code {
                    *self.parting.closes.entry(code).or_default() += 1;
                }
                matches!(code, Some(4401 | 1008 | 1000))
            }
        }
    }

    /// A call may fail because its tab has gone, and a call or a question because the session or the server goes; for
    /// nothing else here.
    fn judge(&mut self, code: &serde_json::Value) {
        if !matches!(code.as_str(), Some("not_found" | "internal" | "busy")) {
            self.visitor.problems.push(format!("a request was answered {code}"));
        }
    }

    fn next_deed(&mut self) -> Deed {
        match self.random.u32(..100) {
            0..60 => Deed::Call,
            60..72 => Deed::CallTab,
            72..75 => Deed::Stall,
            75..84 => Deed::Kill,
            84..94 => Deed::Subscribe,
            _ => Deed::Leave,
        }
    }

    /// Does one thing. False if that was to leave.
    async fn act(&mut self) -> bool {
        match self.next_deed() {
            Deed::Call => self.call("/notes", "bump").await,
            Deed::CallTab => self.call("/ui/tab-1/page", "press").await,
            Deed::Stall => {
                self.parting.stalls += 1;
                // Questions whose answers it does not take, so that the server runs into a full socket.
                for number in 0..UNREAD {
                    let query = json!({"type": "query", "id": format!("unread-{number}"), "path": "/", "depth": -1});
                    self.visitor.send(&query).await;
                }
                sleep(Duration::from_millis(self.random.u64(STALLS_MS))).await;
            }
            Deed::Kill => {
                self.parting.kills += 1;
                self.visitor.drop_socket();
            }
            // The same id again: the subscription starts anew.
            Deed::Subscribe => {
                let again = json!({"type": "subscribe", "id": "all", "path": "/", "depth": -1});
                self.visitor.send(&again).await;
            }
            Deed::Leave => return false,
        }
        true
    }

    async fn call(&mut self, path: &str, action: &str) {
        self.calls += 1;
        self.parting.calls += 1;
        let id = format!("call-{}", self.calls);
        self.visitor.send(&json!({"type": "invoke", "id": id, "path": path, "action": action, "params": {}})).await;
    }

    async fn check(&mut self) {
        for _ in 0..LAST_ATTEMPTS {
            if !self.visitor.is_connected() && self.come_back().await == Err(Away::Refused(401)) {
                return;
            }
            if self.visitor.is_connected()
                && let Some(exact) = self.visitor.shows_the_truth().await
            {
                self.parting.exact = Some(exact);
                if !exact {
                    self.visitor.problems.push("a copy differs from a fresh query".to_owned());
                }
                return;
            }
        }
        self.visitor.problems.push("a consumer could not come back".to_owned());
    }
}
