//! The columns of the tables.

use super::number::{bytes, count, decimal, percent, ratio};
use crate::plan::benchmark::Benchmark;
use crate::plan::room_case::RoomCase;
use crate::result::row::Row;

/// A column: its title, and what it shows of a row.
pub(super) type Column = (&'static str, fn(&Row) -> Option<String>);

/// All columns of a benchmark's table.
pub(super) fn of(benchmark: Benchmark) -> impl Iterator<Item = &'static Column> {
    let own = match benchmark {
        Benchmark::Memory => MEMORY,
        Benchmark::Refresh => REFRESH,
        Benchmark::Connect => CONNECT,
        Benchmark::Resume => RESUME,
        Benchmark::Live => LIVE,
        Benchmark::Slow => SLOW,
        Benchmark::Churn => CHURN,
        Benchmark::Rooms => ROOMS,
        Benchmark::Runs => RUNS,
        Benchmark::Storage => STORAGE,
        Benchmark::Peers => PEERS,
        Benchmark::Cluster => CLUSTER,
    };
    CONDITIONS.iter().chain(own).chain(CHECKS)
}

const CONDITIONS: &[Column] = &[
    ("workload", |row| Some(row.workload.filter(|_| has_workload(row))?.name().to_owned())),
    ("likeness", |row| Some(row.likeness.filter(|_| has_workload(row))?.name().to_owned())),
    ("case", |row| Some(row.case()?.to_owned())),
    ("database", |row| Some(row.database?.name().to_owned())),
    ("provider", |row| row.per_session.map(|_| "per session".to_owned())),
    ("change", |row| Some(row.change?.name().to_owned())),
    ("missed", |row| count(row.gap.map(u64::from))),
    ("sessions", |row| count(row.sessions.map(u64::from))),
    ("active", |row| row.active.map(|active| format!("{active}%"))),
    ("allocator", |row| row.allocator.clone()),
];

/// Only one of the cases has a workload.
fn has_workload(row: &Row) -> bool {
    row.case().is_none() || row.rooms == Some(RoomCase::Off)
}

const MEMORY: &[Column] = &[
    ("rss/active", |row| bytes(row.rss_bytes_per_active)),
    ("heap/active", |row| bytes(row.heap_bytes_per_active)),
    ("heap/idle", |row| bytes(row.heap_bytes_per_idle)),
    ("connection", |row| bytes(row.heap_bytes_of_connection)),
    ("first tree", |row| bytes(row.heap_bytes_of_first_tree)),
    ("second tree", |row| bytes(row.heap_bytes_of_second_tree)),
    ("4 more changes", |row| bytes(row.heap_bytes_of_more_changes)),
    ("disconnected", |row| bytes(row.heap_bytes_without_consumer)),
    ("heap left (total)", |row| bytes(row.heap_bytes_left)),
    ("fragments/active", |row| bytes(row.tree_bytes_per_active)),
    ("dictionary (total)", |row| count(row.symbol_bytes)),
    ("JSON/tree", |row| count(row.tree_json_bytes)),
    ("peer rss/active", |row| bytes(row.peer_rss_bytes_per_active)),
    ("peer ratio", |row| ratio(row.memory_ratio)),
];

const REFRESH: &[Column] = &[
    ("us/session", |row| decimal(row.us_per_session)),
    ("render us", |row| decimal(row.render_us_per_session)),
    ("deliver us", |row| decimal(row.deliver_us_per_session)),
    ("CPU us", |row| decimal(row.cpu_us_per_session)),
    ("p99 ms", |row| decimal(row.p99_ms)),
    ("call p99 ms", |row| decimal(row.call_p99_ms)),
    ("evaluations", |row| count(row.evaluations)),
    ("commits", |row| count(row.commits)),
    ("diffs", |row| count(row.diffs)),
    ("encodes", |row| count(row.encodes)),
    ("frames", |row| count(row.frames)),
    ("bytes/frame", |row| bytes(row.frame_bytes)),
    ("peer us", |row| decimal(row.peer_us_per_session)),
    ("peer ratio", |row| ratio(row.speed_ratio)),
    ("peer CPU us", |row| decimal(row.peer_cpu_us_per_session)),
    ("peer CPU ratio", |row| ratio(row.cpu_ratio)),
];

