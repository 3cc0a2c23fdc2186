//! Where the messages of other instances arrive.

use futures_util::future::BoxFuture;

use super::topic::Topic;
use crate::model::Text;

/// Where a [`Cluster`](super::Cluster) hands over what arrives. The engine implements it; a test may stand between.
///
/// Every method returns soon, and may be called from any thread.
pub trait Inbox: Send + Sync + 'static {
    /// Something was published on a topic that was subscribed to.
    fn published(&self, topic: &Topic, message: &str);

    /// Another instance asks this one. The future gives the reply; if it is dropped, the other one is not answered.
    fn requested(&self, message: Text) -> BoxFuture<'static, Text>;

    /// From now on nothing of that topic is missed, but by a loss.
    fn subscribed(&self, topic: &Topic);

    /// The subscription was refused, for example for lack of a permission; it is not tried again before it is asked for
    /// again.
    fn refused(&self, topic: &Topic, why: &str);

    /// There is a connection, for the first time or again. Whatever was published meanwhile is lost.
    fn connected(&self);

    /// There is no connection any more, or not yet.
    fn disconnected(&self, why: &str);

    /// Messages for this instance were dropped, for example since it was too slow.
    fn lost(&self, why: &str);
}
