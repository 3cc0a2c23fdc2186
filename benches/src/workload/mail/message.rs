//! The messages of `mail-500`.

use crate::workload::corpus::{mix, passage};
use crate::workload::population::Content;

/// The thread and number of the message whose flag a private change toggles.
const CHANGING: (u32, u32) = (7, 23);

/// One message, independent of how Grove and the peer describe it.
pub(super) struct Message {
    pub(super) id: String,
    pub(super) from: String,
    pub(super) at: u64,
    pub(super) text: &'static str,
    pub(super) unread: bool,
    /// Size of the attachment, if there is one.
    pub(super) attachment_bytes: Option<u64>,
}

impl Message {
    pub(super) const PER_THREAD: u32 = 24;

    fn new(content: Content, thread: u32, number: u32) -> Self {
        let seed = u64::from(content.owner) << 32 | u64::from(thread * Self::PER_THREAD + number);
        let random = mix(seed);
        Self {
            id: format!("m-{thread}-{number}"),
            from: format!("{}@example.org", random % 900),
            at: 1_790_000_000 + random % 4_000_000,
            text: passage(seed, 20 + (random >> 20) as usize % 381),
            unread: (thread, number) == CHANGING && content.revision % 2 == 1,
            attachment_bytes: number.is_multiple_of(10).then_some(1_000 + random % 900_000),
        }
    }

    pub(super) fn of_thread(content: Content, thread: u32) -> impl Iterator<Item = Self> {
        (0..Self::PER_THREAD).map(move |number| Self::new(content, thread, number))
    }
}
