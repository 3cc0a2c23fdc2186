//! Who is in a room.

use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::participant::Participant;

/// Above so many participants, they are found by session without looking at each.
const FEW: usize = 16;

/// The participants of a room in order of joining, each of which is found by its session. There may be many rooms, and
/// most have few participants.
#[derive(Debug, Default)]
pub(super) struct Participants {
    /// By the order of joining, which has holes where others have left.
    all: Vec<(u32, Arc<Participant>)>,
    next: u32,
    /// Present if there are, or were, more than a few.
    by_session: Option<Box<BySession>>,
}

/// The orders of joining, by the hash of the session.
#[derive(Debug, Default)]
struct BySession {
    orders: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

type Ordered = [(u32, Arc<Participant>)];

fn place_of(all: &Ordered, order: u32) -> Option<usize> {
    all.binary_search_by_key(&order, |(order, _)| *order).ok()
}

impl BySession {
    fn of(all: &Ordered) -> Self {
        let mut found = Self::default();
        all.iter().for_each(|(order, participant)| found.insert(all, *order, &participant.session));
        found
    }

    /// Of those that stand in the list.
    fn insert(&mut self, all: &Ordered, order: u32, session: &str) {
        let hasher = &self.hasher;
        let rehash = |order: &u32| place_of(all, *order).map_or(0, |at| hasher.hash_one(all[at].1.session.as_str()));
        self.orders.insert_unique(hasher.hash_one(session), order, rehash);
    }

    fn find(&self, all: &Ordered, session: &str) -> Option<usize> {
        let is_it = |order: &u32| place_of(all, *order).is_some_and(|at| all[at].1.session == session);
        place_of(all, *self.orders.find(self.hasher.hash_one(session), is_it)?)
    }

    fn remove(&mut self, order: u32, session: &str) {
        if let Ok(entry) = self.orders.find_entry(self.hasher.hash_one(session), |known| *known == order) {
            entry.remove();
        }
    }
}

impl Participants {
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// In order of joining.
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<Participant>> {
        self.all.iter().map(|(_, participant)| participant)
    }

    pub(super) fn get(&self, at: usize) -> Option<&Arc<Participant>> {
        self.all.get(at).map(|(_, participant)| participant)
    }

    /// Where the participant of a session stands.
    pub(super) fn place_of(&self, session: &str) -> Option<usize> {
        match &self.by_session {
            Some(known) => known.find(&self.all, session),
            None => self.iter().position(|participant| participant.session == session),
        }
    }

    /// Adds one whose session has none yet.
    pub(super) fn push(&mut self, participant: Arc<Participant>) {
        if self.next == u32::MAX {
            self.count_anew();
        }
        if self.all.len() == self.all.capacity() {
            // Most rooms are small, and there may be many: room for an eighth more.
            self.all.reserve_exact(self.all.len() / 8 + 1);
        }
        let (order, session) = (self.next, participant.session.clone());
        self.next += 1;
        self.all.push((order, participant));
        match &mut self.by_session {
            Some(known) => known.insert(&self.all, order, &session),
            None if self.all.len() > FEW => self.by_session = Some(Box::new(BySession::of(&self.all))),
            None => {}
        }
    }

    pub(super) fn remove(&mut self, at: usize) -> Arc<Participant> {
        let (order, participant) = self.all.remove(at);
        if let Some(known) = &mut self.by_session {
            known.remove(order, &participant.session);
        }
        participant
    }

    /// Changes one; its session stays.
    pub(super) fn change(&mut self, at: usize, change: impl FnOnce(&mut Participant)) {
        change(Arc::make_mut(&mut self.all[at].1));
    }

    /// After billions of joinings, the orders begin anew.
    fn count_anew(&mut self) {
        self.next = 0;
        for (order, _) in &mut self.all {
            *order = self.next;
            self.next += 1;
        }
        self.by_session = self.by_session.take().map(|_| Box::new(BySession::of(&self.all)));
    }

    /// Whether each is found by its session.
    pub(super) fn is_consistent(&self) -> bool {
        let each = self.iter().enumerate().all(|(at, participant)| self.place_of(&participant.session) == Some(at));
        each && self.by_session.as_ref().is_none_or(|known| known.orders.len() == self.len())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::participant::{ParticipantKind, Status};
    use super::super::role::Role;
    use super::*;

    fn participant(who: u32) -> Arc<Participant> {
        Arc::new(Participant {
            id: format!("p_{who}").into(),
            session: format!("{who}").into(),
            user: None,
            name: "a".into(),
            kind: ParticipantKind::Person,
            role: Role::Member,
            status: Status::Online,
            since_ms: 0,
        })
    }

    proptest! {
        #[test]
        fn a_crowd_is_a_list_in_which_sessions_are_found(
            left in prop_oneof![Just(u32::MAX), 0..100_u32],
            who in prop::collection::vec(0..60_u32, 0..200),
        ) {
            let mut participants = Participants { next: u32::MAX - left, ..Participants::default() };
            let mut list = Vec::new();
            for who in who {
                let place = participants.place_of(&who.to_string());
                prop_assert_eq!(place, list.iter().position(|known| *known == who));
                match place {
                    Some(at) => {
                        list.remove(at);
                        prop_assert_eq!(participants.remove(at), participant(who));
                    }
                    None => {
                        list.push(who);
                        participants.push(participant(who));
                    }
                }
                prop_assert!(participants.is_consistent());
                prop_assert!(participants.iter().eq(list.iter().map(|who| participant(*who)).collect::<Vec<_>>().iter()));
            }
        }
    }
}
