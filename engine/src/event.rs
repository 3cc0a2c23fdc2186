//! What happens inside, as one enum that feeds observers, `tracing` and tests.

pub(crate) mod reason;
pub(crate) mod between;
mod problems;
mod logged;
mod reporting;

pub use between::{ClusterEvent, RepairCause};
pub use reason::{CallStatus, EvictionReason, PanicSite};

use std::sync::{Arc, Weak};

use problems::Problems;

use crate::config::Limit;
use crate::entered::{self, Function};
use crate::model::Text;
use crate::model::room::end_reason::EndReason;
use crate::model::room::leave_reason::LeaveReason;
use crate::model::room::run::state::RunStatus;
use crate::model::selector::Selector;
use crate::panics;
use crate::panics::guarded::{DropObserver, Guarded, Owner};
use crate::protocol::close_reason::CloseReason;
use crate::sync::{Mutex, RwLock};

/// Something that happened. Each variant says when it fires. None holds a credential or a property of an application.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A session was seen for the first time, or again after it was forgotten.
    SessionOpened {
        /// The session's id.
        session: Text,
    },
    /// A session was forgotten; says why.
    SessionClosed {
        /// The session's id.
        session: Text,
        /// Why.
        reason: CloseReason,
    },
    /// Somebody's access was ended for good; those who were there are closed.
    Revoked {
        /// Whose.
        whom: Selector,
        /// How many sessions were open.
        sessions: usize,
    },
    /// A credential of another user or project came under the id of an open session, and nobody becomes somebody else: for
    /// a new connection the open session was ended first, a renewal was refused. Ids of sessions should be unique.
    SessionConflict {
        /// The id.
        session: Text,
    },
    /// The tree of a session without a connection was dropped; the session stays.
    TreeEvicted {
        /// The session's id.
        session: Text,
        /// Why.
        reason: EvictionReason,
    },
    /// A connection was opened.
    Connected {
        /// The session's id.
        session: Text,
        /// The connection's number.
        connection: u64,
    },
    /// A connection ended; says why.
    Disconnected {
        /// The session's id.
        session: Text,
        /// The connection's number.
        connection: u64,
        /// Why.
        reason: CloseReason,
    },
    /// A subscription goes on from its consumer's copy instead of a snapshot.
    Resumed {
        /// The session's id.
        session: Text,
        /// The number of the new connection.
        connection: u64,
    },
    /// A session lost more subscriptions than it remembers, so their consumers will get snapshots.
    ResumePointsEvicted {
        /// The session's id.
        session: Text,
        /// How many had to go.
        subscriptions: usize,
    },
    /// An upgrade, a renewal or a connection was refused.
    Refused {
        /// The HTTP status.
        status: u16,
        /// Why, in a few words.
        reason: &'static str,
    },
    /// The engine began to shut down: no more connections are taken, and those that are there leave.
    Draining {
        /// How many connections have to leave.
        connections: usize,
        /// Over how long they are closed, in ms.
        spread_ms: u64,
    },
    /// A descriptor function ran.
    Evaluated {
        /// The registered path.
        path: Text,
        /// For which session; others may share the result.
        session: Text,
    },
    /// A session's tree changed.
    Committed {
        /// The session's id.
        session: Text,
        /// The version that its messages carry from now on.
        version: u64,
    },
    /// A refresh pass ended.
    PassFinished {
        /// How many sessions it looked at.
        sessions: usize,
        /// How many descriptor functions ran.
        evaluated: usize,
        /// How many results were shared instead.
        shared: usize,
        /// How many trees changed.
        committed: usize,
        /// How long it took, in us.
        took_us: u64,
    },
    /// A descriptor function panicked or failed. The last good content stays, or `unavailable` stands in its place. Of one
    /// source 32 failures are reported within a minute; those beyond are counted, and their number is reported when the
    /// source fails again.
    SourceFailed {
        /// The registered path.
        path: Text,
        /// For which session; empty for a number of failures.
        session: Text,
        /// The panic's or error's text, for the log.
        why: Arc<str>,
        /// How many failures this stands for.
        failures: u64,
    },
    /// A descriptor function asked for a refresh, which was refused: it would be evaluated again for it, for ever. As many
    /// are reported as failures of a source.
    RefreshRefused {
        /// The registered path.
        path: Text,
        /// What was asked for, and what to do instead, for the log.
        why: String,
        /// How many requests this stands for.
        requests: u64,
    },
    /// A descriptor gave something that peers could not digest; it was mended. Of one source 32 problems are reported within
    /// a minute; those beyond are counted, and their number is reported when the source has problems again.
    Sanitised {
        /// The node; for a number of problems, the source.
        path: String,
        /// What was wrong and what was done. Cut if it is long.
        what: String,
        /// How many problems this stands for.
        problems: u64,
    },
    /// A snapshot was written for a subscription.
    SnapshotSent {
        /// The session's id.
        session: Text,
        /// The connection's number.
        connection: u64,
        /// The frame's size.
        bytes: usize,
    },
    /// A patch was written for a subscription.
    PatchSent {
        /// The session's id.
        session: Text,
        /// The connection's number.
        connection: u64,
        /// The frame's size.
        bytes: usize,
    },
    /// A view was too large and was compacted.
    Compacted {
        /// The session's id.
        session: Text,
        /// How many nodes it had.
        nodes: usize,
    },
    /// A browser tab's tree became part of its session's tree.
    TabMounted {
        /// The session's id.
        session: Text,
        /// Where it stands.
        path: Text,
    },
    /// A browser tab left.
    TabUnmounted {
        /// The session's id.
        session: Text,
        /// Where it stood.
        path: Text,
    },
    /// An action was invoked and answered.
    Invoked {
        /// The session's id.
        session: Text,
        /// The node, from the root.
        path: Text,
        /// The action's name.
        action: Text,
        /// How it ended.
        status: CallStatus,
        /// How long it took, its refresh included, in us.
        took_us: u64,
    },
    /// The result of a call did not wait until everything was rendered that the call may have changed; the patch follows.
    ResultBeforePatch {
        /// The session's id.
        session: Text,
        /// The node, from the root.
        path: Text,
        /// The action's name.
        action: Text,
    },
    /// A handler, predicate or observer panicked; says which and how, for the log.
    Panicked {
        /// What kind of application code.
        what: PanicSite,
        /// The panic's text.
        why: String,
    },
    /// A room was created.
    RoomCreated {
        /// The room's id.
        room: Text,
        /// Its project; empty for none.
        project: Text,
        /// Who created it.
        user: Text,
    },
    /// Something that a session asked for in a room, or the creation of one, was refused (SEC35).
    RoomRefused {
        /// What was asked for: `create`, `join`, `leave`, `say`, `run`, `admit`, `dismiss`, `close`, `replay`, `archive`, or
        /// `call` for an action of the application.
        what: &'static str,
        /// The error's code.
        code: Text,
        /// The session's id.
        session: Text,
        /// Its user.
        user: Option<Text>,
        /// The room's id as it was asked for, whether there is one or not; empty for a creation.
        room: Text,
    },
    /// A room ended.
    RoomClosed {
        /// The room's id.
        room: Text,
        /// Its project; empty for none.
        project: Text,
        /// Why.
        reason: EndReason,
        /// How long the room was, in ms.
        duration_ms: u64,
        /// Who closed it, if somebody did.
        user: Option<Text>,
    },
    /// A session joined a room.
    ParticipantJoined {
        /// The room's id.
        room: Text,
        /// The id of the participant.
        participant: Text,
        /// The session's id.
        session: Text,
    },
    /// A session with a presence card came or went, shows signs of life again or none any more, or has another card.
    PresenceChanged {
        /// Its project; empty for none.
        project: Text,
        /// The id of its row.
        participant: Text,
    },
    /// A session left a room that goes on.
    ParticipantLeft {
        /// The room's id.
        room: Text,
        /// The id of the participant.
        participant: Text,
        /// Why.
        reason: LeaveReason,
    },
    /// What happens in rooms cannot be kept for now. It waits, and is written as soon as that is possible; meanwhile
    /// acknowledgements in rooms that are kept wait as well.
    StorageFailed {
        /// Why, for the log.
        why: String,
    },
    /// What was kept of rooms was damaged, and was repaired when the engine was built.
    StorageRepaired {
        /// What was done, for the log.
        what: String,
        /// Whether something may be missing that was durable. Then every room has another epoch.
        history_lost: bool,
    },
    /// What was kept of a room cannot be read. Other rooms are not affected.
    RoomUnreadable {
        /// The room's id, or that of its archive.
        room: Text,
        /// Why, for the log.
        why: String,
    },
    /// Everything that happened in rooms is kept again.
    StorageRecovered {
        /// For how long it could not be written, in ms.
        after_ms: u64,
    },
    /// A run was dispatched to its agent, for the first time or again.
    RunStarted {
        /// The room's id.
        room: Text,
        /// The run's id.
        run: Text,
        /// The agent.
        agent: Text,
        /// Which attempt it is.
        attempt: u32,
    },
    /// A run began another iteration.
    RunIteration {
        /// The room's id.
        room: Text,
        /// The run's id.
        run: Text,
        /// Which one, counted from 1.
        iteration: u32,
    },
    /// A run calls a tool.
    RunToolCalled {
        /// The room's id.
        room: Text,
        /// The run's id.
        run: Text,
        /// The tool's name.
        tool: Text,
    },
    /// The tool returned.
    RunToolReturned {
        /// The room's id.
        room: Text,
        /// The run's id.
        run: Text,
        /// Whether it did what it was asked.
        ok: bool,
    },
    /// The agent returned a result, or an error. [`Event::RunEnded`] follows, unless the work is tried again.
    RunResponded {
        /// The room's id.
        room: Text,
        /// The run's id.
        run: Text,
        /// The error's code, if it is one.
        error: Option<Text>,
    },
    /// A run ended, exactly once.
    RunEnded {
        /// The room's id.
        room: Text,
        /// The run's id.
        run: Text,
        /// How.
        status: RunStatus,
        /// How long it took, in ms.
        duration_ms: u64,
    },
    /// A link is an agent from now on, or said again what it is.
    AgentLinked {
        /// The id of the link's session.
        session: Text,
        /// The agent's name.
        agent: Text,
        /// How many links that agent has now in the project.
        links: usize,
    },
    /// A link is not an agent any more: mostly because its connection has ended.
    AgentUnlinked {
        /// The id of the link's session.
        session: Text,
        /// The agent's name.
        agent: Text,
        /// How many links that agent has now in the project.
        links: usize,
    },
    /// Something happened between this instance and the others.
    Cluster(ClusterEvent),
    /// A process with a key of its own is present from now on, as its adapter reports it (peers 3).
    PeerJoined {
        /// Its project.
        project: Text,
        /// On whose behalf it acts.
        user: Text,
        /// The id of its row; empty if it is not shown.
        participant: Text,
    },
    /// Such a process came by a new link, with a full proof of its key; the link before was closed (SEC19).
    PeerReplaced {
        /// Its project.
        project: Text,
        /// On whose behalf it acts.
        user: Text,
        /// The id of its row; empty if it is not shown.
        participant: Text,
    },
    /// The access of such a process was taken back; its link is closed.
    PeerRevoked {
        /// Its project.
        project: Text,
        /// On whose behalf it acted.
        user: Text,
        /// The id of its row; empty if it was not shown.
        participant: Text,
    },
    /// A bound of the configuration was reached.
    LimitReached {
        /// Which one.
        limit: Limit,
        /// The session that ran into it; empty if the bound is nobody's own.
        session: Text,
    },
}

