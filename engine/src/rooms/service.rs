//! All of the above, for those who tell rooms what happened and ask for something.

mod attending;
mod keeping;

use std::sync::Arc;

use serde_json::Value;

use super::agent_links::AgentLinks;
use super::attendance::Attendance;
use super::call_ids::CallIds;
use super::creating::{CreatedRoom, Creating};
use super::directory::Directory;
use super::durability::{self, Durability};
use super::ended_by::EndedBy;
use super::ending::{Ending, RoomEnding};
use super::ids::Ids;
use super::joining::Joining;
use super::living::LivingRoom;
use super::managing::Managing;
use super::opening;
use super::options::RoomOptions;
use super::premises::Premises;
use super::presence::PresenceBoard;
use super::putting_away::PuttingAway;
use super::reading_archives::Archives;
use super::recovering::Recovering;
use super::refusal::{no_room, report};
use super::remembering::{Remembering, check_lives, check_writer};
use super::replaying::Replaying;
use super::roles::Roles;
use super::room_stats::RoomStats;
use super::run_requests::RunRequests;
use super::running::Running;
use super::said::Said;
use super::saying::Saying;
use crate::background::Background;
use crate::clock::Clock;
use crate::clock::timer_queue::TimerQueue;
use crate::config::Config;
use crate::count::Count;
use crate::error::ActionError;
use crate::event::Observers;
use crate::model::Text;
use crate::model::room::end_reason::EndReason;
use crate::model::room::history::HistoryEntry;
use crate::model::room::leave_reason::LeaveReason;
use crate::model::room::message::Message;
use crate::model::room::new_run::NewRun;
use crate::model::room::policy::NewRoom;
use crate::model::room::role::Role;
use crate::model::room::run_view::{RunOutput, RunView};
use crate::model::session::{Context, Session};
use crate::refresh::refresher::Refresher;
use crate::refresh::sources::Sources;
use crate::runs::agents::Agents;
use crate::runs::task_runner::TaskRunner;
use crate::sessions::slot::Slot;
use crate::sessions::table::Table;
use crate::sessions::timer::Timer;
use crate::sync::{AtomicBool, AtomicU64, Mutex, Runtime};

/// The rooms of one engine.
#[derive(Debug)]
pub(crate) struct RoomService {
    premises: Arc<Premises>,
    roles: Arc<Roles>,
    joining: Joining,
    ending: Arc<Ending>,
    saying: Saying,
    remembering: Arc<Remembering>,
    managing: Managing,
    creating: Creating,
    pub(crate) running: Arc<Running>,
    pub(crate) agent_links: Arc<AgentLinks>,
    runs: RunRequests,
    presence: PresenceBoard,
    durability: Durability,
    replaying: Replaying,
    archives: Archives,
    putting_away: PuttingAway,
}

/// The parts of an engine that rooms work with.
#[derive(Debug)]
pub(crate) struct RoomParts {
    pub(crate) table: Arc<Table>,
    pub(crate) refresher: Arc<Refresher>,
    pub(crate) sources: Arc<Sources>,
    pub(crate) timers: Arc<TimerQueue<Timer>>,
    pub(crate) observers: Arc<Observers>,
    pub(crate) runtime: Runtime,
    pub(crate) agents: Arc<Agents>,
    pub(crate) tasks: Arc<TaskRunner>,
    pub(crate) background: Arc<Background>,
}

