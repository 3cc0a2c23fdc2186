//! The rooms that an earlier engine had.

use std::sync::Arc;

use super::ending::Ending;
use super::kept::Kept;
use super::living::LivingRoom;
use super::premises::Premises;
use super::roles::Roles;
use super::run_steps::{Worker, bounds};
use super::running::Running;
use super::step::{Draft, Step};
use super::stored_room::{StoredRecord, StoredRoom};
use crate::event::Event;
use crate::model::Text;
use crate::model::room::about::About;
use crate::model::room::event::{self, EventKind};
use crate::model::room::handle::Room;
use crate::model::room::leave_reason::LeaveReason;
use crate::model::room::participant::Participant;
use crate::model::room::policy::{Access, OnEnd};
use crate::model::room::record::Record;
use crate::model::room::run::asked::Asked;
use crate::model::room::runs::Runs;
use crate::storage::error::StorageError;
use crate::storage::repair::Repair;
use crate::storage::room_store::PartKind;

/// Opens the rooms again that an earlier engine had, before anybody can ask for them.
#[derive(Debug)]
pub(super) struct Recovering<'a> {
    premises: &'a Arc<Premises>,
    roles: &'a Roles,
    ending: &'a Ending,
    running: &'a Running,
    /// Something that was confirmed may be missing: every room gets another epoch.
    is_history_lost: bool,
}

impl<'a> Recovering<'a> {
    pub(super) fn new(
        premises: &'a Arc<Premises>,
        roles: &'a Roles,
        (ending, running): (&'a Ending, &'a Running),
        repairs: &[Repair],
    ) -> Self {
        for Repair { what, is_history_lost } in repairs {
            let (what, history_lost) = (what.clone(), *is_history_lost);
            premises.observers.warn(&Event::StorageRepaired { what, history_lost });
        }
        let is_history_lost = repairs.iter().any(|repair| repair.is_history_lost);
        Self { premises, roles, ending, running, is_history_lost }
    }

    /// Opens all rooms. What cannot be read is reported and left as it is.
    pub(super) fn run(&self) {
        if !self.premises.journal.survives() {
            return;
        }
        let rooms = self.premises.journal.store().rooms().unwrap_or_else(|why| {
            self.unreadable("the list of rooms", &why.to_string());
            Vec::new()
        });
        for room in rooms {
            match self.read(&room) {
                Ok(Some(stored)) => self.open(stored),
                Ok(None) => self.unreadable(&room, "its record is missing or is of another version"),
                Err(why) => self.unreadable(&room, &why.to_string()),
            }
        }
    }

    fn unreadable(&self, what: &str, why: &str) {
        self.premises.observers.warn(&Event::StorageFailed { why: format!("{what} cannot be opened: {why}") });
    }

    fn read(&self, room: &Text) -> Result<Option<StoredRoom>, StorageError> {
        let store = self.premises.journal.store();
        let parts = store.parts(room)?;
        let seq = store.bounds(room)?.map_or(0, |bounds| bounds.last_seq);
        Ok(StoredRoom::from_parts(&parts, seq, self.premises.now().unix_ms))
    }

    fn open(&self, stored: StoredRoom) {
        let StoredRoom { mut about, ttl, past, participants, readers, memory, runs, last_outcome } = stored;
        let kept_bytes = memory.bytes();
        // Without any event, it is not known which numbers were used.
        let is_lost = self.is_history_lost || past.seq == 0;
        if is_lost {
            about.epoch = self.premises.ids.make("");
        }
        let is_open = about.access != Access::Invited || self.roles.are_the_applications();
        let kept = Kept::new(Vec::new(), &self.premises.limits, &about, about.created_ms);
        let now_ms = self.premises.timers.now_ms();
        let make = |about: About| {
            let runs = last_outcome.map(|last| Runs::new(about.queue, bounds(self.running.limits())).after(last));
            let record = Record::recovered(about.owner.clone(), about.access, ttl, now_ms, past);
            let mut record = record.with_memory(memory).with_runs(runs);
            if about.on_end == OnEnd::Archive {
                record.lasting_mut().remember_who_takes_part();
                readers.iter().for_each(|user| {
                    record.lasting_mut().takes_part(user);
                });
            }
            LivingRoom::new(Room::new(about, record), is_open, Some(Box::new(kept)))
        };
        let id = about.id.clone();
        match self.premises.directory.add(about, is_open, make) {
            Ok(living) => {
                self.premises.memory_bytes.add(kept_bytes);
                self.opened(&living, participants, is_lost);
                self.end_runs(&living, runs);
                self.ending.watch(&living);
            }
            Err(_) => self.unreadable(&id, "there are as many rooms as there may be"),
        }
    }

    fn opened(&self, living: &Arc<LivingRoom>, participants: Vec<Participant>, is_lost: bool) {
        let admitted: Vec<_> = living.room.with(|record| record.admitted_users().cloned().collect());
        for user in &admitted {
            // Beyond the bound, the user finds the room no more.
            let _ = self.premises.directory.admit(living, user);
        }
        Step::take(self.premises, living, |step, record| {
            if is_lost {
                step.put(StoredRecord::new(living.room.about(), record).into_part());
            }
            participants.into_iter().for_each(|participant| leave(step, record, participant));
        });
    }

    /// No agent is registered yet, so what was in progress has failed.
    fn end_runs(&self, living: &Arc<LivingRoom>, runs: Vec<Asked>) {
        for asked in runs {
            self.running.take(living, |work| work.interrupted(asked, self.running.limits()));
        }
    }
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
