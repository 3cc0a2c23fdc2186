//! Three instances on a bus that loses, doubles, delays and reorders; they are cut off, die and start again. Whatever
//! happens follows from a seed, which is printed if something is wrong.

use std::collections::{BTreeMap, BTreeSet};

use grove_engine::testing::Weather;
use grove_engine::{ConnectError, Revocation, Scope};
use serde_json::json;

use crate::cluster_fixtures::{Instances, Watching};
use crate::fixtures::in_project;

const NAMES: [&str; 3] = ["a", "b", "c"];

/// How much time passes at once, in ms.
const STEP_MS: u64 = 100;

/// Whom something was decided about, when, and by which life of which instance.
#[derive(Debug, Clone)]
struct Decided {
    step: usize,
    by: (&'static str, u32),
}

struct Consumer {
    at: &'static str,
    user: usize,
    session: String,
    since: usize,
    is_closed: bool,
    watching: Watching,
}

struct Simulation {
    seed: u64,
    random: u64,
    step: usize,
    all: Instances,
    lives: BTreeMap<&'static str, u32>,
    dead: BTreeSet<&'static str>,
    consumers: Vec<Consumer>,
    /// The last decision about each user: whether access was revoked.
    access: BTreeMap<usize, (bool, Decided)>,
    /// Who was ever revoked.
    ever_revoked: BTreeSet<usize>,
    closed: BTreeMap<String, Vec<Decided>>,
}

impl Simulation {
    async fn new(seed: u64) -> Self {
        let mut all = Instances::on_seed(seed);
        for name in NAMES {
            all.start(name, |builder| builder);
        }
        all.settle().await;
        all.bus.set_weather(Weather { lost: 100, doubled: 50, delay_ms: 30 });
        Self {
            seed,
            random: seed,
            step: 0,
            all,
            lives: NAMES.into_iter().map(|name| (name, 0)).collect(),
            dead: BTreeSet::new(),
            consumers: Vec::new(),
            access: BTreeMap::new(),
            ever_revoked: BTreeSet::new(),
            closed: BTreeMap::new(),
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) as usize % bound
    }

    fn alive(&mut self) -> &'static str {
        let alive: Vec<_> = NAMES.into_iter().filter(|name| !self.dead.contains(name)).collect();
        alive[self.below(alive.len())]
    }

    fn decided(&self, by: &'static str) -> Decided {
        Decided { step: self.step, by: (by, self.lives[by]) }
    }

    /// Whether the instance that has decided is still in the same life.
    fn stands(&self, decided: &Decided) -> bool {
        self.lives[decided.by.0] == decided.by.1
    }

    async fn run(&mut self) {
        for step in 1..=25 {
            self.step = step;
            match self.below(20) {
                0..=4 => self.change(),
                5..=7 => self.call().await,
                8..=11 => self.connect().await,
                12 => self.close(),
                13 | 14 => self.decide_access(),
                15 => {
                    let (one, other) = (self.below(3), self.below(3));
                    self.all.bus.cut(NAMES[one], NAMES[other]);
                }
                16 => self.all.bus.heal(),
                17 => self.kill(),
                18 => self.restart(),
                _ => {}
            }
            let ms = 1 + self.below(8) as u64 * STEP_MS;
            self.all.pass_in_steps(ms, STEP_MS).await;
        }
        while !self.dead.is_empty() {
            self.restart();
        }
        self.all.bus.heal();
        self.all.pass_in_steps(5_000, STEP_MS).await;
        self.check_access().await;
        self.all.pass_in_steps(1_000, STEP_MS).await;
        self.check_copies().await;
    }

    fn change(&mut self) {
        let (user, at) = (self.below(4), self.alive());
        self.all.store.push(&format!("u{user}"), &format!("u{user} at step {}", self.step));
        let scope = match self.below(3) {
            0 => Scope::all(),
            1 => Scope::project(project(user)),
            _ => Scope::user(format!("u{user}")),
        };
        self.all.engine(at).refresh(scope);
    }

    async fn call(&mut self) {
        if self.consumers.is_empty() {
            return;
        }
        let which = self.below(self.consumers.len());
        let step = self.step;
        let consumer = &mut self.consumers[which];
        consumer.is_closed |= consumer.watching.is_closed().await;
        if consumer.is_closed {
            return;
        }
        let (at, user, session) = (consumer.at, consumer.user, consumer.session.clone());
        let title = format!("u{user} called at step {step}");
        consumer.watching.invoke("/todos", "add", json!({ "title": title })).await;
        // A call shows in its own session, wherever that is; the application refreshes the user's other ones.
        let has_others = self.consumers.iter().any(|other| other.user == user && other.session != session);
        if has_others {
            self.all.engine(at).refresh(Scope::user(format!("u{user}")));
        }
    }

    async fn connect(&mut self) {
        let (user, at, number) = (self.below(4), self.alive(), self.below(2));
        let id = format!("s{user}-{number}");
        let session = in_project(&id, &format!("u{user}"), project(user)).with_permission("write");
        if self.all.engine(at).connect(&session).is_err() {
            return;
        }
        let watching = self.all.connect_session(at, session).await;
        self.consumers.push(Consumer { at, user, session: id, since: self.step, is_closed: false, watching });
    }

