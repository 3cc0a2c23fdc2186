//! Who may share an evaluation: a decision tree made of what descriptor functions read.
//!
//! Inner nodes say which part of the session was read next, branches are its values, leaves are results. A session that
//! reaches a leaf has the same value as the evaluated one for every read; identity that was never read cannot have
//! shaped the result.

use std::sync::Arc;

use hashbrown::HashMap;

use super::interned::Interned;
use crate::model::context::{Context, ReadValue};
use crate::model::read_log::{Made, Read, ReadLog};

/// The trace of one source in one pass, with whoever waits for a leader (`W`).
///
/// What a leader reads is added while it evaluates, so nobody waits for a leader from whom he differs. A stretch of reads in
/// which nobody has differed takes eight bytes for each.
#[derive(Debug)]
pub(crate) struct ReadTrace<T, W> {
    /// The first one is the root.
    nodes: Vec<Node<T>>,
    reads: Interned<Read>,
    values: Interned<ReadValue>,
    leaders: HashMap<u64, Leader<W>>,
    last_leader: u64,
    /// The reads on the way of the last walk.
    way: Vec<u32>,
}

type NodeNumber = usize;

#[derive(Debug)]
enum Node<T> {
    /// Nobody came this far.
    Unknown,
    /// A leader evaluates for whoever arrives here.
    Busy(u64),
    /// The result for everybody with the same values.
    Known(T),
    /// Reads and values in which nobody has differed, and what follows.
    Run(Vec<(u32, u32)>, NodeNumber),
    /// The next read, and where its values lead.
    Branch(u32, HashMap<u32, NodeNumber>),
}

/// Somebody who evaluates.
#[derive(Debug)]
struct Leader<W> {
    context: Arc<Context>,
    log: Arc<ReadLog>,
    /// Where whoever shares its result arrives.
    leaf: NodeNumber,
    /// The run that ends at the leaf, to which reads are added.
    run: Option<NodeNumber>,
    /// The reads on its way when it began, which it has to make as well.
    way: Vec<u32>,
    /// How many of its reads are in the tree.
    made: usize,
    waiting: Vec<(Arc<Context>, W)>,
    /// Somebody has waited in vain for a short while.
    slow: bool,
}

/// What a session shall do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Claim<T> {
    /// Take this.
    Hit(T),
    /// Evaluate, then [`ReadTrace::settle`] or [`ReadTrace::abandon`].
    Lead(u64),
    /// This leader evaluates what may be this session's result: wait, then claim again.
    Wait(u64),
}

/// What is left when a leader has settled.
#[derive(Debug)]
#[must_use = "it may hold the last handle of application values: drop it when no lock is held"]
pub(crate) struct Settled<T, W> {
    /// The result, if nobody shares it.
    pub(crate) unshared: Option<T>,
    /// Whoever waited for it.
    pub(crate) released: Vec<W>,
}

impl<T, W> Default for ReadTrace<T, W> {
    fn default() -> Self {
        Self {
            nodes: vec![Node::Unknown],
            reads: Interned::default(),
            values: Interned::default(),
            leaders: HashMap::new(),
            last_leader: 0,
            way: Vec::new(),
        }
    }
}

impl<T: Clone, W> ReadTrace<T, W> {
    /// Walks the tree with a session's own values. If it shall lead, its reads go to `log`.
    pub(crate) fn claim(&mut self, session: &Arc<Context>, log: impl FnOnce() -> Arc<ReadLog>) -> Claim<T> {
        let (leaf, run) = self.walk(session);
        match &self.nodes[leaf] {
            Node::Known(result) => Claim::Hit(result.clone()),
            Node::Busy(leader) => Claim::Wait(*leader),
            _ => {
                self.last_leader += 1;
                self.nodes[leaf] = Node::Busy(self.last_leader);
                let leader = Leader {
                    context: Arc::clone(session),
                    log: log(),
                    leaf,
                    run,
                    way: std::mem::take(&mut self.way),
                    made: 0,
                    waiting: Vec::new(),
                    slow: false,
                };
                self.leaders.insert(self.last_leader, leader);
                Claim::Lead(self.last_leader)
            }
        }
    }
}

