//! The thread that writes what happens in rooms.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use tokio::sync::oneshot;

use super::error::StorageError;
use super::storage_stats::StorageStats;
use super::store::{Store, Write};
use crate::panics;
use crate::sync::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// How many changes are committed at once, at most.
const MOST_AT_ONCE: usize = 4_096;

/// Whether what happens is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Health {
    /// It is.
    Fine,
    /// It waits: the last commit has failed.
    Failing(StorageError),
}

/// Is told when that changes, on the writer's thread.
pub(crate) type HealthObserver = Box<dyn Fn(Health) + Send>;

/// What the thread is told.
enum Message {
    /// Changes that are made together or not at all.
    Write(Vec<Write>),
    /// To be answered when everything before it is durable.
    Confirm(oneshot::Sender<()>),
    /// A commit that failed may succeed now.
    Retry,
}

/// Commits on a thread of its own. Whatever has come while one commit was made goes into the next (group commit), so that many
/// callers share the time that it takes until something is durable.
pub(super) struct Writer {
    /// Present until it is dropped.
    messages: Option<Sender<Message>>,
    thread: Option<JoinHandle<()>>,
    counts: Arc<Counts>,
}

/// What is counted of its work.
#[derive(Debug, Default)]
struct Counts {
    /// How many bytes wait.
    waiting_bytes: AtomicUsize,
    changes: AtomicU64,
    commits: AtomicU64,
    is_failing: AtomicBool,
}

/// What the thread works with.
struct Work {
    store: Arc<dyn Store>,
    observer: HealthObserver,
    counts: Arc<Counts>,
    waiting: VecDeque<Write>,
    /// How many of these changes belong together, in their order.
    steps: VecDeque<usize>,
    /// Each with the number of changes that have to be made before.
    confirmations: VecDeque<(u64, oneshot::Sender<()>)>,
    committed: u64,
    received: u64,
}

impl Writer {
    /// # Panics
    /// If the system refuses a thread.
    pub(super) fn start(store: Arc<dyn Store>, observer: HealthObserver) -> Self {
        let (messages, received) = channel();
        let counts = Arc::new(Counts::default());
        let work = Work {
            store,
            observer,
            counts: Arc::clone(&counts),
            waiting: VecDeque::new(),
            steps: VecDeque::new(),
            confirmations: VecDeque::new(),
            committed: 0,
            received: 0,
        };
        let thread = thread::Builder::new().name("grove-storage".to_owned());
        let thread = thread.spawn(move || work.run(&received)).expect("the system has a thread for the storage");
        Self { messages: Some(messages), thread: Some(thread), counts }
    }

    fn send(&self, message: Message) {
        // It ends only when this is dropped.
        let _ = self.messages.as_ref().map(|messages| messages.send(message));
    }

    /// Makes changes together: after the process was killed, all of them are there or none.
    pub(super) fn write(&self, step: Vec<Write>) {
        self.counts.waiting_bytes.fetch_add(step.iter().map(bytes).sum(), Ordering::Relaxed);
        self.send(Message::Write(step));
    }

    /// Ends when everything that was written up to now is durable.
    pub(super) fn confirm(&self) -> oneshot::Receiver<()> {
        let (confirmation, confirmed) = oneshot::channel();
        self.send(Message::Confirm(confirmation));
        confirmed
    }

    pub(super) fn retry(&self) {
        self.send(Message::Retry);
    }

    /// How many bytes wait to be written.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.counts.waiting_bytes.load(Ordering::Relaxed)
    }

    pub(super) fn stats(&self) -> StorageStats {
        StorageStats {
            unwritten_bytes: self.waiting_bytes(),
            changes: self.counts.changes.load(Ordering::Relaxed),
            commits: self.counts.commits.load(Ordering::Relaxed),
            repairs: 0,
            is_failing: self.counts.is_failing.load(Ordering::Relaxed),
        }
    }
}

