//! What happens in one try: who there is, what is registered, and what is done and asked in which order.

use crate::person::Claims;
use crate::program::{PATHS, Program};
use crate::random::Random;
use crate::reference::View;

/// One try.
#[derive(Debug)]
pub(crate) struct Story {
    pub(crate) people: Vec<Claims>,
    pub(crate) programs: Vec<Program>,
    pub(crate) pass_threads: usize,
    /// A provider for each session, instead of one for all.
    pub(crate) per_session: bool,
    pub(crate) steps: Vec<Step>,
}

/// Changes that are not waited for, and what is asked when all has come to rest; each for one person.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) changes: Vec<(usize, Change)>,
    pub(crate) reads: Vec<(usize, Read)>,
}

/// What is done to one person. Numbers without a name choose among what there is then.
#[derive(Debug)]
pub(crate) enum Change {
    /// Data of everybody.
    AllData,
    /// Data of theirs, or of those who share a claim with them.
    Data(usize),
    /// A refresh that nothing made necessary.
    Refresh(Reach, Option<&'static str>),
    Claims(Claims),
    Watch(View),
    Unwatch(usize),
    Return,
    Leave,
    Reconnect,
    Close,
    /// A path of their own comes or changes; or goes.
    Own(bool),
    /// A tab opens in place of the one before; or goes.
    Tab(bool),
    Emit,
    /// Another source is registered instead of the one before.
    Program(usize, Program),
    /// Time passes, in ms.
    Wait(u64),
}

/// Whom a refresh means, seen from one person.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reach {
    All,
    Session,
    User,
    Org,
    Everybody,
}

/// What is asked for one person.
#[derive(Debug)]
pub(crate) enum Read {
    Query(View),
    /// Some path of a person's tree, mostly of another's.
    Foreign(usize, usize),
    /// An action at some path of a person's tree.
    Invoke(usize, usize),
    Tabs,
}

impl Story {
    pub(crate) fn random(random: &mut Random) -> Self {
        let people = random.some(2, 16, Claims::random);
        let count = people.len();
        Self {
            people,
            programs: random.some(1, PATHS.len(), Program::random),
            pass_threads: 1 + random.below(3),
            per_session: random.percent(25),
            steps: random.some(1, 16, |random| Step::random(random, count)),
        }
    }
}

impl Step {
    fn random(random: &mut Random, people: usize) -> Self {
        Self {
            changes: random.some(1, 6, |random| (random.below(people), Change::random(random))),
            reads: random.some(0, 6, |random| (random.below(people), Read::random(random, people))),
        }
    }
}

impl Change {
    fn random(random: &mut Random) -> Self {
        match random.below(34) {
            0..=1 => Self::AllData,
            2..=8 => Self::Data(random.below(1_000)),
            9..=11 => {
                let reach = [Reach::All, Reach::Session, Reach::User, Reach::Org, Reach::Everybody];
                Self::Refresh(random.choose(&reach), random.maybe(50, |random| random.choose(&PATHS)))
            }
            12..=15 => Self::Claims(Claims::random(random)),
            16..=18 => Self::Watch(View::random(random)),
            19 => Self::Unwatch(random.below(1_000)),
            20..=22 => Self::Return,
            23 => Self::Leave,
            24..=25 => Self::Reconnect,
            26 => Self::Close,
            27..=28 => Self::Own(random.percent(60)),
            29 => Self::Tab(random.percent(70)),
            30 => Self::Emit,
            31 => Self::Program(random.below(1_000), Program::random(random)),
            _ => Self::Wait(random.choose(&[1, 1_000, 5_000])),
        }
    }
}

impl Read {
    fn random(random: &mut Random, people: usize) -> Self {
        match random.below(8) {
            0..=2 => Self::Query(View::random(random)),
            3..=4 => Self::Foreign(random.below(people), random.below(1_000)),
            5..=6 => Self::Invoke(random.below(people), random.below(1_000)),
            _ => Self::Tabs,
        }
    }
}

impl View {
    /// Everything.
    pub(crate) fn whole() -> Self {
        Self { path: "/".to_owned(), depth: Some(-1), types: None, min_salience: None, max_nodes: None }
    }

    fn random(random: &mut Random) -> Self {
        if random.percent(40) {
            return Self::whole();
        }
        let types = ["item", "group", "status", "collection"];
        Self {
            path: format!("/{}", random.choose(&PATHS)),
            depth: random.maybe(60, |random| random.choose(&[-1, 0, 1, 2])),
            types: random.maybe(20, |random| types.into_iter().filter(|_| random.percent(50)).collect()),
            min_salience: random.maybe(20, |random| random.choose(&[0.2, 0.5, 0.6])),
            max_nodes: random.maybe(20, |random| 1 + random.below(8) as i64),
        }
    }
}
