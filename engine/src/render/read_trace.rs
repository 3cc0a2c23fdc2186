//! Who may share an evaluation: a decision tree made of what descriptor functions read.
//!
//! Inner nodes say which part of the session was read next, branches are its values, leaves are results. A session that
//! reaches a leaf has the same value as the evaluated one for every read; identity that was never read cannot have
//! shaped the result.

use hashbrown::HashMap;

use crate::model::read_log::Read;
use crate::model::session::{Context, ReadValue};

/// The trace of one source in one pass.
#[derive(Debug, Default)]
pub(crate) enum ReadTrace<T> {
    /// Nobody came this far.
    #[default]
    Unknown,
    /// Somebody evaluates for whoever arrives here.
    Busy,
    /// The next read, and where its values lead.
    Branch(Read, HashMap<ReadValue, Self>),
    /// The result for everybody with the same values.
    Known(T),
}

/// A branch may be as long as an evaluation has reads, so the tree is taken apart without recursion.
impl<T> Drop for ReadTrace<T> {
    fn drop(&mut self) {
        let mut rest = Vec::new();
        self.move_branches_to(&mut rest);
        while let Some(mut trace) = rest.pop() {
            trace.move_branches_to(&mut rest);
        }
    }
}

impl<T> ReadTrace<T> {
    fn move_branches_to(&mut self, rest: &mut Vec<Self>) {
        if let Self::Branch(_, branches) = self {
            rest.extend(branches.drain().map(|(_, below)| below));
        }
    }
}

/// What a session shall do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Claim<T> {
    /// Take this.
    Hit(T),
    /// Evaluate, then [`ReadTrace::settle`] or [`ReadTrace::abandon`].
    Lead,
    /// Somebody evaluates what may be this session's result: wait, then claim again.
    Wait,
}

impl<T: Clone> ReadTrace<T> {
    /// Walks the tree with a session's own values.
    pub(crate) fn claim(&mut self, session: &Context) -> Claim<T> {
        let end = self.walk(session);
        match end {
            Self::Known(result) => Claim::Hit(result.clone()),
            Self::Busy => Claim::Wait,
            Self::Unknown => {
                *end = Self::Busy;
                Claim::Lead
            }
            Self::Branch(..) => unreachable!("a walk ends at a leaf"),
        }
    }

    /// Where a session stands, without claiming anything.
    pub(crate) fn peek(&mut self, session: &Context) -> &Self {
        self.walk(session)
    }

    fn walk(&mut self, session: &Context) -> &mut Self {
        let mut at = self;
        loop {
            match at {
                Self::Branch(read, branches) => at = branches.entry(session.value_of(read)).or_default(),
                end => return end,
            }
        }
    }

    /// Records the result of a leader together with what it read. Returns what stood there before, to be dropped when
    /// no lock is held any more: it may be the last handle of something of the application's.
    ///
    /// A function that does not make the same reads in the same order after the same values depends on something else;
    /// then the result stays with the session that evaluated it.
    #[must_use]
    pub(crate) fn settle(&mut self, session: &Context, reads: &[Read], result: T) -> Self {
        let known = self.known_reads(session);
        let end = self.walk(session);
        let settled = match reads.get(..known.len()) {
            Some(first) if first == known => Self::chain(session, &reads[known.len()..], result),
            _ => Self::Unknown,
        };
        std::mem::replace(end, settled)
    }

    /// The reads on this session's way through the tree.
    fn known_reads(&self, session: &Context) -> Vec<Read> {
        let mut known = Vec::new();
        let mut at = self;
        while let Self::Branch(read, branches) = at {
            known.push(read.clone());
            let Some(next) = branches.get(&session.value_of(read)) else { break };
            at = next;
        }
        known
    }

    fn chain(session: &Context, reads: &[Read], result: T) -> Self {
        reads.iter().rev().fold(Self::Known(result), |below, read| {
            Self::Branch(read.clone(), HashMap::from_iter([(session.value_of(read), below)]))
        })
    }

    /// The leader gives up; somebody else may lead.
    pub(crate) fn abandon(&mut self, session: &Context) {
        let end = self.walk(session);
        if matches!(end, Self::Busy) {
            *end = Self::Unknown;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::session::Session;

    fn session(id: &str, user: &str, org: &str) -> Session {
        Session::new(id).with_user(user).with_attribute("org", org)
    }

    fn org() -> Read {
        Read::Attribute("org".into())
    }

    #[test]
    fn a_result_that_read_nothing_is_everybodys() {
        let (alice, bob) = (session("1", "alice", "acme"), session("2", "bob", "globex"));
        let mut trace = ReadTrace::default();
        assert_eq!(trace.claim(alice.context()), Claim::Lead);
        assert_eq!(trace.claim(bob.context()), Claim::Wait);
        let _ = trace.settle(alice.context(), &[], "all");
        assert_eq!(trace.claim(bob.context()), Claim::Hit("all"));
    }

    #[test]
    fn a_second_read_that_depends_on_the_first_splits_only_its_own_branch() {
        let alice = session("1", "alice", "acme");
        let amir = session("2", "amir", "acme");
        let zoe = session("3", "zoe", "globex");
        let zack = session("4", "zack", "globex");
        let mut trace = ReadTrace::default();
        assert_eq!(trace.claim(alice.context()), Claim::Lead);
        let _ = trace.settle(alice.context(), &[org(), Read::User], "alice of acme");
        assert_eq!(trace.claim(zoe.context()), Claim::Lead);
        let _ = trace.settle(zoe.context(), &[org()], "globex");
        assert_eq!(trace.claim(zack.context()), Claim::Hit("globex"));
        assert_eq!(trace.claim(amir.context()), Claim::Lead);
    }

    #[test]
    fn an_abandoned_lead_passes_on() {
        let alice = session("1", "alice", "acme");
        let mut trace: ReadTrace<()> = ReadTrace::default();
        assert_eq!(trace.claim(alice.context()), Claim::Lead);
        trace.abandon(alice.context());
        assert_eq!(trace.claim(alice.context()), Claim::Lead);
    }

    #[test]
    fn a_function_that_asks_differently_the_second_time_shares_nothing() {
        let (alice, bob) = (session("1", "alice", "acme"), session("2", "bob", "globex"));
        let mut trace = ReadTrace::default();
        assert_eq!(trace.claim(alice.context()), Claim::Lead);
        let _ = trace.settle(alice.context(), &[org()], "acme");
        assert_eq!(trace.claim(bob.context()), Claim::Lead);
        let _ = trace.settle(bob.context(), &[Read::User], "bob");
        assert_eq!(trace.claim(bob.context()), Claim::Lead);
    }

    #[test]
    fn a_very_long_chain_of_reads_is_dropped_without_recursion() {
        let alice = session("1", "alice", "acme");
        let reads: Vec<_> = (0..100_000).map(|n| Read::Permission(n.to_string().into())).collect();
        let dropped = std::thread::Builder::new().stack_size(64 << 10).spawn(move || {
            let mut trace = ReadTrace::default();
            let _ = trace.settle(alice.context(), &reads, "alice");
        });
        assert!(dropped.unwrap().join().is_ok());
    }
}
