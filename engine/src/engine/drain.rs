//! How an engine ends: consumers are warned, and closed batch by batch, each when its own calls are answered and its tasks
//! have ended.

use std::collections::VecDeque;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{Either, select};

use crate::clock::{Clock, millis};
use crate::connection::connector::Connector;
use crate::deliver::link::Link;
use crate::deliver::peer_kind::PeerKind;
use crate::event::{Event, Observers};
use crate::in_flight::InFlight;
use crate::instances::station::Station;
use crate::protocol::close_reason::CloseReason;
use crate::protocol::encoded_event::EncodedEvent;
use crate::refresh::refresher::Refresher;
use crate::rooms::service::RoomService;
use crate::runs::task_runner::TaskRunner;
use crate::sessions::quota::Quota;
use crate::sessions::slot::Slot;
use crate::sessions::table::Table;

/// The name of the event by which consumers are warned that their connection will be closed.
const DRAINING: &str = "server.draining";

/// How long peers get after the deadline to take the close.
const CLOSE_GRACE_MS: u64 = 1_000;

/// How long tasks that were stopped get to be shown as such, in ms.
const STOP_GRACE_MS: u64 = 500;

/// How often it is looked whether a call has been answered, in ms: it need not have been the last work.
const LOOK_MS: u64 = 20;

/// How an engine is to end. A [`Duration`] alone is a deadline without a spread.
///
/// ```
/// use std::time::Duration;
///
/// use grove_engine::Shutdown;
///
/// let gentle = Shutdown { spread: Duration::from_secs(2), ..Shutdown::within(Duration::from_secs(8)) };
/// assert_eq!(gentle.batch, 100);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shutdown {
    /// How long calls in flight and tasks may take. What is not answered by then is answered with `internal`, and tasks that
    /// still run fail.
    pub deadline: Duration,
    /// Over how long connections are closed, and over how long after that their consumers come back. At most the
    /// deadline. Zero closes all at once and tells nobody before.
    pub spread: Duration,
    /// How many connections are closed at once.
    pub batch: usize,
}

impl Shutdown {
    /// All at once, as soon as their calls are answered.
    #[must_use]
    pub const fn within(deadline: Duration) -> Self {
        Self { deadline, spread: Duration::ZERO, batch: 100 }
    }
}

impl From<Duration> for Shutdown {
    fn from(deadline: Duration) -> Self {
        Self::within(deadline)
    }
}

/// Ends all connections.
#[derive(Debug)]
pub(crate) struct Drain {
    pub(crate) table: Arc<Table>,
    pub(crate) quota: Arc<Quota>,
    pub(crate) connector: Arc<Connector>,
    pub(crate) tasks: Arc<TaskRunner>,
    pub(crate) rooms: Option<Arc<RoomService>>,
    pub(crate) station: Arc<Station>,
    pub(crate) in_flight: Arc<InFlight>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) refresher: Arc<Refresher>,
    pub(crate) observers: Arc<Observers>,
}

impl Drain {
    /// See [`Engine::shutdown`](crate::Engine::shutdown).
    pub(crate) async fn run(&self, how: Shutdown) {
        self.connector.close();
        self.tasks.drain();
        let until_ms = self.clock.now_ms().saturating_add(millis(how.deadline));
        let mut leaving = self.begin(how);
        loop {
            let (work, gone) = (self.in_flight.listen(), self.quota.listen());
            let now_ms = self.clock.now_ms();
            leaving.close_due(now_ms);
            let served = leaving.is_over() || self.quota.connections() == 0;
            if now_ms >= until_ms || (served && !self.are_working()) {
                break;
            }
            let sleep = self.clock.sleep_until(leaving.look_again_ms(now_ms).min(until_ms));
            if let Either::Left(_) = select(select(work, gone), sleep).await {}
        }
        self.stop_tasks(until_ms.saturating_add(STOP_GRACE_MS)).await;
        leaving.cut_off();
        self.await_disconnects(until_ms.saturating_add(CLOSE_GRACE_MS)).await;
        self.flush_rooms(until_ms.saturating_add(CLOSE_GRACE_MS)).await;
        self.refresher.close();
        self.leave_cluster().await;
    }

    /// Tells the other instances, for as long as peers get to take their closes.
    async fn leave_cluster(&self) {
        let until_ms = self.clock.now_ms().saturating_add(CLOSE_GRACE_MS);
        let _ = select(self.station.leave(), self.clock.sleep_until(until_ms)).await;
    }

    /// Whether tasks or runs are in progress.
    fn are_working(&self) -> bool {
        self.tasks.are_running() || self.rooms.as_ref().is_some_and(|rooms| rooms.running.are_running())
    }

