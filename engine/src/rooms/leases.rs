//! For how long a session that shows no sign of life still counts.

/// When what happens, in ms since the last sign of life.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LeaseTimes {
    /// A silent connection is pinged.
    ping_ms: u64,
    /// The session is shown as offline.
    offline_ms: u64,
    /// It has left.
    pub(super) left_ms: u64,
    /// Leases are looked at at multiples of this.
    tick_ms: u64,
}

/// Connections are pinged at least this often, in ms (rooms 5).
const MOST_PING_MS: u64 = 15_000;

impl LeaseTimes {
    /// A participant is shown as offline when it has been silent for `offline_ms`, and no more than a tenth of that later
    /// (rooms 10). Most of that tenth is waited for: whoever shows a sign of life every `offline_ms`, but for a small
    /// jitter, never toggles (S0.15).
    pub(crate) fn new(offline_ms: u64, left_ms: u64) -> Self {
        let grace_ms = offline_ms * 7 / 100;
        Self {
            ping_ms: MOST_PING_MS.min(offline_ms / 2).max(1),
            offline_ms: offline_ms + grace_ms,
            left_ms: left_ms.max(offline_ms + grace_ms + 1),
            tick_ms: (offline_ms / 50).max(1),
        }
    }
}

/// The lease of one session: a pure type, which is told the time and what was heard. A sign of life costs nothing here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lease {
    Online,
    Offline,
}

/// What follows from a look at a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Looked {
    /// Nothing.
    Fine,
    /// Connections that have been silent for this many ms are to be pinged.
    Ping(u64),
    /// It is offline from now on; its connections are to be pinged.
    Offline,
    /// It is back.
    Online,
    /// It has left.
    Lost,
}

impl LeaseTimes {
    /// When a session is looked at first that has a lease from now on.
    pub(super) const fn first_look(&self, now_ms: u64) -> u64 {
        self.round(now_ms.saturating_add(self.ping_ms))
    }

    /// Looks at a lease of a session that last showed a sign of life then. `None` if it has ended; otherwise what it is,
    /// and when it is to be looked at again, which is at most as often as connections are pinged.
    pub(super) fn look(&self, lease: Lease, heard_ms: u64, now_ms: u64) -> (Looked, Option<(Lease, u64)>) {
        let silent_ms = now_ms.saturating_sub(heard_ms);
        if silent_ms >= self.left_ms {
            return (Looked::Lost, None);
        }
        let now = if silent_ms >= self.offline_ms { Lease::Offline } else { Lease::Online };
        let ends_ms = heard_ms + if now == Lease::Offline { self.left_ms } else { self.offline_ms };
        let looked = match (lease, now) {
            (Lease::Online, Lease::Offline) => Looked::Offline,
            (Lease::Offline, Lease::Online) => Looked::Online,
            _ => Looked::Ping(self.ping_ms.saturating_sub(self.tick_ms)),
        };
        (looked, Some((now, self.round(ends_ms.min(self.next_ping(silent_ms, now_ms))))))
    }

    /// When a session that has been silent for so long is to be pinged next, if nothing is heard before. One that was pinged
    /// just now has half of its lease for the answer; within a tick is now, so that it is looked at once for each ping.
    const fn next_ping(&self, silent_ms: u64, now_ms: u64) -> u64 {
        let is_pinged = silent_ms.saturating_add(self.tick_ms) >= self.ping_ms;
        let wait_ms = if is_pinged { self.ping_ms } else { self.ping_ms - silent_ms };
        now_ms.saturating_add(wait_ms)
    }

    /// Later by less than a tick, so that many are looked at together.
    const fn round(&self, at_ms: u64) -> u64 {
        at_ms.div_ceil(self.tick_ms).saturating_mul(self.tick_ms)
    }
}
