//! The last step of a room.

use super::archived_room::ArchivedRoom;
use super::ended_by::EndedBy;
use super::living::LivingRoom;
use super::premises::Premises;
use super::step::{Draft, Step};
use super::stored_room::{self, StoredRecord};
use crate::clock::millis;
use crate::event::Event;
use crate::model::Text;
use crate::model::room::end_reason::EndReason;
use crate::model::room::event::{self, EventKind};
use crate::model::room::lasting::Lasting;
use crate::model::room::memory::Memory;
use crate::model::room::message;
use crate::model::room::policy::OnEnd;
use crate::model::room::record::{End, Record};
use crate::model::room::runs::Runs;
use crate::sessions::timer::Timer;
use crate::storage::store::Write;

/// Ends a room that is locked and whose runs have ended: its last event goes to all who are there, and then nobody is.
pub(super) fn end_in(
    step: &mut Step<'_>,
    record: &mut Record,
    living: &LivingRoom,
    (reason, by): (EndReason, EndedBy),
) -> Option<End> {
    let kept = record.memory().map_or(0, Memory::bytes);
    let (end, seq) = record.end(reason, step.at().now_ms)?;
    step.forget(kept);
    let archive = (living.room.on_end() == OnEnd::Archive).then(|| step.id("c_"));
    let body = event::ended(reason, end.duration_ms, by.note.as_deref(), archive.as_deref());
    let user = by.actor.user.clone();
    let kind = EventKind::RoomEnded;
    let trace_id = message::trace_id(by.trace_id.as_deref());
    step.send(Draft { kind, seq: Some(seq), actor: by.actor, trace_id, call_id: None, body });
    if living.kept.is_some() {
        step.write(what_stays(record, living, archive.as_ref(), step.at().unix_ms));
    }
    if let Some(id) = archive {
        record.lasting_mut().archived(id);
    }
    keep_end(step, record, living, end);
    step.clear();
    let (room, project) = (living.room.id().clone(), living.room.project().clone());
    step.report(Event::RoomClosed { room, project, reason, duration_ms: end.duration_ms, user });
    Some(end)
}

/// What stays of a room that has ended: its events, if they are archived.
fn what_stays(record: &Record, living: &LivingRoom, archive: Option<&Text>, at_ms: u64) -> Write {
    let room = living.room.id().clone();
    match archive {
        None => Write::Remove { room },
        Some(id) => {
            let about = ArchivedRoom::new(&living.room, record.lasting().into_iter().flat_map(Lasting::took_part))
                .to_json()
                .into();
            Write::Archive { room, id: id.clone(), at_ms, about }
        }
    }
}

/// What is shown of a room that has ended is kept until it is removed.
fn keep_end(step: &mut Step<'_>, record: &Record, living: &LivingRoom, end: End) {
    if !step.keeps_parts() {
        return;
    }
    step.put(StoredRecord::of_ended(living.room.about(), record, end, step.at().unix_ms).into_part());
    record.runs().into_iter().flat_map(Runs::all).for_each(|run| step.put(stored_room::run_of_ended(run)));
}

/// A room has ended: it is shown for a while.
pub(super) fn remove_later(premises: &Premises, living: &LivingRoom) {
    premises.ends.lock().remove(living.room.id());
    premises.unread.lock().remove(living.room.id());
    let keep_ms = millis(premises.limits.ended_room_retention);
    remove_at(premises, living.room.id(), premises.timers.now_ms().saturating_add(keep_ms));
}

/// A room that has ended is shown until then.
pub(super) fn remove_at(premises: &Premises, room: &Text, at_ms: u64) {
    premises.ended.add(1);
    let timer = premises.removals.lock().add(at_ms, room.clone());
    if let Some(at_ms) = timer {
        premises.timers.at(at_ms, Timer::RoomRemovals);
    }
}
