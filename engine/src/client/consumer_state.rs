//! The state of one consumer.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::{Value, json};

use super::consumer_error::ConsumerError;
use super::message::{Hello, Message, Patch, ProviderError, Snapshot};
use super::message_id::MessageId;
use super::mirror::Mirror;
use super::mirror_error::MirrorError;
use super::node::Node;
use super::received::{Answer, Received};
use super::subscription::Subscription;

/// The state of one consumer, over one connection after another: its subscriptions with their copies, its requests that
/// are not answered, and what is to be sent. It does no IO.
///
/// A transport sends what [`ConsumerState::next_message`] returns and hands in what arrives with
/// [`ConsumerState::receive`]. When its connection is lost it calls [`ConsumerState::disconnect`], and on the next
/// connection [`ConsumerState::resume`].
#[derive(Debug, Clone)]
pub struct ConsumerState {
    hello: Option<Hello>,
    /// What the provider said on the connection before.
    lost: Option<Hello>,
    /// How often `hello` may still come.
    hellos_due: u32,
    /// The version of the last tree that came on this connection.
    version: u64,
    next_id: u64,
    subscriptions: BTreeMap<MessageId, Subscription>,
    /// Queries and calls that are not answered.
    requests: BTreeSet<MessageId>,
    outgoing: VecDeque<String>,
    is_strict: bool,
}

type Taken = Result<Received, ConsumerError>;