impl<T, W> ReadTrace<T, W> {
    /// The leaf at which a session arrives, and the run that ends there.
    fn walk(&mut self, session: &Context) -> (NodeNumber, Option<NodeNumber>) {
        self.way.clear();
        let (mut at, mut run) = (0, None);
        loop {
            let new = self.nodes.len();
            match &mut self.nodes[at] {
                Node::Run(steps, next) => {
                    let same = |(read, value): &(u32, u32)| {
                        session.value_of(self.reads.get(*read)) == *self.values.get(*value)
                    };
                    let differs = steps.iter().position(|step| !same(step));
                    self.way.extend(steps[..differs.map_or(steps.len(), |at| at + 1)].iter().map(|(read, _)| *read));
                    if let Some(differs) = differs {
                        return (self.split(at, differs, session), None);
                    }
                    (run, at) = (Some(at), *next);
                }
                Node::Branch(read, branches) => {
                    self.way.push(*read);
                    let value = self.values.number(session.value_of(self.reads.get(*read)));
                    at = *branches.entry(value).or_insert(new);
                    run = None;
                    if at == new {
                        self.nodes.push(Node::Unknown);
                    }
                }
                _ => return (at, run),
            }
        }
    }

    /// Makes a branch of a step of a run in which a session differs. Returns the leaf of that session.
    fn split(&mut self, run: NodeNumber, differs: usize, session: &Context) -> NodeNumber {
        let Node::Run(mut steps, next) = self.replace(run, Node::Unknown) else { unreachable!("it is a run") };
        let tail = steps.split_off(differs + 1);
        let (read, value) = steps.pop().expect("a run has the step in which somebody differs");
        let longer = !tail.is_empty();
        let after = if longer { self.add(Node::Run(tail, next)) } else { next };
        if let Node::Busy(leader) = self.nodes[next]
            && let Some(leader) = self.leaders.get_mut(&leader)
        {
            leader.run = longer.then_some(after);
        }
        let leaf = self.add(Node::Unknown);
        let own = self.values.number(session.value_of(self.reads.get(read)));
        let branch = Node::Branch(read, HashMap::from_iter([(value, after), (own, leaf)]));
        if steps.is_empty() {
            self.nodes[run] = branch;
        } else {
            let branch = self.add(branch);
            self.nodes[run] = Node::Run(steps, branch);
        }
        leaf
    }

