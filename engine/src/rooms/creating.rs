//! How rooms are created.

use std::collections::BTreeMap;
use std::iter;
use std::sync::Arc;

use super::directory::NotAdded;
use super::ending::Ending;
use super::joining::{shown_kind, shown_name};
use super::kept::Kept;
use super::living::LivingRoom;
use super::opening;
use super::premises::{Moment, Premises};
use super::refusal::{busy, has_ended, invalid};
use super::roles::{Roles, check_names, project_of};
use super::stored_room::{self, StoredOverview, StoredRecord};
use crate::config::Limit;
use crate::error::ActionError;
use crate::event::Event;
use crate::model::Text;
use crate::model::room::about::{About, Particulars};
use crate::model::room::event::{self, Actor, EventKind, RoomEvent};
use crate::model::room::handle::Room;
use crate::model::room::memory::{Expected, Memory, NewEntry, NotKept};
use crate::model::room::message;
use crate::model::room::policy::{Access, Facet, Invalid, Mode, NewRoom, OnEnd, Trust};
use crate::model::room::record::{Record, TimeToLive};
use crate::model::session::Session;
use crate::runs::agents::Agents;
use crate::storage::error::StorageError;
use crate::storage::event_log::LoggedEvent;
use crate::storage::store::Write;
use crate::sync::Ordering;

/// Creates rooms.
#[derive(Debug)]
pub(crate) struct Creating {
    premises: Arc<Premises>,
    roles: Arc<Roles>,
    ending: Arc<Ending>,
    agents: Arc<Agents>,
}

/// A room that was created.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CreatedRoom {
    /// The room.
    pub room: Room,
    /// The trust that was granted, which may be less than was asked for.
    pub trust: Trust,
    /// The contract of its agent, if it has one.
    pub contract: Option<Text>,
}

impl Creating {
    pub(crate) const fn new(
        premises: Arc<Premises>,
        roles: Arc<Roles>,
        ending: Arc<Ending>,
        agents: Arc<Agents>,
    ) -> Self {
        Self { premises, roles, ending, agents }
    }

    /// A user creates a room.
    pub(crate) fn create(
        &self,
        session: &Session,
        new: &NewRoom,
        trace_id: Option<&str>,
    ) -> Result<CreatedRoom, ActionError> {
        let context = session.context();
        let owner = context.user().ok_or_else(|| ActionError::unauthorized("only users can create rooms"))?;
        new.validate().map_err(invalid)?;
        check_names(context)?;
        let memory = self.initial_memory(session, new)?;
        let parent = self.parent(session, new)?;
        let (agent, contract) = self.agent(session, new, parent.as_ref())?;
        let trust = grant(context.trust(), parent.as_ref(), new)?;
        let at = self.premises.now();
        let mut about = self.about(session, owner, new, (parent.as_ref(), trust, at));
        if agent.is_some() {
            about.particulars.get_or_insert_default().agent = agent;
        }
        let living = self.add(session, about, (new, memory), (at, trace_id))?;
        if let Some(kept) = &living.kept {
            living.room.with(|_| kept.begin(&self.premises.journal));
        }
        self.ending.watch(&living);
        self.roles.update_all(&living);
        let room = living.room.clone();
        let (id, project, user) = (room.id().clone(), room.project().clone(), owner.clone());
        self.premises.observers.warn(&Event::RoomCreated { room: id, project, user });
        Ok(CreatedRoom { room, trust, contract })
    }

    fn add(
        &self,
        session: &Session,
        about: About,
        (new, memory): (&NewRoom, Memory),
        (at, trace_id): (Moment, Option<&str>),
    ) -> Result<Arc<LivingRoom>, ActionError> {
        let (owner, bytes) = (about.owner.clone(), memory.bytes());
        let is_open = new.access != Access::Invited || self.roles.are_the_applications();
        let ttl = new.ttl_s.map(|seconds| TimeToLive { ms: seconds.saturating_mul(1_000), sliding: new.sliding });
        let mut record = Record::new(owner, about.access, ttl, at.now_ms).with_memory(memory);
        if about.is_kept() && new.id.is_some() {
            self.check_unrecovered(&about.id, at)?;
        }
        let kept = about.is_kept().then(|| Box::new(self.kept(session, &about, &record, (at, trace_id))));
        let make = |about: About| {
            if about.on_end == OnEnd::Archive {
                record.lasting_mut().remember_who_takes_part();
            }
            LivingRoom::new(Room::new(about, record), is_open, kept)
        };
        let added = self.premises.directory.add(about, is_open, make).map_err(|not_added| match not_added {
            NotAdded::Taken => is_taken(),
            NotAdded::LimitReached(limit) => {
                self.premises.limit_reached(limit, session.context().id());
                busy("there are as many rooms as there may be")
            }
        })?;
        self.premises.memory_bytes.add(bytes);
        Ok(added)
    }

