//! Who may run application code that may block, and who is next: users take turns.

use std::collections::VecDeque;

use hashbrown::HashMap;

use crate::config::{Execution, Limit};
use crate::model::Text;
use crate::model::session::Context;

/// On whose behalf something runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Caller {
    session: Text,
    owner: Owner,
}

/// Who takes turns: a user, or a session without one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Owner {
    User(Text),
    Session(Text),
}

/// How many run, in all, for each owner and for each session, and who waits. Only who runs or waits is in here.
///
/// After every step, nobody waits who could run.
#[derive(Debug)]
pub(super) struct BlockingQueue<W> {
    limits: Limits,
    running: usize,
    of_owner: HashMap<Owner, usize>,
    of_session: HashMap<Text, usize>,
    /// In the order in which they came.
    waiting: HashMap<Owner, VecDeque<Waiting<W>>>,
    /// Owners for whom something waits; whose turn was last stands last.
    turns: VecDeque<Owner>,
    last_number: u64,
}

#[derive(Debug)]
struct Limits {
    all: usize,
    per_owner: usize,
    per_session: usize,
}

#[derive(Debug)]
struct Waiting<W> {
    number: u64,
    session: Text,
    waiter: W,
}

impl Caller {
    pub(super) fn of(context: &Context) -> Self {
        let session = context.id().clone();
        let owner = context.user().map_or_else(|| Owner::Session(session.clone()), |user| Owner::User(user.clone()));
        Self { session, owner }
    }

    pub(super) const fn session(&self) -> &Text {
        &self.session
    }
}

impl<W> BlockingQueue<W> {
    pub(super) fn new(execution: &Execution) -> Self {
        let limits = Limits {
            all: execution.blocking_calls,
            per_owner: execution.blocking_calls_per_user,
            per_session: execution.blocking_calls_per_session,
        };
        Self {
            limits,
            running: 0,
            of_owner: HashMap::new(),
            of_session: HashMap::new(),
            waiting: HashMap::new(),
            turns: VecDeque::new(),
            last_number: 0,
        }
    }

    /// Begins, unless a limit is reached. Whoever waits already cannot run, so nobody is overtaken.
    pub(super) fn begin(&mut self, caller: &Caller) -> Result<(), Limit> {
        self.check(&caller.owner, &caller.session)?;
        self.count(caller);
        Ok(())
    }

    fn check(&self, owner: &Owner, session: &Text) -> Result<(), Limit> {
        if self.of_session.get(session).is_some_and(|running| *running >= self.limits.per_session) {
            return Err(Limit::BlockingCallsPerSession);
        }
        if self.of_owner.get(owner).is_some_and(|running| *running >= self.limits.per_owner) {
            return Err(Limit::BlockingCallsPerUser);
        }
        if self.running >= self.limits.all { Err(Limit::BlockingCalls) } else { Ok(()) }
    }

    fn count(&mut self, caller: &Caller) {
        self.running += 1;
        *self.of_owner.entry(caller.owner.clone()).or_default() += 1;
        *self.of_session.entry(caller.session.clone()).or_default() += 1;
    }

    /// Waits until [`end`](Self::end) hands the waiter out. Returns a number to cancel it by.
    pub(super) fn wait(&mut self, caller: &Caller, waiter: W) -> u64 {
        self.last_number += 1;
        let waiting = Waiting { number: self.last_number, session: caller.session.clone(), waiter };
        let queue = self.waiting.entry(caller.owner.clone()).or_default();
        if queue.is_empty() {
            self.turns.push_back(caller.owner.clone());
        }
        queue.push_back(waiting);
        self.last_number
    }

    /// Waits no longer. Returns the waiter, unless it was handed out.
    pub(super) fn cancel(&mut self, caller: &Caller, number: u64) -> Option<W> {
        let queue = self.waiting.get_mut(&caller.owner)?;
        let at = queue.iter().position(|waiting| waiting.number == number)?;
        let cancelled = queue.remove(at)?;
        if queue.is_empty() {
            self.waiting.remove(&caller.owner);
            self.turns.retain(|owner| *owner != caller.owner);
        }
        Some(cancelled.waiter)
    }

