//! Random steps against a list of what happened.

use proptest::prelude::*;

use super::super::participant::ParticipantKind;
use super::*;

const MAX: usize = 3;

/// What may happen to a room.
#[derive(Debug, Clone, Copy)]
enum Step {
    Join(u8),
    Leave(u8),
    Offline(u8),
    Online(u8),
    ChangeRole(u8, Role),
    Admit(u8, Role),
    Dismiss(u8),
    Say(Option<u8>),
    Pass(u64),
    End,
}

fn step() -> impl Strategy<Value = Step> {
    let role = || prop_oneof![Just(Role::Member), Just(Role::Observer)];
    prop_oneof![
        6 => (0..5_u8).prop_map(Step::Join),
        3 => (0..5_u8).prop_map(Step::Leave),
        2 => (0..5_u8).prop_map(Step::Offline),
        2 => (0..5_u8).prop_map(Step::Online),
        1 => (0..5_u8, role()).prop_map(|(who, role)| Step::ChangeRole(who, role)),
        2 => (0..5_u8, role()).prop_map(|(who, role)| Step::Admit(who, role)),
        2 => (0..5_u8).prop_map(Step::Dismiss),
        4 => prop::option::of(0..5_u8).prop_map(Step::Say),
        2 => (0..2_000_u64).prop_map(Step::Pass),
        1 => Just(Step::End),
    ]
}

fn access() -> impl Strategy<Value = Access> {
    prop_oneof![Just(Access::Invited), Just(Access::Project), Just(Access::Observe)]
}

fn ttl() -> impl Strategy<Value = Option<TimeToLive>> {
    prop::option::of((1..5_000_u64, any::<bool>()).prop_map(|(ms, sliding)| TimeToLive { ms, sliding }))
}

/// User 0 is the owner.
fn name(number: u8) -> Text {
    format!("{number}").into()
}

fn participant(who: u8) -> Participant {
    Participant {
        id: format!("p_{who}").into(),
        session: name(who),
        user: Some(name(who)),
        name: name(who),
        kind: ParticipantKind::Person,
        role: Role::Member,
        status: Status::Online,
        since_ms: 0,
    }
}

/// The same room, as lists in which everything is looked up from the start.
#[derive(Debug, Default)]
struct Reference {
    /// Who is there, online or not, in order of joining.
    there: Vec<(u8, bool)>,
    /// What the owner decided, the latest last.
    decided: Vec<(u8, Option<Role>)>,
    events: u64,
    now_ms: u64,
    said_ms: u64,
    ended: bool,
}

impl Reference {
    fn place(&self, who: u8) -> Option<usize> {
        self.there.iter().position(|(known, _)| *known == who)
    }

    fn count_event(&mut self) -> u64 {
        self.events += 1;
        self.events + 1
    }

    fn join(&mut self, who: u8) -> Result<Option<u64>, Refusal> {
        match () {
            () if self.ended => Err(Refusal::Ended),
            () if self.place(who).is_some() => Ok(None),
            () if self.there.len() == MAX => Err(Refusal::Full),
            () => {
                self.there.push((who, true));
                Ok(Some(self.count_event()))
            }
        }
    }

    fn leave(&mut self, who: u8) -> Option<u64> {
        let place = self.place(who)?;
        self.there.remove(place);
        Some(self.count_event())
    }

    fn turn(&mut self, who: u8, online: bool) -> Option<u64> {
        let place = self.place(who)?;
        let changes = std::mem::replace(&mut self.there[place].1, online) != online;
        changes.then(|| self.count_event())
    }

    fn users(&self) -> usize {
        let mut users: Vec<_> = self.decided.iter().map(|(who, _)| *who).collect();
        users.sort_unstable();
        users.dedup();
        users.len()
    }

