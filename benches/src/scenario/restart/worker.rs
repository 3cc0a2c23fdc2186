//! A consumer that adds and toggles tasks, and reconnects whenever it is disconnected.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::ledger::{Ledger, PendingAction};
use super::person::Login;
use super::phase::Phase;
use super::roster::Roster;
use super::worker_outcome::WorkerOutcome;
use crate::scenario::reconnecting_consumer::{Received, ReconnectingConsumer};

/// How many times as often workers act in a burst.
const BURST_FACTOR: u32 = 20;

/// One consumer with one login.
pub(super) struct Worker {
    number: u32,
    login: Login,
    consumer: ReconnectingConsumer,
    ledger: Ledger,
    roster: Arc<Roster>,
    random: fastrand::Rng,
    /// The average time between two actions.
    interval: Duration,
    next_action: Instant,
    pending: Option<PendingAction>,
    actions: u32,
    /// Whether it is connected and has a copy.
    present: bool,
}

impl Worker {
    pub(super) fn new(
        number: u32,
        url: String,
        login: Login,
        roster: Arc<Roster>,
        interval: Duration,
        mut random: fastrand::Rng,
    ) -> Self {
        let next_action = random_time(interval, &mut random);
        Self {
            number,
            login,
            consumer: ReconnectingConsumer::new(url, None),
            ledger: Ledger::default(),
            roster,
            random,
            interval,
            next_action,
            pending: None,
            actions: 0,
            present: false,
        }
    }

    pub(super) async fn run(mut self, mut phase: watch::Receiver<Phase>) -> WorkerOutcome {
        let exact = loop {
            let now = *phase.borrow_and_update();
            if !self.consumer.is_connected() {
                self.reconnect().await;
            } else if now == Phase::Verifying && self.present {
                if let Some(exact) = self.consumer.becomes_exact().await {
                    break exact;
                }
            } else {
                self.wait(now, &mut phase).await;
            }
        };
        self.consumer.close().await;
        self.outcome(exact)
    }

    /// Waits for a message, for the time of the next action, or for the next phase.
    async fn wait(&mut self, now: Phase, phase: &mut watch::Receiver<Phase>) {
        let acts = now.is_acting() && self.present && self.login.writes && self.pending.is_none();
        tokio::select! {
            received = self.consumer.next() => self.receive(received),
            () = sleep_until(self.next_action), if acts => {
                self.act().await;
                self.schedule(now);
            }
            // In a burst the next action does not wait for its time.
            _ = phase.changed() => self.schedule(*phase.borrow()),
        }
    }

    async fn reconnect(&mut self) {
        // Also before the first attempt, so that not all connect at once.
        sleep(self.consumer.backoff.next(&mut self.random)).await;
        // After an error it tries again.
        let _ = self.consumer.connect().await;
    }

    fn schedule(&mut self, phase: Phase) {
        let interval = if phase == Phase::Burst { self.interval / BURST_FACTOR } else { self.interval };
        self.next_action = random_time(interval, &mut self.random);
    }

    async fn act(&mut self) {
        self.actions += 1;
        let toggled = if self.random.bool() { self.ledger.pick(&mut self.random) } else { None };
        let (pending, path, action, params) = match toggled {
            Some((at, id)) => (PendingAction::Toggle(at), format!("/tasks/{id}"), "toggle", json!({})),
            None => {
                let title = format!("restart {} {}", self.number, self.actions);
                // A due task comes first in the list, others last.
                let due = self.random.bool().then_some("2030-01-01");
                let params = json!({"title": title, "due": due});
                (PendingAction::Add(title), "/tasks".to_owned(), "add", params)
            }
        };
        let id = self.actions.to_string();
        let invoke = json!({"type": "invoke", "id": id, "path": path, "action": action, "params": params});
        self.pending = Some(pending);
        self.roster.waiting.fetch_add(1, Ordering::SeqCst);
        self.consumer.send(&invoke).await;
    }

    fn receive(&mut self, received: Received) {
        match received {
            Received::Message(message) => match message["type"].as_str() {
                Some("snapshot" | "resumed") if !self.present => {
                    self.present = true;
                    self.roster.present.fetch_add(1, Ordering::SeqCst);
                }
                Some("result") => self.complete(&message),
                _ => {}
            },
            Received::Closed(_) => {
                if std::mem::take(&mut self.present) {
                    self.roster.present.fetch_sub(1, Ordering::SeqCst);
                }
                if let Some(action) = self.take_pending() {
                    self.ledger.leave_unconfirmed(action);
                }
            }
        }
    }

    /// Records the result of the pending action.
    fn complete(&mut self, result: &Value) {
        let Some(action) = self.take_pending() else { return };
        match (result["status"].as_str(), result["error"]["code"].as_str()) {
            (Some("ok"), _) => self.ledger.acknowledge(action, result["data"]["id"].as_str().unwrap_or_default()),
            (_, Some("busy")) => self.ledger.reject(),
            // The call was cut off at the deadline, and its handler may have finished.
            (_, Some("internal")) => self.ledger.leave_unconfirmed(action),
            _ => self.consumer.problems.push(format!("the result of {action:?} was {result}")),
        }
    }

    fn take_pending(&mut self) -> Option<PendingAction> {
        let action = self.pending.take()?;
        self.roster.waiting.fetch_sub(1, Ordering::SeqCst);
        Some(action)
    }

    fn outcome(self, exact: bool) -> WorkerOutcome {
        let mut problems = self.consumer.problems;
        if !exact {
            problems.push(format!("the copy of consumer {} differs from a fresh query", self.number));
        }
        let (person, counts) = (self.login.person, self.consumer.counts);
        WorkerOutcome { person, ledger: self.ledger, counts, exact, problems }
    }
}

/// A time between now and twice the average interval.
fn random_time(interval: Duration, random: &mut fastrand::Rng) -> Instant {
    Instant::now() + interval.mul_f64(random.f64() * 2.0)
}
