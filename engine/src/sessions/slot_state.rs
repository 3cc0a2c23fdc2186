//! Which step is legal for a slot when: a state machine without data, locks or time.

/// The state of a slot, apart from what it holds.
///
/// | step | legal when | leads to |
/// |---|---|---|
/// | [`change_claims`](Self::change_claims) | open | claims changed: no new view shows the tree as it is |
/// | [`provider_made`](Self::provider_made) | always | provider ready, claims changed |
/// | [`expect_tree`](Self::expect_tree) | always | one more pass will make a first tree |
/// | [`begin`](Self::begin) | open, provider ready, a tree is there or expected, turn free | turn taken; claims rendering if they had changed and all is rendered |
/// | `begin` | the same, but the turn is taken | a turn beside it, if the pass may have one; otherwise turn taken, with a follow-up |
/// | `begin` | otherwise | nothing; a missing provider is awaited |
/// | [`finish`](Self::finish) | turn taken | turn free, follow-up handed over; claims shown if they were rendered, changed if that failed |
/// | [`finish_beside`](Self::finish_beside) | a turn runs beside | one fewer |
/// | [`attach`](Self::attach) | open | connected |
/// | [`detach`](Self::detach) | connected, no connection left | idle |
/// | [`evict_tree`](Self::evict_tree) | idle, no turn taken, a tree is there | no tree |
/// | [`close_if_idle`](Self::close_if_idle) | idle, no task runs | closed |
/// | [`close`](Self::close) | always | closed: no tree, nobody connected |
///
/// A closed slot never opens again, and never gets a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SlotState {
    /// The latest pass that rendered every path of this slot.
    ticket: u64,
    /// Since when nobody is connected, in ms.
    idle_since: OptionalMillis,
    /// How many passes are about to make a first tree, and may have evaluated for it already. Past [`MANY`] they are not
    /// counted any more: then every refresh is rendered.
    expected: u8,
    turn: Turn,
    /// How many turns run beside.
    beside: u8,
    provider: ProviderState,
    claims: Claims,
    closed: bool,
    has_tree: bool,
    has_tasks: bool,
}

/// As many passes that make a first tree as are counted.
const MANY: u8 = u8::MAX;

/// Who works on the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Free,
    /// A pass does.
    Taken,
    /// A pass does, and another one follows with what was requested meanwhile.
    FollowUp,
}

/// What a session's factory makes (provider-per-session mode).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ProviderState {
    Ready,
    Missing,
    /// It is not there, and somebody waits for a tree.
    Awaited,
}

/// Whether the tree shows what the claims of now allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Claims {
    Shown,
    /// They changed since the tree was rendered.
    Changed,
    /// They changed, and a pass renders all of the tree with them.
    Rendering,
}

/// A time in ms that may be absent, in eight bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OptionalMillis(u64);

impl OptionalMillis {
    pub(super) const NONE: Self = Self(u64::MAX);

    pub(super) const fn at(ms: u64) -> Self {
        Self(ms)
    }

    pub(super) fn get(self) -> Option<u64> {
        (self.0 != Self::NONE.0).then_some(self.0)
    }
}

/// What a pass may do that wants to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BeginStep {
    /// It has a turn.
    Go {
        /// Whether that runs beside another pass's.
        beside: bool,
        /// A later pass rendered every path of this slot already.
        overtaken: bool,
        /// The tree was rendered for other claims.
        outdated: bool,
    },
    /// Another pass has the turn, and will be followed by one that renders what was requested.
    Queue,
    /// There is nothing to render.
    Skip,
}

/// What follows when a pass gives its turn back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FinishStep {
    /// Whether the tree may become the current one.
    pub(super) commits: bool,
    /// Whether it shows claims that no tree has shown before: writers look again even if it is equal to the one before.
    pub(super) renewed: bool,
}

