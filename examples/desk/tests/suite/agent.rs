//! A person's AI: the published consumer, unmodified, with its mirror of the tree.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};
use slop_ai::{ClientTransport, PatchOp, SlopConsumer, SlopError, SlopNode, WsClientTransport};
use tokio::sync::Notify;

use crate::running::within_deadline;

/// The consumer does not say when it takes a whole new snapshot in place of a patch, so its mirror is looked at again
/// after this long even when no patch was heard of.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

pub(crate) struct Agent {
    consumer: SlopConsumer,
    subscription: String,
    heard: Arc<Mutex<Vec<PatchOp>>>,
    patched: Arc<Notify>,
}

impl Agent {
    pub(crate) async fn connect(url: &str) -> Self {
        let consumer = SlopConsumer::new();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let patched = Arc::new(Notify::new());
        let (log, wake) = (Arc::clone(&heard), Arc::clone(&patched));
        let note = move |_: &str, ops: &[PatchOp], _| {
            log.lock().extend_from_slice(ops);
            wake.notify_one();
        };
        consumer.on_patch(note).await;
        within_deadline("hello", consumer.connect(&WsClientTransport::new(url))).await.expect("a connection");
        let (subscription, _) =
            within_deadline("a snapshot", consumer.subscribe("/", -1)).await.expect("a subscription");
        Self { consumer, subscription, heard, patched }
    }

    /// The tree as patched so far.
    pub(crate) async fn tree(&self) -> SlopNode {
        self.consumer.tree(&self.subscription).await.expect("a mirror")
    }

    pub(crate) async fn query(&self, path: &str) -> SlopNode {
        within_deadline("an answer to a query", self.consumer.query(path, -1)).await.expect("a node")
    }

    pub(crate) async fn invoke(&self, path: &str, action: &str, params: Value) -> Result<Value, SlopError> {
        within_deadline("a result", self.consumer.invoke(path, action, Some(params))).await
    }

    /// Waits until the mirror is as wanted.
    pub(crate) async fn until(&self, what: &str, wanted: impl Fn(&SlopNode) -> bool) -> SlopNode {
        within_deadline(what, async {
            loop {
                let tree = self.tree().await;
                if wanted(&tree) {
                    return tree;
                }
                let _ = tokio::time::timeout(LOOK_AGAIN, self.patched.notified()).await;
            }
        })
        .await
    }

    /// Waits until the mirror and a fresh query are the same.
    pub(crate) async fn mirror_is_exact(&self) {
        within_deadline("a mirror that equals a fresh query", async {
            while self.tree().await != self.query("/").await {
                let _ = tokio::time::timeout(LOOK_AGAIN, self.patched.notified()).await;
            }
        })
        .await;
    }

    /// The paths of all patch operations heard of so far.
    pub(crate) fn patched_paths(&self) -> Vec<String> {
        self.heard.lock().iter().map(|op| op.path.clone()).collect()
    }
}

/// A slice of a list, which the published consumer has no method for.
pub(crate) async fn window(url: &str, path: &str, offset: u64, count: u64) -> Value {
    let (sender, mut receiver) = WsClientTransport::new(url).connect().await.expect("a connection");
    sender.send(json!({"type": "query", "id": "q", "path": path, "window": [offset, count]})).expect("a question");
    within_deadline("the window", async {
        loop {
            let message: Value = receiver.recv().await.expect("an answer");
            if message["id"] == "q" {
                return message["tree"].clone();
            }
        }
    })
    .await
}

/// The node at `path`, as in `/tasks/t1`.
pub(crate) fn at<'a>(tree: &'a SlopNode, path: &str) -> Option<&'a SlopNode> {
    let mut segments = path.split('/').filter(|segment| !segment.is_empty());
    segments.try_fold(tree, |node, segment| children(node).iter().find(|child| child.id == segment))
}

pub(crate) fn children(node: &SlopNode) -> &[SlopNode] {
    node.children.as_deref().unwrap_or_default()
}

pub(crate) fn property<'a>(node: &'a SlopNode, key: &str) -> &'a Value {
    node.properties.as_ref().and_then(|properties| properties.get(key)).unwrap_or(&Value::Null)
}

pub(crate) fn summary(node: &SlopNode) -> &str {
    node.meta.as_ref().and_then(|meta| meta.summary.as_deref()).unwrap_or_default()
}

/// The names of what can be done with a node itself.
pub(crate) fn actions(node: &SlopNode) -> Vec<&str> {
    node.affordances.iter().flatten().map(|affordance| affordance.action.as_str()).collect()
}

/// The code of a refused invoke.
pub(crate) fn code(refused: Result<Value, SlopError>) -> String {
    match refused {
        Err(SlopError::ActionFailed { code, .. }) => code,
        other => panic!("this was not refused: {other:?}"),
    }
}
