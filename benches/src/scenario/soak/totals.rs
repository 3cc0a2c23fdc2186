//! Totals of a soak.

use super::participant_report::ParticipantReport;
use crate::output::console;

/// Totals over all participants, and what happened to the server.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub(super) changes: u64,
    pub(super) revocations: u64,
    pub(super) restarts: u64,
    consumers: u64,
    tabs: u64,
    sum: ParticipantReport,
    exact: u64,
    /// Checks that failed.
    pub(super) problems: Vec<String>,
}

impl Totals {
    pub(super) fn add(&mut self, report: ParticipantReport) {
        *(if report.is_tab { &mut self.tabs } else { &mut self.consumers }) += 1;
        let sum = &mut self.sum;
        sum.counts += report.counts;
        sum.stalls += report.stalls;
        sum.kills += report.kills;
        sum.calls += report.calls;
        sum.tab_calls += report.tab_calls;
        sum.room_calls += report.room_calls;
        sum.room_events += report.room_events;
        sum.room_gaps += report.room_gaps;
        for (code, count) in report.closes {
            *sum.closes.entry(code).or_default() += count;
        }
        self.exact += u64::from(report.exact == Some(true));
        self.problems.extend(report.problems);
    }

    pub(super) fn print(&self) {
        let Self { changes, revocations, restarts, consumers, tabs, exact, .. } = self;
        let ParticipantReport { counts, stalls, kills, calls, tab_calls, closes, .. } = &self.sum;
        let ParticipantReport { room_calls, room_events, room_gaps, .. } = &self.sum;
        console::print(&format!("{consumers} consumers and {tabs} tabs, {stalls} stalls, {kills} kills"));
        console::print(&format!("{changes} changes, {calls} calls, {tab_calls} of them to tabs"));
        console::print(&format!("{room_calls} calls in rooms, {room_events} events received, {room_gaps} gaps"));
        console::print(&format!("{revocations} revocations, {restarts} restarts"));
        console::print(&format!("closed by the server, by close code: {closes:?}"));
        console::print(&format!("{counts}"));
        console::print(&format!("{exact} copies equal a fresh query"));
    }
}
