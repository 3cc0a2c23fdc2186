//! One subscription of a consumer.

use serde_json::Value;

use super::mirror::Mirror;
use super::node::Node;

/// What a consumer subscribed to, and its copy of that.
#[derive(Debug, Clone)]
pub struct Subscription {
    pub(super) options: Value,
    pub(super) mirror: Mirror,
    /// Options that were sent and are not answered yet.
    pub(super) asked: Option<Value>,
    /// Whether the provider has confirmed it on this connection.
    pub(super) is_active: bool,
}

impl Subscription {
    pub(super) const fn new(options: Value, mirror: Mirror) -> Self {
        Self { options, mirror, asked: None, is_active: false }
    }

    /// The options by which it was asked for, such as `path` and `depth`.
    #[must_use]
    pub const fn options(&self) -> &Value {
        &self.options
    }

    /// The copy; `None` while there is nothing to show.
    #[must_use]
    pub fn tree(&self) -> Option<&Node> {
        self.mirror.tree()
    }

    /// The version of the copy.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.mirror.version()
    }

    /// The provider has answered: what was asked for is what there is.
    pub(super) fn confirm(&mut self) {
        self.is_active = true;
        if let Some(asked) = self.asked.take() {
            self.options = asked;
        }
    }

    pub(super) fn disconnect(&mut self) {
        self.mirror.disconnect();
        self.is_active = false;
        if let Some(asked) = self.asked.take() {
            self.options = asked;
        }
    }
}
