//! The rooms of a simulation: what is known of each, and the checks of what its participants are sent.

use futures_util::FutureExt;
use std::collections::{BTreeMap, BTreeSet};

use grove_engine::{Access, ActionError, Engine, Message, NewRoom, Room, RoomQuery, RoomRole, Session};
use serde_json::{Value, json};

use crate::claims::{Claims, marker};
use crate::random::Random;
use crate::reference::{children, id_of};
use crate::viewer::Viewer;

/// What one viewer does with a room. Numbers select among the rooms that there are at that time, whoever sees them.
#[derive(Debug)]
pub(crate) enum RoomChange {
    Create(Access),
    Join(usize),
    Subscribe(usize),
    Unsubscribe(usize),
    Leave(usize),
    Say(usize),
    Keep(usize),
    Forget(usize),
    Admit(usize, u8, RoomRole),
    Dismiss(usize, u8),
    Close(usize),
}

impl RoomChange {
    pub(crate) fn random(random: &mut Random) -> Self {
        let which = random.below(1_000);
        match random.below(24) {
            0..=2 => Self::Create(random.choose(&[Access::Invited, Access::Project, Access::Project, Access::Observe])),
            3..=7 => Self::Join(which),
            8..=9 => Self::Subscribe(which),
            10 => Self::Unsubscribe(which),
            11 => Self::Leave(which),
            12..=15 => Self::Say(which),
            16..=17 => {
                Self::Admit(which, random.below(3) as u8, random.choose(&[RoomRole::Member, RoomRole::Observer]))
            }
            18 => Self::Dismiss(which, random.below(3) as u8),
            19..=21 => Self::Keep(which),
            22 => Self::Forget(which),
            _ => Self::Close(which),
        }
    }

    /// Which room is meant.
    const fn which(&self) -> usize {
        match self {
            Self::Create(_) => 0,
            Self::Join(which)
            | Self::Subscribe(which)
            | Self::Unsubscribe(which)
            | Self::Leave(which)
            | Self::Say(which)
            | Self::Keep(which)
            | Self::Forget(which)
            | Self::Admit(which, ..)
            | Self::Dismiss(which, _)
            | Self::Close(which) => *which,
        }
    }
}

/// A room, and who has a role in it as far as the built-in policy goes.
struct RoomModel {
    room: Room,
    project: Option<u8>,
    owner: u8,
    decided: BTreeMap<u8, Option<RoomRole>>,
    /// What was sent of it to anybody, by number.
    events: BTreeMap<u64, Value>,
}

/// All rooms, in order of creation.
#[derive(Default)]
pub(crate) struct Rooms {
    rooms: Vec<RoomModel>,
    /// By viewer and room: the number of the event that was received last; unknown after a lost connection.
    received: BTreeMap<(usize, usize), Option<u64>>,
    /// The participant ids of each viewer.
    participants: BTreeSet<(usize, String)>,
    /// How many events were checked.
    pub(crate) checked: u64,
}

impl RoomModel {
    fn role(&self, claims: &Claims) -> Option<RoomRole> {
        let user = claims.user.filter(|_| claims.project == self.project)?;
        if user == self.owner {
            return Some(RoomRole::Owner);
        }
        self.decided.get(&user).copied().unwrap_or(match self.room.access() {
            Access::Project => Some(RoomRole::Member),
            Access::Observe => Some(RoomRole::Observer),
            Access::Invited => None,
        })
    }
}

impl Rooms {
    /// What those with a role in a room may be sent: the room's marker, and those of the users with a role in it.
    pub(crate) fn allow(&self, viewers: &mut [Viewer]) {
        for (number, model) in self.rooms.iter().enumerate() {
            let with_role = |viewer: &&Viewer| model.role(&viewer.claims).is_some();
            let users = viewers.iter().filter(with_role).filter_map(|viewer| viewer.claims.user);
            let users: BTreeSet<u8> = users.chain([model.owner]).collect();
            for viewer in viewers.iter_mut().filter(|viewer| with_role(&&**viewer)) {
                viewer.allowed.insert(marker('r', number));
                viewer.allowed.extend(users.iter().map(|user| marker('u', *user)));
            }
        }
    }

