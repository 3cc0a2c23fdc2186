//! What is kept of a room beside its events, so that it can be opened again.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::Text;
use crate::model::room::about::About;
use crate::model::room::lasting::Past;
use crate::model::room::memory::{Entry, Memory};
use crate::model::room::participant::Participant;
use crate::model::room::record::{Record, TimeToLive};
use crate::model::room::role::Role;
use crate::model::room::run::asked::Asked;
use crate::model::room::run::state::RunStatus;
use crate::storage::room_store::{Part, PartKind};

/// The part of a room that every room has.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StoredRecord {
    pub(super) about: About,
    pub(super) ttl: Option<TimeToLive>,
    users: BTreeMap<Text, Option<Role>>,
}

impl StoredRecord {
    pub(super) fn new(about: &About, record: &Record) -> Self {
        Self { about: about.clone(), ttl: record.ttl(), users: record.users().clone() }
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
    /// The runs that had not ended, oldest first.
    pub(super) runs: Vec<Asked>,
    /// What became of the run that ended last.
    pub(super) last_outcome: Option<RunStatus>,
}

fn read<'p, T: Deserialize<'p>>(part: &'p Part) -> Option<T> {
    serde_json::from_str(&part.value).ok()
}

impl StoredRoom {
    /// The room that has these parts, and whose latest event has this number; `None` if they are not those of a room.
    pub(super) fn from_parts(parts: &[Part], seq: u64, unix_ms: u64) -> Option<Self> {
        let of = |kind: PartKind| parts.iter().filter(move |part| part.kind == kind);
        let StoredRecord { about, ttl, users } = read(of(PartKind::Record).next()?)?;
        let active_ms: u64 = of(PartKind::Activity).next().and_then(read).unwrap_or(about.created_ms);
        let (age_ms, idle_ms) = (unix_ms.saturating_sub(about.created_ms), unix_ms.saturating_sub(active_ms));
        let participants = of(PartKind::Participant).filter_map(read).collect();
        let readers = of(PartKind::Reader).map(|part| part.key.clone()).collect();
        let memory = memory(of(PartKind::Memory));
        let last_outcome = of(PartKind::Run).find(|part| part.key.is_empty()).and_then(read);
        let mut runs: Vec<Asked> = of(PartKind::Run).filter_map(read).collect();
        runs.sort_by_key(|asked| asked.created_ms);
        let past = Past { age_ms, idle_ms, seq, users };
        Some(Self { about, ttl, past, participants, readers, memory, runs, last_outcome })
    }
}

/// What became of the run that ended last: no run has an empty id.
pub(super) fn last_outcome(status: RunStatus) -> Part {
    part(PartKind::Run, Text::default(), &status)
}

/// That a user has taken part.
pub(super) fn reader(user: &Text) -> Part {
    Part { kind: PartKind::Reader, key: user.clone(), value: Arc::from("") }
}

/// What is kept under a key: the version, and the value behind it.
pub(super) fn entry(key: &Text, Entry { version, value }: &Entry) -> Part {
    Part { kind: PartKind::Memory, key: key.clone(), value: format!("{version} {value}").into() }
}

/// The number of the latest write, which may have removed its entry. No entry has an empty key.
pub(super) fn latest_version(memory: &Memory) -> Part {
    Part { kind: PartKind::Memory, key: Text::default(), value: memory.version().to_string().into() }
}

fn memory<'p>(parts: impl Iterator<Item = &'p Part>) -> Memory {
    let (mut entries, mut latest) = (BTreeMap::new(), 0);
    for part in parts {
        let (version, value) = part.value.split_once(' ').unwrap_or((&part.value, ""));
        let Ok(version) = version.parse() else { continue };
        latest = latest.max(version);
        if !part.key.is_empty() {
            entries.insert(part.key.clone(), Entry { value: value.into(), version });
        }
    }
    Memory::recovered(entries, latest)
}
