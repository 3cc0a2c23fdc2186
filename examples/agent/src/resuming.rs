//! A transport that resumes: a consumer that connects over it again continues from the copy that it had.
//!
//! The crate's consumer cannot resume. So its subscription is completed on the way out, with the copy's resume point, and
//! `resumed` is replaced on the way in by the snapshot for which the consumer waits, made from the copy.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use slop_ai::{ClientTransport, PatchOp, SlopError, SlopNode, StateMirror};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time;

/// The crate's consumer has no copy until a moment after its snapshot; an earlier patch would be lost.
const MIRROR_DELAY: Duration = Duration::from_millis(50);

type Channels = (UnboundedSender<Value>, UnboundedReceiver<Value>);
type Connecting = Pin<Box<dyn Future<Output = Result<Channels, SlopError>> + Send>>;

/// Makes connections that resume the subscription of the previous one.
pub(crate) struct Resuming<T> {
    transport: T,
    memory: Arc<Mutex<Memory>>,
}

impl<T> Resuming<T> {
    pub(crate) fn over(transport: T) -> Self {
        Self { transport, memory: Arc::default() }
    }
}

impl<T: ClientTransport> ClientTransport for Resuming<T> {
    #[expect(clippy::disallowed_methods, reason = "the crate's transports are made of channels without a bound")]
    fn connect(&self) -> Connecting {
        let (connecting, memory) = (self.transport.connect(), Arc::clone(&self.memory));
        Box::pin(async move {
            let (to_provider, from_provider) = connecting.await?;
            let (to_consumer, replies) = unbounded_channel();
            let (requests, from_consumer) = unbounded_channel();
            memory.lock().unwrap_or_else(PoisonError::into_inner).disconnected();
            tokio::spawn(send(Arc::clone(&memory), from_consumer, to_provider));
            tokio::spawn(receive(memory, from_provider, to_consumer));
            Ok((requests, replies))
        })
    }
}

async fn send(memory: Arc<Mutex<Memory>>, mut from: UnboundedReceiver<Value>, to: UnboundedSender<Value>) {
    while let Some(mut message) = from.recv().await {
        if message["type"] == "subscribe" {
            memory.lock().unwrap_or_else(PoisonError::into_inner).add_resume_point(&mut message);
        }
        if to.send(message).is_err() {
            return;
        }
    }
}

async fn receive(memory: Arc<Mutex<Memory>>, mut from: UnboundedReceiver<Value>, to: UnboundedSender<Value>) {
    while let Some(message) = from.recv().await {
        let resumed = message["type"] == "resumed";
        let message = memory.lock().unwrap_or_else(PoisonError::into_inner).update(message);
        if to.send(message).is_err() {
            return;
        }
        if resumed {
            time::sleep(MIRROR_DELAY).await;
        }
    }
}

/// What is kept from one connection to the next.
#[derive(Default)]
struct Memory {
    /// The hello of this connection, and that of the previous one.
    hello: Value,
    previous_hello: Value,
    copy: Option<Copy>,
}

/// The copy of the subscribed tree.
struct Copy {
    /// The subscription as the consumer sent it, without its resume point.
    subscribe: Value,
    /// `None` until there is a snapshot, and after a gap.
    mirror: Option<StateMirror>,
}

impl Memory {
    fn disconnected(&mut self) {
        self.previous_hello = std::mem::take(&mut self.hello);
    }

    /// Adds the copy's resume point to a subscription, if it is the same subscription.
    fn add_resume_point(&mut self, subscribe: &mut Value) {
        let known = self.copy.as_ref().filter(|copy| copy.subscribe == *subscribe);
        let Some(mirror) = known.and_then(|copy| copy.mirror.as_ref()) else {
            self.copy = Some(Copy { subscribe: subscribe.clone(), mirror: None });
            return;
        };
        let previous = &self.previous_hello["provider"];
        if previous["epoch"].is_string() && previous["epoch"] == self.hello["provider"]["epoch"] {
            subscribe["resume"] = json!({"epoch": previous["epoch"], "version": mirror.version()});
            if previous["connection"].is_string() {
                subscribe["resume"]["connection"] = previous["connection"].clone();
            }
        }
    }