    pub(crate) fn change(&mut self, engine: &Engine, viewer: &mut Viewer, change: &RoomChange) {
        if let RoomChange::Create(access) = change {
            return self.create(engine, viewer, *access);
        }
        if self.rooms.is_empty() {
            return;
        }
        let which = self.choose(viewer, change.which());
        let role = self.rooms[which].role(&viewer.claims);
        let done = self.act(engine, viewer, which, change);
        if role.is_none() {
            let unknown = engine.rooms().get(&viewer.session, "m_unknown").map(drop);
            assert_eq!(done.map_err(|error| error.code().to_owned()), unknown.map_err(|error| error.code().to_owned()));
        }
    }

    /// Of ten choices, nine are among the rooms that a viewer sees, if there are any.
    fn choose(&self, viewer: &Viewer, which: usize) -> usize {
        let seen = |number: &usize| !which.is_multiple_of(10) && self.rooms[*number].role(&viewer.claims).is_some();
        let seen: Vec<_> = (0..self.rooms.len()).filter(seen).collect();
        if seen.is_empty() { which % self.rooms.len() } else { seen[which / 10 % seen.len()] }
    }

    fn create(&mut self, engine: &Engine, viewer: &Viewer, access: Access) {
        let title = marker('r', self.rooms.len());
        let created = engine.rooms().create(&viewer.session, &NewRoom::new(title).access(access));
        let Some(owner) = viewer.claims.user else {
            return assert_eq!(created.unwrap_err().code(), "unauthorized");
        };
        let (room, project) = (created.unwrap().room, viewer.claims.project);
        self.rooms.push(RoomModel { room, project, owner, decided: BTreeMap::new(), events: BTreeMap::new() });
    }

    fn act(
        &mut self,
        engine: &Engine,
        viewer: &mut Viewer,
        which: usize,
        change: &RoomChange,
    ) -> Result<(), ActionError> {
        let (rooms, session) = (engine.rooms(), viewer.session.clone());
        let model = &mut self.rooms[which];
        let id = model.room.id().clone();
        match change {
            RoomChange::Subscribe(_) => {
                self.subscribe(engine, viewer, which);
                rooms.get(&session, &id).map(drop)
            }
            RoomChange::Unsubscribe(_) => {
                viewer.unsubscribe_room();
                rooms.get(&session, &id).map(drop)
            }
            RoomChange::Leave(_) => rooms.leave(&session, &id),
            RoomChange::Say(_) => rooms.say(&session, &id, &Message::data(json!({"in": marker('r', which)}))).map(drop),
            RoomChange::Keep(_) => {
                let value = json!({"in": marker('r', which)});
                rooms.memory(&session, &id)?.put(&format!("k{}", viewer.number), &value).map(drop)
            }
            RoomChange::Forget(_) => rooms.memory(&session, &id)?.clear().map(drop),
            RoomChange::Admit(_, user, role) => {
                let admitted = rooms.admit(&session, &id, marker('u', *user), *role);
                admitted.map(|()| {
                    model.decided.insert(*user, Some(*role));
                })
            }
            RoomChange::Dismiss(_, user) => {
                let dismissed = rooms.dismiss(&session, &id, marker('u', *user));
                dismissed.map(|()| {
                    model.decided.insert(*user, None);
                })
            }
            RoomChange::Close(_) => {
                rooms.close(&session, &id, None).now_or_never().expect("nothing runs in it").map(drop)
            }
            RoomChange::Join(_) | RoomChange::Create(_) => self.join(engine, viewer.number, &session, which),
        }
    }

    fn join(&mut self, engine: &Engine, who: usize, session: &Session, which: usize) -> Result<(), ActionError> {
        let participant = engine.rooms().join(session, self.rooms[which].room.id())?;
        self.participants.insert((who, participant.to_string()));
        Ok(())
    }