    /// Ends the tasks and runs that still run, and waits until that is shown, or the time is up.
    async fn stop_tasks(&self, until_ms: u64) {
        if self.tasks.are_running() {
            self.tasks.stop();
        }
        self.rooms.iter().for_each(|rooms| rooms.running.stop_all());
        loop {
            let work = self.in_flight.listen();
            if !self.are_working() || self.clock.now_ms() >= until_ms {
                return;
            }
            if let Either::Left(_) = select(work, self.clock.sleep_until(until_ms)).await {}
        }
    }

    /// Waits until what happened in rooms is durable, or the time is up.
    async fn flush_rooms(&self, until_ms: u64) {
        let Some(rooms) = &self.rooms else { return };
        let until_ms = until_ms.max(self.clock.now_ms().saturating_add(CLOSE_GRACE_MS));
        let _ = select(rooms.flush().boxed(), self.clock.sleep_until(until_ms)).await;
    }

    /// Warns all consumers, and gives every connection its turn.
    fn begin(&self, how: Shutdown) -> Leaving {
        let spread_ms = millis(how.spread.min(how.deadline));
        let all = self.table.all();
        let (mut peers, workers): (Vec<_>, Vec<_>) =
            all.iter().flat_map(Peer::of).partition(|peer| peer.link.kind != PeerKind::Agent);
        // In an order that has nothing to do with that in which they came.
        peers.sort_unstable_by_key(|peer| scattered(peer.link.number));
        self.observers.warn(&Event::Draining { connections: peers.len(), spread_ms });
        if spread_ms > 0 {
            peers.iter().for_each(|peer| warn(&peer.link, spread_ms));
        }
        let (batch, now_ms) = (how.batch.max(1), self.clock.now_ms());
        let batches = peers.len().div_ceil(batch) as u64;
        let turn = |at: usize| now_ms.saturating_add(spread_ms.saturating_mul((at / batch) as u64) / batches);
        let turns = peers.into_iter().enumerate().map(|(at, peer)| (turn(at), peer)).collect();
        Leaving { turns, calling: Vec::new(), workers }
    }

    /// Waits until all connections are gone, or the time is up.
    async fn await_disconnects(&self, until_ms: u64) {
        loop {
            let gone = self.quota.listen();
            if self.quota.connections() == 0 || self.clock.now_ms() >= until_ms {
                return;
            }
            if let Either::Left(_) = select(gone, self.clock.sleep_until(until_ms)).await {}
        }
    }
}

/// A connection and its session.
struct Peer {
    slot: Arc<Slot>,
    link: Arc<Link>,
}

impl Peer {
    fn of(slot: &Arc<Slot>) -> impl Iterator<Item = Self> {
        slot.links().into_iter().map(move |link| Self { slot: Arc::clone(slot), link })
    }
}

/// The connections that have still to be closed.
struct Leaving {
    /// Whose turn has not come, and when it will, in ms.
    turns: VecDeque<(u64, Peer)>,
    /// Whose turn has come while calls of theirs run, or tasks of their session.
    calling: Vec<Peer>,
    /// Agents elsewhere, which work until the end.
    workers: Vec<Peer>,
}

impl Leaving {
    /// Closes every connection whose turn has come, whose calls are answered and whose tasks have ended.
    fn close_due(&mut self, now_ms: u64) {
        while let Some((_, peer)) = self.turns.pop_front_if(|(at_ms, _)| *at_ms <= now_ms) {
            peer.link.refuse_calls(CloseReason::ShuttingDown);
            self.calling.push(peer);
        }
        self.calling.retain(|Peer { slot, link }| {
            let calling = link.has_calls() || slot.has_tasks();
            if !calling {
                link.end(CloseReason::ShuttingDown);
            }
            calling
        });
    }

    fn is_over(&self) -> bool {
        self.turns.is_empty() && self.calling.is_empty()
    }

    fn look_again_ms(&self, now_ms: u64) -> u64 {
        let turn = self.turns.front().map_or(u64::MAX, |(at_ms, _)| *at_ms);
        if self.calling.is_empty() { turn } else { turn.min(now_ms.saturating_add(LOOK_MS)) }
    }

    /// Answers in their place what still runs, and closes whoever is left.
    fn cut_off(self) {
        for peer in self.turns.into_iter().map(|(_, peer)| peer).chain(self.calling).chain(self.workers) {
            peer.link.end(CloseReason::ShuttingDown);
        }
    }
}

fn warn(link: &Link, spread_ms: u64) {
    // Turned round, so that it has nothing to do with the order in which they are closed.
    let retry_in_ms = scattered(link.number).rotate_left(32) % spread_ms;
    link.notice(&EncodedEvent::own(DRAINING, Some(&serde_json::json!({ "retry_in_ms": retry_in_ms }))));
}

/// The same for the same number at all times, and like chance from one number to the next.
fn scattered(number: u64) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(number)
}
