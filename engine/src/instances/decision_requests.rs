//! Replies to instances that ask what was decided.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use serde_json::value::RawValue;

use super::decider::{Decider, KIND, Wanted};
use crate::cluster::envelope::{Refusal, raw};
use crate::cluster::follower::Follower;
use crate::cluster::handlers::RequestHandler;
use crate::cluster::instance::Instance;
use crate::cluster::membership::Change;

/// Tells other instances the decisions that this one knows, and forgets how far others have counted who are gone.
#[derive(Debug)]
pub(crate) struct DecisionRequests(pub(crate) Arc<Decider>);

impl RequestHandler for DecisionRequests {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn handle(&self, _: Instance, body: Box<RawValue>) -> BoxFuture<'static, Result<Box<RawValue>, Refusal>> {
        let wanted: Result<Wanted, _> = serde_json::from_str(body.get());
        let reply = wanted.map(|wanted| raw(&self.0.page(wanted.after))).map_err(|_| Refusal::Malformed);
        ready(reply).boxed()
    }
}

impl Follower for DecisionRequests {
    fn changed(&self, change: &Change) {
        if let Change::Gone(of) | Change::Restarted(of) = change {
            self.0.forget(&of.name);
        }
    }
}