    /// Subscribes at a room, which joins it; a second joining by name changes nothing, and says who it is.
    fn subscribe(&mut self, engine: &Engine, viewer: &mut Viewer, which: usize) {
        let model = &self.rooms[which];
        let is_shown = engine.rooms().get(&viewer.session, model.room.id()).is_ok();
        if is_shown && viewer.subscribe_room(model.room.id()) {
            let (who, session) = (viewer.number, viewer.session.clone());
            // The room may have ended.
            let _ = self.join(engine, who, &session, which);
        }
    }

    /// A viewer has lost its connection, and with it what waited there.
    pub(crate) fn lost(&mut self, who: usize) {
        for which in 0..self.rooms.len() {
            self.received.insert((who, which), None);
        }
    }

    /// Checks an event that was sent to a viewer: all receive the same in the same order, from the own joining on.
    pub(crate) fn receive(&mut self, who: usize, message: &Value) {
        let event = &message["data"];
        let which = self.rooms.iter().position(|model| event["room"] == model.room.id().as_str());
        let (Some(which), Some(seq)) = (which, event["seq"].as_u64()) else { return };
        self.checked += 1;
        let known = self.rooms[which].events.entry(seq).or_insert_with(|| event.clone());
        assert_eq!(known, event, "session {who} receives what others received");
        let participant = event["body"]["participant"].as_str().unwrap_or_default().to_owned();
        let joins = event["kind"] == "participant.joined" && self.participants.contains(&(who, participant));
        match self.received.insert((who, which), Some(seq)) {
            Some(None) => {}
            Some(Some(last)) => assert!(seq == last + 1 || joins && seq > last, "session {who} misses events: {event}"),
            None => assert!(joins, "session {who} was not told of its joining: {event}"),
        }
        let before =
            self.rooms[which].events.range(..seq).next_back().map(|(_, before)| before["kind"] == "room.ended");
        assert_ne!(before, Some(true), "an event follows the end: {event}");
    }

    /// Compares what a viewer's tree shows of rooms, and what it received, with what is true.
    pub(crate) fn check(&self, engine: &Engine, viewer: &Viewer, tree: &Value) {
        let rooms = engine.rooms();
        let node = children(tree).iter().find(|child| id_of(child) == "rooms").cloned().unwrap_or_default();
        let shown: Vec<_> = children(&node).iter().map(|room| id_of(room).to_owned()).collect();
        let listed = rooms.list(&viewer.session, &RoomQuery::default()).unwrap().rooms;
        assert_eq!(shown, listed.iter().map(|room| room.id().to_string()).collect::<Vec<_>>());
        assert_eq!(node["properties"]["count"], listed.len());
        for (room, node) in listed.iter().zip(children(&node)) {
            let about = rooms.describe(&viewer.session, room.id()).unwrap();
            assert_eq!(node["properties"], about, "session {}", viewer.number);
            let has_joined = about["joined"] == true;
            let participants = children(node).iter().find(|child| id_of(child) == "participants");
            assert_eq!(participants.is_some(), has_joined);
            let Some(participants) = participants else { continue };
            let there: Vec<_> =
                room.participants().iter().map(|one| (one.id.to_string(), one.role.to_string())).collect();
            let role = |row: &Value| row["properties"]["role"].as_str().unwrap_or_default().to_owned();
            let rows: Vec<_> = children(participants).iter().map(|row| (id_of(row).to_owned(), role(row))).collect();
            assert_eq!(rows, there, "session {}", viewer.number);
            let which = self.rooms.iter().position(|model| model.room == *room).unwrap();
            if let Some(received) = self.received.get(&(viewer.number, which)).copied().flatten() {
                assert_eq!(received, room.seq(), "session {} received everything", viewer.number);
            }
        }
        for model in self.rooms.iter().filter(|model| model.role(&viewer.claims).is_none()) {
            assert!(!listed.contains(&model.room), "session {} has no role", viewer.number);
        }
    }

    /// The path of some room, and whether a viewer may see it. None if there is none, or if it may be gone by now.
    pub(crate) fn some(&self, claims: &Claims, which: usize) -> Option<(String, bool)> {
        let model = self.rooms.get(which % self.rooms.len().max(1))?;
        let path = format!("/rooms/{}", model.room.id());
        Some((path, model.role(claims).is_some()))
    }
}