impl ConsumerState {
    /// The state of a consumer that is not connected yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            hello: None,
            lost: None,
            hellos_due: 1,
            version: 0,
            next_id: 0,
            subscriptions: BTreeMap::new(),
            requests: BTreeSet::new(),
            outgoing: VecDeque::new(),
            is_strict: false,
        }
    }

    /// A consumer that also refuses what the contract tolerates but no Grove engine sends; see [`Mirror::strict`].
    #[must_use]
    pub fn strict() -> Self {
        Self { is_strict: true, ..Self::new() }
    }

    /// Subscribes with options (`path`, `depth`, `filter`, `max_nodes`, `window`).
    pub fn subscribe(&mut self, options: Value) -> MessageId {
        let id = self.new_id("sub");
        self.send(&with(options, json!({"type": "subscribe", "id": id})));
        id
    }

    /// Ends a subscription, and its copy.
    pub fn unsubscribe(&mut self, id: &MessageId) {
        self.send(&json!({"type": "unsubscribe", "id": id}));
    }

    /// Queries, with the options of a subscription.
    pub fn query(&mut self, options: Value) -> MessageId {
        let id = self.new_id("q");
        self.send(&with(options, json!({"type": "query", "id": id})));
        id
    }

    /// Invokes an action.
    pub fn invoke(&mut self, path: &str, action: &str, params: Value) -> MessageId {
        let id = self.new_id("inv");
        let mut message = json!({"type": "invoke", "id": id, "path": path, "action": action});
        message["params"] = params;
        self.send(&message);
        id
    }

    fn new_id(&mut self, prefix: &str) -> MessageId {
        self.next_id += 1;
        format!("{prefix}-{}", self.next_id).into()
    }

    fn send(&mut self, message: &Value) {
        self.sent(message);
        self.outgoing.push_back(message.to_string());
    }

    /// Takes note of a message that was composed elsewhere and is sent without [`ConsumerState::next_message`].
    pub fn sent(&mut self, message: &Value) {
        match (message["type"].as_str(), MessageId::from_json(&message["id"])) {
            (Some("subscribe"), Some(id)) => self.expect_subscription(id, message),
            (Some("unsubscribe"), Some(id)) => drop(self.subscriptions.remove(&id)),
            (Some("query" | "invoke"), Some(id)) => drop(self.requests.insert(id)),
            (Some("batch"), _) => message["messages"].as_array().into_iter().flatten().for_each(|one| self.sent(one)),
            (Some("connect"), _) if self.hello.is_some() => self.hellos_due += 1,
            _ => {}
        }
    }

    fn expect_subscription(&mut self, id: MessageId, message: &Value) {
        let mut options = message.clone();
        if let Some(fields) = options.as_object_mut() {
            fields.retain(|name, _| !["type", "id", "resume"].contains(&name.as_str()));
        }
        let mirror = if self.is_strict { Mirror::strict() } else { Mirror::new() };
        let known = self.subscriptions.entry(id).or_insert_with(|| Subscription::new(options.clone(), mirror));
        known.asked = Some(options);
    }

    /// The next message to send.
    pub fn next_message(&mut self) -> Option<String> {
        self.outgoing.pop_front()
    }

    /// Takes a message, and says what it meant.
    ///
    /// # Errors
    /// If it breaks the protocol.
    pub fn receive(&mut self, message: Message) -> Taken {
        if self.is_strict && self.hello.is_none() && !matches!(message, Message::Hello(_)) {
            return Err(ConsumerError::HelloExpected);
        }
        match message {
            Message::Hello(hello) => self.greeted(hello),
            Message::Snapshot(snapshot) => self.snapshot(snapshot),
            Message::Patch(patch) => self.patch(patch),
            Message::Resumed { id, version, seq } => self.resumed(id, version, seq),
            Message::Result { id, outcome } => Ok(self.answered(id, Answer::Outcome(outcome))),
            Message::Error { id: Some(id), error } => Ok(self.failed(id, error)),
            Message::Error { id: None, error } => Ok(Received::Error(error)),
            Message::Event { name, data } => Ok(Received::Event { name, data }),
            Message::Batch(messages) => {
                let each = messages.into_iter().map(|message| self.receive(message));
                Ok(Received::Batch(each.collect::<Result<_, _>>()?))
            }
            Message::Unknown(_) => Ok(Received::Ignored),
        }
    }

    fn greeted(&mut self, hello: Hello) -> Taken {
        if self.is_strict && self.hellos_due == 0 {
            return Err(ConsumerError::SecondHello);
        }
        self.hellos_due = self.hellos_due.saturating_sub(1);
        let epoch = self.lost.as_ref().and_then(|lost| lost.epoch.as_ref());
        if self.hello.is_none() && (epoch.is_none() || epoch != hello.epoch.as_ref()) {
            // Another provider, or one that counts anew.
            self.version = 0;
            self.subscriptions.values_mut().for_each(|subscription| subscription.mirror.start_epoch());
        }
        self.hello = Some(hello);
        Ok(Received::Hello)
    }

    fn snapshot(&mut self, snapshot: Snapshot) -> Taken {
        self.take_version(snapshot.version)?;
        let id = snapshot.id.clone();
        let is_answer = snapshot.seq.is_none() && self.requests.contains(&id);
        match self.subscriptions.get_mut(&id).filter(|_| !is_answer) {
            Some(subscription) => {
                fits(&id, subscription.mirror.snapshot(snapshot))?;
                subscription.confirm();
                Ok(Received::Snapshot(id))
            }
            None if snapshot.seq.is_some() => self.unknown(id),
            None => Ok(self.answered(id, Answer::Tree(snapshot.tree, snapshot.version))),
        }
    }

    fn patch(&mut self, patch: Patch) -> Taken {
        self.take_version(patch.version)?;
        let id = patch.subscription.clone();
        let Some(subscription) = self.subscriptions.get_mut(&id) else { return self.unknown(id) };
        fits(&id, subscription.mirror.patch(patch))?;
        Ok(Received::Patched(id))
    }

    fn resumed(&mut self, id: MessageId, version: u64, seq: u64) -> Taken {
        let Some(subscription) = self.subscriptions.get_mut(&id) else { return self.unknown(id) };
        fits(&id, subscription.mirror.resumed(version, seq))?;
        subscription.confirm();
        Ok(Received::Resumed(id))
    }

    fn answered(&mut self, id: MessageId, answer: Answer) -> Received {
        self.requests.remove(&id);
        Received::Answer(id, answer)
    }

    fn failed(&mut self, id: MessageId, error: ProviderError) -> Received {
        if self.requests.contains(&id) {
            return self.answered(id, Answer::Error(error));
        }
        let Some(subscription) = self.subscriptions.get_mut(&id) else {
            return Received::Answer(id, Answer::Error(error));
        };
        let was_asked = subscription.asked.is_some();
        if was_asked && error.code != "too_large" {
            subscription.asked = None;
            // What was subscribed under this id goes on, unless its successor was begun and found nothing.
            if !subscription.is_active || error.code == "not_found" {
                self.subscriptions.remove(&id);
            }
            return Received::Refused(id, error);
        }
        subscription.confirm();
        subscription.mirror.absent();
        Received::Absent(id, error)
    }

    fn unknown(&self, id: MessageId) -> Taken {
        // Messages of a subscription that was just ended may be on their way.
        if self.is_strict { Err(ConsumerError::UnknownSubscription(id)) } else { Ok(Received::Ignored) }
    }

    const fn take_version(&mut self, version: u64) -> Result<(), ConsumerError> {
        if version < self.version {
            return Err(ConsumerError::VersionDecreased { from: self.version, to: version });
        }
        self.version = version;
        Ok(())
    }

    /// The connection is lost: copies stay, what was not sent is not sent any more, and the requests that this returns
    /// will not be answered.
    pub fn disconnect(&mut self) -> Vec<MessageId> {
        self.lost = self.hello.take().or_else(|| self.lost.take());
        self.hellos_due = 1;
        self.outgoing.clear();
        self.subscriptions.values_mut().for_each(Subscription::disconnect);
        std::mem::take(&mut self.requests).into_iter().collect()
    }

    /// Subscribes again to everything, on a new connection, and says where each copy stands. `replaces` names the
    /// connection that is lost, in case the provider has not noticed: see [`ConsumerState::lost`].
    pub fn resume(&mut self, replaces: Option<&str>) {
        let epoch = self.lost.as_ref().and_then(|lost| lost.epoch.clone());
        let again = self.subscriptions.iter().map(|(id, subscription)| {
            let mut message = with(subscription.options.clone(), json!({"type": "subscribe", "id": id}));
            if let Some(epoch) = epoch.as_ref().filter(|_| subscription.mirror.is_resumable()) {
                message["resume"] = json!({"epoch": epoch, "version": subscription.version()});
                if let Some(replaces) = replaces {
                    message["resume"]["connection"] = replaces.into();
                }
            }
            message
        });
        for message in again.collect::<Vec<_>>() {
            self.send(&message);
        }
    }

    /// What the provider said first on this connection.
    #[must_use]
    pub const fn hello(&self) -> Option<&Hello> {
        self.hello.as_ref()
    }

    /// What the provider said first on the connection before.
    #[must_use]
    pub const fn lost(&self) -> Option<&Hello> {
        self.lost.as_ref()
    }

    /// The subscriptions by their ids.
    pub fn subscriptions(&self) -> impl Iterator<Item = (&MessageId, &Subscription)> {
        self.subscriptions.iter()
    }

    /// A subscription.
    #[must_use]
    pub fn subscription(&self, id: &MessageId) -> Option<&Subscription> {
        self.subscriptions.get(id)
    }

    /// The copy of a subscription; `None` while there is nothing to show.
    #[must_use]
    pub fn tree(&self, id: &MessageId) -> Option<&Node> {
        self.subscriptions.get(id)?.tree()
    }

    /// Whether a query or call is not answered yet.
    #[must_use]
    pub fn is_pending(&self, id: &MessageId) -> bool {
        self.requests.contains(id)
    }
}

impl Default for ConsumerState {
    fn default() -> Self {
        Self::new()
    }
}

fn fits(id: &MessageId, taken: Result<(), MirrorError>) -> Result<(), ConsumerError> {
    taken.map_err(|error| ConsumerError::Mirror(id.clone(), error))
}

fn with(mut options: Value, more: Value) -> Value {
    if let (Some(options), Value::Object(more)) = (options.as_object_mut(), more) {
        options.extend(more);
    }
    options
}