    /// A room that could not be recovered keeps its id, unless it never can be.
    fn check_unrecovered(&self, id: &Text, at: Moment) -> Result<(), ActionError> {
        if !self.premises.has_unrecovered.load(Ordering::Relaxed) {
            return Ok(());
        }
        match self.premises.journal.store().parts(id) {
            Ok(parts) if StoredOverview::from_parts(&parts, at.unix_ms).is_some() => Err(is_taken()),
            Err(StorageError::Unavailable(_)) => Err(busy("it cannot be read now whether a room with this id exists")),
            Ok(_) | Err(StorageError::Corrupt(_)) => Ok(()),
        }
    }

    /// What is kept in the room from the start. What does not fit a new room fits none.
    fn initial_memory(&self, session: &Session, new: &NewRoom) -> Result<Memory, ActionError> {
        let (mut memory, bounds) = (Memory::default(), self.premises.limits.memory());
        let refuse = |limit: Limit, error: ActionError| {
            self.premises.limit_reached(limit, session.context().id());
            error
        };
        for (key, value) in &new.memory {
            let entry = NewEntry::new(key, value, bounds).map_err(|Invalid(why)| in_memory(&why))?;
            memory.put(entry, Expected::Anything, bounds).map_err(|why| match why {
                NotKept::Keys => refuse(Limit::RoomMemoryKeys, in_memory("there are too many entries")),
                _ => refuse(Limit::RoomMemoryBytes, in_memory("it is too long")),
            })?;
        }
        let kept = self.premises.memory_bytes.get().saturating_add(memory.bytes());
        if memory.bytes() > 0 && kept > self.premises.limits.all_memory_bytes {
            return Err(refuse(Limit::AllRoomMemoryBytes, busy("all rooms together keep as much as they may")));
        }
        Ok(memory)
    }

    /// What is kept of a room from the start: that it has started.
    fn kept(&self, session: &Session, about: &About, record: &Record, (at, trace_id): (Moment, Option<&str>)) -> Kept {
        let context = session.context();
        let actor = Actor {
            user: context.user().cloned(),
            name: shown_name(context),
            participant: None,
            kind: shown_kind(context).as_str(),
        };
        let id = self.premises.ids.make("e_");
        let trace_id = message::trace_id(trace_id).map_or_else(|| self.premises.ids.trace(), Text::from);
        let started = RoomEvent {
            seq: Some(1),
            actor: Some(&actor),
            trace_id: Some(&trace_id),
            ..RoomEvent::new(about, &id, EventKind::RoomStarted, at.unix_ms, event::started(about))
        };
        let event = LoggedEvent { seq: 1, at_ms: at.unix_ms, text: started.to_json().to_string().into() };
        // A room that could not be recovered is not known, and may have had the same id.
        let mut first = vec![Write::Remove { room: about.id.clone() }];
        if self.premises.journal.survives() {
            let entries = record.memory().into_iter().flat_map(Memory::all);
            let entries = entries.map(|(key, entry)| stored_room::entry(key, entry));
            let parts = iter::once(StoredRecord::new(about, record).into_part()).chain(entries);
            first.extend(parts.map(|part| Write::Put { room: about.id.clone(), part }));
        }
        first.push(Write::Append { room: about.id.clone(), event });
        Kept::new(first, &self.premises.limits, about, (at.unix_ms, at.now_ms))
    }