impl RoomService {
    pub(crate) fn new(options: RoomOptions, config: &Config, parts: RoomParts) -> Arc<Self> {
        options.access.iter().for_each(|access| access.belongs_to(&parts.observers.owner()));
        let (repairs, shows_presence) = (options.storage.repairs.clone(), options.presence);
        let premises = premises(options, config, &parts);
        let RoomParts { agents, tasks, background, .. } = parts;
        let roles = Arc::new(Roles::new(Arc::clone(&premises)));
        let remembering = Arc::new(Remembering::new(Arc::clone(&premises), Arc::clone(&roles)));
        let executors = (Arc::clone(&agents), tasks);
        let running =
            Running::new(Arc::clone(&premises), Arc::clone(&remembering), executors, background, config.runs.clone());
        let ending = Arc::new(Ending::new(Arc::clone(&premises), Arc::clone(&running)));
        Recovering::new(&premises, &roles, (&ending, &running), &repairs).run();
        Arc::new(Self {
            joining: Joining::new(Arc::clone(&premises)),
            saying: Saying::new(Arc::clone(&premises)),
            remembering,
            managing: Managing::new(Arc::clone(&premises), Arc::clone(&roles), Arc::clone(&ending)),
            creating: Creating::new(Arc::clone(&premises), Arc::clone(&roles), Arc::clone(&ending), agents),
            durability: Durability::new(Arc::clone(&premises)),
            replaying: Replaying::new(Arc::clone(&premises)),
            archives: Archives::new(Arc::clone(&premises)),
            putting_away: PuttingAway::new(Arc::clone(&premises)),
            runs: RunRequests::new(Arc::clone(&running)),
            agent_links: AgentLinks::new(Arc::clone(&premises), Arc::clone(&running)),
            running,
            presence: PresenceBoard::new(Arc::clone(&premises), shows_presence),
            premises,
            roles,
            ending,
        })
    }

    /// A session was opened.
    pub(crate) fn opened(&self, slot: &Arc<Slot>) {
        self.roles.open(slot);
    }

    /// A session has other claims than these.
    pub(crate) fn claims_changed(&self, slot: &Arc<Slot>, before: &Context) {
        self.roles.claims_changed(slot, before);
        self.presence.claims_changed(slot, before);
        self.agent_links.claims_changed(slot);
    }

    /// The time to live of a room may have expired.
    pub(crate) fn end_due(&self) {
        self.ending.end_due();
    }

    /// A room that ended may have been shown for long enough.
    pub(crate) fn remove_due(&self) {
        self.ending.remove_due();
    }

    /// A living room in which a session has a role, with the role.
    pub(crate) fn find(&self, session: &Session, id: &str) -> Result<(Arc<LivingRoom>, Role), ActionError> {
        let living = opening::room(&self.premises, id)?;
        let role = self.roles.decide(session, &living).ok_or_else(no_room)?;
        Ok((living, role))
    }

    /// The living rooms in which a session has a role, in order of creation, with the role.
    pub(crate) fn all(&self, session: &Session) -> Vec<(Arc<LivingRoom>, Role)> {
        self.roles.all(session)
    }

    pub(crate) fn create(
        &self,
        session: &Session,
        new: &NewRoom,
        trace_id: Option<&str>,
    ) -> Result<CreatedRoom, ActionError> {
        self.report("create", session, "", self.creating.create(session, new, trace_id))
    }

    /// A session joins a room. The session is open, and this is its slot.
    pub(crate) fn join(&self, slot: &Arc<Slot>, id: &str, trace_id: Option<&str>) -> Result<Text, ActionError> {
        let session = slot.session();
        let joined = self.find(&session, id).and_then(|(living, _)| self.joining.join(slot, &living, trace_id));
        self.report("join", &session, id, joined)
    }

    /// A connection of a session subscribes at a room in which it has a role, or below it. No code of the application runs:
    /// the role is the one that was decided.
    pub(crate) fn join_by_subscribing(&self, slot: &Arc<Slot>, id: &str) -> Result<Text, ActionError> {
        let living = opening::room(&self.premises, id);
        let joined = living.and_then(|living| self.joining.join(slot, &living, None));
        self.report("join", &slot.session(), id, joined)
    }

    /// A session ended its last subscription at a room and below it. False if it had not joined.
    pub(crate) fn leave_by_unsubscribing(&self, slot: &Arc<Slot>, id: &str) -> bool {
        let living = self.premises.directory.living(id);
        living.is_some_and(|living| self.joining.leave(slot, &living, (LeaveReason::Left, None)))
    }

