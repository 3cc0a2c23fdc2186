//! What is asked of a link.

use std::fmt;

use serde_json::Value;
use tokio::sync::oneshot;

use super::answer::Refusal;

/// What the server is asked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Question {
    /// Who is there?
    List,
    /// A message for another peer.
    Send { to: String, body: Value },
    /// The card is another one from now on; nobody waits for an answer.
    Card,
}

/// A question, and who waits for the answer.
pub(crate) struct Ask {
    pub(crate) question: Question,
    pub(crate) answer: oneshot::Sender<Result<Value, Refusal>>,
}

impl Ask {
    pub(crate) fn new(question: Question) -> (Self, oneshot::Receiver<Result<Value, Refusal>>) {
        let (answer, answered) = oneshot::channel();
        (Self { question, answer }, answered)
    }
}

impl fmt::Debug for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ask({:?})", self.question)
    }
}