impl SlotState {
    /// A session that was just opened; `without_provider` if what its factory makes is still to come.
    pub(super) const fn new(now_ms: u64, without_provider: bool) -> Self {
        Self {
            ticket: 0,
            idle_since: OptionalMillis::at(now_ms),
            expected: 0,
            turn: Turn::Free,
            beside: 0,
            provider: if without_provider { ProviderState::Missing } else { ProviderState::Ready },
            claims: Claims::Shown,
            closed: false,
            has_tree: false,
            has_tasks: false,
        }
    }

    pub(super) const fn is_closed(&self) -> bool {
        self.closed
    }

    /// Whether the tree shows what earlier claims allowed.
    pub(super) fn is_outdated(&self) -> bool {
        self.claims != Claims::Shown
    }

    /// Whether a refresh has something to do: there is a tree, or a pass is about to make one.
    pub(super) fn needs_refresh(&self) -> bool {
        self.has_tree || self.expected > 0 || self.turn != Turn::Free
    }

    pub(super) const fn change_claims(&mut self) {
        self.claims = Claims::Changed;
    }

    /// What the factory makes is there, in place of what it made before. True if somebody waits for a first tree.
    pub(super) fn provider_made(&mut self) -> bool {
        self.claims = Claims::Changed;
        std::mem::replace(&mut self.provider, ProviderState::Ready) == ProviderState::Awaited
    }

    /// A pass begins that will make a first tree: what changes from now on has to be rendered again.
    pub(super) const fn expect_tree(&mut self) {
        self.expected = self.expected.saturating_add(1);
    }

    /// A pass wants its turn. `first` if it was expected to make a first tree, `all` if it renders every path. If it
    /// renders single paths, it may do so beside another pass as long as fewer than `beside` do.
    pub(super) fn begin(&mut self, ticket: u64, first: bool, all: bool, beside: u8) -> BeginStep {
        if first && self.expected < MANY {
            self.expected = self.expected.saturating_sub(1);
        }
        let wanted = first || self.needs_refresh();
        if self.provider != ProviderState::Ready {
            if first {
                self.provider = ProviderState::Awaited;
            }
            return BeginStep::Skip;
        }
        if self.closed || !wanted {
            return BeginStep::Skip;
        }
        let (overtaken, outdated) = (self.ticket > ticket, self.is_outdated());
        if self.turn != Turn::Free {
            if !all && self.has_tree && self.beside < beside {
                self.beside += 1;
                return BeginStep::Go { beside: true, overtaken, outdated };
            }
            self.turn = Turn::FollowUp;
            return BeginStep::Queue;
        }
        self.turn = Turn::Taken;
        if outdated && all {
            self.claims = Claims::Rendering;
        }
        if all {
            self.ticket = self.ticket.max(ticket);
        }
        BeginStep::Go { beside: false, overtaken, outdated }
    }

    /// The pass that has the turn gives it back, with a tree or without.
    pub(super) fn finish(&mut self, with_tree: bool) -> FinishStep {
        let renewed = self.claims == Claims::Rendering;
        if renewed {
            self.claims = if with_tree { Claims::Shown } else { Claims::Changed };
        }
        self.turn = Turn::Free;
        let commits = with_tree && !self.closed;
        self.has_tree |= commits;
        FinishStep { commits, renewed }
    }

    /// A pass that has a turn beside the main one gives it back, with a tree or without.
    pub(super) const fn finish_beside(&mut self, with_tree: bool) -> FinishStep {
        self.beside -= 1;
        FinishStep { commits: with_tree && self.has_tree, renewed: false }
    }

    /// Whether a pass has the main turn.
    pub(super) fn is_taken(&self) -> bool {
        self.turn != Turn::Free
    }

    /// Somebody connects; false if the slot is closed.
    pub(super) const fn attach(&mut self) -> bool {
        if !self.closed {
            self.idle_since = OptionalMillis::NONE;
        }
        !self.closed
    }

    /// The last connection left; false if nobody was connected.
    pub(super) fn detach(&mut self, now_ms: u64) -> bool {
        let connected = self.is_connected();
        if connected {
            self.idle_since = OptionalMillis::at(now_ms);
        }
        connected
    }

    pub(super) fn is_connected(&self) -> bool {
        self.idle_since == OptionalMillis::NONE
    }

