//! How a room that is put away comes back.

use std::sync::Arc;

use super::away::AwayRoom;
use super::call_ids::REMEMBERED_MS;
use super::directory::Known;
use super::kept::Kept;
use super::living::LivingRoom;
use super::premises::Premises;
use super::refusal::{busy, no_room};
use super::said::Said;
use super::step::{Draft, Step};
use super::stored_room::{StoredCall, StoredEnd, StoredRecord, StoredRoom, call_key};
use crate::error::ActionError;
use crate::model::Text;
use crate::model::room::event::{self, EventKind};
use crate::model::room::handle::Room;
use crate::model::room::lasting::KeptCalls;
use crate::model::room::leave_reason::LeaveReason;
use crate::model::room::participant::Participant;
use crate::model::room::policy::OnEnd;
use crate::model::room::record::Record;
use crate::model::room::runs::Runs;
use crate::panics;
use crate::storage::error::StorageError;
use crate::storage::room_store::PartKind;

/// The living room with this id. One that is put away is read, which may block for as long as the disk takes.
///
/// # Errors
/// `not_found` if there is none; `internal` or `busy` if it cannot be read.
pub(super) fn room(premises: &Premises, id: &str) -> Result<Arc<LivingRoom>, ActionError> {
    let known = premises.directory.get(id).ok_or_else(no_room)?;
    living(premises, known)
}

/// The same for what is due in the room: that comes before anybody else finds it.
///
/// # Errors
/// As those of [`room`].
pub(super) fn room_in_which_something_is_due(premises: &Premises, id: &str) -> Result<Arc<LivingRoom>, ActionError> {
    let known = premises.directory.get(id).ok_or_else(no_room)?;
    living_for(premises, known, Whom::Engine)
}

/// A room that is known, which comes back if it is put away.
///
/// # Errors
/// As those of [`room`].
pub(super) fn living(premises: &Premises, known: Known) -> Result<Arc<LivingRoom>, ActionError> {
    living_for(premises, known, Whom::Anybody)
}

/// For whom a room comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whom {
    /// For what is due in it.
    Engine,
    Anybody,
}

fn living_for(premises: &Premises, mut known: Known, whom: Whom) -> Result<Arc<LivingRoom>, ActionError> {
    loop {
        let away = match known {
            Known::Living(living) => {
                if let Some(kept) = &living.kept {
                    kept.used(premises.timers.now_ms());
                }
                return Ok(living);
            }
            Known::Away(away) => away,
        };
        if let Some(living) = bring_back(premises, &away, whom)? {
            return Ok(living);
        }
        // Somebody else was faster.
        known = premises.directory.get(&away.id).ok_or_else(no_room)?;
    }
}

/// `None` if somebody else has brought it back meanwhile, or it is gone.
fn bring_back(premises: &Premises, away: &Arc<AwayRoom>, whom: Whom) -> Result<Option<Arc<LivingRoom>>, ActionError> {
    let read = panics::catch(|| read(premises, away)).unwrap_or_else(|why| Err(StorageError::Unavailable(why)));
    match read {
        Ok(_) if whom == Whom::Anybody && premises.unread.lock().is_wanted(&away.id) => {
            // It could not be read before, and can be now.
            premises.watch_until(&away.id, premises.timers.now_ms());
            Err(busy("what an earlier process has left to be done in the room comes first"))
        }
        Ok(stored) => Ok(open(premises, away, stored)),
        Err(why) if premises.directory.knows(away) => Err(premises.unreadable(&away.id, &why)),
        // It was removed while it was read.
        Err(_) => Ok(None),
    }
}

fn read(premises: &Premises, away: &AwayRoom) -> Result<StoredRoom, StorageError> {
    let store = premises.journal.store();
    let parts = store.parts(&away.id)?;
    let seq = store.bounds(&away.id)?.map_or(0, |bounds| bounds.last_seq);
    let stored = StoredRoom::from_parts(&parts, seq, premises.now().unix_ms, premises.run_bounds);
    stored.ok_or_else(|| StorageError::Corrupt("a part of it is missing, damaged or of another version".to_owned()))
}