    /// Keeps the copy up to date. Returns the message for the consumer.
    fn update(&mut self, message: Value) -> Value {
        if message["type"] == "hello" {
            self.hello = message.clone();
        }
        let Some(Copy { subscribe, mirror }) = &mut self.copy else { return message };
        let number = |name: &str| message[name].as_u64();
        match message["type"].as_str() {
            Some("snapshot") if message["id"] == subscribe["id"] => {
                let tree: Option<SlopNode> = serde_json::from_value(message["tree"].clone()).ok();
                *mirror = tree.map(|tree| StateMirror::new(tree, number("version").unwrap_or(0)));
            }
            Some("patch") if message["subscription"] == subscribe["id"] => {
                let ops: Option<Vec<PatchOp>> = serde_json::from_value(message["ops"].clone()).ok();
                let patched = mirror.as_mut().zip(ops).zip(number("version").zip(number("seq")));
                let fits = patched.is_some_and(|((mirror, ops), (version, seq))| {
                    mirror.apply_patch_with_seq(&ops, version, seq).is_ok()
                });
                if !fits {
                    *mirror = None;
                }
            }
            Some("resumed") if message["id"] == subscribe["id"] => return as_snapshot(&message, mirror),
            Some("error") if message["id"] == subscribe["id"] => *mirror = None,
            _ => {}
        }
        message
    }
}

/// A snapshot of the copy, in place of the message that it is still current.
fn as_snapshot(resumed: &Value, mirror: &mut Option<StateMirror>) -> Value {
    let Some(mirror) = mirror else { return resumed.clone() };
    *mirror = StateMirror::new(mirror.tree().clone(), mirror.version());
    json!({"type": "snapshot", "id": resumed["id"], "version": mirror.version(), "seq": 0, "tree": mirror.tree()})
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
    fn memory_with_a_copy() -> Memory {
        let mut memory = Memory::default();
        memory.update(hello("e", "c1"));
        memory.add_resume_point(&mut subscribe());
        let tree = json!({"id": "r", "type": "root", "properties": {"n": 1}});
        memory.update(json!({"type": "snapshot", "id": "sub-1", "version": 4, "seq": 0, "tree": tree}));
        let ops = json!([{"op": "replace", "path": "/properties/n", "value": 2}]);
        memory.update(json!({"type": "patch", "subscription": "sub-1", "version": 5, "seq": 1, "ops": ops}));
        memory
    }

    fn resume_point(memory: &mut Memory, epoch: &str) -> Value {
        memory.disconnected();
        memory.update(hello(epoch, "c2"));
        let mut message = subscribe();
        memory.add_resume_point(&mut message);
        message["resume"].clone()
    }

    #[test]
    fn a_second_connection_sends_the_resume_point_and_names_the_one_it_replaces() {
        let mut memory = memory_with_a_copy();
        assert_eq!(resume_point(&mut memory, "e"), json!({"epoch": "e", "version": 5, "connection": "c1"}));
    }

    #[test]
    fn resumed_becomes_a_snapshot_of_the_copy_and_patches_continue() {
        let mut memory = memory_with_a_copy();
        resume_point(&mut memory, "e");
        let snapshot = memory.update(json!({"type": "resumed", "id": "sub-1", "version": 5, "seq": 0}));
        assert_eq!((snapshot["type"].as_str(), snapshot["seq"].as_u64()), (Some("snapshot"), Some(0)));
        assert_eq!(snapshot["tree"]["properties"]["n"], 2);
        memory.update(json!({"type": "patch", "subscription": "sub-1", "version": 9, "seq": 1, "ops": []}));
        assert_eq!(resume_point(&mut memory, "e")["version"], 9);
    }

    #[test]
    fn there_is_no_resume_point_for_another_provider_or_an_inexact_copy() {
        assert_eq!(resume_point(&mut memory_with_a_copy(), "another"), Value::Null);
        let mut memory = memory_with_a_copy();
        memory.update(json!({"type": "patch", "subscription": "sub-1", "version": 9, "seq": 7, "ops": []}));
        assert_eq!(resume_point(&mut memory, "e"), Value::Null);
        let mut memory = memory_with_a_copy();
        memory.update(json!({"type": "error", "id": "sub-1", "error": {"code": "not_found"}}));
        assert_eq!(resume_point(&mut memory, "e"), Value::Null);
    }
}
