//! Events that a reader has missed, and reads from the log.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::received_event::ReceivedEvent;
use crate::model::room::handle::Room;
use crate::rooms::service::RoomService;
use crate::storage::event_log::LoggedEvent;

/// The numbers of events that a reader has missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Missed {
    pub(super) from_seq: u64,
    pub(super) to_seq: u64,
}

/// Events that a reader has missed, a page at a time. What the log does not have any more is told by `room.gap`.
#[derive(Default)]
pub(super) struct Backlog {
    missed: Option<Missed>,
    reading: Option<BoxFuture<'static, Vec<LoggedEvent>>>,
    read: VecDeque<ReceivedEvent>,
}

impl Backlog {
    /// These come next. Nothing else is waited for.
    pub(super) fn want(&mut self, missed: Missed) {
        self.missed = Some(missed).filter(|missed| missed.from_seq <= missed.to_seq);
    }

    /// Nothing more is read.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The next of them; `None` if there are no more.
    pub(super) fn poll_next(
        &mut self,
        (rooms, room): (&Arc<RoomService>, &Room),
        context: &mut Context<'_>,
    ) -> Poll<Option<ReceivedEvent>> {
        loop {
            if let Some(event) = self.read.pop_front() {
                return Poll::Ready(Some(event));
            }
            let Some(Missed { from_seq, to_seq }) = self.missed else { return Poll::Ready(None) };
            let reading = self.reading.get_or_insert_with(|| rooms.logged(room, from_seq - 1, to_seq));
            let page = ready!(reading.poll_unpin(context));
            self.reading = None;
            let gap = |from_seq, to_seq| ReceivedEvent::of_reader(rooms.gap(room, from_seq, to_seq));
            let Some((first, last)) = page.first().zip(page.last()).map(|(first, last)| (first.seq, last.seq)) else {
                self.missed = None;
                return Poll::Ready(gap(from_seq, to_seq));
            };
            if first > from_seq {
                self.read.extend(gap(from_seq, first - 1));
            }
            self.read.extend(page.iter().filter_map(ReceivedEvent::logged));
            self.want(Missed { from_seq: last + 1, to_seq });
        }
    }
}

impl fmt::Debug for Backlog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backlog").field("missed", &self.missed).finish_non_exhaustive()
    }
}
