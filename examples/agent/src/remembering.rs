//! A transport with a memory: who connects over it again goes on from the copy that it had.
//!
//! The crate's consumer knows nothing of resuming. So its subscription is completed on the way out, with where the copy
//! stood, and `resumed` becomes the snapshot that it waits for on the way in, made of the copy.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use slop_ai::{ClientTransport, PatchOp, SlopError, SlopNode, StateMirror};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time;

/// The crate's consumer keeps no copy until a moment after its snapshot; a patch before that would be lost.
const MIRROR_MADE: Duration = Duration::from_millis(50);

type Channels = (UnboundedSender<Value>, UnboundedReceiver<Value>);
type Connecting = Pin<Box<dyn Future<Output = Result<Channels, SlopError>> + Send>>;

/// Makes connections that remember their first subscription.
pub(crate) struct Remembering<T> {
    under: T,
    memory: Arc<Mutex<Memory>>,
}

impl<T> Remembering<T> {
    pub(crate) fn over(under: T) -> Self {
        Self { under, memory: Arc::default() }
    }
}

impl<T: ClientTransport> ClientTransport for Remembering<T> {
    #[expect(clippy::disallowed_methods, reason = "the crate's transports are made of channels without a bound")]
    fn connect(&self) -> Connecting {
        let (connecting, memory) = (self.under.connect(), Arc::clone(&self.memory));
        Box::pin(async move {
            let (to_provider, from_provider) = connecting.await?;
            let (to_consumer, news) = unbounded_channel();
            let (requests, from_consumer) = unbounded_channel();
            memory.lock().unwrap_or_else(PoisonError::into_inner).lost();
            tokio::spawn(send(Arc::clone(&memory), from_consumer, to_provider));
            tokio::spawn(receive(memory, from_provider, to_consumer));
            Ok((requests, news))
        })
    }
}

async fn send(memory: Arc<Mutex<Memory>>, mut from: UnboundedReceiver<Value>, to: UnboundedSender<Value>) {
    while let Some(mut message) = from.recv().await {
        if message["type"] == "subscribe" {
            memory.lock().unwrap_or_else(PoisonError::into_inner).complete(&mut message);
        }
        if to.send(message).is_err() {
            return;
        }
    }
}

async fn receive(memory: Arc<Mutex<Memory>>, mut from: UnboundedReceiver<Value>, to: UnboundedSender<Value>) {
    while let Some(message) = from.recv().await {
        let resumed = message["type"] == "resumed";
        let told = memory.lock().unwrap_or_else(PoisonError::into_inner).learn(message);
        if to.send(told).is_err() {
            return;
        }
        if resumed {
            time::sleep(MIRROR_MADE).await;
        }
    }
}

/// What outlives a connection.
#[derive(Default)]
struct Memory {
    /// What the provider said of itself and of the connection, now and before the loss.
    greeting: Value,
    greeting_before: Value,
    copy: Option<Copy>,
}

/// The copy of what is subscribed to.
struct Copy {
    /// The subscription as it was asked for, without what was added to it.
    wish: Value,
    /// Absent until a snapshot came, and after a gap.
    mirror: Option<StateMirror>,
}

impl Memory {
    fn lost(&mut self) {
        self.greeting_before = std::mem::take(&mut self.greeting);
    }

    /// Adds to a subscription where its copy stood, if it is the one that is remembered.
    fn complete(&mut self, subscribe: &mut Value) {
        let known = self.copy.as_ref().filter(|copy| copy.wish == *subscribe);
        let Some(mirror) = known.and_then(|copy| copy.mirror.as_ref()) else {
            self.copy = Some(Copy { wish: subscribe.clone(), mirror: None });
            return;
        };
        let before = &self.greeting_before["provider"];
        if before["epoch"].is_string() && before["epoch"] == self.greeting["provider"]["epoch"] {
            subscribe["resume"] = json!({"epoch": before["epoch"], "version": mirror.version()});
            if before["connection"].is_string() {
                subscribe["resume"]["connection"] = before["connection"].clone();
            }
        }
    }

