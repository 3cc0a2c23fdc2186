//! The rooms that an earlier engine had.

use std::sync::Arc;

use super::away::AwayRoom;
use super::directory::Known;
use super::end_step::remove_at;
use super::ended_by::StoredEnding;
use super::ending::Ending;
use super::kept::Age;
use super::opening;
use super::premises::Premises;
use super::roles::Roles;
use super::running::Running;
use super::stored_room::{StoredEnd, StoredOverview};
use super::unread::Wanted;
use crate::clock::millis;
use crate::event::Event;
use crate::model::Text;
use crate::model::room::policy::Access;
use crate::storage::repair::Repair;
use crate::storage::room_store::{Part, PartKind};
use crate::storage::store::Write;
use crate::sync::Ordering;

/// Finds the rooms again that an earlier engine had, before anybody can ask for them.
#[derive(Debug)]
pub(super) struct Recovering<'a> {
    premises: &'a Arc<Premises>,
    roles: &'a Roles,
    ending: &'a Ending,
    running: &'a Running,
    /// Something that was confirmed may be missing: every room gets another epoch.
    is_history_lost: bool,
}

/// What has to be known of each room.
const KINDS: [PartKind; 3] = [PartKind::Record, PartKind::Activity, PartKind::Run];

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

    /// All rooms are put away, but for those in which runs have not ended: of these, those that were about to end do. What
    /// cannot be read is reported and left as it is.
    pub(super) fn run(&self) {
        if !self.premises.journal.survives() {
            return;
        }
        let mut working = Vec::new();
        let read = self.premises.journal.store().each_room(&KINDS, &mut |id, parts, unread| {
            // If it cannot be read now whether there are some, it is when the room is.
            let has_runs = unread.contains(&PartKind::Run) || parts.iter().any(|part| part.kind == PartKind::Run);
            working.extend(self.add(&id, &parts).filter(|(_, ending)| has_runs || ending.is_some()));
        });
        match read {
            Ok(()) if self.is_history_lost => {
                self.premises.journal.write(Write::LossTold);
            }
            Ok(()) => {}
            Err(why) => self.unreadable("the list of rooms", &why.to_string()),
        }
        let open = |(away, ending): (Arc<AwayRoom>, Option<StoredEnding>)| {
            let id = away.id.clone();
            match opening::living(self.premises, Known::Away(away)) {
                Ok(living) => Some((living, ending)),
                Err(_) => {
                    self.ending.try_later(&id, Wanted { has_runs: true, ending, ..Wanted::default() });
                    None
                }
            }
        };
        let opened: Vec<_> = working.into_iter().filter_map(open).collect();
        self.running.resume(&opened);
    }

    fn unreadable(&self, what: &str, why: &str) {
        self.premises.has_unrecovered.store(true, Ordering::Relaxed);
        self.premises.observers.warn(&Event::StorageFailed { why: format!("{what} cannot be opened: {why}") });
    }

    /// Returns the room, and how it was about to end if it was.
    fn add(&self, id: &Text, parts: &[Part]) -> Option<(Arc<AwayRoom>, Option<StoredEnding>)> {
        let now = self.premises.now();
        let Some(StoredOverview { mut record, ends_in_ms }) = StoredOverview::from_parts(parts, now.unix_ms) else {
            self.unreadable(id, "its record is missing or is of another version");
            return None;
        };
        let removed_in_ms = record.ended.as_ref().map(|ended| self.shown_for_ms(ended, now.unix_ms));
        if removed_in_ms == Some(0) {
            self.premises.journal.write(Write::Remove { room: id.clone() });
            return None;
        }
        if self.is_history_lost {
            record.about.lose_history(self.premises.ids.make(""));
        }
        let (about, ending) = (record.about.clone(), record.ending.clone());
        let is_open = about.access != Access::Invited || self.roles.are_the_applications();
        let age = Age::new(&self.premises.limits, &about, about.created_ms);
        let epoch = self.is_history_lost.then(|| about.epoch.clone());
        let away = AwayRoom { epoch, ..AwayRoom::new(&about, is_open, record.admitted_users(), age) };
        if self.is_history_lost {
            let (room, part) = (about.id.clone(), record.into_part());
            self.premises.journal.write(Write::Put { room, part });
        }
        let Ok(away) = self.premises.directory.add_away(&about, away) else {
            self.unreadable(id, "there are as many rooms as there may be");
            return None;
        };
        if let Some(ends_in_ms) = ends_in_ms {
            self.ending.watch_until(&about.id, now.now_ms.saturating_add(ends_in_ms));
        }
        if let Some(removed_in_ms) = removed_in_ms {
            remove_at(self.premises, &about.id, now.now_ms.saturating_add(removed_in_ms));
        }
        Some((away, ending))
    }

    /// How much longer a room is shown that has ended, in ms.
    fn shown_for_ms(&self, ended: &StoredEnd, unix_ms: u64) -> u64 {
        let shown_ms = unix_ms.saturating_sub(ended.at_ms);
        millis(self.premises.limits.ended_room_retention).saturating_sub(shown_ms)
    }
}
