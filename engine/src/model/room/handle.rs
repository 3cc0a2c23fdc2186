//! A handle on a room, for the application and for the engine.

use std::fmt;
use std::sync::Arc;

use serde_json::{Value, json};

use super::about::{About, Particulars};
use super::end_reason::EndReason;
use super::participant::{Participant, ParticipantKind, Status};
use super::policy::{Access, ArchiveFor, Facet, Mode, OnEnd, Origin, Queue, Trust};
use super::record::{Record, RoomState};
use super::role::Role;
use super::run::state::RunStatus;
use super::run_view::RunView;
use super::timestamp::rfc3339;
use crate::model::Text;
use crate::sync::{AtomicBool, Mutex, Ordering};

/// A room: a cheap handle, all clones of which are the same room.
///
/// What it tells is true at that moment, and is not bound to any viewer; hand it on only to who may see the room.
#[derive(Clone)]
pub struct Room {
    cell: Arc<RoomCell>,
    /// Is set when somebody looks by this handle at who takes part.
    looked: Option<Arc<AtomicBool>>,
}

struct RoomCell {
    about: About,
    record: Mutex<Record>,
}

/// A participant of a room, as its other participants see it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParticipantView {
    /// Its id, `p_` and 128 random bits.
    pub id: Text,
    /// Whose it is; `None` for a session without a user.
    pub user: Option<Text>,
    /// The display name.
    pub name: Text,
    /// What it is.
    pub kind: ParticipantKind,
    /// What it may do.
    pub role: Role,
    /// Whether it shows signs of life.
    pub status: Status,
    /// When it joined, as RFC 3339.
    pub since: String,
}

impl From<&Participant> for ParticipantView {
    fn from(participant: &Participant) -> Self {
        Self {
            id: participant.id.clone(),
            user: participant.user.clone(),
            name: participant.name.clone(),
            kind: participant.kind,
            role: participant.role,
            status: participant.status,
            since: rfc3339(participant.since_ms),
        }
    }
}

impl Room {
    pub(crate) fn new(about: About, record: Record) -> Self {
        Self { cell: Arc::new(RoomCell { about, record: Mutex::new(record) }), looked: None }
    }

    /// The same room by a handle that tells when somebody looks at who takes part: whoever shows that has to show it anew
    /// when it changes.
    pub(crate) fn watched(&self, looked: &Arc<AtomicBool>) -> Self {
        Self { cell: Arc::clone(&self.cell), looked: Some(Arc::clone(looked)) }
    }

    /// Somebody is about to look at who takes part.
    fn look(&self) {
        if let Some(looked) = &self.looked {
            looked.store(true, Ordering::SeqCst);
        }
    }

    /// Its id. It is no credential: knowing it gives access to nothing (SEC22).
    #[must_use]
    pub fn id(&self) -> &Text {
        &self.cell.about.id
    }

    /// The project to which it belongs; empty for none.
    #[must_use]
    pub fn project(&self) -> &Text {
        &self.cell.about.project
    }

