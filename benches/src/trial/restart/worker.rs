//! One consumer that adds and ticks tasks, and comes back whenever it is cut off.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::desk::Login;
use super::ledger::{Asked, Ledger};
use crate::trial::visitor::{Counts, Heard, Visitor};

/// How many times as often everybody acts while the server is being ended.
const RUSH: u32 = 20;

/// What everybody is to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Gathering,
    Acting,
    /// The server is being ended: everybody acts many times as often, so that much is on its way.
    Rushing,
    /// Nobody begins anything.
    Resting,
    /// Each compares its copy with a fresh query, and leaves.
    Checking,
}

/// How many do what.
#[derive(Debug, Default)]
pub(super) struct Stage {
    /// Who is connected and has a copy.
    pub(super) present: AtomicU32,
    /// Who waits for the answer to an action.
    pub(super) waiting: AtomicU32,
}

/// What became of a consumer.
pub(super) struct Outcome {
    pub(super) person: String,
    pub(super) ledger: Ledger,
    pub(super) counts: Counts,
    /// Whether its copy equalled a fresh query.
    pub(super) exact: bool,
    pub(super) problems: Vec<String>,
}

pub(super) struct Worker {
    number: u32,
    login: Login,
    visitor: Visitor,
    ledger: Ledger,
    random: fastrand::Rng,
    every: Duration,
    next_action: Instant,
    asked: Option<Asked>,
    actions: u32,
    present: bool,
}

impl Worker {
    pub(super) fn new(number: u32, url: String, login: Login, every: Duration, mut random: fastrand::Rng) -> Self {
        let next_action = soon(every, &mut random);
        Self {
            number,
            login,
            visitor: Visitor::new(url, None),
            ledger: Ledger::default(),
            random,
            every,
            next_action,
            asked: None,
            actions: 0,
            present: false,
        }
    }

    pub(super) async fn run(mut self, stage: Arc<Stage>, mut phase: watch::Receiver<Phase>) -> Outcome {
        let mut exact = None;
        while exact.is_none() {
            let now = *phase.borrow_and_update();
            if !self.visitor.is_connected() {
                self.come_back().await;
            } else if now == Phase::Checking && self.present {
                exact = self.visitor.shows_the_truth().await;
            } else {
                let acting = matches!(now, Phase::Acting | Phase::Rushing);
                let acts = acting && self.present && self.login.writes && self.asked.is_none();
                tokio::select! {
                    heard = self.visitor.next() => self.hear(heard, &stage),
                    () = sleep_until(self.next_action), if acts => {
                        self.act(&stage).await;
                        self.next_action = soon(self.pause(now), &mut self.random);
                    }
                    // In a rush the next action does not wait for its time.
                    _ = phase.changed() => self.next_action = soon(self.pause(*phase.borrow()), &mut self.random),
                }
            }
        }
        self.visitor.leave().await;
        let mut problems = std::mem::take(&mut self.visitor.problems);
        if exact == Some(false) {
            problems.push(format!("the copy of consumer {} differs from a fresh query", self.number));
        }
        Outcome {
            person: self.login.person,
            ledger: self.ledger,
            counts: self.visitor.counts,
            exact: exact == Some(true),
            problems,
        }
    }

    async fn come_back(&mut self) {
        // Also at the very first time, so that they do not all come at once.
        sleep(self.visitor.backoff.next(&mut self.random)).await;
        // Whoever does not get in tries again.
        let _ = self.visitor.connect().await;
    }

    /// The average time between two actions.
    fn pause(&self, phase: Phase) -> Duration {
        if phase == Phase::Rushing { self.every / RUSH } else { self.every }
    }

    async fn act(&mut self, stage: &Stage) {
        self.actions += 1;
        let tick = if self.random.bool() { self.ledger.pick(&mut self.random) } else { None };
        let (asked, path, action, params) = match tick {
            Some((at, id)) => (Asked::Tick(at), format!("/tasks/{id}"), "toggle", json!({})),
            None => {
                let title = format!("restart {} {}", self.number, self.actions);
                // With a day it stands among the first tasks, without one behind them.
                let due = self.random.bool().then_some("2030-01-01");
                (Asked::Add(title.clone()), "/tasks".to_owned(), "add", json!({"title": title, "due": due}))
            }
        };
        let id = self.actions.to_string();
        let invoke = json!({"type": "invoke", "id": id, "path": path, "action": action, "params": params});
        self.asked = Some(asked);
        stage.waiting.fetch_add(1, Ordering::SeqCst);
        self.visitor.send(&invoke).await;
    }

    fn hear(&mut self, heard: Heard, stage: &Stage) {
        match heard {
            Heard::Message(message) => match message["type"].as_str() {
                Some("snapshot" | "resumed") if !self.present => {
                    self.present = true;
                    stage.present.fetch_add(1, Ordering::SeqCst);
                }
                Some("result") => self.settle(&message, stage),
                _ => {}
            },
            Heard::Closed(_) => {
                if std::mem::take(&mut self.present) {
                    stage.present.fetch_sub(1, Ordering::SeqCst);
                }
                if let Some(asked) = self.asked.take() {
                    self.ledger.doubt(asked);
                    stage.waiting.fetch_sub(1, Ordering::SeqCst);
                }
            }
        }
    }

    fn settle(&mut self, result: &Value, stage: &Stage) {
        let Some(asked) = self.asked.take() else { return };
        stage.waiting.fetch_sub(1, Ordering::SeqCst);
        match (result["status"].as_str(), result["error"]["code"].as_str()) {
            (Some("ok"), _) => self.ledger.acknowledge(asked, result["data"]["id"].as_str().unwrap_or_default()),
            (_, Some("busy")) => self.ledger.refuse(),
            // Cut off at the deadline: the handler may have come through.
            (_, Some("internal")) => self.ledger.doubt(asked),
            _ => self.visitor.problems.push(format!("{asked:?} was answered {result}")),
        }
    }
}

/// Between none and twice the average.
fn soon(every: Duration, random: &mut fastrand::Rng) -> Instant {
    Instant::now() + every.mul_f64(random.f64() * 2.0)
}
