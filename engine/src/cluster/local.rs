//! A cluster of one.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};

use super::Cluster;
use super::inbox::Inbox;
use super::instance::Instance;
use super::request_error::RequestError;
use super::topic::Topic;
use crate::model::Text;

/// A cluster of one: there is nobody to carry anything to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Local;

impl Cluster for Local {
    fn start(&self, _: &Instance, _: Arc<dyn Inbox>) {}

    fn subscribe(&self, _: &Topic) {}

    fn unsubscribe(&self, _: &Topic) {}

    fn publish(&self, _: &Topic, _: Text) {}

    fn request(&self, _: &str, _: Text, _: Duration) -> BoxFuture<'static, Result<Text, RequestError>> {
        ready(Err(RequestError::NoInstance)).boxed()
    }

    fn is_connected(&self) -> bool {
        true
    }

    fn is_alone(&self) -> bool {
        true
    }

    fn stop(&self) -> BoxFuture<'static, ()> {
        ready(()).boxed()
    }
}