    fn add(&mut self, node: Node<T>) -> NodeNumber {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    fn replace(&mut self, at: NodeNumber, node: Node<T>) -> Node<T> {
        std::mem::replace(&mut self.nodes[at], node)
    }

    /// The log of a leader, and how many of its reads are in the tree. `None` if it does not lead any more.
    pub(crate) fn progress(&self, leader: u64) -> Option<(Arc<ReadLog>, usize)> {
        self.leaders.get(&leader).map(|leader| (Arc::clone(&leader.log), leader.made))
    }

    /// Adds reads of a leader that follow the first `made`. Returns whoever need not wait for it any more; `None` if others
    /// were added meanwhile.
    pub(crate) fn publish(&mut self, leader: u64, made: usize, reads: Made) -> Option<Vec<W>> {
        if self.leaders.get(&leader).is_none_or(|leader| leader.made != made) {
            return None;
        }
        let mut released = Vec::new();
        for read in reads.into_reads() {
            if !self.add_read(leader, read, &mut released) {
                released.extend(self.give_up(leader));
                break;
            }
        }
        Some(released)
    }

    /// Adds one read of a leader. False if it does not make the same reads in the same order as others after the same
    /// values: then it depends on something else, and nobody shares its result.
    fn add_read(&mut self, number: u64, read: Read, released: &mut Vec<W>) -> bool {
        let Some(leader) = self.leaders.get_mut(&number) else { return true };
        let value = leader.context.value_of(&read);
        let expected = leader.way.get(leader.made).copied();
        leader.made += 1;
        if let Some(expected) = expected {
            return *self.reads.get(expected) == read;
        }
        released.extend(leader.waiting.extract_if(.., |(other, _)| other.value_of(&read) != value).map(|(_, who)| who));
        let step = (self.reads.number(read), self.values.number(value));
        let (leaf, run) = (leader.leaf, leader.run);
        if let Some(run) = run
            && let Node::Run(steps, _) = &mut self.nodes[run]
        {
            steps.push(step);
            return true;
        }
        let next = self.add(Node::Busy(number));
        self.nodes[leaf] = Node::Run(vec![step], next);
        if let Some(leader) = self.leaders.get_mut(&number) {
            (leader.leaf, leader.run) = (next, Some(leaf));
        }
        true
    }

    /// Nobody shares what this leader makes, and somebody else may lead. Returns whoever waited.
    fn give_up(&mut self, leader: u64) -> impl Iterator<Item = W> + use<T, W> {
        let leader = self.leaders.remove(&leader);
        if let Some(leader) = &leader {
            self.nodes[leader.leaf] = Node::Unknown;
        }
        leader.into_iter().flat_map(|leader| leader.waiting).map(|(_, who)| who)
    }

    /// Records the result of a leader; `reads` are all that it has made.
    pub(crate) fn settle(&mut self, leader: u64, reads: &[Read], result: T) -> Settled<T, W> {
        let made = self.leaders.get(&leader).map_or(0, |leader| leader.made);
        // If it is not known what it read, that comes after what is known.
        let rest =
            if *reads == [Read::Whole] { Made::Whole } else { Made::Reads(reads[made.min(reads.len())..].to_vec()) };
        let mut released = self.publish(leader, made, rest).unwrap_or_default();
        let complete = self.leaders.get(&leader).is_some_and(|leader| leader.made >= leader.way.len());
        if !complete {
            released.extend(self.give_up(leader));
            return Settled { unshared: Some(result), released };
        }
        if let Some(leader) = self.leaders.remove(&leader) {
            self.nodes[leader.leaf] = Node::Known(result);
            released.extend(leader.waiting.into_iter().map(|(_, who)| who));
        }
        Settled { unshared: None, released }
    }

    /// The leader gives up; somebody else may lead. Returns whoever waited.
    pub(crate) fn abandon(&mut self, leader: u64) -> Vec<W> {
        self.give_up(leader).collect()
    }

    /// Lets a session wait for a leader, and says whether somebody has waited in vain. Hands `who` back if there is nothing
    /// to wait for.
    pub(crate) fn wait(&mut self, leader: u64, session: &Arc<Context>, who: W) -> Result<bool, W> {
        let (leaf, _) = self.walk(session);
        match self.leaders.get_mut(&leader) {
            Some(leading) if leading.leaf == leaf => {
                leading.waiting.push((Arc::clone(session), who));
                Ok(leading.slow)
            }
            _ => Err(who),
        }
    }

    /// Somebody has waited in vain for a short while.
    pub(crate) fn waited_in_vain(&mut self, leader: u64) {
        if let Some(leader) = self.leaders.get_mut(&leader) {
            leader.slow = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::session::Session;

    type Trace = ReadTrace<&'static str, &'static str>;

    fn session(id: &str, user: &str, org: &str) -> Arc<Context> {
        Arc::clone(Session::new(id).with_user(user).with_attribute("org", org).context())
    }

    fn org() -> Read {
        Read::Attribute("org".into())
    }

    fn claim(trace: &mut Trace, session: &Arc<Context>) -> Claim<&'static str> {
        trace.claim(session, Arc::default)
    }

    fn lead(trace: &mut Trace, session: &Arc<Context>) -> u64 {
        match claim(trace, session) {
            Claim::Lead(leader) => leader,
            other => panic!("{other:?}"),
        }
    }

    fn publish(trace: &mut Trace, leader: u64, reads: &[Read]) -> Vec<&'static str> {
        let (_, made) = trace.progress(leader).unwrap();
        trace.publish(leader, made, Made::Reads(reads.to_vec())).unwrap()
    }

    #[test]
    fn a_result_that_read_nothing_is_everybodys() {
        let (alice, bob) = (session("1", "alice", "acme"), session("2", "bob", "globex"));
        let mut trace = Trace::default();
        let leader = lead(&mut trace, &alice);
        assert_eq!(claim(&mut trace, &bob), Claim::Wait(leader));
        let _ = trace.settle(leader, &[], "all");
        assert_eq!(claim(&mut trace, &bob), Claim::Hit("all"));
    }

    #[test]
    fn a_second_read_that_depends_on_the_first_splits_only_its_own_branch() {
        let alice = session("1", "alice", "acme");
        let amir = session("2", "amir", "acme");
        let zoe = session("3", "zoe", "globex");
        let zack = session("4", "zack", "globex");
        let mut trace = Trace::default();
        let leader = lead(&mut trace, &alice);
        let _ = trace.settle(leader, &[org(), Read::User], "alice of acme");
        let leader = lead(&mut trace, &zoe);
        let _ = trace.settle(leader, &[org()], "globex");
        assert_eq!(claim(&mut trace, &zack), Claim::Hit("globex"));
        assert_eq!(claim(&mut trace, &alice), Claim::Hit("alice of acme"));
        lead(&mut trace, &amir);
    }

    #[test]
    fn an_abandoned_lead_passes_on() {
        let alice = session("1", "alice", "acme");
        let mut trace = Trace::default();
        let leader = lead(&mut trace, &alice);
        assert_eq!(trace.wait(leader, &alice, "she"), Ok(false));
        assert_eq!(trace.abandon(leader), ["she"]);
        lead(&mut trace, &alice);
    }

    #[test]
    fn a_function_that_asks_differently_the_second_time_shares_nothing() {
        let (alice, bob) = (session("1", "alice", "acme"), session("2", "bob", "globex"));
        let mut trace = Trace::default();
        let leader = lead(&mut trace, &alice);
        let _ = trace.settle(leader, &[org()], "acme");
        let leader = lead(&mut trace, &bob);
        assert_eq!(trace.settle(leader, &[Read::User], "bob").unshared, Some("bob"));
        lead(&mut trace, &bob);
        // Nor does one that reads less than others did after the same values.
        let carol = session("3", "carol", "initech");
        let leader = lead(&mut trace, &carol);
        assert_eq!(trace.settle(leader, &[], "carol").unshared, Some("carol"));
    }

    #[test]
    fn whoever_differs_in_a_read_stops_waiting_when_it_is_made() {
        let [alice, amir, bob] =
            [("1", "alice"), ("2", "amir"), ("3", "bob")].map(|(id, user)| session(id, user, "acme"));
        let mut trace = Trace::default();
        let leader = lead(&mut trace, &alice);
        for (session, who) in [(&amir, "amir"), (&bob, "bob"), (&alice, "alice")] {
            assert_eq!(trace.wait(leader, session, who), Ok(false));
        }
        assert_eq!(publish(&mut trace, leader, &[org()]), [""; 0], "all are of acme");
        assert_eq!(publish(&mut trace, leader, &[Read::User]), ["amir", "bob"]);
        let others = [lead(&mut trace, &amir), lead(&mut trace, &bob)];
        // What the leader reads afterwards is not theirs.
        publish(&mut trace, leader, &[Read::Id, Read::Project]);
        assert_eq!(publish(&mut trace, others[0], &[org(), Read::User, Read::Expiry]), [""; 0]);
        let settled = trace.settle(leader, &[org(), Read::User, Read::Id, Read::Project], "alice's");
        assert_eq!((settled.unshared, settled.released), (None, vec!["alice"]));
        let _ = trace.settle(others[0], &[org(), Read::User, Read::Expiry], "amir's");
        let _ = trace.settle(others[1], &[org(), Read::User], "bob's");
        for (session, result) in [(&alice, "alice's"), (&amir, "amir's"), (&bob, "bob's")] {
            assert_eq!(claim(&mut trace, session), Claim::Hit(result));
        }
        lead(&mut trace, &session("4", "alice", "acme"));
        lead(&mut trace, &session("1", "alice", "globex"));
    }

    #[test]
    fn a_leader_of_which_not_all_reads_are_known_shares_with_nobody_else() {
        let (alice, again) = (session("1", "alice", "acme"), session("2", "alice", "acme"));
        let mut trace = Trace::default();
        let leader = lead(&mut trace, &alice);
        publish(&mut trace, leader, &[Read::User]);
        assert_eq!(trace.wait(leader, &again, "again"), Ok(false));
        assert_eq!(trace.settle(leader, &[Read::Whole], "alice's").released, ["again"]);
        assert_eq!(claim(&mut trace, &alice), Claim::Hit("alice's"));
        lead(&mut trace, &again);
    }

    #[test]
    fn many_reads_in_which_nobody_differs_take_little_room() {
        let reads: Vec<_> = (0..1_000).map(|n| Read::Permission(n.to_string().into())).chain([Read::Id]).collect();
        let mut trace = Trace::default();
        for id in 0..100 {
            let one = session(&id.to_string(), "alice", "acme");
            let leader = lead(&mut trace, &one);
            let _ = trace.settle(leader, &reads, "one");
        }
        let steps = trace.nodes.iter().map(|node| if let Node::Run(steps, _) = node { steps.len() } else { 0 });
        assert!(steps.sum::<usize>() <= 1_001 && trace.nodes.len() < 300, "{} nodes", trace.nodes.len());
    }
}
