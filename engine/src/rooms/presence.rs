//! Who is there in a project, as far as the sessions have presence cards.

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::HashMap;

use super::joining::shown_name;
use super::premises::Premises;
use super::roles::project_of;
use crate::event::Event;
use crate::model::Text;
use crate::model::room::participant::{ParticipantKind, Presence, Status};
use crate::model::room::timestamp::rfc3339;
use crate::model::selector::Selector;
use crate::model::session::{Context, Session};
use crate::refresh::refresher::Urgency;
use crate::refresh::scope::Target;
use crate::sessions::paths::Paths;
use crate::sessions::slot::Slot;
use crate::sync::Mutex;

/// One session with a presence card, as another session sees it (rooms 5).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PresenceRow {
    /// Its id, `p_` and 128 random bits, for as long as it is there.
    pub participant: Text,
    /// Whose it is.
    pub user: Option<Text>,
    /// The display name.
    pub name: Text,
    /// What it is.
    pub kind: ParticipantKind,
    /// What it does, in a word of the application's.
    pub role: Option<Text>,
    /// To which groups it belongs.
    pub groups: Vec<Text>,
    /// Whether it shows signs of life.
    pub status: Status,
    /// Since when it is connected, as RFC 3339.
    pub connected_at: String,
    /// In which folder it works; only for sessions of the same user (SEC27).
    pub cwd: Option<Text>,
    /// Which process it is; only for sessions of the same user (SEC27).
    pub pid: Option<u32>,
    /// On which machine it is; only for sessions of the same user (SEC27).
    pub host: Option<Text>,
}

/// Where those who are there stand in the tree, if they are shown.
pub(crate) const PRESENCE: &str = "presence";

/// The sessions with a presence card that are connected, or were until a moment ago.
#[derive(Debug)]
pub(crate) struct PresenceBoard {
    premises: Arc<Premises>,
    /// Whether `/presence` is in the tree.
    pub(crate) is_shown: bool,
    projects: Mutex<HashMap<Text, Rows>>,
}

/// By the key of the slot, in the order in which they came.
#[derive(Debug, Default)]
struct Rows {
    rows: BTreeMap<u64, Row>,
    places: HashMap<u32, u64>,
    next: u64,
}

#[derive(Debug, Clone)]
struct Row {
    slot: Arc<Slot>,
    participant: Text,
    since_ms: u64,
    status: Status,
}

impl PresenceBoard {
    pub(crate) fn new(premises: Arc<Premises>, is_shown: bool) -> Self {
        Self { premises, is_shown, projects: Mutex::default() }
    }

    /// Something changed about a row.
    fn show(&self, project: &str, participant: &Text) {
        self.premises
            .observers
            .emit(|| Event::PresenceChanged { project: project.into(), participant: participant.clone() });
        if self.is_shown {
            let everybody = Target::Selected(Selector::Project(project.into()));
            let paths = Paths::Exactly(Text::const_new(PRESENCE));
            self.premises.refresher.request(&everybody, &paths, Urgency::Debounced);
        }
    }

    /// A session has a connection. One with a presence card is shown from now on.
    pub(crate) fn connected(&self, slot: &Arc<Slot>) {
        let context = slot.context();
        if context.presence().is_none() {
            return;
        }
        let since_ms = self.premises.now().unix_ms;
        let participant = self.premises.ids.make("p_");
        let row = Row { slot: Arc::clone(slot), participant, since_ms, status: Status::Online };
        let mut projects = self.projects.lock();
        let rows = projects.entry(project_of(&context).into()).or_default();
        let changed = match rows.places.get(&slot.key()).and_then(|place| rows.rows.get_mut(place)) {
            Some(known) if Arc::ptr_eq(&known.slot, slot) => known.turn(Status::Online),
            _ => Some(rows.add(slot.key(), row)),
        };
        drop(projects);
        if let Some(participant) = changed {
            self.show(project_of(&context), &participant);
        }
        if slot.is_closed() {
            self.gone(slot, &context);
        }
    }

    /// A session shows signs of life, or none any more.
    pub(crate) fn turn(&self, slot: &Arc<Slot>) {
        let context = slot.context();
        let mut projects = self.projects.lock();
        // What is true by now, whoever noticed what.
        let status = self.premises.attendance.status(slot);
        let rows = projects.get_mut(project_of(&context));
        let row = rows.and_then(|rows| rows.rows.get_mut(rows.places.get(&slot.key())?));
        let changed = row.filter(|row| Arc::ptr_eq(&row.slot, slot)).and_then(|row| row.turn(status));
        drop(projects);
        if let Some(participant) = changed {
            self.show(project_of(&context), &participant);
        }
    }