type Observer = Arc<Guarded<Box<dyn Fn(&Event) + Send + Sync>>>;

/// Who listens to events.
#[derive(Default)]
pub(crate) struct Observers {
    listening: RwLock<Vec<Observer>>,
    problems: Mutex<Problems>,
    failures: Mutex<Problems>,
    refused: Mutex<Problems>,
    dropped: Mutex<Problems>,
}

impl Observers {
    pub(crate) fn add(&self, observer: impl Fn(&Event) + Send + Sync + 'static) {
        let observer: Box<dyn Fn(&Event) + Send + Sync> = Box::new(observer);
        self.listening.write().push(Arc::new(Guarded::new(observer)));
    }

    /// The engine of these observers, as the owner of values of its application.
    pub(crate) fn owner(self: &Arc<Self>) -> Owner {
        let observers: Weak<Self> = Arc::downgrade(self);
        Owner::new(observers)
    }

    /// Tells observers and the log. The event is made only if somebody listens; observers run without a lock, and a
    /// panic of one is reported to the others.
    pub(crate) fn emit(&self, event: impl FnOnce() -> Event) {
        let observers = self.listening.read().clone();
        if observers.is_empty() && !tracing::enabled!(target: "grove", tracing::Level::DEBUG) {
            return;
        }
        self.deliver(&observers, &event());
    }

    /// Like [`Observers::emit`], for what an operator must see even if nobody listens.
    pub(crate) fn warn(&self, event: &Event) {
        let observers = self.listening.read().clone();
        self.deliver(&observers, event);
    }

    /// One number for each engine.
    pub(crate) fn number(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    fn deliver(&self, observers: &[Observer], event: &Event) {
        event.log();
        for (at, observer) in observers.iter().enumerate() {
            if let Err(why) = panics::catch(|| entered::within(self.number(), Function::Observer, || observer(event))) {
                let report = Event::Panicked { what: PanicSite::Observer, why };
                report.log();
                for other in observers.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, other)| other) {
                    // A second panic while reporting the first is only logged.
                    let _ = panics::catch(|| entered::within(self.number(), Function::Observer, || other(&report)));
                }
            }
        }
    }
}

impl DropObserver for Observers {
    fn panicked_in_drop(&self, why: String) {
        self.warn(&Event::Panicked { what: PanicSite::Drop, why });
    }
}