    pub(super) const fn set_tasks(&mut self, running: bool) {
        self.has_tasks = running;
    }

    /// Since when nobody is connected and no task runs, in ms.
    pub(super) fn idle_since_ms(&self) -> Option<u64> {
        self.idle_since.get().filter(|_| !self.has_tasks)
    }

    /// It was busy until now, though nobody was connected. True if it is idle from now on.
    pub(super) fn idle_from(&mut self, now_ms: u64) -> bool {
        let idle = self.idle_since_ms().is_some() && !self.closed;
        if idle {
            self.idle_since = OptionalMillis::at(now_ms);
        }
        idle
    }

    /// Lets the tree go, if nobody is connected and no pass works on it. True if there was one.
    pub(super) fn evict_tree(&mut self) -> bool {
        if self.is_connected() || self.turn != Turn::Free || self.beside > 0 {
            return false;
        }
        std::mem::replace(&mut self.has_tree, false)
    }

    /// Lets nobody connect any more, if nobody is connected and no task runs.
    pub(super) fn close_if_idle(&mut self) -> bool {
        let idle = self.idle_since_ms().is_some();
        self.closed |= idle;
        idle
    }

    pub(super) const fn close(&mut self) {
        self.closed = true;
        self.has_tree = false;
        self.has_tasks = false;
        if self.idle_since.0 == OptionalMillis::NONE.0 {
            self.idle_since = OptionalMillis::at(0);
        }
    }

    /// Checks what always holds. `holds` is what the slot really has.
    #[cfg(any(test, debug_assertions))]
    pub(super) fn validate(&self, holds: Holdings) {
        assert_eq!(self.has_tree, holds.tree, "whether there is a tree: {self:?}");
        assert_eq!(self.is_connected(), holds.connections, "whether somebody is connected: {self:?}");
        assert_eq!(self.has_tasks, holds.tasks, "whether a task runs: {self:?}");
        assert_eq!(usize::from(self.beside), holds.beside, "how many turns run beside: {self:?}");
        assert_eq!(self.turn == Turn::FollowUp, holds.follow_up, "whether a follow-up waits: {self:?}");
        assert!(self.claims != Claims::Rendering || self.turn != Turn::Free, "rendering without a turn: {self:?}");
        assert!(self.provider == ProviderState::Ready || !self.has_tree, "a tree without a provider: {self:?}");
        assert!(!(self.closed && self.has_tree), "a closed slot with a tree: {self:?}");
    }
}

