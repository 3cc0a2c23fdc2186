//! The runs of all rooms that have not ended, with what works on them.

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::HashMap;

use super::deadlines::Deadlines;
use super::ended_by::EndedBy;
use super::living::LivingRoom;
use crate::model::Text;
use crate::model::room::run::asked::Asked;
use crate::runs::agents::Registered;
use crate::runs::attempt::Attempt;
use crate::runs::gate::Ticket;
use crate::runs::task_runner::ShownTask;
use crate::sync::{AtomicU64, Mutex, Ordering, Signal};

/// One run that has not ended. It changes only while its room is locked, but for the gate at which it waits.
#[derive(Debug)]
pub(crate) struct LiveRun {
    pub(crate) living: Arc<LivingRoom>,
    pub(crate) asked: Arc<Asked>,
    /// When it arrived, over all rooms; that of the run in whose place it is.
    pub(crate) arrival: u64,
    /// Its agent, from when it waits at its gate on. While it is in progress it stays the same.
    pub(crate) registered: Option<Registered>,
    /// Whether it is behind the gate.
    pub(crate) has_place: bool,
    /// Until when it waits for an agent of its name if it has no window: it, or one in whose place it is, was started before
    /// the engine was.
    pub(crate) patient_until_ms: Option<u64>,
    /// Until when it waits for that agent now.
    pub(crate) absent_until_ms: Option<u64>,
    pub(crate) attempt: Option<Arc<Attempt>>,
    /// Its node in the tree of the session that started it.
    pub(crate) task: Option<Arc<ShownTask>>,
}

/// What a run does whose turn it is, and whose agent is not registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Absence {
    /// It waits until then.
    Until(u64),
    /// It has waited.
    Over,
    /// It does not wait.
    Unexpected,
}

/// The runs of all rooms that have not ended, by id.
#[derive(Debug)]
pub(crate) struct LiveRuns {
    runs: Mutex<HashMap<Text, LiveRun>>,
    /// When something of a run is due, if no sign of life comes before.
    pub(crate) due: Mutex<Deadlines>,
    /// Who ends the rooms that end as soon as their runs have.
    ends: Mutex<HashMap<Text, EndedBy>>,
    /// Those that wait until an agent of their name is registered, by arrival.
    awaiting: Mutex<BTreeMap<u64, Text>>,
    /// How long they do without a window.
    patience_ms: u64,
    next_arrival: AtomicU64,
    /// A room has ended.
    pub(crate) room_ended: Signal,
}

impl LiveRuns {
    /// `patience_ms` says how long runs without a window wait for their agent.
    pub(crate) fn new(patience_ms: u64) -> Self {
        Self {
            patience_ms,
            runs: Mutex::default(),
            due: Mutex::default(),
            ends: Mutex::default(),
            awaiting: Mutex::default(),
            next_arrival: AtomicU64::new(0),
            room_ended: Signal::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.runs.lock().len()
    }

    /// How many wait for others.
    pub(crate) fn waiting(&self) -> usize {
        self.runs.lock().values().filter(|run| !run.has_place).count()
    }

    /// The number of a run that arrives now.
    pub(crate) fn arrive(&self) -> u64 {
        self.next_arrival.fetch_add(1, Ordering::SeqCst)
    }

    /// A run waits for its turn.
    pub(crate) fn add(&self, arrival: u64, living: &Arc<LivingRoom>, asked: Arc<Asked>, task: Option<Arc<ShownTask>>) {
        let run = LiveRun {
            living: Arc::clone(living),
            arrival,
            registered: None,
            has_place: false,
            patient_until_ms: None,
            absent_until_ms: None,
            attempt: None,
            task,
            asked,
        };
        self.runs.lock().insert(run.asked.id.clone(), run);
    }

    /// Looks at a run, or changes it.
    pub(crate) fn with<T>(&self, run: &str, look: impl FnOnce(&mut LiveRun) -> T) -> Option<T> {
        self.runs.lock().get_mut(run).map(look)
    }

    /// Where a run takes place.
    pub(crate) fn living(&self, run: &str) -> Option<Arc<LivingRoom>> {
        self.with(run, |run| Arc::clone(&run.living))
    }

    pub(crate) fn attempt(&self, run: &str) -> Option<Arc<Attempt>> {
        self.with(run, |run| run.attempt.clone()).flatten()
    }

    pub(crate) fn ticket(&self, run: &Text) -> Option<Ticket> {
        self.with(run, |live| Ticket { arrival: live.arrival, run: run.clone() })
    }

    /// A run has ended. What is returned may hold the last handle of something of the application's.
    #[must_use]
    pub(crate) fn remove(&self, run: &Text) -> Option<LiveRun> {
        self.due.lock().remove(run);
        let removed = self.runs.lock().remove(run);
        removed.iter().for_each(|run| drop(self.awaiting.lock().remove(&run.arrival)));
        removed
    }

    /// A run waits for its agent, if that is not there when it is its turn.
    pub(crate) fn be_patient(&self, run: &str, now_ms: u64) {
        self.with(run, |live| live.patient_until_ms = Some(now_ms.saturating_add(self.patience_ms)));
    }

    /// It is a run's turn, and its agent is not registered: it waits for that, for as long as its window is.
    pub(crate) fn await_agent(&self, run: &Text, now_ms: u64) -> Absence {
        let of = |live: &mut LiveRun| {
            let patient_until_ms = live.patient_until_ms?;
            if live.absent_until_ms.take_if(|until_ms| *until_ms <= now_ms).is_some() {
                return Some((live.arrival, None));
            }
            let window_ms = live.asked.delivery.as_ref().and_then(|delivery| delivery.window_ms);
            let until_ms = window_ms.map_or(patient_until_ms, |window_ms| now_ms.saturating_add(window_ms));
            if live.absent_until_ms.is_none() && until_ms <= now_ms {
                return None;
            }
            Some((live.arrival, Some(*live.absent_until_ms.get_or_insert(until_ms))))
        };
        match self.with(run, of).flatten() {
            None => Absence::Unexpected,
            Some((_, None)) => Absence::Over,
            Some((arrival, Some(until_ms))) => {
                self.awaiting.lock().insert(arrival, run.clone());
                Absence::Until(until_ms)
            }
        }
    }

    /// A run has an agent: it waits at its gate, or goes through.
    pub(crate) fn found(&self, run: &str, registered: Registered) {
        self.with(run, |live| (live.registered, live.absent_until_ms) = (Some(registered), None));
    }

    /// An agent is registered: those that waited for one look whether it is theirs, in order of arrival.
    pub(crate) fn take_awaiting(&self) -> Vec<Text> {
        std::mem::take(&mut *self.awaiting.lock()).into_values().collect()
    }

    /// The ids of all.
    pub(crate) fn ids(&self) -> Vec<Text> {
        self.runs.lock().keys().cloned().collect()
    }

    /// A room ends as soon as its runs have.
    pub(crate) fn ends_later(&self, room: &Text, by: EndedBy) {
        self.ends.lock().insert(room.clone(), by);
    }

    /// The runs of a room have ended, and so does the room.
    pub(crate) fn ends_now(&self, room: &Text) -> Option<EndedBy> {
        self.ends.lock().remove(room)
    }

    /// All attempts are dropped: there is no engine any more.
    pub(crate) fn end_all(&self) {
        self.runs.lock().values().filter_map(|run| run.attempt.as_ref()).for_each(|attempt| attempt.end());
    }
}
