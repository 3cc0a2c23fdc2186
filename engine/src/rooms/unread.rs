//! What has to be done in rooms that could not be read.

use hashbrown::HashMap;

use super::ended_by::StoredEnding;
use crate::model::Text;

/// What has to be done in a room that could not be read, as soon as it can be.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Wanted {
    /// Its owner was revoked: it ends.
    pub(crate) is_revoked: bool,
    /// An earlier engine had not ended its runs: they go on.
    pub(crate) has_runs: bool,
    /// An earlier engine had begun to end it: it ends.
    pub(crate) ending: Option<StoredEnding>,
}

/// The rooms that could not be read when something was due in them, and how often: a pure type. Each is tried again after a
/// pause that doubles; the room's entry among those that end says when. There are no more than there are rooms.
#[derive(Debug, Default)]
pub(crate) struct Unread {
    rooms: HashMap<Text, (u32, Wanted)>,
}

/// The first pause and the longest one, in ms.
const FIRST_MS: u64 = 1_000;
const LONGEST_MS: u64 = 300_000;

/// After so many, the pause is the longest one.
const MOST_DOUBLINGS: u32 = 10;

impl Unread {
    /// A room could not be read. Returns after which pause it is tried again, in ms.
    pub(super) fn add(&mut self, room: &Text, wanted: Wanted) -> u64 {
        let (times, known) = self.rooms.entry(room.clone()).or_default();
        known.is_revoked |= wanted.is_revoked;
        known.has_runs |= wanted.has_runs;
        known.ending = known.ending.take().or(wanted.ending);
        let pause_ms = (FIRST_MS << *times).min(LONGEST_MS);
        *times = (*times + 1).min(MOST_DOUBLINGS);
        pause_ms
    }

    /// Whether something has to be done in a room before anything else.
    pub(super) fn is_wanted(&self, room: &str) -> bool {
        self.rooms.get(room).is_some_and(|(_, wanted)| *wanted != Wanted::default())
    }

    /// A room can be read, or is gone. Returns what has to be done in it.
    pub(super) fn remove(&mut self, room: &str) -> Wanted {
        let Some((_, wanted)) = self.rooms.remove(room) else { return Wanted::default() };
        if self.rooms.len() * 4 < self.rooms.capacity() {
            self.rooms.shrink_to(self.rooms.len() * 2);
        }
        wanted
    }
}

#[cfg(test)]
mod tests {
    use super::super::ended_by::EndedBy;
    use super::*;
    use crate::model::room::end_reason::EndReason;

    #[test]
    fn the_pause_doubles_until_the_room_was_read_and_nothing_that_is_wanted_is_forgotten() {
        let (mut unread, room) = (Unread::default(), Text::from("a"));
        let revoked = || Wanted { is_revoked: true, ..Wanted::default() };
        let ending = || Wanted { ending: Some((EndReason::Close, EndedBy::system())), ..Wanted::default() };
        let pauses: Vec<_> = (0..100).map(|_| unread.add(&room, Wanted::default())).collect();
        assert_eq!(pauses[..4], [1_000, 2_000, 4_000, 8_000]);
        assert!(pauses[10..].iter().all(|pause| *pause == 300_000));
        unread.add(&room, revoked());
        unread.add(&room, ending());
        unread.add(&room, Wanted { has_runs: true, ..Wanted::default() });
        assert_eq!(unread.remove("a"), Wanted { is_revoked: true, has_runs: true, ..ending() });
        assert_eq!((unread.remove("a"), unread.add(&room, revoked())), (Wanted::default(), 1_000));
    }
}