/// What a slot really has, to be compared with its state.
#[cfg(any(test, debug_assertions))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Holdings {
    pub(super) tree: bool,
    pub(super) connections: bool,
    pub(super) tasks: bool,
    pub(super) follow_up: bool,
    pub(super) beside: usize,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What may happen to a slot.
    #[derive(Debug, Clone, Copy)]
    enum Step {
        ChangeClaims,
        ProviderMade,
        Expect,
        Begin { first: bool, all: bool, beside: bool },
        Finish { with_tree: bool },
        FinishBeside { with_tree: bool },
        Attach,
        Detach,
        Task(bool),
        EvictTree,
        CloseIfIdle,
        Close,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            Just(Step::ChangeClaims),
            Just(Step::ProviderMade),
            Just(Step::Expect),
            any::<[bool; 3]>().prop_map(|[first, all, beside]| Step::Begin { first, all, beside }),
            any::<bool>().prop_map(|with_tree| Step::Finish { with_tree }),
            any::<bool>().prop_map(|with_tree| Step::FinishBeside { with_tree }),
            Just(Step::Attach),
            Just(Step::Detach),
            any::<bool>().prop_map(Step::Task),
            Just(Step::EvictTree),
            Just(Step::CloseIfIdle),
            Just(Step::Close),
        ]
    }

    /// A slot's things, without the state machine.
    #[derive(Debug, Default)]
    struct Model {
        tree: bool,
        connections: usize,
        tasks: bool,
        working: bool,
        follow_up: bool,
        beside: usize,
    }

    impl Model {
        const fn holdings(&self) -> Holdings {
            Holdings {
                tree: self.tree,
                connections: self.connections > 0,
                tasks: self.tasks,
                follow_up: self.follow_up,
                beside: self.beside,
            }
        }

        fn apply(&mut self, state: &mut SlotState, at: usize, step: Step) {
            match step {
                Step::ChangeClaims if !state.is_closed() => state.change_claims(),
                Step::ProviderMade => {
                    state.provider_made();
                }
                Step::Expect => state.expect_tree(),
                Step::Begin { first, all, beside } => {
                    match state.begin(at as u64, first, all, if beside { 2 } else { 0 }) {
                        BeginStep::Go { beside: true, .. } => {
                            assert!(
                                self.working && beside && !all && self.beside < 2,
                                "beside nothing, or all of it, or too many"
                            );
                            self.beside += 1;
                        }
                        BeginStep::Go { .. } => {
                            assert!(!self.working, "two passes work at the same time");
                            self.working = true;
                        }
                        BeginStep::Queue => self.follow_up = true,
                        BeginStep::Skip => {}
                    }
                }
                Step::Finish { with_tree } if self.working => {
                    self.tree |= state.finish(with_tree).commits;
                    (self.working, self.follow_up) = (false, false);
                }
                Step::FinishBeside { with_tree } if self.beside > 0 => {
                    assert_eq!(state.finish_beside(with_tree).commits, with_tree && self.tree);
                    self.beside -= 1;
                }
                Step::Attach => self.connections += usize::from(state.attach()),
                Step::Detach if self.connections > 0 => {
                    self.connections -= 1;
                    if self.connections == 0 {
                        assert!(state.detach(at as u64));
                    }
                }
                Step::Task(runs) if !state.is_closed() => {
                    self.tasks = runs;
                    state.set_tasks(runs);
                }
                Step::EvictTree => self.tree &= !state.evict_tree(),
                Step::CloseIfIdle if state.close_if_idle() => self.close(state),
                Step::Close => self.close(state),
                _ => {}
            }
        }

        fn close(&mut self, state: &mut SlotState) {
            state.close();
            (self.tree, self.connections, self.tasks) = (false, 0, false);
        }
    }

    proptest! {
        #[test]
        fn whatever_happens_in_whatever_order_the_state_is_valid(
            without_provider in any::<bool>(),
            steps in prop::collection::vec(step(), 0..60),
        ) {
            let (mut state, mut model) = (SlotState::new(0, without_provider), Model::default());
            for (at, step) in steps.into_iter().enumerate() {
                let closed = state.is_closed();
                model.apply(&mut state, at, step);
                state.validate(model.holdings());
                prop_assert!(!closed || state.is_closed(), "a closed slot opened again");
            }
        }
    }

    #[test]
    fn a_pass_that_comes_late_is_overtaken_and_what_is_requested_meanwhile_follows() {
        let mut state = SlotState::new(0, false);
        assert_eq!(state.begin(2, true, true, 0), BeginStep::Go { beside: false, overtaken: false, outdated: false });
        assert_eq!(state.begin(3, false, true, 0), BeginStep::Queue);
        assert_eq!(state.finish(true), FinishStep { commits: true, renewed: false });
        assert_eq!(state.begin(1, false, true, 0), BeginStep::Go { beside: false, overtaken: true, outdated: false });
    }

    #[test]
    fn changed_claims_are_shown_only_by_a_pass_that_renders_everything() {
        let mut state = SlotState::new(0, false);
        state.begin(1, true, true, 0);
        state.finish(true);
        state.change_claims();
        assert_eq!(state.begin(2, false, false, 0), BeginStep::Go { beside: false, overtaken: false, outdated: true });
        assert_eq!(state.finish(true), FinishStep { commits: true, renewed: false });
        assert!(state.is_outdated());
        state.begin(3, false, true, 0);
        assert_eq!(state.finish(true), FinishStep { commits: true, renewed: true });
        assert!(!state.is_outdated());
    }
}
