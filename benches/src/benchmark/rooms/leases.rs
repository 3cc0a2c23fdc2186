//! The leases of sessions with a presence card, which their connections must renew.

use std::time::Duration;

use grove_engine::{Connection, Frame, Presence};

use crate::failure::Failure;
use crate::measure::stopwatch::Stopwatch;
use crate::plan::cell::Cell;
use crate::result::row::Row;
use crate::subject::house::House;

/// Leases are looked at at multiples of this, in ms: a fiftieth of the time after which a session is offline.
const TICK_MS: u64 = 600;

/// A silent connection is pinged after so many ms.
const PING_MS: u64 = 15_000;

/// How many ticks are measured.
const TICKS: u32 = 24;

/// How many leases are due in each of them.
const DUE: u32 = 1_000;

pub(super) async fn measure(cell: &Cell, row: &mut Row) -> Result<(), Failure> {
    let due = DUE.min(cell.sessions / (TICKS + 1)).max(1);
    let house = House::with_manual_clock(cell.sessions);
    let mut connections = Vec::with_capacity(cell.sessions as usize);
    for tick in 0..=TICKS {
        let last = if tick < TICKS { due * (tick + 1) } else { cell.sessions };
        for u in connections.len() as u32..last {
            let session = House::member(u).with_presence(Presence::new(format!("Member {u}")));
            connections.push(house.engine.connect(&session).map_err(|error| error.to_string())?);
        }
        if tick < TICKS {
            house.clock.advance(TICK_MS);
        }
    }
    let leases = house.engine.rooms().stats().leases;
    row.expect(leases == cell.sessions as usize, || format!("{leases} leases of {} sessions", cell.sessions));
    pings(&connections);
    time_ticks(due, &house, &connections, row).await;
    Ok(())
}

async fn time_ticks(due: u32, house: &House, connections: &[Connection], row: &mut Row) {
    let (mut tick_us, mut nothing_us, mut rest_us) = (f64::MAX, f64::MAX, f64::MAX);
    // Half a tick before the first sessions are due.
    house.clock.advance(PING_MS - TICK_MS * u64::from(TICKS) - TICK_MS / 2);
    settle(house).await;
    pings(connections);
    for tick in 0..TICKS {
        let watch = Stopwatch::start();
        house.clock.advance(TICK_MS / 2);
        house.engine.settle().await;
        tick_us = tick_us.min(watch.elapsed_us());
        let pinged = pings(connections);
        row.expect(pinged == due, || format!("{pinged} of {due} connections were pinged"));
        // Nothing is due in the rest of the tick. Of it one ms is timed apart, for comparison: in turns before and behind the
        // rest, since whatever comes first finds cold caches.
        let mut parts = [(1, &mut rest_us), (TICK_MS / 2 - 1, &mut nothing_us)];
        if !tick.is_multiple_of(2) {
            parts.reverse();
        }
        for (ms, fastest_us) in parts {
            let watch = Stopwatch::start();
            house.clock.advance(ms);
            house.engine.settle().await;
            *fastest_us = fastest_us.min(watch.elapsed_us());
        }
        settle(house).await;
        let pinged = pings(connections);
        row.expect(pinged == 0, || format!("{pinged} connections were pinged between two ticks"));
    }
    row.due = Some(due);
    (row.tick_us, row.empty_tick_us) = (Some(tick_us), Some((nothing_us - rest_us).max(0.0)));
}

/// Waits for what the driver may not have begun yet.
async fn settle(house: &House) {
    tokio::time::sleep(Duration::from_millis(5)).await;
    house.engine.settle().await;
}

/// How many connections were pinged. Each of them shows that it lives.
fn pings(connections: &[Connection]) -> u32 {
    let mut pinged = 0;
    for connection in connections {
        while let Some(frame) = connection.try_next_frame() {
            if frame == Frame::Ping {
                pinged += 1;
                connection.heard();
            }
        }
    }
    pinged
}