const CONNECT: &[Column] = &[
    ("us/session", |row| decimal(row.us_per_session)),
    ("CPU us", |row| decimal(row.cpu_us_per_session)),
    ("p50 ms", |row| decimal(row.p50_ms)),
    ("p99 ms", |row| decimal(row.p99_ms)),
    ("passes", |row| count(row.passes)),
    ("evaluations", |row| count(row.evaluations)),
    ("encodes", |row| count(row.encodes)),
    ("snapshot bytes", |row| count(row.snapshot_bytes)),
];

const RESUME: &[Column] = &[
    ("us/session", |row| decimal(row.us_per_session)),
    ("snapshot bytes", |row| count(row.snapshot_bytes)),
    ("resume bytes", |row| decimal(row.resume_bytes)),
    ("of snapshot", |row| percent(row.resume_percent, 2)),
    ("resumed", |row| percent(row.resumed_percent, 1)),
];

const LIVE: &[Column] = &[
    ("connections", |row| count(row.connections.map(u64::from))),
    ("rss/connection", |row| bytes(row.rss_bytes_per_connection)),
    ("heap/connection", |row| bytes(row.heap_bytes_per_connection)),
    ("idle CPU us/s", |row| decimal(row.idle_cpu_us_per_connection)),
    ("shared p50 ms", |row| decimal(row.p50_ms)),
    ("shared p99 ms", |row| decimal(row.p99_ms)),
    ("shared max ms", |row| decimal(row.max_ms)),
    ("private/s", |row| decimal(row.private_per_second)),
    ("private p50 ms", |row| decimal(row.private_p50_ms)),
    ("private p99 ms", |row| decimal(row.private_p99_ms)),
];

const SLOW: &[Column] = &[
    ("consumers", |row| count(row.connections.map(u64::from))),
    ("stalled", |row| count(row.stalled.map(u64::from))),
    ("shared p50 ms", |row| decimal(row.p50_ms)),
    ("with stalled", |row| decimal(row.stalled_p50_ms)),
    ("shared p99 ms", |row| decimal(row.p99_ms)),
    ("with stalled", |row| decimal(row.stalled_p99_ms)),
    ("ratio", |row| decimal(row.shared_p99_ratio)),
    ("private p50 ms", |row| decimal(row.private_p50_ms)),
    ("with stalled", |row| decimal(row.stalled_private_p50_ms)),
    ("private p99 ms", |row| decimal(row.private_p99_ms)),
    ("with stalled", |row| decimal(row.stalled_private_p99_ms)),
    ("ratio", |row| decimal(row.private_p99_ratio)),
    ("rss/stalled", |row| bytes(row.rss_bytes_per_stalled)),
    ("heap/stalled", |row| bytes(row.heap_bytes_per_stalled)),
];

const CHURN: &[Column] = &[
    ("us/session", |row| decimal(row.us_per_session)),
    ("heap before", |row| bytes(row.heap_bytes_before)),
    ("heap after", |row| bytes(row.heap_bytes_after)),
    ("dictionary (total)", |row| count(row.symbol_bytes)),
    ("ratio", |row| row.heap_ratio.map(|ratio| format!("{ratio:.4}"))),
];

