//! What happened, in numbers.

use std::collections::BTreeMap;

use crate::trial::say;
use crate::trial::visitor::Counts;

/// What somebody who has left says.
#[derive(Debug, Default)]
pub(super) struct Parting {
    pub(super) counts: Counts,
    pub(super) stalls: u64,
    pub(super) kills: u64,
    pub(super) calls: u64,
    /// Calls that came from a consumer and went to this tab.
    pub(super) tab_calls: u64,
    pub(super) is_tab: bool,
    /// How connections were closed by the server.
    pub(super) closes: BTreeMap<u16, u64>,
    /// Whether its copy equalled a fresh query at the end, if it was there.
    pub(super) exact: Option<bool>,
    pub(super) problems: Vec<String>,
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) changes: u64,
    pub(super) revocations: u64,
    pub(super) restarts: u64,
    guests: u64,
    tabs: u64,
    all: Parting,
    exact: u64,
    pub(super) problems: Vec<String>,
}

impl Tally {
    pub(super) fn part(&mut self, parting: Parting) {
        *(if parting.is_tab { &mut self.tabs } else { &mut self.guests }) += 1;
        let all = &mut self.all;
        all.counts.connects += parting.counts.connects;
        all.counts.resumed += parting.counts.resumed;
        all.counts.snapshots += parting.counts.snapshots;
        all.counts.patches += parting.counts.patches;
        all.stalls += parting.stalls;
        all.kills += parting.kills;
        all.calls += parting.calls;
        all.tab_calls += parting.tab_calls;
        for (code, count) in parting.closes {
            *all.closes.entry(code).or_default() += count;
        }
        self.exact += u64::from(parting.exact == Some(true));
        self.problems.extend(parting.problems);
    }

    pub(super) fn tell(&self) {
        let Self { changes, revocations, restarts, guests, tabs, all, exact, .. } = self;
        let Counts { connects, resumed, snapshots, patches } = all.counts;
        say(&format!(
            "{guests} consumers and {tabs} tabs; {connects} connects, {} stalls, {} kills",
            all.stalls, all.kills
        ));
        say(&format!("{changes} changes, {} calls, {} of them to tabs", all.calls, all.tab_calls));
        say(&format!("{revocations} revocations, {restarts} restarts; closed by the server: {:?}", all.closes));
        say(&format!(
            "{snapshots} snapshots, {resumed} resumed, {patches} patches; {exact} copies equal a fresh query"
        ));
    }
}