    /// Keeps the copy up to date. Answers what the consumer is told.
    fn learn(&mut self, message: Value) -> Value {
        if message["type"] == "hello" {
            self.greeting = message.clone();
        }
        let Some(Copy { wish, mirror }) = &mut self.copy else { return message };
        let number = |name: &str| message[name].as_u64();
        match message["type"].as_str() {
            Some("snapshot") if message["id"] == wish["id"] => {
                let tree: Option<SlopNode> = serde_json::from_value(message["tree"].clone()).ok();
                *mirror = tree.map(|tree| StateMirror::new(tree, number("version").unwrap_or(0)));
            }
            Some("patch") if message["subscription"] == wish["id"] => {
                let ops: Option<Vec<PatchOp>> = serde_json::from_value(message["ops"].clone()).ok();
                let patched = mirror.as_mut().zip(ops).zip(number("version").zip(number("seq")));
                let fits = patched.is_some_and(|((mirror, ops), (version, seq))| {
                    mirror.apply_patch_with_seq(&ops, version, seq).is_ok()
                });
                if !fits {
                    *mirror = None;
                }
            }
            Some("resumed") if message["id"] == wish["id"] => return as_snapshot(&message, mirror),
            Some("error") if message["id"] == wish["id"] => *mirror = None,
            _ => {}
        }
        message
    }
}

/// What says that the copy stands, as a snapshot of the copy.
fn as_snapshot(resumed: &Value, mirror: &mut Option<StateMirror>) -> Value {
    let Some(kept) = mirror else { return resumed.clone() };
    *kept = StateMirror::new(kept.tree().clone(), kept.version());
    json!({"type": "snapshot", "id": resumed["id"], "version": kept.version(), "seq": 0, "tree": kept.tree()})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscribe() -> Value {
        json!({"type": "subscribe", "id": "sub-1", "path": "/", "depth": -1})
    }

    fn hello(epoch: &str, connection: &str) -> Value {
        json!({"type": "hello", "provider": {"epoch": epoch, "connection": connection}})
    }

    /// A memory of a tree at version 5, with one patch since its snapshot.
    fn remembered() -> Memory {
        let mut memory = Memory::default();
        memory.learn(hello("e", "c1"));
        memory.complete(&mut subscribe());
        let tree = json!({"id": "r", "type": "root", "properties": {"n": 1}});
        memory.learn(json!({"type": "snapshot", "id": "sub-1", "version": 4, "seq": 0, "tree": tree}));
        let ops = json!([{"op": "replace", "path": "/properties/n", "value": 2}]);
        memory.learn(json!({"type": "patch", "subscription": "sub-1", "version": 5, "seq": 1, "ops": ops}));
        memory
    }

    fn asked_again(memory: &mut Memory, epoch: &str) -> Value {
        memory.lost();
        memory.learn(hello(epoch, "c2"));
        let mut message = subscribe();
        memory.complete(&mut message);
        message["resume"].clone()
    }

    #[test]
    fn a_second_connection_says_where_the_copy_stood_and_which_one_it_replaces() {
        let mut memory = remembered();
        assert_eq!(asked_again(&mut memory, "e"), json!({"epoch": "e", "version": 5, "connection": "c1"}));
    }

    #[test]
    fn what_stands_is_a_snapshot_of_the_copy_and_patches_go_on() {
        let mut memory = remembered();
        asked_again(&mut memory, "e");
        let told = memory.learn(json!({"type": "resumed", "id": "sub-1", "version": 5, "seq": 0}));
        assert_eq!((told["type"].as_str(), told["seq"].as_u64()), (Some("snapshot"), Some(0)));
        assert_eq!(told["tree"]["properties"]["n"], 2);
        memory.learn(json!({"type": "patch", "subscription": "sub-1", "version": 9, "seq": 1, "ops": []}));
        assert_eq!(asked_again(&mut memory, "e")["version"], 9);
    }

    #[test]
    fn nothing_is_claimed_of_another_provider_or_of_a_copy_that_is_not_exact() {
        assert_eq!(asked_again(&mut remembered(), "another"), Value::Null);
        let mut memory = remembered();
        memory.learn(json!({"type": "patch", "subscription": "sub-1", "version": 9, "seq": 7, "ops": []}));
        assert_eq!(asked_again(&mut memory, "e"), Value::Null);
        let mut memory = remembered();
        memory.learn(json!({"type": "error", "id": "sub-1", "error": {"code": "not_found"}}));
        assert_eq!(asked_again(&mut memory, "e"), Value::Null);
    }
}
