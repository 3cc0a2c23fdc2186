//! How the rest of the daemon reaches a link.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use grove_attest::{Attestation, Card};
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::answer::Refusal;
use super::ask::{Ask, Question};
use super::identity::Identity;
use super::inbox::Inbox;
use super::link_state::LinkState;
use super::running_link::RunningLink;
use super::upstream::Upstream;

/// How long a question waits for a link that is not up, and then for the answer.
const UP: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(8);

/// How long a farewell may take.
const CLOSE: Duration = Duration::from_secs(3);

/// How many questions may wait for a link.
const ASKS: usize = 64;

/// How the rest of the daemon reaches a link. When it is dropped, so is the link, without a farewell.
pub(crate) struct Link {
    identity: Arc<Identity>,
    inbox: Arc<Inbox>,
    state: watch::Receiver<LinkState>,
    closing: watch::Sender<bool>,
    asks: mpsc::Sender<Ask>,
    task: Option<AbortHandle>,
}

impl Link {
    /// A link that is opened, and opened again whenever it is lost.
    pub(crate) fn open(identity: Identity, upstream: Arc<Upstream>) -> Self {
        let identity = Arc::new(identity);
        let (state, seen) = watch::channel(LinkState::Connecting(None));
        let (closing, closes) = watch::channel(false);
        let (asks, asked) = mpsc::channel(ASKS);
        let (inbox, acks) = Inbox::new();
        let running = RunningLink {
            identity: Arc::clone(&identity),
            upstream,
            inbox: Arc::clone(&inbox),
            acks,
            asks: asked,
            state,
            closing: closes,
        };
        let task = Some(tokio::spawn(running.run()).abort_handle());
        Self { identity, inbox, state: seen, closing, asks, task }
    }

    /// No link: the member's serves instead.
    pub(crate) fn off(identity: Identity) -> Self {
        let (inbox, _) = Inbox::new();
        inbox.close();
        // Nobody is at the other ends, and nobody asks for them.
        let (state, closing, asks) = (watch::channel(LinkState::Off).1, watch::Sender::new(false), mpsc::channel(1).0);
        Self { identity: Arc::new(identity), inbox, state, closing, asks, task: None }
    }

    pub(crate) fn state(&self) -> LinkState {
        self.state.borrow().clone()
    }

    pub(crate) const fn inbox(&self) -> &Arc<Inbox> {
        &self.inbox
    }

    /// Waits until it is known how opening it went, but not for long.
    pub(crate) async fn settled(&self, longest: Duration) -> LinkState {
        let mut state = self.state.clone();
        // A timeout, and a link that is gone, are in the state as well.
        let _ = timeout(longest, state.wait_for(LinkState::is_settled)).await;
        self.state()
    }

    /// Asks the server something.
    ///
    /// # Errors
    /// If the server refuses, or the link is not up in time.
    pub(crate) async fn ask(&self, question: Question) -> Result<Value, Refusal> {
        let mut state = self.state.clone();
        let is_up = |state: &LinkState| !matches!(state, LinkState::Connecting(_));
        // A timeout, and a link that is gone, are in the state as well.
        let _ = timeout(UP, state.wait_for(is_up)).await;
        if !matches!(self.state(), LinkState::Up(_)) {
            return Err(Refusal::not_connected(self.state().reason()));
        }
        let (ask, answered) = Ask::new(question);
        let answer = timeout(ANSWER, async {
            self.asks.send(ask).await.ok()?;
            answered.await.ok()
        });
        answer.await.ok().flatten().unwrap_or_else(|| Err(Refusal::not_connected(self.state().reason())))
    }

    /// The session was registered again: it keeps its link.
    pub(crate) fn renew(&self, attestation: Attestation, card: Card) {
        if let Identity::Session(session) = &*self.identity
            && session.renew(attestation, card)
        {
            // If the link is down, or much waits, the next hello has the card.
            let _ = self.asks.try_send(Ask::new(Question::Card).0);
        }
    }

    /// Says farewell to the server, and waits until it knows, but not for long.
    pub(crate) async fn close(&self) {
        self.closing.send_replace(true);
        self.inbox.close();
        let mut state = self.state.clone();
        let closed = state.wait_for(|state| matches!(state, LinkState::Closed));
        if self.task.is_some() && timeout(CLOSE, closed).await.is_err() {
            self.abandon();
        }
    }

    /// Ends the link without a farewell: another one of the same key takes over, and nobody else notices.
    pub(crate) fn abandon(&self) {
        self.inbox.close();
        self.task.iter().for_each(AbortHandle::abort);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.abandon();
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("state", &self.state.borrow().reason()).finish_non_exhaustive()
    }
}