    /// A session leaves a room.
    pub(crate) fn leave(&self, slot: &Arc<Slot>, id: &str, trace_id: Option<&str>) -> Result<(), ActionError> {
        let session = slot.session();
        let left = self.find(&session, id).and_then(|(living, _)| {
            let left = self.joining.leave(slot, &living, (LeaveReason::Left, trace_id));
            if left { Ok(()) } else { Err(ActionError::unauthorized("the session has not joined the room")) }
        });
        self.report("leave", &session, id, left)
    }

    pub(crate) fn say(
        &self,
        session: &Session,
        id: &str,
        message: (&Message, Option<&str>),
    ) -> Result<Said, ActionError> {
        let said = self.find(session, id).and_then(|(living, role)| self.saying.say(session, (&living, role), message));
        self.report("say", session, id, said)
    }

    pub(crate) fn memory(&self) -> &Remembering {
        &self.remembering
    }

    /// A room whose memory a session may read: everybody with a role, for as long as it goes on.
    pub(crate) fn readable(&self, session: &Session, id: &str) -> Result<Arc<LivingRoom>, ActionError> {
        let found = self.find(session, id).and_then(|(living, _)| check_lives(&living).map(|()| living));
        self.report("read", session, id, found)
    }

    /// A room whose memory a session may change.
    pub(crate) fn writable(
        &self,
        session: &Session,
        id: &str,
        what: &'static str,
    ) -> Result<Arc<LivingRoom>, ActionError> {
        let found = self.find(session, id);
        let found = found.and_then(|(living, role)| check_writer(session, &living, role).map(|()| living));
        self.report(what, session, id, found)
    }

    pub(crate) fn admit(
        &self,
        session: &Session,
        id: &str,
        (user, role): (&Text, Role),
        trace_id: Option<&str>,
    ) -> Result<(), ActionError> {
        let admitted = self
            .find(session, id)
            .and_then(|(living, mine)| self.managing.admit(session, (&living, mine), (user, role), trace_id));
        self.report("admit", session, id, admitted)
    }

    pub(crate) fn dismiss(
        &self,
        session: &Session,
        id: &str,
        user: &Text,
        trace_id: Option<&str>,
    ) -> Result<(), ActionError> {
        let dismissed = self
            .find(session, id)
            .and_then(|(living, mine)| self.managing.dismiss(session, (&living, mine), user, trace_id));
        self.report("dismiss", session, id, dismissed)
    }

    /// Closes a room: its runs are cancelled, and it has ended when they have.
    pub(crate) fn close(
        &self,
        session: &Session,
        id: &str,
        (note, trace_id): (Option<&str>, Option<&str>),
    ) -> Result<RoomEnding, ActionError> {
        let living = opening::room(&self.premises, id);
        let closing =
            living.and_then(|living| self.managing.close(session, &living, (note, trace_id)).map(|()| living));
        Ok(self.ending.of(&self.report("close", session, id, closing)?))
    }

    /// The application ends a room.
    pub(crate) fn end(&self, id: &str, reason: EndReason) -> Result<RoomEnding, ActionError> {
        let living = opening::room(&self.premises, id)?;
        self.ending.begin(&living, reason, EndedBy::system())?;
        Ok(self.ending.of(&living))
    }

    /// A member starts a run.
    pub(crate) fn run(&self, session: &Session, id: &str, new: (&NewRun, Option<&str>)) -> Result<Text, ActionError> {
        let started = self.find(session, id).and_then(|(living, role)| self.runs.start(session, (&living, role), new));
        self.report("run", session, id, started)
    }

    /// Somebody cancels a run.
    pub(crate) fn cancel_run(&self, session: &Session, id: &str, run: &Text) -> Result<(), ActionError> {
        let cancelled =
            self.find(session, id).and_then(|(living, role)| self.runs.cancel(session, (&living, role), run));
        self.report("cancel", session, id, cancelled)
    }