fn open(premises: &Premises, away: &Arc<AwayRoom>, stored: StoredRoom) -> Option<Arc<LivingRoom>> {
    let StoredRoom { mut about, ttl, past, participants, readers, memory, runs, ended, calls } = stored;
    let kept_bytes = memory.bytes();
    // Without any event, it is not known which numbers were used.
    let is_lost = past.seq == 0;
    if is_lost {
        about.lose_history(premises.ids.make(""));
    } else if let Some(epoch) = &away.epoch {
        // It may not be written yet.
        about.lose_history(epoch.clone());
    }
    about.rank = away.rank;
    let now_ms = premises.timers.now_ms();
    let kept = Kept::again(&premises.limits, &about, away.age.clone(), now_ms);
    let record = Record::recovered(about.owner.clone(), about.access, ttl, now_ms, past);
    let mut record = record.with_memory(memory).with_runs(runs);
    if about.on_end == OnEnd::Archive {
        record.lasting_mut().remember_who_takes_part();
        readers.iter().for_each(|user| {
            record.lasting_mut().takes_part(user);
        });
    }
    if let Some(StoredEnd { end, cold_context_id, .. }) = ended {
        record = record.with_end(Some(end));
        cold_context_id.into_iter().for_each(|id| record.lasting_mut().archived(id));
    }
    let living = Arc::new(LivingRoom::new(Room::new(about, record), away.is_open, Some(Box::new(kept))));
    // Whoever finds it waits until those have left who were there when an earlier engine ended.
    let is_back = Step::take(premises, &living, |step, record| {
        let is_back = premises.directory.bring_back(away, &living);
        if is_back {
            if is_lost {
                step.put(StoredRecord::new(living.room.about(), record).into_part());
            }
            participants.into_iter().for_each(|participant| leave(step, record, participant));
            remember_calls(premises, record);
            remember_said(step, record, calls);
        }
        is_back
    });
    is_back.then(|| {
        premises.memory_bytes.add(kept_bytes);
        living
    })
}

/// Somebody was there when the earlier engine ended, and is not any more.
fn leave(step: &mut Step<'_>, record: &mut Record, participant: Participant) {
    let (session, key) = (participant.session.clone(), participant.id.clone());
    record.was_there(participant);
    if let Some(left) = record.leave(&session) {
        let body = event::participant(&left.participant, Some(LeaveReason::Lost));
        step.send(Draft::about(&left.participant, EventKind::ParticipantLeft, left.seq, body));
    }
    step.delete(PartKind::Participant, key);
}

/// A call that is repeated starts no run again, as if the engine had gone on.
fn remember_calls(premises: &Premises, record: &Record) {
    let now = premises.now();
    let asked = record.runs().into_iter().flat_map(Runs::all).map(|run| &run.asked);
    let mut calls = premises.run_calls.lock();
    for asked in asked.filter(|asked| asked.created_ms.saturating_add(REMEMBERED_MS) > now.unix_ms) {
        let call = asked.call().filter(|(caller, call)| calls.get(caller, call, now.now_ms).is_none());
        if let Some((caller, call)) = call {
            calls.add(caller, call.clone(), asked.id.clone(), now.now_ms);
        }
    }
}

/// A call that is repeated says nothing again.
fn remember_said(step: &mut Step<'_>, record: &mut Record, calls: Vec<(u64, StoredCall<'_>)>) {
    let at = step.at();
    let counts = |(_, call): &(u64, StoredCall<'_>)| call.at_ms.saturating_add(REMEMBERED_MS) > at.unix_ms;
    let (counting, over): (Vec<_>, Vec<_>) = calls.into_iter().partition(counts);
    over.iter().for_each(|(number, _)| step.delete(PartKind::Call, call_key(*number)));
    if counting.is_empty() {
        return;
    }
    *record.lasting_mut().calls_mut() =
        KeptCalls::recovered(counting.iter().map(|(number, call)| (*number, call.at_ms)));
    let mut known = step.premises().calls.lock();
    for (_, StoredCall { caller, id, event, seq, .. }) in counting {
        if known.get(&caller, &id, at.now_ms).is_none() {
            let said = Said { event: Text::from(&*event), seq };
            known.add(&Text::from(&*caller), Text::from(&*id), said, at.now_ms);
        }
    }
}
