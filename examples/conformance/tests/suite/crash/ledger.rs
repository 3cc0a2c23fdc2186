//! What has to be there of one room.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

use super::server::{ask, read_log};
use super::workers::Acknowledged;

/// What was acknowledged in one room, and what was seen of it.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) room: String,
    pub(crate) agent: &'static str,
    acknowledged: Acknowledged,
    /// Whoever looks again looks at what is new.
    checked_seq: u64,
    epoch: Option<Value>,
    ids: BTreeSet<String>,
    /// The events of runs, by run: their kinds.
    runs: BTreeMap<String, Vec<String>>,
    /// Acknowledged messages that were not seen yet, by number.
    unseen: BTreeMap<u64, String>,
    messages: usize,
}

fn is_terminal(kind: &str) -> bool {
    ["run.done", "run.failed", "run.cancelled", "run.timed_out"].contains(&kind)
}

impl Ledger {
    pub(crate) fn new(room: &str, agent: &'static str) -> Self {
        Self {
            room: room.to_owned(),
            agent,
            acknowledged: Acknowledged::default(),
            checked_seq: 0,
            epoch: None,
            ids: BTreeSet::new(),
            runs: BTreeMap::new(),
            unseen: BTreeMap::new(),
            messages: 0,
        }
    }

    /// This was acknowledged as well.
    pub(crate) fn acknowledged(&mut self, more: Acknowledged) {
        self.messages += more.messages.len();
        self.unseen.extend(more.messages.into_iter().map(|(text, seq)| (seq, text)));
        self.acknowledged.memory.extend(more.memory);
        self.acknowledged.runs.extend(more.runs);
        self.acknowledged.cancelled.extend(more.cancelled);
        self.acknowledged.perhaps_cancelled.extend(more.perhaps_cancelled);
    }

    /// How much was acknowledged.
    pub(crate) fn acknowledgements(&self) -> usize {
        self.messages + self.acknowledged.memory.len() + self.acknowledged.runs.len()
    }

    /// Checks what has happened since the last time.
    pub(crate) async fn check(&mut self, address: SocketAddr) {
        self.read_on(address).await;
        self.check_memory(address).await;
        for run in self.acknowledged.runs.keys() {
            assert!(self.runs.contains_key(run), "{run} was acknowledged");
        }
        for (run, kinds) in &self.runs {
            let ends = kinds.iter().filter(|kind| is_terminal(kind)).count();
            assert!(ends <= 1, "{run} has ended once: {kinds:?}");
            if ends == 0 {
                self.check_goes_on(address, run).await;
            }
        }
    }

    /// Reads the log from where it was read to. All of that is durable: a message behind it was acknowledged.
    async fn read_on(&mut self, address: SocketAddr) {
        let path = format!("/v1/rooms/{}/messages", self.room);
        let (_, said) = ask(address, "POST", &path, &json!({"text": "a check"})).await.unwrap();
        let last = said["seq"].as_u64().unwrap();
        let events = read_log(address, &self.room, self.checked_seq, last).await;
        for event in events.iter().filter(|event| event["seq"].as_u64() <= Some(last)) {
            self.see(event);
        }
        assert_eq!(self.checked_seq, last);
        let missing: Vec<_> = self.unseen.range(..=last).collect();
        assert!(missing.is_empty(), "these were acknowledged: {missing:?}");
    }

    fn see(&mut self, event: &Value) {
        let seq = event["seq"].as_u64().unwrap();
        assert_eq!(
            event["from_seq"].as_u64().unwrap_or(seq),
            self.checked_seq + 1,
            "numbers follow each other: {event}"
        );
        self.checked_seq = seq;
        assert!(self.ids.insert(event["id"].as_str().unwrap().to_owned()), "{event} is there once");
        assert_eq!(*self.epoch.get_or_insert(event["epoch"].clone()), event["epoch"], "no history was lost");
        if let Some(text) = self.unseen.remove(&seq) {
            assert_eq!(event["body"]["text"], text, "number {seq} was acknowledged");
        }
        let kind = event["kind"].as_str().unwrap();
        let Some(run) = event["body"]["run"].as_str().filter(|_| kind.starts_with("run.")) else { return };
        if kind == "run.done" && self.agent == "once" {
            assert_eq!(event["body"]["result"]["count"], 1, "it has acted once: {event}");
        }
        let kinds = self.runs.entry(run.to_owned()).or_default();
        assert!(!kinds.iter().any(|kind| is_terminal(kind)), "nothing follows the end of {run}: {kinds:?}, {event}");
        if kind != "run.chunk" && kind != "run.progress" {
            kinds.push(kind.to_owned());
        }
    }

    async fn check_memory(&mut self, address: SocketAddr) {
        for (key, (version, value)) in std::mem::take(&mut self.acknowledged.memory) {
            let path = format!("/v1/rooms/{}/memory/{key}", self.room);
            let (_, entry) = ask(address, "GET", &path, &Value::Null).await.unwrap();
            let found = entry["version"].as_u64().unwrap_or_else(|| panic!("{key}: {entry}"));
            // A write behind it may have been made and not acknowledged.
            assert!(found > version || (found == version && entry["value"] == value), "{key}: {entry}, not {value}");
        }
    }

    /// A run without an end has one yet to come. It may have ended since the log was read, and so many others with it that it
    /// is shown no more; then [`Ledger::finish`] finds its end.
    async fn check_goes_on(&self, address: SocketAddr, run: &str) {
        let path = format!("/v1/rooms/{}/runs/{run}", self.room);
        let (status, view) = ask(address, "GET", &path, &Value::Null).await.unwrap();
        assert!(matches!(status, 200 | 404), "{run}: {view}");
    }

    /// Waits until all runs have ended, and checks how.
    pub(crate) async fn finish(&mut self, address: SocketAddr) {
        loop {
            self.check(address).await;
            if self.runs.values().all(|kinds| kinds.iter().any(|kind| is_terminal(kind))) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        for run in &self.acknowledged.cancelled {
            assert_eq!(self.runs[run].last().map(String::as_str), Some("run.cancelled"), "{run}");
        }
        for (run, is_delivered) in &self.acknowledged.runs {
            let may_be_cancelled = self.acknowledged.perhaps_cancelled.contains(run);
            let end = self.runs[run].last().map(String::as_str);
            assert!(!is_delivered || may_be_cancelled || end == Some("run.done"), "{run}: {:?}", self.runs[run]);
        }
        // All of it once more, in one go.
        let events = read_log(address, &self.room, 0, self.checked_seq).await;
        let ids: BTreeSet<_> = events.iter().map(|event| event["id"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), events.len(), "nothing is there twice");
        assert!(self.ids.iter().all(|id| ids.contains(id.as_str())), "what was there once is there still");
    }
}
