//! The contents of `/metrics`, and that `docs/metrics.md` matches them (issue 5.8).

use std::collections::BTreeMap;

use grove_axum::{Slop, metrics};
use grove_engine::{
    CallStatus, CloseReason, ClusterEvent, EndReason, Event, EvictionReason, LeaveReason, Limit, PanicSite, Provider,
    RepairCause, RunStatus, Selector,
};

use crate::server::{PeerAddresses, Server, known_users, within_deadline};

const DOCS: &str = include_str!("../../../../docs/metrics.md");

const COUNTERS: &str = include_str!("../../src/metrics/event_counters.rs");

const ROOM_COUNTERS: &str = include_str!("../../src/metrics/room_counters.rs");
const CLUSTER_COUNTERS: &str = include_str!("../../src/metrics/cluster_counters.rs");

/// Words of a session that must not be in a scrape.
const SECRET: &str = "alice";

async fn server() -> Server {
    let app = |engine: grove_engine::Engine| Slop::new(engine.clone(), known_users()).router().merge(metrics(engine));
    Server::start_app(app, PeerAddresses::Known).await
}

async fn scrape(server: &Server) -> String {
    let (status, answer) = server.raw("GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await;
    assert_eq!(status, 200);
    assert!(answer.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"), "{answer}");
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

fn value(scrape: &str, sample: &str) -> Option<f64> {
    scrape.lines().find_map(|line| line.strip_prefix(sample)?.trim().parse().ok())
}

/// Waits until a sample is at least one.
async fn until(server: &Server, sample: &str) {
    let reached = async { while value(&scrape(server).await, sample).is_none_or(|value| value < 1.0) {} };
    within_deadline(reached).await;
}

/// One event of every kind that is counted.
fn one_of_each() -> Vec<Event> {
    let (session, path) = (|| SECRET.into(), || SECRET.into());
    vec![
        Event::SessionOpened { session: session() },
        Event::SessionClosed { session: session(), reason: CloseReason::Idle },
        Event::Revoked { whom: Selector::User(SECRET.into()), sessions: 1 },
        Event::TreeEvicted { session: session(), reason: EvictionReason::LeastRecent },
        Event::Connected { session: session(), connection: 1 },
        Event::Disconnected { session: session(), connection: 1, reason: CloseReason::Slow },
        Event::Resumed { session: session(), connection: 1 },
        Event::Refused { status: 401, reason: "there is no token" },
        Event::PassFinished { sessions: 50, evaluated: 2, shared: 48, committed: 50, took_us: 30_000 },
        Event::SourceFailed { path: path(), session: session(), why: SECRET.into(), failures: 1 },
        Event::Sanitised { path: SECRET.to_owned(), what: SECRET.to_owned(), problems: 1 },
        Event::SnapshotSent { session: session(), connection: 1, bytes: 1000 },
        Event::PatchSent { session: session(), connection: 1, bytes: 100 },
        Event::PatchSent { session: session(), connection: 1, bytes: 50 },
        Event::Compacted { session: session(), nodes: 9 },
        Event::Invoked { session: session(), path: path(), action: path(), status: CallStatus::Ok, took_us: 2_000 },
        Event::Invoked {
            session: session(),
            path: path(),
            action: path(),
            status: CallStatus::Failed(SECRET.into()),
            took_us: 2_000,
        },
        Event::ResultBeforePatch { session: session(), path: path(), action: path() },
        Event::Panicked { what: PanicSite::Handler, why: SECRET.to_owned() },
        Event::RoomCreated { room: "m_1".into(), project: SECRET.into(), user: SECRET.into() },
        Event::RoomClosed {
            room: "m_1".into(),
            project: SECRET.into(),
            reason: EndReason::Close,
            duration_ms: 1,
            user: Some(SECRET.into()),
        },
        Event::RoomRefused {
            what: "say",
            code: "not_found".into(),
            session: session(),
            user: Some(SECRET.into()),
            room: SECRET.into(),
        },
        Event::ParticipantJoined { room: "m_1".into(), participant: SECRET.into(), session: session() },
        Event::ParticipantLeft { room: "m_1".into(), participant: SECRET.into(), reason: LeaveReason::Left },
        Event::LimitReached { limit: Limit::TabsPerSession, session: session() },
        Event::SessionConflict { session: session() },
        Event::ResumePointsEvicted { session: session(), subscriptions: 3 },
        Event::RefreshRefused { path: path(), why: SECRET.to_owned(), requests: 5 },
        Event::StorageFailed { why: SECRET.to_owned() },
        Event::StorageRecovered { after_ms: 10 },
    ]
    .into_iter()
    .chain(run_events())
    .chain(cluster_events())
    .collect()
}

/// What happens between instances.
fn cluster_events() -> Vec<Event> {
    let (instance, why) = (|| SECRET.into(), || SECRET.to_owned());
    let all = [
        ClusterEvent::InstanceSeen { instance: instance(), incarnation: 1 },
        ClusterEvent::InstanceSuspect { instance: instance() },
        ClusterEvent::InstanceGone { instance: instance() },
        ClusterEvent::Connected,
        ClusterEvent::Disconnected { why: why() },
        ClusterEvent::Refused { topic: "notices", why: why() },
        ClusterEvent::MessageDropped { topic: "notices", why: why(), messages: 4 },
        ClusterEvent::Resynced { project: Some(SECRET.into()), cause: RepairCause::Gap },
    ];
    all.into_iter().map(Event::Cluster).collect()
}

/// A run that was dispatched three times, and called two tools.
fn run_events() -> Vec<Event> {
    let (room, run) = (|| SECRET.into(), || SECRET.into());
    let started = |attempt| Event::RunStarted { room: room(), run: run(), agent: SECRET.into(), attempt };
    vec![
        started(1),
        started(2),
        started(3),
        Event::RunToolCalled { room: room(), run: run(), tool: SECRET.into() },
        Event::RunToolReturned { room: room(), run: run(), ok: true },
        Event::RunToolReturned { room: room(), run: run(), ok: false },
        Event::RunEnded { room: room(), run: run(), status: RunStatus::TimedOut, duration_ms: 4_000 },
    ]
}

async fn scrape_of_everything() -> String {
    let server = server().await;
    for event in one_of_each() {
        server.engine.note(event);
    }
    scrape(&server).await
}

#[tokio::test]
async fn a_scrape_shows_what_is_served() {
    let server = server().await;
    let mut peer = server.alice().await;
    peer.user().await;
    let scrape = scrape(&server).await;
    for (sample, wanted) in [
        ("grove_sessions", 1.0),
        ("grove_trees", 1.0),
        ("grove_connections", 1.0),
        ("grove_subscriptions", 1.0),
        ("grove_tabs", 0.0),
        ("grove_connects_total", 1.0),
        ("grove_sessions_opened_total", 1.0),
        (r#"grove_frames_total{kind="snapshot"}"#, 1.0),
        (r#"grove_frames_total{kind="patch"}"#, 0.0),
        (r#"grove_evaluations_total{path="/greeting"}"#, 1.0),
    ] {
        assert_eq!(value(&scrape, sample), Some(wanted), "{sample} in\n{scrape}");
    }
    assert!(value(&scrape, "grove_tree_bytes").unwrap() > 0.0);
    assert!(scrape.ends_with("# EOF\n"));

    // The snapshot may be sent before the pass that made it has ended, and a connection ends after its socket.
    until(&server, "grove_pass_seconds_count").await;
    drop(peer);
    until(&server, r#"grove_disconnects_total{reason="gone"}"#).await;
}

#[tokio::test]
async fn every_event_is_counted_once() {
    let scrape = scrape_of_everything().await;
    for (sample, wanted) in [
        (r#"grove_sessions_closed_total{reason="idle"}"#, 1.0),
        (r#"grove_evictions_total{reason="least_recent"}"#, 1.0),
        (r#"grove_disconnects_total{reason="slow"}"#, 1.0),
        ("grove_resumes_total", 1.0),
        (r#"grove_refusals_total{status="401"}"#, 1.0),
        ("grove_pass_seconds_sum", 0.03),
        (r#"grove_pass_seconds_bucket{le="0.025"}"#, 0.0),
        (r#"grove_pass_seconds_bucket{le="0.05"}"#, 1.0),
        (r#"grove_pass_sessions_bucket{le="100.0"}"#, 1.0),
        (r#"grove_frame_bytes_total{kind="snapshot"}"#, 1000.0),
        (r#"grove_frame_bytes_total{kind="patch"}"#, 150.0),
        (r#"grove_invokes_total{status="ok"}"#, 1.0),
        (r#"grove_invokes_total{status="other"}"#, 1.0),
        ("grove_source_failures_total", 1.0),
        ("grove_sanitised_total", 1.0),
        ("grove_compactions_total", 1.0),
        ("grove_results_before_patch_total", 1.0),
        (r#"grove_panics_total{what="handler"}"#, 1.0),
        (r#"grove_limits_reached_total{limit="limits.tabs_per_session"}"#, 1.0),
        ("grove_session_conflicts_total", 1.0),
        ("grove_resume_points_evicted_total", 3.0),
        ("grove_refreshes_refused_total", 5.0),
        ("grove_storage_failures_total", 1.0),
        ("grove_storage_recoveries_total", 1.0),
        ("grove_runs_started_total", 1.0),
        ("grove_run_retries_total", 2.0),
        (r#"grove_runs_ended_total{outcome="timed_out"}"#, 1.0),
        (r#"grove_run_seconds_bucket{le="2.5"}"#, 0.0),
        (r#"grove_run_seconds_bucket{le="5.0"}"#, 1.0),
        (r#"grove_run_tools_total{status="ok"}"#, 1.0),
        (r#"grove_run_tools_total{status="failed"}"#, 1.0),
        (r#"grove_instance_changes_total{to="suspect"}"#, 1.0),
        ("grove_bus_disconnections_total", 1.0),
        (r#"grove_bus_refusals_total{topic="notices"}"#, 1.0),
        (r#"grove_bus_messages_dropped_total{topic="notices"}"#, 4.0),
        (r#"grove_resyncs_total{cause="gap"}"#, 1.0),
    ] {
        assert_eq!(value(&scrape, sample), Some(wanted), "{sample} in\n{scrape}");
    }
}

#[tokio::test]
async fn no_label_holds_anything_of_a_session() {
    let server = server().await;
    server.alice().await.user().await;
    for event in one_of_each() {
        server.engine.note(event);
    }
    let scrape = scrape(&server).await;
    assert!(!scrape.contains(SECRET), "{scrape}");
}

#[tokio::test]
async fn the_number_of_path_labels_is_bounded() {
    let server = server().await;
    for number in 0..300 {
        server
            .engine
            .register(&format!("path-{number}"), |_: &grove_engine::Session| grove_engine::Descriptor::new("status"));
    }
    server.alice().await.user().await;
    let scrape = scrape(&server).await;
    let paths = scrape.lines().filter(|line| line.starts_with("grove_evaluations_total{"));
    assert!((200..=201).contains(&paths.count()), "{scrape}");
    assert!(value(&scrape, r#"grove_evaluations_total{path="other"}"#).unwrap() >= 100.0, "{scrape}");
}

/// Name, type and labels of each metric of a scrape, as a monitoring system sees them.
fn served(scrape: &str) -> BTreeMap<String, (String, String)> {
    let types = scrape.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    types
        .map(|(name, kind)| {
            let samples = scrape.lines().filter_map(|line| line.strip_prefix(name)?.split_once(['{', ' ']));
            let labels = samples.filter(|(rest, _)| ["", "_total"].contains(rest)).find_map(|(_, rest)| {
                rest.split_once('}').map(|(labels, _)| labels.split_once('=').unwrap().0.to_owned())
            });
            let name = if kind == "counter" { format!("{name}_total") } else { name.to_owned() };
            (name, (kind.to_owned(), labels.unwrap_or_default()))
        })
        .collect()
}

/// The same of the table in the documentation.
fn documented() -> BTreeMap<String, (String, String)> {
    let rows = DOCS.lines().filter_map(|line| line.strip_prefix("| `grove_"));
    rows.map(|row| {
        let cells: Vec<_> = row.split('|').map(|cell| cell.trim().trim_matches('`').to_owned()).collect();
        (format!("grove_{}", cells[0]), (cells[1].clone(), cells[2].clone()))
    })
    .collect()
}

#[tokio::test]
async fn the_documentation_lists_exactly_the_served_metrics() {
    let served = served(&scrape_of_everything().await);
    assert!(served.len() > 25);
    assert_eq!(documented(), served);
}

/// Families without a sample are not in a scrape, so the code is looked at as well.
#[test]
fn the_documentation_lists_every_name_in_the_code() {
    let code =
        [COUNTERS, ROOM_COUNTERS, CLUSTER_COUNTERS, include_str!("../../src/metrics/stats_collector.rs")].concat();
    let code = code.split_whitespace().collect::<String>();
    let registered = ["gauge(\"", "counter(\"", "counter_by(\"", "histogram(\"", "encode_descriptor(\""];
    let rests = registered.iter().flat_map(|call| code.split(call).skip(1));
    let names: Vec<_> = rests.map(|rest| rest.split('"').next().unwrap()).collect();
    let documented: Vec<_> = documented().into_keys().collect();
    assert_eq!(names.len(), documented.len(), "{names:?}");
    for name in names {
        let known = [format!("grove_{name}"), format!("grove_{name}_total")];
        assert!(known.iter().any(|known| documented.contains(known)), "{name}");
    }
}

/// The kinds of event, read from the code of the engine.
fn kinds_of_events() -> Vec<&'static str> {
    let code = include_str!("../../../../engine/src/event.rs");
    let declaration = code.split_once("pub enum Event {").unwrap().1.split_once("\n}\n").unwrap().0;
    declaration.lines().filter_map(|line| line.strip_prefix("    ")?.strip_suffix(" {")).collect()
}

#[test]
fn every_kind_of_event_is_counted_or_the_documentation_says_why_not() {
    let kinds = kinds_of_events();
    assert!(kinds.len() > 30 && kinds.contains(&"RunEnded"), "{kinds:?}");
    let reasons = DOCS.split_once("## Events without a metric").unwrap().1;
    for kind in kinds {
        let is_counted = [COUNTERS, ROOM_COUNTERS].iter().any(|code| code.contains(&format!("Event::{kind} {{")));
        let is_explained = reasons.contains(&format!("| `{kind}` |"));
        assert!(is_counted != is_explained, "`{kind}` is counted: {is_counted}, explained: {is_explained}");
    }
}