    fn close(&mut self) {
        let (at, user, number) = (self.alive(), self.below(4), self.below(2));
        let id = format!("s{user}-{number}");
        self.all.engine(at).close_session(&id);
        let decided = self.decided(at);
        self.closed.entry(id).or_default().push(decided);
    }

    fn decide_access(&mut self) {
        let (at, user, revokes) = (self.alive(), self.below(4), self.below(3) > 0);
        let revocation = Revocation::user(format!("u{user}"));
        if revokes {
            self.all.engine(at).revoke(revocation);
            self.ever_revoked.insert(user);
        } else {
            self.all.engine(at).unrevoke(&revocation);
        }
        // Of two in the same millisecond, the name decides; here nobody does that.
        self.all.clock.advance(1);
        let decided = self.decided(at);
        self.access.insert(user, (revokes, decided));
    }

    fn kill(&mut self) {
        if self.dead.len() == 2 {
            return;
        }
        let name = self.alive();
        self.consumers.retain(|consumer| consumer.at != name);
        self.all.kill(name);
        self.dead.insert(name);
        *self.lives.entry(name).or_default() += 1;
    }

    fn restart(&mut self) {
        if let Some(name) = self.dead.pop_first() {
            self.all.start(name, |builder| builder);
        }
    }

    /// All instances agree about who has access, with the last decision if the one who decided it lives; and whoever has
    /// none is out.
    async fn check_access(&mut self) {
        for user in 0..4 {
            let refused = |name: &&str| {
                let session = in_project(&format!("late-{user}"), &format!("u{user}"), project(user));
                matches!(self.all.engine(name).connect(&session), Err(ConnectError::Revoked))
            };
            let refused: Vec<_> = NAMES.iter().map(refused).collect();
            assert!(refused.iter().all(|one| *one == refused[0]), "{refused:?} about u{user} in seed {}", self.seed);
            if let Some((revoked, decided)) = self.access.get(&user).filter(|(_, decided)| self.stands(decided)) {
                assert_eq!(refused[0], *revoked, "u{user}, decided at {decided:?} in seed {}", self.seed);
            }
            for consumer in self.consumers.iter_mut().filter(|consumer| consumer.user == user) {
                consumer.is_closed |= consumer.watching.is_closed().await;
                assert!(consumer.is_closed || !refused[0], "u{user} is still in, in seed {}", self.seed);
            }
        }
    }

    /// Every copy is what the store says, and whoever was closed had to be.
    async fn check_copies(&mut self) {
        for name in NAMES {
            assert_eq!(self.all.known_to(name), NAMES, "{name} in seed {}", self.seed);
        }
        let lives = self.lives.clone();
        for consumer in &mut self.consumers {
            consumer.is_closed |= consumer.watching.is_closed().await;
            let closed = self.closed.get(&consumer.session).map(Vec::as_slice).unwrap_or_default();
            if consumer.is_closed {
                let may_be = !closed.is_empty() || self.ever_revoked.contains(&consumer.user);
                assert!(may_be, "{} was closed in seed {}", consumer.session, self.seed);
                continue;
            }
            let ends = |decided: &&Decided| decided.step > consumer.since && lives[decided.by.0] == decided.by.1;
            assert!(!closed.iter().any(|decided| ends(&decided)), "{} is open in seed {}", consumer.session, self.seed);
            let expected: Vec<_> = self.all.store.of(&format!("u{}", consumer.user));
            let expected: Vec<_> = expected.into_iter().map(|todo| todo.title).collect();
            assert_eq!(consumer.watching.titles().await, expected, "{} in seed {}", consumer.session, self.seed);
        }
    }
}

const fn project(user: usize) -> &'static str {
    if user < 3 { "p" } else { "q" }
}

fn variable(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(otherwise)
}

/// Runs every so many seeds.
#[expect(clippy::print_stderr, reason = "whoever reads the failure needs the seed")]
fn run(first: u64, seeds: u64, every: u64) {
    for seed in (first..first.saturating_add(seeds)).step_by(usize::try_from(every).unwrap()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let outcome = std::panic::catch_unwind(|| {
            runtime.block_on(async { Simulation::new(seed).await.run().await });
        });
        if let Err(why) = outcome {
            eprintln!("replay it with CLUSTER_SEED={seed} CLUSTER_SEEDS=1");
            std::panic::resume_unwind(why);
        }
    }
}

#[test]
fn every_copy_is_exact_and_everybody_agrees_soon_after_whatever_happened() {
    let (first, seeds) = (variable("CLUSTER_SEED", 1), variable("CLUSTER_SEEDS", 500));
    let threads = 4.min(seeds);
    let all: Vec<_> =
        (0..threads).map(|at| std::thread::spawn(move || run(first + at, seeds.saturating_sub(at), threads))).collect();
    let failed = all.into_iter().filter_map(|thread| thread.join().err()).next();
    if let Some(why) = failed {
        std::panic::resume_unwind(why);
    }
}