    /// Something ends. Returns who runs in its place: of those who may, the one whose owner's last turn is longest ago.
    pub(super) fn end(&mut self, caller: &Caller) -> Option<(Caller, W)> {
        self.running = self.running.saturating_sub(1);
        decrement(&mut self.of_owner, &caller.owner);
        decrement(&mut self.of_session, &caller.session);
        let (turn, at) = (0..self.turns.len()).find_map(|turn| Some((turn, self.next_of(&self.turns[turn])?)))?;
        let owner = self.turns.remove(turn)?;
        let queue = self.waiting.get_mut(&owner)?;
        let next = queue.remove(at)?;
        if queue.is_empty() {
            self.waiting.remove(&owner);
        } else {
            self.turns.push_back(owner.clone());
        }
        let caller = Caller { session: next.session, owner };
        self.count(&caller);
        Some((caller, next.waiter))
    }

    /// Which of those who wait for an owner may run first.
    fn next_of(&self, owner: &Owner) -> Option<usize> {
        self.waiting.get(owner)?.iter().position(|waiting| self.check(owner, &waiting.session).is_ok())
    }
}

fn decrement<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn queue(all: usize, per_owner: usize, per_session: usize) -> BlockingQueue<usize> {
        let execution = Execution {
            blocking_calls: all,
            blocking_calls_per_user: per_owner,
            blocking_calls_per_session: per_session,
            ..Execution::default()
        };
        BlockingQueue::new(&execution)
    }

    fn caller(user: usize, session: usize) -> Caller {
        Caller { session: format!("u{user}-{session}").into(), owner: Owner::User(format!("u{user}").into()) }
    }

    #[test]
    fn users_take_turns_however_much_one_of_them_waits_for() {
        let mut queue = queue(2, 2, 2);
        let (alice, bob) = (caller(0, 0), caller(1, 0));
        queue.begin(&alice).unwrap();
        queue.begin(&alice).unwrap();
        for waiter in 0..5 {
            queue.wait(&alice, waiter);
        }
        queue.wait(&bob, 10);
        queue.wait(&bob, 11);
        let order: Vec<_> =
            std::iter::repeat_with(|| queue.end(&alice)).map_while(|next| next.map(|(_, w)| w)).collect();
        assert_eq!(order[..4], [0, 10, 1, 11]);
    }

    proptest! {
        #[test]
        fn no_limit_is_exceeded_and_nobody_waits_who_could_run(
            limits in (1..6_usize, 1..5_usize, 1..4_usize),
            steps in prop::collection::vec((0..3_usize, 0..2_usize, 0..4_u8), 1..120),
        ) {
            let mut queue = queue(limits.0, limits.1, limits.2);
            let mut running: Vec<Caller> = Vec::new();
            let mut waiting: Vec<(Caller, u64)> = Vec::new();
            for (user, session, step) in steps {
                match step {
                    0 if !running.is_empty() => {
                        let ended = running.remove((user * 7 + session) % running.len());
                        if let Some((next, number)) = queue.end(&ended) {
                            let at = waiting.iter().position(|(_, known)| *known == number as u64).unwrap();
                            prop_assert_eq!(&waiting.remove(at).0, &next);
                            running.push(next);
                        }
                    }
                    1 if !waiting.is_empty() => {
                        let (caller, number) = waiting.remove((user * 5 + session) % waiting.len());
                        prop_assert_eq!(queue.cancel(&caller, number), Some(number as usize));
                        prop_assert_eq!(queue.cancel(&caller, number), None);
                    }
                    _ => {
                        let caller = caller(user, session);
                        if queue.begin(&caller).is_ok() {
                            running.push(caller);
                        } else {
                            let number = queue.last_number + 1;
                            queue.wait(&caller, number as usize);
                            waiting.push((caller, number));
                        }
                    }
                }
                let of = |wanted: &dyn Fn(&Caller) -> bool| running.iter().filter(|caller| wanted(caller)).count();
                prop_assert!(running.len() <= limits.0);
                for caller in &running {
                    prop_assert!(of(&|other| other.owner == caller.owner) <= limits.1);
                    prop_assert!(of(&|other| other.session == caller.session) <= limits.2);
                }
                for (caller, _) in &waiting {
                    let full = running.len() >= limits.0
                        || of(&|other| other.owner == caller.owner) >= limits.1
                        || of(&|other| other.session == caller.session) >= limits.2;
                    prop_assert!(full, "somebody waits who could run");
                }
            }
            running.iter().for_each(|caller| drop(queue.end(caller)));
            prop_assert!(!waiting.is_empty() || (queue.of_owner.is_empty() && queue.of_session.is_empty()));
        }
    }
}
