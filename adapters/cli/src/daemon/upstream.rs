//! The server of a daemon, and what is known of it.

use std::sync::atomic::{AtomicBool, Ordering};

use grove_attest::ChallengeFrame;
use tokio::sync::watch;

/// The server, and what its links have learned of it.
#[derive(Debug)]
pub(crate) struct Upstream {
    /// The address of its link.
    pub(crate) url: String,
    pub(crate) project: String,
    /// What it must call itself, if that was said.
    pinned: Option<String>,
    /// What it calls itself.
    audience: watch::Sender<Option<String>>,
    /// How often the member's link was opened: a server that comes back may be another version.
    member_links: watch::Sender<u64>,
    /// It was said that it knows no sessions.
    is_reported: AtomicBool,
}

impl Upstream {
    pub(crate) fn new(url: String, project: String, pinned: Option<String>) -> Self {
        let audience = watch::Sender::new(pinned.clone());
        let member_links = watch::Sender::new(0);
        Self { url, project, pinned, audience, member_links, is_reported: AtomicBool::new(false) }
    }

    /// A server that calls itself otherwise than it should is not answered.
    ///
    /// # Errors
    /// Says what it calls itself.
    pub(crate) fn check(&self, challenge: &ChallengeFrame) -> Result<(), String> {
        match &self.pinned {
            Some(pinned) if *pinned != challenge.audience => {
                Err(format!("it calls itself `{}` and not `{pinned}`", challenge.audience))
            }
            _ => Ok(()),
        }
    }

    /// The member is welcome at a server of this name.
    pub(crate) fn member_is_welcome(&self, audience: String) {
        self.audience.send_replace(Some(audience));
        self.member_links.send_modify(|links| *links += 1);
    }

    /// What the server calls itself, if it was reached or that was said.
    pub(crate) fn audience(&self) -> Option<String> {
        self.audience.borrow().clone()
    }

    /// Wakes when the member's link is opened again.
    pub(crate) fn member_links(&self) -> watch::Receiver<u64> {
        self.member_links.subscribe()
    }

    /// Says once that the server knows no sessions (S4.32).
    pub(crate) fn report_no_sessions(&self) {
        if !self.is_reported.swap(true, Ordering::Relaxed) {
            tracing::warn!(target: "grove", "the server knows no sessions: only the member is present, for all of them");
        }
    }

    /// Whether that was said.
    pub(crate) fn knows_no_sessions(&self) -> bool {
        self.is_reported.load(Ordering::Relaxed)
    }

    /// A session is welcome, so it does know them.
    pub(crate) fn session_is_welcome(&self) {
        self.is_reported.store(false, Ordering::Relaxed);
    }
}
