//! How others reach a link.

use std::fmt;

use tokio::sync::{mpsc, watch};

/// How many messages and acknowledgements may wait for one link. One that takes none is closed: what waits for its peer is
/// kept. How others come and go does not wait here.
const FRAMES: usize = 1_024;

/// Why a link is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Closing {
    pub(crate) code: u16,
    pub(crate) reason: &'static str,
}

impl Closing {
    pub(crate) const REVOKED: Self = Self { code: 4403, reason: "revoked" };
    pub(crate) const REPLACED: Self = Self { code: 4409, reason: "replaced" };
    pub(crate) const LOST: Self = Self { code: 4408, reason: "silent for too long" };
    pub(crate) const SLOW: Self = Self { code: 1013, reason: "the peer reads too slowly" };
    pub(crate) const BYE: Self = Self { code: 1000, reason: "bye" };
}

/// How others reach a link.
#[derive(Clone)]
pub(crate) struct LinkHandle {
    frames: mpsc::Sender<String>,
    closing: watch::Sender<Option<Closing>>,
}

impl LinkHandle {
    pub(crate) fn new() -> (Self, Waiting) {
        let ((frames, waiting_frames), (closing, waiting_closing)) = (mpsc::channel(FRAMES), watch::channel(None));
        (Self { frames, closing }, Waiting { frames: waiting_frames, end: Ending(waiting_closing) })
    }

    /// Sends a frame, without waiting. A link on which too many wait is closed.
    pub(crate) fn send(&self, frame: String) {
        if self.frames.try_send(frame).is_err() {
            self.close(Closing::SLOW);
        }
    }

    /// Closes the link. The first reason counts.
    pub(crate) fn close(&self, closing: Closing) {
        self.closing.send_if_modified(|held| held.is_none() && held.replace(closing).is_none());
    }
}

impl fmt::Debug for LinkHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkHandle(..)")
    }
}

/// What others have for a link.
pub(crate) struct Waiting {
    pub(crate) frames: mpsc::Receiver<String>,
    pub(crate) end: Ending,
}

/// Whether a link is to be closed.
pub(crate) struct Ending(watch::Receiver<Option<Closing>>);

impl Ending {
    /// Whether it is by now.
    pub(crate) fn now(&self) -> Option<Closing> {
        *self.0.borrow()
    }

    /// Ends when it is.
    pub(crate) async fn wait(&mut self) -> Closing {
        let closing = self.0.wait_for(Option::is_some).await.map(|closing| *closing);
        // Whoever could close it is gone when its peer is.
        closing.ok().flatten().unwrap_or(Closing::REVOKED)
    }
}
