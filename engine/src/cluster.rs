//! What crosses between the instances of one application: hints, calls and who is there, never trees.

pub(crate) mod instance;
pub(crate) mod topic;
pub(crate) mod inbox;
pub(crate) mod request_error;
pub(crate) mod local;
pub(crate) mod membership;
pub(crate) mod follower;
pub(crate) mod numbers;
pub(crate) mod gaps;
pub(crate) mod repairs;
pub(crate) mod notice;
pub(crate) mod decision;
pub(crate) mod decisions;
pub(crate) mod wire;
pub(crate) mod gathering;
mod interest;
mod outgoing;
pub(crate) mod alarm;
pub(crate) mod bus;
pub(crate) mod envelope;
pub(crate) mod handlers;
pub(crate) mod requests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use inbox::Inbox;
use instance::Instance;
use request_error::RequestError;
use topic::Topic;

use crate::model::Text;

/// What carries messages between the instances of one application (cluster 1).
///
/// An implementation carries texts and understands none of them. The engine uses it in one way, whatever it is;
/// [`Local`](local::Local), the default, has nobody to carry anything to.
///
/// # What it promises
///
/// Little. What is published may be lost, doubled, late, and in another order; it is never changed, and never handed to
/// somebody who is not an instance of this application. Isolation rests on none of these messages: an instance decides by
/// its own sessions what each of them sees. The engine repairs freshness within 6 s by what follows the loss: another
/// message with a higher number, a heartbeat, [`Inbox::lost`], or [`Inbox::connected`].
///
/// A request is handed to its receiver at most once, or fails. Whoever gets [`RequestError::TimedOut`] does not know
/// whether it was received.
///
/// # What it must not do
///
/// Wait, in any method that does not return a future: these are called by whoever changes data. What cannot be sent at
/// once is kept in a bounded queue, or dropped; that need not be reported, since the receivers notice the gap. It must not
/// call the inbox from within one of its own methods.
pub trait Cluster: fmt::Debug + Send + Sync + 'static {
    /// Called once, when the engine is built: whatever arrives from now on is handed to `inbox`, which does not keep the
    /// engine alive.
    fn start(&self, this: &Instance, inbox: Arc<dyn Inbox>);

    /// Asks for what is published on a topic from now on. When nothing of it can be missed any more but by a loss,
    /// [`Inbox::subscribed`] is called; if it is refused, [`Inbox::refused`]. An implementation subscribes again by itself
    /// after it was away.
    fn subscribe(&self, topic: &Topic);

    /// Asks for nothing of that topic any more.
    fn unsubscribe(&self, topic: &Topic);

    /// Publishes to every instance that has subscribed. This instance may get it too, and ignores it.
    fn publish(&self, topic: &Topic, message: Text);

    /// Asks one instance by its name, and returns what it replies. Fails after `at_most`; sooner if it is known that
    /// nobody has that name.
    fn request(&self, to: &str, message: Text, at_most: Duration) -> BoxFuture<'static, Result<Text, RequestError>>;

    /// Whether what is published now has a chance to arrive.
    fn is_connected(&self) -> bool;

    /// Whether there can be no other instance, so that nothing needs to be encoded.
    fn is_alone(&self) -> bool {
        false
    }

    /// Sends what waits, and ends. Nothing is handed to the inbox afterwards.
    fn stop(&self) -> BoxFuture<'static, ()>;
}
