//! A consumer that acts at random: it calls, stalls, loses its socket, subscribes again, and disconnects.

use std::ops::Range;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::sleep;

use super::participant_report::ParticipantReport;
use super::phase::Phase;
use super::room_calls::{RoomCall, random_call};
use super::room_logs::RoomLogs;
use super::session_pool::SessionPool;
use crate::scenario::reconnecting_consumer::{Received, ReconnectingConsumer};
use crate::websocket::ConnectError;

/// How long it reads between two actions, in ms.
const READ_MS: Range<u64> = 50..2_000;

/// How long it stalls, in ms: sometimes so long that the server closes the connection.
const STALL_MS: Range<u64> = 200..9_000;

/// How many trees it requests before it stalls: more than the kernel buffers hold.
const UNREAD_QUERIES: u32 = 150;

/// How the ids of calls in rooms begin.
const IN_ROOM: &str = "room-";

/// How often it tries to connect at the end.
const LAST_ATTEMPTS: u32 = 30;

/// The server does not accept the token: the session has ended.
const UNAUTHORIZED: ConnectError = ConnectError::Refused(401);

/// Close codes after which a consumer does not reconnect: its session has ended, or the server no longer wants it.
const FINAL_CODES: [u16; 3] = [4401, 1008, 1000];

/// One consumer with one session.
pub(super) struct RandomConsumer {
    consumer: ReconnectingConsumer,
    logs: RoomLogs,
    random: fastrand::Rng,
    report: ParticipantReport,
}

/// What a consumer does next.
enum Step {
    Call,
    InRoom,
    CallTab,
    Stall,
    DropSocket,
    Subscribe,
    Disconnect,
}

impl RandomConsumer {
    pub(super) fn new(sessions: &SessionPool, mut random: fastrand::Rng) -> Self {
        let token = sessions.pick(&mut random);
        let consumer = ReconnectingConsumer::new(sessions.url(token), Some(token.secrets()));
        let logs = RoomLogs::new(token.user_name());
        Self { consumer, logs, random, report: ParticipantReport::default() }
    }

    /// Runs until it disconnects, its session has ended, or its copy is verified.
    pub(super) async fn run(mut self, mut phase: watch::Receiver<Phase>) -> ParticipantReport {
        loop {
            let now = *phase.borrow_and_update();
            if now == Phase::Verifying {
                self.verify().await;
                break;
            }
            if !self.consumer.is_connected() {
                if self.reconnect().await == Err(UNAUTHORIZED) {
                    break;
                }
                continue;
            }
            let pause = Duration::from_millis(self.random.u64(READ_MS));
            tokio::select! {
                received = self.consumer.next() => if self.is_final(received) { break },
                () = sleep(pause), if now == Phase::Active => if !self.step().await { break },
                _ = phase.changed() => {}
            }
        }
        self.consumer.close().await;
        self.report.counts = self.consumer.counts;
        (self.report.room_events, self.report.room_gaps) = (self.logs.events, self.logs.gaps);
        self.report.problems = self.consumer.problems;
        self.report
    }

    async fn reconnect(&mut self) -> Result<(), ConnectError> {
        sleep(self.consumer.backoff.next(&mut self.random)).await;
        self.logs.begin();
        self.consumer.connect().await
    }

    /// Whether the consumer does not continue after this.
    fn is_final(&mut self, received: Received) -> bool {
        match received {
            Received::Message(message) => {
                let failed = message["type"] == "error"
                    || message["type"] == "result" && !(message["status"] == "ok" || message["status"] == "accepted");
                if failed {
                    let in_room = message["id"].as_str().is_some_and(|id| id.starts_with(IN_ROOM));
                    self.expect_known_code(&message["error"]["code"], in_room);
                }
                self.consumer.problems.extend(self.logs.take(&message).err());
                false
            }
            Received::Closed(code) => {
                code.into_iter().for_each(|code| self.report.count_close(code));
                code.is_some_and(|code| FINAL_CODES.contains(&code))
            }
        }
    }

    /// A call may fail because its tab is gone, and any request because the session or the server ends. Nothing else
    /// may fail here. In a room, somebody else may have been faster, or have the right to it.
    fn expect_known_code(&mut self, code: &Value, in_room: bool) {
        let is_expected = match code.as_str() {
            Some("not_found" | "internal" | "busy") => true,
            Some("conflict" | "unauthorized") => in_room,
            _ => false,
        };
        if !is_expected {
            self.consumer.problems.push(format!("a request failed with the unexpected code {code}"));
        }
    }

    fn next_step(&mut self) -> Step {
        match self.random.u32(..100) {
            0..30 => Step::Call,
            30..60 => Step::InRoom,
            60..72 => Step::CallTab,
            72..75 => Step::Stall,
            75..84 => Step::DropSocket,
            84..94 => Step::Subscribe,
            _ => Step::Disconnect,
        }
    }

    /// Takes one random step. Returns false if that was to disconnect.
    async fn step(&mut self) -> bool {
        match self.next_step() {
            Step::Call => self.call("/notes", "bump").await,
            Step::InRoom => self.act_in_room().await,
            Step::CallTab => self.call("/ui/tab-1/page", "press").await,
            Step::Stall => self.stall().await,
            Step::DropSocket => {
                self.report.kills += 1;
                self.consumer.drop_socket();
            }
            // The same id again, which restarts the subscription.
            Step::Subscribe => {
                let again = json!({"type": "subscribe", "id": "all", "path": "/", "depth": -1});
                self.consumer.send(&again).await;
            }
            Step::Disconnect => return false,
        }
        true
    }

    async fn call(&mut self, path: &str, action: &str) {
        self.report.calls += 1;
        let id = format!("call-{}", self.report.calls);
        self.consumer.send(&json!({"type": "invoke", "id": id, "path": path, "action": action, "params": {}})).await;
    }

    async fn act_in_room(&mut self) {
        self.report.room_calls += 1;
        let call = random_call(&mut self.random, &self.logs);
        let id = format!("{IN_ROOM}{}", self.report.room_calls);
        let RoomCall { path, action, params } = call;
        self.consumer
            .send(&json!({"type": "invoke", "id": id, "path": path, "action": action, "params": params}))
            .await;
    }

    /// Sends queries and does not read the replies, so that the server writes to a full socket.
    async fn stall(&mut self) {
        self.report.stalls += 1;
        for number in 0..UNREAD_QUERIES {
            let query = json!({"type": "query", "id": format!("unread-{number}"), "path": "/", "depth": -1});
            self.consumer.send(&query).await;
        }
        sleep(Duration::from_millis(self.random.u64(STALL_MS))).await;
    }

    /// Compares the copy with a fresh query, after reconnecting if necessary.
    async fn verify(&mut self) {
        for _ in 0..LAST_ATTEMPTS {
            if !self.consumer.is_connected() && self.reconnect().await == Err(UNAUTHORIZED) {
                return;
            }
            if self.consumer.is_connected()
                && let Some(exact) = self.consumer.becomes_exact().await
            {
                self.report.exact = Some(exact);
                if !exact {
                    self.consumer.problems.push("a copy differs from a fresh query".to_owned());
                }
                return;
            }
        }
        self.consumer.problems.push(format!("a consumer could not reconnect in {LAST_ATTEMPTS} attempts"));
    }
}