    /// A session with these claims is not there any more.
    pub(crate) fn gone(&self, slot: &Arc<Slot>, context: &Context) {
        let project = project_of(context);
        let mut projects = self.projects.lock();
        let Some(rows) = projects.get_mut(project) else { return };
        let removed = rows.remove(slot);
        if rows.rows.is_empty() {
            projects.remove(project);
        }
        drop(projects);
        if let Some(row) = removed {
            self.show(project, &row.participant);
        }
    }

    /// A session has other claims than these: maybe no card any more, or one in another project.
    pub(crate) fn claims_changed(&self, slot: &Arc<Slot>, before: &Context) {
        let context = slot.context();
        let same_project = project_of(before) == project_of(&context);
        if !same_project || before.user() != context.user() || context.presence().is_none() {
            self.gone(slot, before);
        }
        if slot.connections() > 0 {
            self.connected(slot);
        }
        if before.presence() != context.presence()
            && let Some(row) = self.row(slot)
        {
            self.show(project_of(&context), &row.participant);
        }
    }

    /// How many are shown.
    pub(crate) fn len(&self) -> usize {
        self.projects.lock().values().map(|rows| rows.rows.len()).sum()
    }

    /// The rows of a session's project, as it may see them. A session without a user sees none.
    pub(crate) fn rows(&self, viewer: &Session) -> Vec<PresenceRow> {
        let context = viewer.context();
        let Some(user) = context.user() else { return Vec::new() };
        let rows = self.of_project(project_of(context));
        rows.into_iter().filter_map(|row| shown(&row, project_of(context), user)).collect()
    }

    /// A session's own row, as it sees it.
    pub(crate) fn own_row(&self, slot: &Arc<Slot>) -> Option<PresenceRow> {
        let row = self.row(slot)?;
        let context = slot.context();
        let user = context.user().cloned().unwrap_or_default();
        shown(&row, project_of(&context), &user)
    }

    fn row(&self, slot: &Arc<Slot>) -> Option<Row> {
        let context = slot.context();
        let projects = self.projects.lock();
        let rows = projects.get(project_of(&context))?;
        let row = rows.rows.get(rows.places.get(&slot.key())?)?;
        Arc::ptr_eq(&row.slot, slot).then(|| row.clone())
    }

    fn of_project(&self, project: &str) -> Vec<Row> {
        let projects = self.projects.lock();
        projects.get(project).into_iter().flat_map(|rows| rows.rows.values()).cloned().collect()
    }

    /// Whether there is anything in a project that only sessions of the same user see.
    pub(crate) fn has_details(&self, project: &str) -> bool {
        self.of_project(project).iter().any(|row| row.slot.context().presence().is_some_and(Presence::has_details))
    }
}

impl Row {
    /// Its id, if that changed anything.
    fn turn(&mut self, status: Status) -> Option<Text> {
        let changes = std::mem::replace(&mut self.status, status) != status;
        changes.then(|| self.participant.clone())
    }
}

impl Rows {
    /// Returns the id of the row.
    fn add(&mut self, key: u32, row: Row) -> Text {
        let participant = row.participant.clone();
        if let Some(old) = self.places.insert(key, self.next) {
            self.rows.remove(&old);
        }
        self.rows.insert(self.next, row);
        self.next += 1;
        participant
    }

    fn remove(&mut self, slot: &Arc<Slot>) -> Option<Row> {
        let place = *self.places.get(&slot.key())?;
        self.rows.get(&place).filter(|row| Arc::ptr_eq(&row.slot, slot))?;
        self.places.remove(&slot.key());
        self.rows.remove(&place)
    }
}

/// A row as this user of a project may see it.
fn shown(row: &Row, project: &str, viewer: &Text) -> Option<PresenceRow> {
    let context = row.slot.context();
    // The session may have got other claims just now.
    let card = context.presence().filter(|_| project_of(&context) == project)?;
    let is_own = context.user() == Some(viewer);
    Some(PresenceRow {
        participant: row.participant.clone(),
        user: context.user().cloned(),
        name: shown_name(&context),
        kind: card.shown_kind(),
        role: card.shown_role().cloned(),
        groups: card.shown_groups().to_vec(),
        status: row.status,
        connected_at: rfc3339(row.since_ms),
        cwd: card.shown_cwd().filter(|_| is_own).cloned(),
        pid: card.shown_pid().filter(|_| is_own),
        host: card.shown_host().filter(|_| is_own).cloned(),
    })
}