    /// The room to which the new one belongs, in which the creator must have a role.
    fn parent(&self, session: &Session, new: &NewRoom) -> Result<Option<Room>, ActionError> {
        let Some(id) = &new.parent else { return Ok(None) };
        let living = opening::room(&self.premises, id);
        let living = living.ok().filter(|living| self.roles.decide(session, living).is_some());
        let parent = living.ok_or_else(|| ActionError::not_found("there is no such parent"))?.room.clone();
        if parent.with(|record| record.takes_no_more()) {
            return Err(has_ended());
        }
        if parent.generation() + 1 >= self.premises.limits.generations {
            self.premises.limit_reached(Limit::RoomGenerations, session.context().id());
            return Err(busy("there are as many rooms above one another as there may be"));
        }
        Ok(Some(parent))
    }

    /// The agent of a new room, its own or its parent's, with its contract. If the creator names a contract, the agent has
    /// it.
    fn agent(
        &self,
        session: &Session,
        new: &NewRoom,
        parent: Option<&Room>,
    ) -> Result<(Option<Text>, Option<Text>), ActionError> {
        let inherited = parent.filter(|_| new.inherit.contains(&Facet::Agent)).and_then(Room::agent);
        let name = new.agent.as_deref().map(Text::from).or_else(|| inherited.cloned());
        let unknown = || ActionError::new("unknown_agent", "there is no agent of this name");
        let find = |name: &Text| self.agents.get(project_of(session.context()), name).ok_or_else(unknown);
        let registered = name.as_ref().map(find).transpose()?;
        let contract = registered.as_ref().and_then(|registered| registered.agent.contract_name()).cloned();
        if new.contract.is_some() && new.contract.as_deref() != contract.as_deref() {
            return Err(ActionError::new("contract_violation", "the agent does not have this contract"));
        }
        Ok((name, contract))
    }

    fn about(
        &self,
        session: &Session,
        owner: &Text,
        new: &NewRoom,
        (parent, trust, at): (Option<&Room>, Trust, Moment),
    ) -> About {
        let is_sandbox = new.mode == Mode::Sandbox || parent.is_some_and(|parent| parent.mode() == Mode::Sandbox);
        About {
            id: new.id.clone().unwrap_or_else(|| self.premises.ids.make("m_")),
            project: project_of(session.context()).into(),
            rank: 0,
            title: new.title.as_str().into(),
            owner: owner.clone(),
            origin: new.origin,
            created_ms: at.unix_ms,
            epoch: self.premises.ids.make(""),
            access: new.access,
            trust,
            mode: if is_sandbox { Mode::Sandbox } else { Mode::Production },
            queue: new.queue,
            streaming: new.streaming,
            replayable: new.replayable,
            one_shot: new.one_shot,
            on_end: new.on_end,
            archive_for: new.archive_for,
            particulars: particulars(new, parent).apart(),
        }
    }
}

fn is_taken() -> ActionError {
    ActionError::conflict("a room with this id exists already")
}

fn in_memory(why: &str) -> ActionError {
    ActionError::invalid_params(format!("`memory` cannot be used: {why}"))
}

/// The trust of a room: what was asked for, or the session's, and at most the session's and the parent's (SEC28).
fn grant(held: Trust, parent: Option<&Room>, new: &NewRoom) -> Result<Trust, ActionError> {
    let most = parent.map_or(held, |parent| held.min(parent.trust()));
    let asked = new.trust.unwrap_or(most);
    if new.strict && asked > most {
        return Err(ActionError::new("caps_refused", "this session may not be given so much trust"));
    }
    Ok(asked.min(most))
}

fn particulars(new: &NewRoom, parent: Option<&Room>) -> Particulars {
    Particulars {
        agent: None,
        first_epoch: None,
        parent: parent.map(|parent| parent.id().clone()),
        parent_epoch: parent.map(|parent| parent.about().first_epoch().clone()),
        generation: parent.map_or(0, |parent| parent.generation() + 1),
        inherit: new.inherit.clone().into(),
        attributes: attributes(new, parent),
    }
}

/// A room's own attributes, and beneath them those that it inherits.
fn attributes(new: &NewRoom, parent: Option<&Room>) -> Box<[(Text, Text)]> {
    let inherits = new.inherit.contains(&Facet::Attributes);
    let inherited = parent.filter(|_| inherits).map(Room::attributes).unwrap_or_default();
    let mut all: BTreeMap<Text, Text> = inherited.iter().cloned().collect();
    all.extend(new.attributes.iter().map(|(name, value)| (name.as_str().into(), value.as_str().into())));
    all.into_iter().collect()
}
