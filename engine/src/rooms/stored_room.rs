//! What is kept of a room beside its events, so that it can be opened again.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ended_by::{EndedBy, StoredEnding};
use crate::model::Text;
use crate::model::room::about::About;
use crate::model::room::end_reason::EndReason;
use crate::model::room::history::HistoryEntry;
use crate::model::room::lasting::{Lasting, Past};
use crate::model::room::memory::{Entry, Memory};
use crate::model::room::participant::Participant;
use crate::model::room::record::{End, Record, TimeToLive};
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
    /// Present if it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ended: Option<StoredEnd>,
}

/// How a room has ended that is still shown. Nothing else is kept of it but the runs that it had.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct StoredEnd {
    pub(super) end: End,
    /// When, in ms since 1970.
    pub(super) at_ms: u64,
    /// The number of its last event.
    pub(super) seq: u64,
    pub(super) cold_context_id: Option<Text>,
}

impl StoredRecord {
    pub(super) fn new(about: &About, record: &Record) -> Self {
        Self { about: about.clone(), ttl: record.ttl(), users: record.users().clone(), ending: None, ended: None }
    }

    /// The room is about to end.
    pub(super) fn ending(self, reason: EndReason, by: EndedBy) -> Self {
        Self { ending: Some((reason, by)), ..self }
    }

    /// Of a room that ends at this time, in ms since 1970.
    pub(super) fn of_ended(about: &About, record: &Record, end: End, at_ms: u64) -> Self {
        let cold_context_id = record.lasting().and_then(Lasting::cold_context_id).cloned();
        let ended = StoredEnd { end, at_ms, seq: record.seq(), cold_context_id };
        Self { ended: Some(ended), ..Self::new(about, record) }
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
        let ttl = record.ttl.filter(|_| record.ended.is_none());
        let ends_in_ms = ttl.map(|ttl| {
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
    pub(super) ended: Option<StoredEnd>,
    /// The calls by which something was said, with their numbers.
    pub(super) calls: Vec<(u64, StoredCall<'static>)>,
}

fn read<'p, T: Deserialize<'p>>(part: &'p Part) -> Option<T> {
    serde_json::from_str(&part.value).ok()
}

impl StoredRoom {
    /// The room that has these parts, and whose latest event has this number; `None` if they are not those of a room.
    pub(super) fn from_parts(parts: &[Part], seq: u64, unix_ms: u64, bounds: RunBounds) -> Option<Self> {
        let of = |kind: PartKind| parts.iter().filter(move |part| part.kind == kind);
        let StoredRecord { about, ttl, users, ended, .. } = read(of(PartKind::Record).next()?)?;
        let seq = ended.as_ref().map_or(seq, |ended| ended.seq);
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
        let past = Past { age_ms, idle_ms, seq, users };
        let calls = calls(of(PartKind::Call))?;
        Some(Self { about, ttl, past, participants, readers, memory, runs, ended, calls })
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

/// A run of a room that has ended.
pub(super) fn run_of_ended(run: &Run) -> Part {
    part(PartKind::EndedRun, run.asked.id.clone(), &run.stored_without_text())
}

/// The key of an entry of the history. The keys are in the order of the numbers.
pub(super) fn history_key(number: u64) -> Text {
    format!("{number:020}").into()
}

/// A call by which something was said.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StoredCall<'c> {
    /// Whose it was.
    pub(super) caller: Cow<'c, str>,
    pub(super) id: Cow<'c, str>,
    pub(super) event: Cow<'c, str>,
    pub(super) seq: Option<u64>,
    /// When, in ms since 1970.
    pub(super) at_ms: u64,
}

/// The key of a call. The keys are in the order of the numbers.
pub(super) fn call_key(number: u64) -> Text {
    format!("{number:020}").into()
}

/// The calls among these parts, with their numbers.
fn calls<'p>(parts: impl Iterator<Item = &'p Part>) -> Option<Vec<(u64, StoredCall<'static>)>> {
    let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
    let call = |part: &Part| {
        let StoredCall { caller, id, event, seq, at_ms } = read(part)?;
        let call = StoredCall { caller: owned(caller), id: owned(id), event: owned(event), seq, at_ms };
        Some((part.key.parse().ok()?, call))
    };
    parts.map(call).collect()
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