const ROOMS: &[Column] = &[
    ("in a room", |row| count(row.per_room.map(u64::from))),
    ("heap/idle", |row| bytes(row.heap_bytes_per_idle)),
    ("with rooms", |row| bytes(row.heap_bytes_per_idle_with_rooms)),
    ("heap/active", |row| bytes(row.heap_bytes_per_active)),
    ("with rooms", |row| bytes(row.heap_bytes_per_active_with_rooms)),
    ("shared us", |row| decimal(row.us_per_session)),
    ("with rooms", |row| decimal(row.us_per_session_with_rooms)),
    ("heap/room", |row| bytes(row.heap_bytes_per_room)),
    ("heap left (total)", |row| bytes(row.heap_bytes_left)),
    ("heap/participant", |row| bytes(row.heap_bytes_per_participant)),
    ("when shown", |row| bytes(row.heap_bytes_per_shown)),
    ("heap/shown room", |row| bytes(row.heap_bytes_per_shown_room)),
    ("of 1 entry", |row| bytes(row.heap_bytes_of_memory)),
    ("of 50 entries", |row| bytes(row.heap_bytes_of_full_memory)),
    ("us/connection", |row| decimal(row.us_per_connection)),
    ("take us", |row| decimal(row.take_us_per_connection)),
    ("heap/waiting", |row| bytes(row.heap_bytes_per_waiting)),
    ("messages/s", |row| decimal(row.messages_per_second)),
    ("p50 ms", |row| decimal(row.p50_ms)),
    ("p99 ms", |row| decimal(row.p99_ms)),
    ("max ms", |row| decimal(row.max_ms)),
    ("nats p50 ms", |row| decimal(row.peer_p50_ms)),
    ("nats p99 ms", |row| decimal(row.peer_p99_ms)),
    ("p99 ratio", |row| decimal(row.p99_ratio)),
    ("join us", |row| decimal(row.join_us)),
    ("leave us", |row| decimal(row.leave_us)),
    ("bytes/patch", |row| bytes(row.frame_bytes)),
    ("of another", |row| bytes(row.patch_bytes_of_another)),
    ("due", |row| count(row.due.map(u64::from))),
    ("tick us", |row| decimal(row.tick_us)),
    ("empty tick us", |row| decimal(row.empty_tick_us)),
];

const RUNS: &[Column] = &[
    ("chunks/s", |row| decimal(row.chunks_per_second)),
    ("p50 ms", |row| decimal(row.p50_ms)),
    ("p99 ms", |row| decimal(row.p99_ms)),
    ("max ms", |row| decimal(row.max_ms)),
    ("CPU us/chunk", |row| decimal(row.cpu_us_per_chunk)),
    ("others p99 ms", |row| decimal(row.others_p99_ms)),
    ("beside runs", |row| decimal(row.others_p99_ms_beside)),
    ("ratio", |row| decimal(row.others_p99_ratio)),
    ("heap/stalled", |row| bytes(row.heap_bytes_per_stalled)),
    ("streamed", |row| count(row.streamed_bytes)),
    ("heap/run", |row| bytes(row.heap_bytes_per_run)),
    ("heap/ended run", |row| bytes(row.heap_bytes_per_ended_run)),
];

const PEERS: &[Column] = &[
    ("links", |row| count(row.connections.map(u64::from))),
    ("CPU us/hello", |row| decimal(row.hello_us)),
    ("hellos/CPU s", |row| decimal(row.hellos_per_cpu_second)),
    ("p50 ms", |row| decimal(row.p50_ms)),
    ("p99 ms", |row| decimal(row.p99_ms)),
    ("rss/link", |row| bytes(row.rss_bytes_per_connection)),
    ("told", |row| count(row.told_frames)),
    ("told ms", |row| decimal(row.told_ms)),
];

const CLUSTER: &[Column] = &[
    ("p50 ms", |row| decimal(row.p50_ms)),
    ("p99 ms", |row| decimal(row.p99_ms)),
    ("beyond debounce", |row| decimal(row.p99_ms_beyond_debounce)),
    ("notices/s", |row| decimal(row.notices_per_second)),
    ("% of a core", |row| decimal(row.percent_of_a_core)),
];

const STORAGE: &[Column] = &[
    ("events", |row| count(row.events)),
    ("events/s", |row| decimal(row.events_per_second)),
    ("batch", |row| decimal(row.batch_events)),
    ("p50 ms", |row| decimal(row.p50_ms)),
    ("p99 ms", |row| decimal(row.p99_ms)),
    ("alone/s", |row| decimal(row.alone_per_second)),
    ("alone, one by one/s", |row| decimal(row.alone_one_by_one_per_second)),
    ("batches of 1,024/s", |row| decimal(row.alone_in_large_batches_per_second)),
    ("of alone", |row| decimal(row.share_of_alone)),
    ("disk bytes/event", |row| bytes(row.disk_bytes_per_event)),
    ("text bytes/event", |row| bytes(row.text_bytes_per_event)),
    ("open ms", |row| decimal(row.open_ms)),
    ("first frame ms", |row| decimal(row.first_frame_ms)),
    ("acknowledged", |row| count(row.acknowledged)),
    ("lost", |row| count(row.lost)),
];

const CHECKS: &[Column] =
    &[("mirrors", |row| count(row.mirrors_checked)), ("wrong mirrors", |row| count(row.mirrors_wrong))];