    fn decide(&mut self, who: u8, role: Option<Role>, access: Access) -> Result<(), Refusal> {
        let is_known = self.decided.iter().any(|(known, _)| *known == who);
        let only_removes = role.is_none() && access == Access::Invited;
        match () {
            () if self.ended => Err(Refusal::Ended),
            () if who == 0 => Err(Refusal::Owner),
            () if only_removes && !is_known => Err(Refusal::Unknown),
            () if only_removes => {
                self.decided.retain(|(known, _)| *known != who);
                Ok(())
            }
            () if !is_known && self.users() == MAX => Err(Refusal::Full),
            () => {
                self.decided.push((who, role));
                Ok(())
            }
        }
    }

    fn say(&mut self, to: Option<u8>) -> Result<Option<u64>, Refusal> {
        match to {
            _ if self.ended => Err(Refusal::Ended),
            Some(to) if self.place(to).is_none() => Err(Refusal::Unknown),
            _ => {
                self.said_ms = self.now_ms;
                Ok(if to.is_some() { None } else { Some(self.count_event()) })
            }
        }
    }

    fn role(&self, who: u8, access: Access) -> Option<Role> {
        let open = [(Access::Project, Role::Member), (Access::Observe, Role::Observer)];
        let by_access = open.iter().find(|(known, _)| *known == access).map(|(_, role)| *role);
        let decided = self.decided.iter().rev().find(|(known, _)| *known == who).map(|(_, role)| *role);
        if who == 0 { Some(Role::Owner) } else { decided.unwrap_or(by_access) }
    }
}

fn seq(changed: Option<Changed>) -> Option<u64> {
    changed.map(|changed| changed.seq)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_room_is_what_happened_to_it(
        access in access(), ttl in ttl(), steps in prop::collection::vec(step(), 0..60),
    ) {
        let mut record = Record::new(name(0), access, ttl, 0);
        let mut known = Reference::default();
        for step in steps {
            match step {
                Step::Join(who) => {
                    prop_assert_eq!(record.join(participant(who), MAX).map(seq), known.join(who));
                }
                Step::Leave(who) => prop_assert_eq!(seq(record.leave(&name(who))), known.leave(who)),
                Step::Offline(who) => prop_assert_eq!(seq(record.go_offline(&name(who))), known.turn(who, false)),
                Step::Online(who) => prop_assert_eq!(seq(record.come_online(&name(who))), known.turn(who, true)),
                Step::ChangeRole(who, role) => {
                    record.change_role(&name(who), role);
                    prop_assert_eq!(record.of_session(&name(who)).is_some(), known.place(who).is_some());
                }
                Step::Admit(who, role) => {
                    prop_assert_eq!(record.admit(&name(who), role, MAX), known.decide(who, Some(role), access));
                }
                Step::Dismiss(who) => {
                    prop_assert_eq!(record.dismiss(&name(who), MAX), known.decide(who, None, access));
                }
                Step::Say(to) => {
                    let id = to.map(|to| format!("p_{to}"));
                    prop_assert_eq!(record.say(id.as_deref(), known.now_ms), known.say(to));
                }
                Step::Pass(ms) => known.now_ms += ms,
                Step::End => {
                    let last = (!known.ended).then(|| known.count_event());
                    let end = record.end(EndReason::Close, known.now_ms);
                    prop_assert_eq!(end.map(|(_, seq)| seq), last);
                    prop_assert!(end.is_none_or(|(end, _)| end.duration_ms == known.now_ms));
                    known.ended = true;
                    known.there.clear();
                }
            }
            let there: Vec<_> = record.participants().map(|one| (one.session.clone(), one.status == Status::Online)).collect();
            let expected: Vec<_> = known.there.iter().map(|(who, online)| (name(*who), *online)).collect();
            prop_assert_eq!(there, expected);
            prop_assert_eq!(record.online(), known.there.iter().filter(|(_, online)| *online).count());
            prop_assert_eq!(record.seq(), known.events + 1, "no number is left out");
            for who in 0..5 {
                prop_assert_eq!(record.role_of(&name(who)), known.role(who, access));
            }
            let deadline = ttl.filter(|_| !known.ended).map(|ttl| ttl.ms + if ttl.sliding { known.said_ms } else { 0 });
            prop_assert_eq!(record.deadline_ms(), deadline);
        }
    }
}