    /// The title.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.cell.about.title
    }

    /// The user who created it.
    #[must_use]
    pub fn owner(&self) -> &Text {
        &self.cell.about.owner
    }

    /// By which way it was created.
    #[must_use]
    pub fn origin(&self) -> Origin {
        self.cell.about.origin
    }

    /// When it was created, as RFC 3339.
    #[must_use]
    pub fn created_at(&self) -> String {
        rfc3339(self.cell.about.created_ms)
    }

    /// Tells its events from those of a room of the same id before history was lost.
    #[must_use]
    pub fn epoch(&self) -> &Text {
        &self.cell.about.epoch
    }

    /// Who has a role, beside those whom the owner admits.
    #[must_use]
    pub fn access(&self) -> Access {
        self.cell.about.access
    }

    /// How much those in it are trusted.
    #[must_use]
    pub fn trust(&self) -> Trust {
        self.cell.about.trust
    }

    /// Whether dangerous actions may be invoked in it.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.cell.about.mode
    }

    /// The agent that runs in it.
    #[must_use]
    pub fn agent(&self) -> Option<&Text> {
        self.particulars()?.agent.as_ref()
    }

    /// What happens to a run while another one is in progress.
    #[must_use]
    pub fn queue(&self) -> Queue {
        self.cell.about.queue
    }

    /// The id of the room to which it belongs.
    #[must_use]
    pub fn parent(&self) -> Option<&Text> {
        self.particulars()?.parent.as_ref()
    }

    /// That with which its parent was created, which tells that room from a later one with its id.
    pub(crate) fn parent_epoch(&self) -> Option<&Text> {
        self.particulars()?.parent_epoch.as_ref()
    }

    /// How many rooms stand above it, each the parent of the next.
    pub(crate) fn generation(&self) -> usize {
        self.particulars().map_or(0, |particulars| particulars.generation)
    }

    /// What it may read of that room.
    #[must_use]
    pub fn inherit(&self) -> &[Facet] {
        self.particulars().map_or(&[], |particulars| &particulars.inherit)
    }

    /// Whether its events can be read later on.
    #[must_use]
    pub fn is_replayable(&self) -> bool {
        self.cell.about.replayable
    }

    /// Whether runs stream what they do.
    #[must_use]
    pub fn is_streaming(&self) -> bool {
        self.cell.about.streaming
    }

    /// Whether its first run ends it.
    #[must_use]
    pub fn is_one_shot(&self) -> bool {
        self.cell.about.one_shot
    }

    /// What becomes of its events when it ends.
    #[must_use]
    pub fn on_end(&self) -> OnEnd {
        self.cell.about.on_end
    }

    /// For whom they stay readable.
    #[must_use]
    pub fn archive_for(&self) -> ArchiveFor {
        self.cell.about.archive_for
    }

    /// What the creator told the application about it, by name; with what it inherits of its parent.
    #[must_use]
    pub fn attributes(&self) -> &[(Text, Text)] {
        self.particulars().map_or(&[], |particulars| &particulars.attributes)
    }

    /// One attribute.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes().iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether it goes on.
    #[must_use]
    pub fn state(&self) -> RoomState {
        self.with(|record| record.state())
    }

    /// Why it has ended; `None` while it goes on.
    #[must_use]
    pub fn end_reason(&self) -> Option<EndReason> {
        self.with(|record| record.end_of()).map(|end| end.reason)
    }

    /// When its time to live expires, as RFC 3339. For a sliding one that is when it would if nobody said anything more.
    #[must_use]
    pub fn ends_at(&self) -> Option<String> {
        let age_ms = self.with(|record| Some(record.age_ms(record.deadline_ms()?)))?;
        Some(rfc3339(self.cell.about.created_ms.saturating_add(age_ms)))
    }

    /// Under which id its events stay readable, for a room that has ended and was archived.
    #[must_use]
    pub fn cold_context_id(&self) -> Option<Text> {
        self.with(|record| record.lasting()?.cold_context_id().cloned())
    }

    /// How many participants are online.
    #[must_use]
    pub fn online(&self) -> usize {
        self.look();
        self.with(|record| record.online())
    }

    /// How many runs are in progress.
    #[must_use]
    pub fn running(&self) -> usize {
        self.with(|record| record.running())
    }

    /// The outcome of the run that ended last, if one has.
    #[must_use]
    pub fn last_outcome(&self) -> Option<RunStatus> {
        self.with(|record| record.runs().and_then(|runs| runs.last_outcome()))
    }

    /// Its runs, oldest first: those that have not ended, and the last ones that have.
    #[must_use]
    pub fn runs(&self) -> Vec<RunView> {
        self.with(|record| record.runs().into_iter().flat_map(|runs| runs.all()).map(RunView::from).collect())
    }

    /// The number of the latest event.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.with(|record| record.seq())
    }

    /// Who takes part, in order of joining.
    #[must_use]
    pub fn participants(&self) -> Vec<ParticipantView> {
        self.shared_participants().iter().map(|participant| ParticipantView::from(&**participant)).collect()
    }

    /// The role that a user of the project has by the built-in policy, for an access function that changes only some of it.
    #[must_use]
    pub fn role_of(&self, user: &str) -> Option<Role> {
        self.with(|record| record.role_of(user))
    }

    /// The role to which the owner admitted a user, for an access function that takes the owner's word.
    #[must_use]
    pub fn admitted(&self, user: &str) -> Option<Role> {
        self.with(|record| record.admitted(user))
    }

    /// What the node of the room shows to a session with this role (rooms 3). The number of the latest event is not there,
    /// since an event must not change everybody's tree.
    pub(crate) fn properties(&self, role: Role, has_joined: bool) -> Value {
        let mut properties = json!({
            "title": self.title(), "state": self.state().as_str(), "owner": self.owner().as_str(), "role": role.as_str(),
            "joined": has_joined, "online": self.online(), "created_at": self.created_at(), "trust": self.trust().as_str(),
            "mode": self.mode().as_str(), "replayable": self.is_replayable(),
        });
        let optional = [
            ("agent", self.agent().map(ToString::to_string)),
            ("parent", self.parent().map(ToString::to_string)),
            ("last_outcome", self.last_outcome().map(|outcome| outcome.to_string())),
            ("ends_at", self.ends_at()),
            ("end_reason", self.end_reason().map(|reason| reason.to_string())),
            ("cold_context_id", self.cold_context_id().map(Into::into)),
        ];
        for (name, value) in optional {
            if let (Some(value), Some(properties)) = (value, properties.as_object_mut()) {
                properties.insert(name.to_owned(), value.into());
            }
        }
        properties
    }

    /// Who takes part, in order of joining, without a copy of each.
    pub(crate) fn shared_participants(&self) -> Vec<Arc<Participant>> {
        self.look();
        self.with(|record| record.participants().cloned().collect())
    }

    fn particulars(&self) -> Option<&Particulars> {
        self.cell.about.particulars.as_deref()
    }

    pub(crate) fn about(&self) -> &About {
        &self.cell.about
    }

    /// The order of creation.
    pub(crate) fn rank(&self) -> u64 {
        self.cell.about.rank
    }

    /// One look or one step with the room locked.
    pub(crate) fn with<T>(&self, step: impl FnOnce(&mut Record) -> T) -> T {
        step(&mut self.cell.record.lock())
    }

    /// Whether there is another handle.
    pub(crate) fn is_held_elsewhere(&self) -> bool {
        Arc::strong_count(&self.cell) > 1
    }

    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.cell, &other.cell)
    }
}

impl PartialEq for Room {
    fn eq(&self, other: &Self) -> bool {
        self.is(other)
    }
}

impl Eq for Room {}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Room").field("id", &self.cell.about.id).finish_non_exhaustive()
    }
}
