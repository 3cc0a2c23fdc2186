//! Random scripts: the sessions, the registered sources, and the changes and requests, in order.

use grove_engine::Access;

use crate::claims::Claims;
use crate::random::Random;
use crate::reference::View;
use crate::rooms::RoomChange;
use crate::source_model::{PATHS, SourceModel};

/// One script.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) viewers: Vec<Claims>,
    pub(crate) sources: Vec<SourceModel>,
    pub(crate) pass_threads: usize,
    /// A provider for each session, instead of one for all sessions.
    pub(crate) per_session: bool,
    pub(crate) steps: Vec<Step>,
}

/// Changes that are not awaited, and the requests that are made when the engine has settled; each for one viewer.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) changes: Vec<(usize, Change)>,
    pub(crate) requests: Vec<(usize, Request)>,
}

/// A change of one viewer. Unnamed numbers select among what exists at that time.
#[derive(Debug)]
pub(crate) enum Change {
    /// Data that every session sees.
    AllData,
    /// Data of the viewer, or of all who share a claim with it.
    Data(usize),
    /// A refresh without a change.
    Refresh(Target, Option<&'static str>),
    Claims(Claims),
    Subscribe(View),
    Unsubscribe(usize),
    Connect,
    Disconnect,
    Reconnect,
    Close,
    /// A path of the viewer's own is registered or changed (true), or removed.
    OwnPath(bool),
    /// A tab is opened in place of the previous one (true), or closed.
    Tab(bool),
    Emit,
    /// A source is replaced by another.
    Source(usize, SourceModel),
    Room(RoomChange),
    /// Time passes, in ms.
    Advance(u64),
}

/// The scope of a refresh, relative to one viewer.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    All,
    Session,
    User,
    Org,
    Predicate,
}

/// A request of one viewer.
#[derive(Debug)]
pub(crate) enum Request {
    Query(View),
    /// A query of a path in the tree of some viewer, usually another one.
    Foreign(usize, usize),
    /// A call at a path in the tree of some viewer.
    Invoke(usize, usize),
    Tabs,
    /// A query of some room, whether the viewer sees it or not.
    Room(usize),
}

impl Script {
    pub(crate) fn random(random: &mut Random) -> Self {
        let together = random.percent(50);
        let viewers = random.some(2, 16, if together { Claims::together } else { Claims::random });
        let count = viewers.len();
        let mut steps = random.some(1, 16, |random| Step::random(random, count));
        if together {
            steps.insert(0, Step::gathering(random, count));
        }
        Self {
            viewers,
            sources: random.some(1, PATHS.len(), SourceModel::random),
            pass_threads: 1 + random.below(3),
            per_session: random.percent(25),
            steps,
        }
    }
}

impl Step {
    /// Everybody joins some room, if there is one for them.
    fn gathering(random: &mut Random, viewers: usize) -> Self {
        let accesses = [Access::Project, Access::Project, Access::Observe];
        let created = random.some(1, 3, |random| RoomChange::Create(random.choose(&accesses)));
        let created = created.into_iter().map(|change| (random.below(viewers), Change::Room(change)));
        let mut changes: Vec<_> = created.collect();
        changes.extend((0..viewers).map(|who| (who, Change::Room(RoomChange::Join(random.below(1_000))))));
        Self { changes, requests: Vec::new() }
    }

    fn random(random: &mut Random, viewers: usize) -> Self {
        Self {
            changes: random.some(1, 8, |random| (random.below(viewers), Change::random(random))),
            requests: random.some(0, 6, |random| (random.below(viewers), Request::random(random, viewers))),
        }
    }
}

impl Change {
    fn random(random: &mut Random) -> Self {
        match random.below(64) {
            0..=1 => Self::AllData,
            2..=8 => Self::Data(random.below(1_000)),
            9..=11 => {
                let targets = [Target::All, Target::Session, Target::User, Target::Org, Target::Predicate];
                Self::Refresh(random.choose(&targets), random.maybe(50, |random| random.choose(&PATHS)))
            }
            12..=15 => Self::Claims(Claims::random(random)),
            16..=18 => Self::Subscribe(View::random(random)),
            19 => Self::Unsubscribe(random.below(1_000)),
            20..=22 => Self::Connect,
            23 => Self::Disconnect,
            24..=25 => Self::Reconnect,
            26 => Self::Close,
            27..=28 => Self::OwnPath(random.percent(60)),
            29 => Self::Tab(random.percent(70)),
            30 => Self::Emit,
            31 => Self::Source(random.below(1_000), SourceModel::random(random)),
            32..=61 => Self::Room(RoomChange::random(random)),
            _ => Self::Advance(random.choose(&[1, 1_000, 5_000])),
        }
    }
}

impl Request {
    fn random(random: &mut Random, viewers: usize) -> Self {
        match random.below(10) {
            0..=2 => Self::Query(View::random(random)),
            3..=4 => Self::Foreign(random.below(viewers), random.below(1_000)),
            5..=6 => Self::Invoke(random.below(viewers), random.below(1_000)),
            7 => Self::Tabs,
            _ => Self::Room(random.below(1_000)),
        }
    }
}

impl View {
    /// The view of the whole tree.
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