    /// A member sends an input to a run.
    pub(crate) fn send_input(&self, session: &Session, id: &str, run: &Text, data: Value) -> Result<(), ActionError> {
        let found = self.find(session, id);
        let sent = found.and_then(|(living, role)| self.runs.send(session, (&living, role), (run, data)));
        self.report("send", session, id, sent)
    }

    /// A member clears the history of a room.
    pub(crate) fn clear_history(&self, session: &Session, id: &str) -> Result<(), ActionError> {
        let found = self.find(session, id);
        let cleared = found.and_then(|(living, role)| self.runs.clear_history(session, (&living, role)));
        self.report("clear_history", session, id, cleared)
    }

    /// One run of a room in which a session has a role.
    pub(crate) fn run_of(&self, session: &Session, id: &str, run: &str) -> Result<RunView, ActionError> {
        self.runs.view(&self.find(session, id)?.0, run)
    }

    /// What a run has streamed: so many characters from one on.
    pub(crate) fn output(
        &self,
        session: &Session,
        id: &str,
        run: &str,
        page: (u64, u64),
    ) -> Result<RunOutput, ActionError> {
        self.runs.output(&self.find(session, id)?.0, run, page)
    }

    /// What was said between a room and its agents.
    pub(crate) fn history(&self, session: &Session, id: &str) -> Result<Vec<HistoryEntry>, ActionError> {
        Ok(RunRequests::history(&self.find(session, id)?.0))
    }

    /// What the application's access function says may have changed.
    pub(crate) fn review(&self, id: &str) -> Result<(), ActionError> {
        let living = opening::room(&self.premises, id)?;
        living.room.with(|record| record.roles_changed());
        self.roles.update_all(&living);
        Ok(())
    }

    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(self.premises.timers.clock())
    }

    pub(crate) fn stats(&self) -> RoomStats {
        RoomStats {
            rooms: self.premises.directory.len(),
            put_away: self.premises.directory.away(),
            ended: self.premises.ended.get(),
            participants: self.premises.participants.get(),
            memory_bytes: self.premises.memory_bytes.get(),
            presence: self.presence.len(),
            leases: self.premises.attendance.len(),
            runs: self.running.live.len(),
            queued: self.running.live.waiting(),
            agent_links: self.agent_links.len(),
            storage: self.premises.journal.stats(),
        }
    }

    fn report<T>(
        &self,
        what: &'static str,
        session: &Session,
        room: &str,
        done: Result<T, ActionError>,
    ) -> Result<T, ActionError> {
        report(&self.premises.observers, what, session, room, done)
    }
}

fn premises(options: RoomOptions, config: &Config, parts: &RoomParts) -> Arc<Premises> {
    let (limits, runtime) = (config.rooms.clone(), parts.runtime.clone());
    Arc::new_cyclic(|premises| Premises {
        journal: options.storage.into_journal(limits.stored_bytes, durability::observer(premises.clone()), runtime),
        degraded_since_ms: AtomicU64::new(0),
        unreadable: Mutex::default(),
        unread: Mutex::default(),
        has_unrecovered: AtomicBool::new(false),
        directory: Directory::new(limits.clone()),
        table: Arc::clone(&parts.table),
        refresher: Arc::clone(&parts.refresher),
        sources: Arc::clone(&parts.sources),
        observers: Arc::clone(&parts.observers),
        max_event_bytes: config.sizes.event_bytes,
        max_frame_bytes: config.sizes.frame_bytes,
        access: options.access,
        ids: Ids::default(),
        calls: Mutex::new(CallIds::new(limits.call_ids, limits.call_ids_per_session)),
        run_calls: Mutex::new(CallIds::new(limits.call_ids, limits.call_ids_per_session)),
        run_bounds: config.runs.bounds(),
        ends: Mutex::default(),
        removals: Mutex::default(),
        participants: Count::default(),
        memory_bytes: Count::default(),
        ended: Count::default(),
        attendance: Attendance::new(&limits, Arc::clone(&parts.timers)),
        timers: Arc::clone(&parts.timers),
        limits,
    })
}
