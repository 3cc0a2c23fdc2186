//! Others are not disturbed: a victim beside each attacker. Its copy stays exact, nobody but the attacker is closed, and
//! nothing that the attacker causes is without a bound. How much later the victim is served is measured by
//! `grove-bench disturb`, with the same attackers.

use grove_attackers::{Attacker, HOSTILE_USER, Stage, Victim};
use grove_engine::{Config, Event, Session};

use crate::fixtures::EventLog;

/// How often each attacker strikes.
const STRIKES: usize = 8;

/// How many reports to the operator one strike may cause.
const REPORTS_PER_STRIKE: usize = 100;

fn config() -> Config {
    let mut config = Config::immediate();
    config.limits.sessions_per_user = 64;
    config.sizes.outbox_bytes = 512 << 10;
    config.memory.dictionary_bytes = 256 << 10;
    config.memory.tree_bytes = 64 << 20;
    config
}

/// What an operator sees in the log.
fn is_report(event: &Event) -> bool {
    matches!(
        event,
        Event::Sanitised { .. }
            | Event::LimitReached { .. }
            | Event::SourceFailed { .. }
            | Event::RefreshRefused { .. }
            | Event::Panicked { .. }
    )
}

async fn stand_beside(attacker: Attacker) {
    let config = config();
    let stage = Stage::new(config.clone());
    let mut victim = Victim::connect(&stage).await;
    let (log, mut strike) = (EventLog::of(stage.engine()), attacker.prepare(&stage));
    for number in 0..STRIKES {
        strike(number);
        victim.change().await;
        victim.call().await;
    }
    victim.check_at_rest().await;
    let (stats, memory) = (stage.engine().stats(), &config.memory);
    assert!(stats.dictionary_bytes <= memory.dictionary_bytes, "{} bytes of texts", stats.dictionary_bytes);
    assert!(stats.tree_bytes <= memory.tree_bytes, "{} bytes of trees", stats.tree_bytes);
    assert!(stats.sessions <= config.limits.sessions_per_user + 1, "{} sessions", stats.sessions);
    let waiting = stats.connections * (config.sizes.outbox_bytes + config.sizes.event_bytes + config.sizes.frame_bytes);
    assert!(stats.outbox_bytes <= waiting, "{} bytes wait", stats.outbox_bytes);
    let reports = log.count(is_report);
    assert!(reports <= STRIKES * REPORTS_PER_STRIKE, "{reports} reports");

    drop(strike);
    victim.check_at_rest().await;
    let stats = stage.engine().stats();
    let left = (stats.connections, stats.subscriptions, stats.tabs, stats.outbox_bytes);
    assert_eq!(left, (1, 1, 0, 0), "the attacker leaves nothing behind");
    let closed = log.count(|event| matches!(event, Event::Disconnected { session, .. } if session == "victim"));
    assert_eq!(closed, 0);
    let open = Session::new("late").with_user(HOSTILE_USER);
    assert!(stage.engine().connect(&open).is_ok(), "the attacker's user is not locked out");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_victim_does_not_notice_an_attacker() {
    let mut disturbed = Vec::new();
    for attacker in grove_attackers::all() {
        if let Err(error) = tokio::spawn(stand_beside(attacker)).await {
            disturbed.push(format!("{}: {error}", attacker.name));
        }
    }
    assert!(disturbed.is_empty(), "disturbed by\n{}", disturbed.join("\n"));
}
