//! The messages of one session, and who reads them.

use std::fmt;
use std::num::NonZeroU64;
use std::sync::Arc;

use futures_util::Stream;
use futures_util::stream::unfold;
use grove_client::peer::Mail;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::letterbox::{Arrival, Letterbox};
use super::limits::READERS;

/// How many messages may wait for one reader. One that is slower is closed; what it has not taken waits for the next.
const QUEUE: usize = 256;

/// How many acknowledgements may wait for the link; more follow when the server sends the messages again.
pub(crate) const ACKS: usize = 256;

/// The messages of one session. All who read at the same time receive each; it is acknowledged when the first has taken it.
pub(crate) struct Inbox {
    inner: Mutex<Inner>,
    acks: mpsc::Sender<String>,
}

struct Inner {
    letterbox: Letterbox,
    readers: Vec<mpsc::Sender<Mail>>,
    is_closed: bool,
}

/// There are as many readers as there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooManyReaders;

impl Inbox {
    /// An inbox, and the ids of the messages that are to be acknowledged.
    pub(crate) fn new() -> (Arc<Self>, mpsc::Receiver<String>) {
        let (acks, acknowledged) = mpsc::channel(ACKS);
        let inner = Inner { letterbox: Letterbox::default(), readers: Vec::new(), is_closed: false };
        (Arc::new(Self { inner: Mutex::new(inner), acks }), acknowledged)
    }

    /// A message arrived on the link.
    pub(crate) fn arrive(&self, mail: &Mail) {
        let mut inner = self.inner.lock();
        match inner.letterbox.arrive(mail) {
            Arrival::New => inner.readers.retain(|reader| reader.try_send(mail.clone()).is_ok()),
            Arrival::Ignored => {}
            Arrival::TakenBefore => self.acknowledge(&mail.message),
        }
    }

    /// Reads what waits and what arrives. A message counts as taken when the next one is asked for, and everything before it
    /// was written to the reader. After so many, if that is said, the stream is at its end, and what follows waits for others.
    ///
    /// # Errors
    /// If there are too many readers.
    pub(crate) fn read(
        self: &Arc<Self>,
        limit: Option<NonZeroU64>,
    ) -> Result<impl Stream<Item = Mail> + Send + use<>, TooManyReaders> {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let mut inner = self.inner.lock();
        inner.readers.retain(|reader| !reader.is_closed());
        if inner.readers.len() >= READERS {
            return Err(TooManyReaders);
        }
        // There are fewer than the queue holds.
        inner.letterbox.waiting().for_each(|mail| drop(sender.try_send(mail.clone())));
        if !inner.is_closed {
            inner.readers.push(sender);
        }
        drop(inner);
        let first = (Arc::clone(self), receiver, None::<String>, limit.map(NonZeroU64::get));
        Ok(unfold(first, |(inbox, mut receiver, before, left)| async move {
            if let Some(id) = before {
                // Whoever polls writes what it has when it is told to wait, so that comes first; if the reader is gone, this
                // future is dropped.
                tokio::task::yield_now().await;
                inbox.take(&id);
            }
            if left == Some(0) {
                return None;
            }
            let mail = receiver.recv().await?;
            let id = mail.message.clone();
            Some((mail, (inbox, receiver, Some(id), left.map(|left| left - 1))))
        }))
    }

    /// The readers are at their end, and so is everybody who comes later.
    pub(crate) fn close(&self) {
        let mut inner = self.inner.lock();
        inner.is_closed = true;
        inner.readers.clear();
    }

    fn take(&self, id: &str) {
        if self.inner.lock().letterbox.take(id) {
            self.acknowledge(id);
        }
    }

    fn acknowledge(&self, id: &str) {
        // If too many wait, the server sends the message again, and is told then.
        let _ = self.acks.try_send(id.to_owned());
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Inbox(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::StreamExt;
    use serde_json::json;

    use super::*;

    fn mail(id: &str) -> Mail {
        serde_json::from_value(json!({"message": id, "from": null, "body": 1})).unwrap()
    }

    #[tokio::test]
    async fn a_message_is_acknowledged_when_a_reader_has_taken_it_and_waits_otherwise() {
        let (inbox, mut acknowledged) = Inbox::new();
        inbox.arrive(&mail("a"));
        {
            let mut reader = pin!(inbox.read(None).unwrap());
            assert_eq!(reader.next().await.unwrap().message, "a");
        }
        assert!(acknowledged.try_recv().is_err(), "the reader went away before it was written");
        let mut reader = Box::pin(inbox.read(None).unwrap());
        assert_eq!(reader.next().await.unwrap().message, "a");
        inbox.arrive(&mail("b"));
        assert_eq!(reader.next().await.unwrap().message, "b");
        assert_eq!(acknowledged.try_recv().unwrap(), "a");
        inbox.arrive(&mail("a"));
        assert_eq!(acknowledged.try_recv().unwrap(), "a", "the server had not heard of it");
        inbox.close();
        assert!(reader.next().await.is_none());
        assert_eq!(acknowledged.try_recv().unwrap(), "b");
    }

    #[tokio::test]
    async fn a_reader_that_wants_so_many_takes_no_more_and_the_rest_waits_for_the_next() {
        let (inbox, mut acknowledged) = Inbox::new();
        ["a", "b", "c"].iter().for_each(|id| inbox.arrive(&mail(id)));
        let reader = inbox.read(NonZeroU64::new(2)).unwrap();
        let read: Vec<_> = reader.map(|mail| mail.message).collect().await;
        assert_eq!(read, ["a", "b"]);
        assert_eq!((acknowledged.try_recv().unwrap(), acknowledged.try_recv().unwrap()), ("a".into(), "b".into()));
        assert!(acknowledged.try_recv().is_err(), "nobody has taken the third");
        let mut next = pin!(inbox.read(None).unwrap());
        assert_eq!(next.next().await.unwrap().message, "c");
    }

    #[tokio::test]
    async fn all_who_read_at_the_same_time_receive_each_message_and_their_number_is_bounded() {
        let (inbox, mut acknowledged) = Inbox::new();
        let mut readers: Vec<_> = (0..READERS).map(|_| Box::pin(inbox.read(None).unwrap())).collect();
        assert!(inbox.read(None).is_err());
        inbox.arrive(&mail("a"));
        for reader in &mut readers {
            assert_eq!(reader.next().await.unwrap().message, "a");
        }
        readers.pop();
        let _one_more = inbox.read(None).unwrap();
        inbox.close();
        for reader in &mut readers {
            assert!(reader.next().await.is_none());
        }
        assert_eq!(acknowledged.try_recv().unwrap(), "a");
        assert!(acknowledged.try_recv().is_err(), "it is acknowledged once");
    }
}
