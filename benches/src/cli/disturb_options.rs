//! Options of `disturb`.

use clap::Args;

/// How long each attacker is tried, and which.
#[derive(Args, Clone)]
pub(crate) struct DisturbOptions {
    /// Rounds without and with each attacker, in turn
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) rounds: u32,
    /// Changes and calls of the victim in each round
    #[arg(long, value_name = "N", default_value_t = 40, value_parser = clap::value_parser!(u32).range(5..=1_000))]
    pub(crate) samples: u32,
    /// Only attackers whose name contains this
    #[arg(long, value_name = "TEXT")]
    pub(crate) attacker: Option<String>,
}

impl DisturbOptions {
    pub(super) const DESCRIPTION: &str = "\
Puts a victim beside each hostile consumer, tab and application of the engine's test `undisturbed`.
The victim's data change, and it calls an action, again and again; how long it takes until its copy
shows that, and until its result comes, is measured in rounds without and with the attacker. Its p99
may at most double, give or take 50 ms; an attacker fails only if it does more in three attempts.";
}
