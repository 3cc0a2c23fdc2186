//! What is kept of a room beside its events, so that it can be opened again.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ended_by::EndedBy;
use crate::model::Text;
use crate::model::room::about::About;
use crate::model::room::end_reason::EndReason;
use crate::model::room::history::HistoryEntry;
use crate::model::room::lasting::Past;
use crate::model::room::memory::{Entry, Memory};
use crate::model::room::participant::Participant;
use crate::model::room::record::{Record, TimeToLive};
use crate::model::room::role::Role;
use crate::model::room::run::state::Run;
use crate::model::room::run::state::stored::StoredRun;
use crate::model::room::runs::{RunBounds, Runs};
use crate::storage::room_store::{Part, PartKind};

/// The part of a room that every room has.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StoredRecord {
    pub(super) about: About,
    pub(super) ttl: Option<TimeToLive>,
    users: BTreeMap<Text, Option<Role>>,
    /// Its end has been accepted, and it waits for its runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ending: Option<StoredEnding>,
}

/// Why a room is about to end, and who ends it.
pub(super) type StoredEnding = (EndReason, EndedBy);

impl StoredRecord {
    pub(super) fn new(about: &About, record: &Record) -> Self {
        Self { about: about.clone(), ttl: record.ttl(), users: record.users().clone(), ending: None }
    }

    /// The room is about to end.
    pub(super) fn ending(self, reason: EndReason, by: EndedBy) -> Self {
        Self { ending: Some((reason, by)), ..self }
    }

    /// Those whom the owner has admitted.
    pub(super) fn admitted_users(&self) -> impl Iterator<Item = &Text> {
        self.users.iter().filter(|(_, role)| role.is_some()).map(|(user, _)| user)
    }

    pub(super) fn into_part(self) -> Part {
        part(PartKind::Record, Text::default(), &self)
    }
}

/// A part whose value is this. Whatever is kept of rooms serialises.
pub(super) fn part(kind: PartKind, key: Text, value: &impl Serialize) -> Part {
    let value = serde_json::to_string(value).expect("what is kept of a room serialises");
    Part { kind, key, value: value.into() }
}

/// What has to be known of a room that nobody uses.
#[derive(Debug)]
pub(super) struct StoredOverview {
    pub(super) record: StoredRecord,
    /// In how many ms its time to live expires.
    pub(super) ends_in_ms: Option<u64>,
}

impl StoredOverview {
    /// `None` if these are not the parts of a room.
    pub(super) fn from_parts(parts: &[Part], unix_ms: u64) -> Option<Self> {
        let of = |kind: PartKind| parts.iter().find(move |part| part.kind == kind);
        let record: StoredRecord = read(of(PartKind::Record)?)?;
        let ends_in_ms = record.ttl.map(|ttl| {
            let active_ms = of(PartKind::Activity).and_then(read).filter(|_| ttl.sliding);
            let from_ms: u64 = active_ms.unwrap_or(record.about.created_ms);
            ttl.ms.saturating_sub(unix_ms.saturating_sub(from_ms))
        });
        Some(Self { record, ends_in_ms })
    }
}

/// What was kept of a room.
#[derive(Debug)]
pub(super) struct StoredRoom {
    pub(super) about: About,
    pub(super) ttl: Option<TimeToLive>,
    pub(super) past: Past,
    /// Who was there when it was kept.
    pub(super) participants: Vec<Participant>,
    /// Who has taken part at some time.
    pub(super) readers: Vec<Text>,
    pub(super) memory: Memory,
    /// If there is something to remember of them.
    pub(super) runs: Option<Runs>,
}

fn read<'p, T: Deserialize<'p>>(part: &'p Part) -> Option<T> {
    serde_json::from_str(&part.value).ok()
}

impl StoredRoom {
    /// The room that has these parts, and whose latest event has this number; `None` if they are not those of a room.
    pub(super) fn from_parts(parts: &[Part], seq: u64, unix_ms: u64, bounds: RunBounds) -> Option<Self> {
        let of = |kind: PartKind| parts.iter().filter(move |part| part.kind == kind);
        let StoredRecord { about, ttl, users, .. } = read(of(PartKind::Record).next()?)?;
        let active_ms: u64 = of(PartKind::Activity).next().and_then(read).unwrap_or(about.created_ms);
        let (age_ms, idle_ms) = (unix_ms.saturating_sub(about.created_ms), unix_ms.saturating_sub(active_ms));
        let participants = of(PartKind::Participant).map(read).collect::<Option<_>>()?;
        let readers = of(PartKind::Reader).map(|part| part.key.clone()).collect();
        let memory = memory(of(PartKind::Memory))?;
        let runs = of(PartKind::Run).chain(of(PartKind::EndedRun)).map(read);
        let mut runs = runs.collect::<Option<Vec<StoredRun<'_>>>>()?;
        StoredRun::sort(&mut runs);
        let history = of(PartKind::History).map(|part| Some((part.key.parse().ok()?, read(part)?)));
        let runs = Runs::recovered(about.queue, bounds, runs, history.collect::<Option<_>>()?);
        let runs = Some(runs).filter(|runs| !runs.are_nothing());
        Some(Self { about, ttl, past: Past { age_ms, idle_ms, seq, users }, participants, readers, memory, runs })
    }
}

/// That a user has taken part.
pub(super) fn reader(user: &Text) -> Part {
    Part { kind: PartKind::Reader, key: user.clone(), value: Arc::from("") }
}

/// A run, with what matters of it after a restart.
pub(super) fn run(run: &Run) -> Part {
    let kind = if run.status().is_ended() { PartKind::EndedRun } else { PartKind::Run };
    part(kind, run.asked.id.clone(), &run.stored())
}

/// The key of an entry of the history. The keys are in the order of the numbers.
pub(super) fn history_key(number: u64) -> Text {
    format!("{number:020}").into()
}

/// An entry of the history.
pub(super) fn history(number: u64, entry: &HistoryEntry) -> Part {
    part(PartKind::History, history_key(number), entry)
}

/// What is kept under a key: the version, and the value behind it.
pub(super) fn entry(key: &Text, Entry { version, value }: &Entry) -> Part {
    Part { kind: PartKind::Memory, key: key.clone(), value: format!("{version} {value}").into() }
}

/// The number of the latest write, which may have removed its entry. No entry has an empty key.
pub(super) fn latest_version(memory: &Memory) -> Part {
    Part { kind: PartKind::Memory, key: Text::default(), value: memory.version().to_string().into() }
}

/// `None` if it is not what was written.
fn memory<'p>(parts: impl Iterator<Item = &'p Part>) -> Option<Memory> {
    let (mut entries, mut latest) = (BTreeMap::new(), 0);
    for part in parts {
        let (version, value) = part.value.split_once(' ').unwrap_or((&part.value, ""));
        let version = version.parse().ok()?;
        latest = latest.max(version);
        if !part.key.is_empty() {
            // As whoever reads it does: a number may be one that no value can hold.
            serde_json::from_str::<Value>(value).ok()?;
            entries.insert(part.key.clone(), Entry { value: value.into(), version });
        }
    }
    Some(Memory::recovered(entries, latest))
}