impl Drop for Writer {
    /// What waits is written first, if it can be.
    fn drop(&mut self) {
        drop(self.messages.take());
        // The thread may be the one that lets go of the engine.
        if let Some(thread) = self.thread.take().filter(|thread| thread.thread().id() != thread::current().id()) {
            let _ = thread.join();
        }
    }
}

impl Work {
    fn run(mut self, messages: &Receiver<Message>) {
        while let Ok(message) = messages.recv() {
            let mut is_time = self.take(message);
            let most = self.waiting.len().saturating_add(MOST_AT_ONCE);
            while self.waiting.len() < most
                && let Ok(message) = messages.try_recv()
            {
                is_time |= self.take(message);
            }
            if is_time || !self.counts.is_failing.load(Ordering::Relaxed) {
                self.commit();
            }
        }
        self.commit();
    }

    /// Returns whether to try again, though the last commit has failed.
    fn take(&mut self, message: Message) -> bool {
        match message {
            Message::Write(step) => {
                self.received += step.len() as u64;
                self.steps.push_back(step.len());
                self.waiting.extend(step);
            }
            Message::Confirm(confirmation) => self.confirmations.push_back((self.received, confirmation)),
            Message::Retry => return true,
        }
        false
    }

    /// Commits what waits, a batch at a time, until that is all or a commit fails.
    fn commit(&mut self) {
        loop {
            let count = self.batch();
            let batch = &self.waiting.make_contiguous()[..count];
            if count > 0 {
                let committed = panics::catch(|| self.store.commit(batch));
                let committed = committed.unwrap_or_else(|why| Err(StorageError::Unavailable(why)));
                if let Err(why) = committed {
                    return self.failed(why);
                }
                self.counts.changes.fetch_add(count as u64, Ordering::Relaxed);
                self.counts.commits.fetch_add(1, Ordering::Relaxed);
            }
            self.forget(count);
            if self.counts.is_failing.swap(false, Ordering::Relaxed) {
                (self.observer)(Health::Fine);
            }
            if self.waiting.is_empty() {
                return;
            }
        }
    }

    /// How many of the oldest changes are committed next. What belongs together is not torn apart.
    fn batch(&self) -> usize {
        let ends = self.steps.iter().scan(0, |end, step| {
            *end += step;
            Some(*end)
        });
        ends.take_while(|end| *end <= MOST_AT_ONCE).last().or(self.steps.front().copied()).unwrap_or(0)
    }

    /// So many of the oldest changes are durable.
    fn forget(&mut self, count: usize) {
        let bytes = self.waiting.drain(..count).map(|write| bytes(&write)).sum();
        self.counts.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
        let mut left = count;
        while let Some(step) = self.steps.pop_front_if(|step| *step <= left) {
            left -= step;
        }
        self.committed += count as u64;
        let committed = self.committed;
        while let Some((_, confirmation)) = self.confirmations.pop_front_if(|(after, _)| *after <= committed) {
            // Whoever waited may have gone.
            let _ = confirmation.send(());
        }
    }

    fn failed(&mut self, why: StorageError) {
        self.confirmations.retain(|(_, confirmation)| !confirmation.is_closed());
        if !self.counts.is_failing.swap(true, Ordering::Relaxed) {
            (self.observer)(Health::Failing(why));
        }
    }
}

/// How many bytes of memory a change takes while it waits, about.
fn bytes(write: &Write) -> usize {
    let held = match write {
        Write::Put { part, .. } => part.value.len() + part.key.len(),
        Write::Append { event, .. } => event.text.len(),
        Write::Archive { about, .. } => about.len(),
        Write::Delete { key, .. } => key.len(),
        Write::Purge { .. } | Write::Remove { .. } | Write::PurgeArchives { .. } | Write::LossTold => 0,
    };
    held + size_of::<Write>()
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("waiting_bytes", &self.waiting_bytes()).finish_non_exhaustive()
    }
}
