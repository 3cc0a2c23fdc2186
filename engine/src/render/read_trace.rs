//! Who may share an evaluation: a decision tree made of what descriptor functions read.
//!
//! Inner nodes are "which part of the session was read next", branches are the answers, leaves are results. A session
//! that reaches a leaf answered every question as the evaluated one did; identity that was never read cannot have shaped
//! the result.

use hashbrown::HashMap;

use crate::model::session::{Context, Read, ReadValue};

/// The trace of one source in one pass.
#[derive(Debug, Default)]
pub(crate) enum ReadTrace<T> {
    /// Nobody came this far.
    #[default]
    Unknown,
    /// Somebody evaluates for whoever arrives here.
    Busy,
    /// The next question.
    Ask(Read, HashMap<ReadValue, Self>),
    /// The result for everybody who answers like this.
    Known(T),
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
    /// Walks the tree with a session's own answers.
    pub(crate) fn claim(&mut self, session: &Context) -> Claim<T> {
        let end = self.walk(session);
        match end {
            Self::Known(result) => Claim::Hit(result.clone()),
            Self::Busy => Claim::Wait,
            Self::Unknown => {
                *end = Self::Busy;
                Claim::Lead
            }
            Self::Ask(..) => unreachable!("a walk ends where there is nothing to ask"),
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
                Self::Ask(read, answers) => at = answers.entry(session.answer(read)).or_default(),
                end => return end,
            }
        }
    }

    /// Records the result of a leader together with what it read.
    ///
    /// A function that does not ask the same questions in the same order after the same answers depends on something
    /// else; then the result stays with the session that evaluated it.
    pub(crate) fn settle(&mut self, session: &Context, reads: &[Read], result: T) {
        let asked = self.questions(session);
        let end = self.walk(session);
        *end = match reads.get(..asked.len()) {
            Some(known) if known == asked => Self::chain(session, &reads[asked.len()..], result),
            _ => Self::Unknown,
        };
    }

    /// The questions on this session's way.
    fn questions(&self, session: &Context) -> Vec<Read> {
        let mut asked = Vec::new();
        let mut at = self;
        while let Self::Ask(read, answers) = at {
            asked.push(read.clone());
            let Some(next) = answers.get(&session.answer(read)) else { break };
            at = next;
        }
        asked
    }

    fn chain(session: &Context, reads: &[Read], result: T) -> Self {
        reads.iter().rev().fold(Self::Known(result), |below, read| {
            Self::Ask(read.clone(), HashMap::from_iter([(session.answer(read), below)]))
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
        trace.settle(alice.context(), &[], "all");
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
        trace.settle(alice.context(), &[org(), Read::User], "alice of acme");
        assert_eq!(trace.claim(zoe.context()), Claim::Lead);
        trace.settle(zoe.context(), &[org()], "globex");
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
        trace.settle(alice.context(), &[org()], "acme");
        assert_eq!(trace.claim(bob.context()), Claim::Lead);
        trace.settle(bob.context(), &[Read::User], "bob");
        assert_eq!(trace.claim(bob.context()), Claim::Lead);
    }
}
