//! Whatever a configuration says, an engine either works with it or names the field.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::time::Duration;

use grove_engine::testing::ManualClock;
use grove_engine::{Action, Config, Descriptor, Engine, Frame, Invocation, Scope, Session};
use proptest::prelude::*;
use serde_json::json;

use crate::fixtures::{cases, user_session};

/// Changes one field to an extreme.
type Change = (&'static str, fn(&mut Config, usize));

macro_rules! fields {
    ($($group:ident: $($field:ident),*;)*) => {
        [$($((concat!(stringify!($group), ".", stringify!($field)), |config, value| {
            config.$group.$field = value.try_into().unwrap_or_default();
        })),*),*]
    };
}

const COUNTS: &[Change] = &fields! {
    limits: sessions, sessions_per_user, connections, connections_per_session, connections_per_user, subscriptions,
        subscriptions_per_connection, subscriptions_per_session, subscriptions_per_user, calls, calls_per_connection,
        calls_per_session, calls_per_user, call_ids_per_connection, resume_points_per_session, revocations, tabs,
        tabs_per_session, tabs_per_user, tasks_per_session;
    sizes: message_bytes, frame_bytes, rebase_bytes, nodes, properties, depth, tab_nodes, tab_depth, tab_bytes,
        tab_operations, outbox_bytes, event_bytes, subscription_bytes, task_bytes;
    memory: idle_trees, tree_bytes, dictionary_bytes, cache_bytes;
    execution: blocking_calls, blocking_calls_per_session, blocking_calls_per_user, async_evaluations, pass_threads,
        slow_evaluations, slow_evaluations_per_path, side_turns_per_session;
    rooms: rooms, rooms_per_project, open_rooms_per_project, rooms_per_user, admissions_per_user, participants_per_room,
        users_per_room, message_bytes, memory_bytes, memory_keys, all_memory_bytes, generations, call_ids, call_ids_per_session,
        kept_call_ids_per_room, keep_events, archived_events, stored_bytes, unwritten_bytes;
    runs: waiting_per_room, ended_per_room, value_bytes, output_bytes, ended_output_bytes, chunk_bytes, inputs_per_run,
        history_entries, history_bytes, agents_per_link, runs_per_link, link_message_bytes;
    cluster: waiting_notices, commit_waits, message_bytes, instances, requests, decisions;
    sizes: nodes, depth, tab_depth;
};

/// The same for a duration.
type TimeChange = (&'static str, fn(&mut Config, Duration));

const TIMES: &[TimeChange] = &[
    ("times.debounce", |config, value| config.times.debounce = value),
    ("times.hello_delay", |config, value| config.times.hello_delay = value),
    ("times.first_patch_delay", |config, value| config.times.first_patch_delay = value),
    ("times.authentication_timeout", |config, value| config.times.authentication_timeout = value),
    ("times.ping_interval", |config, value| config.times.ping_interval = value),
    ("times.silence_timeout", |config, value| config.times.silence_timeout = value),
    ("times.idle_tree", |config, value| config.times.idle_tree = value),
    ("times.idle_session", |config, value| config.times.idle_session = value),
    ("times.resume_window", |config, value| config.times.resume_window = value),
    ("times.expiry_warning", |config, value| config.times.expiry_warning = value),
    ("times.credential_lifetime", |config, value| config.times.credential_lifetime = Some(value)),
    ("times.tab_call_timeout", |config, value| config.times.tab_call_timeout = value),
    ("times.ended_task_retention", |config, value| config.times.ended_task_retention = value),
    ("times.refresh_before_result", |config, value| config.times.refresh_before_result = value),
    ("times.rest_before_result", |config, value| config.times.rest_before_result = value),
    ("times.evaluation_timeout", |config, value| config.times.evaluation_timeout = value),
    ("times.slow_evaluation", |config, value| config.times.slow_evaluation = value),
    ("rooms.offline_after", |config, value| config.rooms.offline_after = value),
    ("rooms.left_after", |config, value| config.rooms.left_after = value),
    ("rooms.heartbeat_interval", |config, value| config.rooms.heartbeat_interval = value),
    ("rooms.ended_room_retention", |config, value| config.rooms.ended_room_retention = value),
    ("rooms.keep_for", |config, value| config.rooms.keep_for = value),
    ("rooms.archive_retention", |config, value| config.rooms.archive_retention = value),
    ("runs.link_wait", |config, value| config.runs.link_wait = value),
    ("runs.absent_agent_timeout", |config, value| config.runs.absent_agent_timeout = value),
    ("rooms.put_away_after", |config, value| config.rooms.put_away_after = value),
    ("rooms.durable_timeout", |config, value| config.rooms.durable_timeout = value),
    ("cluster.heartbeat_interval", |config, value| config.cluster.heartbeat_interval = value),
    ("cluster.repeat_interval", |config, value| config.cluster.repeat_interval = value),
    ("cluster.suspect_after", |config, value| config.cluster.suspect_after = value),
    ("cluster.gone_after", |config, value| config.cluster.gone_after = value),
    ("cluster.gather", |config, value| config.cluster.gather = value),
    ("cluster.repair_delay", |config, value| config.cluster.repair_delay = value),
    ("cluster.repair_interval", |config, value| config.cluster.repair_interval = value),
    ("cluster.commit_wait", |config, value| config.cluster.commit_wait = value),
    ("cluster.request_timeout", |config, value| config.cluster.request_timeout = value),
];

const RATE: &str = "limits.messages_per_second";

fn count() -> impl Strategy<Value = usize> {
    prop_oneof![Just(0), Just(1), Just(2), 3..2_000usize, Just(1 << 20), Just(1 << 40), Just(usize::MAX)]
}

fn time() -> impl Strategy<Value = Duration> {
    prop_oneof![
        Just(Duration::ZERO),
        Just(Duration::from_nanos(1)),
        Just(Duration::from_millis(1)),
        (0..100_000u64).prop_map(Duration::from_millis),
        Just(Duration::from_secs(99 * 365 * 24 * 3600)),
        Just(Duration::MAX),
    ]
}

/// A configuration in which some fields are extreme, and their names.
fn configuration() -> impl Strategy<Value = (Config, Vec<&'static str>)> {
    let counts = prop::collection::vec((0..COUNTS.len(), count()), 0..4);
    let times = prop::collection::vec((0..TIMES.len(), time()), 0..4);
    let rate = prop_oneof![Just(0), Just(1), Just(1_000_000), Just(u32::MAX)];
    (counts, times, rate).prop_map(|(counts, times, rate)| {
        let (mut config, mut names) = (Config::immediate(), vec![RATE]);
        config.limits.messages_per_second = NonZeroU32::new(rate);
        for (at, value) in counts {
            COUNTS[at].1(&mut config, value);
            names.push(COUNTS[at].0);
            if ["rooms.message_bytes", "runs.value_bytes", "runs.chunk_bytes"].contains(&COUNTS[at].0) {
                // A frame has to hold the event of a message, and those of runs.
                names.push("sizes.frame_bytes");
            }
        }
        for (at, value) in times {
            TIMES[at].1(&mut config, value);
            names.push(TIMES[at].0);
            // Whether it can be used depends on both.
            match TIMES[at].0 {
                "times.ping_interval" => names.push("times.silence_timeout"),
                "rooms.offline_after" => names.push("rooms.left_after"),
                "cluster.heartbeat_interval" => names.extend(["cluster.repeat_interval", "cluster.suspect_after"]),
                "cluster.suspect_after" => names.push("cluster.gone_after"),
                _ => {}
            }
        }
        (config, names)
    })
}

/// The fields of a configuration, as its debug output lists them.
fn fields() -> BTreeSet<String> {
    let (mut group, mut fields) = (String::new(), BTreeSet::new());
    for line in format!("{:#?}", Config::default()).lines() {
        let (name, _) = line.trim_start().split_once(": ").unwrap_or_default();
        match line.len() - line.trim_start().len() {
            4 if !name.is_empty() => name.clone_into(&mut group),
            8 if !name.is_empty() => assert!(fields.insert(format!("{group}.{name}"))),
            _ => {}
        }
    }
    fields
}

#[test]
fn no_field_is_forgotten_here() {
    let varied = COUNTS.iter().map(|(name, _)| name).chain(TIMES.iter().map(|(name, _)| name)).chain([&RATE]);
    let varied: BTreeSet<String> = varied.map(|name| (*name).to_owned()).collect();
    assert!(varied.len() > 60);
    assert_eq!(varied, fields());
}

#[test]
fn a_connection_is_not_dropped_for_its_silence_before_it_was_pinged() {
    for (ping, silence, works) in [(20, 21, true), (20, 20, false), (60, 20, false)] {
        let mut config = Config::immediate();
        config.times.ping_interval = Duration::from_secs(ping);
        config.times.silence_timeout = Duration::from_secs(silence);
        let refused = config.validate().err().map(|error| error.to_string());
        assert_eq!(refused.is_none(), works);
        assert!(refused.is_none_or(|why| why.contains("must be longer than `times.ping_interval`")));
    }
}

/// A consumer, a tab and a task of everybody's day: nothing panics, and the consumer is greeted and answered, or closed.
async fn works(config: Config) {
    let clock = ManualClock::new();
    let engine = Engine::builder("app", "App").config(config).clock(clock.clone()).build();
    let act = Action::new("act", |_: Invocation<()>| json!("done"));
    engine.register("n", move |session: &Session| {
        Descriptor::status().prop("user", session.user().unwrap_or("nobody")).action(&act)
    });
    engine.register_async("later", |_: Session| async { Descriptor::status() });
    let session = user_session("s", "alice");
    let connection = engine.connect(&session).expect("there is room for one");
    connection.receive(r#"{"type":"subscribe","id":"all","path":"/","depth":-1}"#);
    connection.receive(r#"{"type":"query","id":"q","path":"/"}"#);
    connection.receive(r#"{"type":"invoke","id":"i","path":"/n","action":"act","params":{}}"#);
    if let Ok(tab) = engine.connect_tab(&session) {
        tab.receive(&json!({"type": "hello", "provider": {"id": "p"}}).to_string());
        tab.receive(
            &json!({"type": "snapshot", "id": "ui-mount", "version": 1, "tree": {"id": "t", "type": "root"}})
                .to_string(),
        );
    }
    let mut texts = Vec::new();
    for _ in 0..6 {
        engine.settle().await;
        while let Some(frame) = connection.try_next_frame() {
            match frame {
                Frame::Text(text) => texts.push(text),
                Frame::Close { reason, .. } => texts.push(format!("closed: {reason}")),
                Frame::Ping => connection.heard(),
            }
        }
        engine.refresh_now(Scope::all()).await;
        let _ = engine.emit(Scope::all(), "news", None);
        clock.advance(99 * 365 * 24 * 3_600_000 / 5);
    }
    let first = texts.first().map(String::as_str).unwrap_or_default();
    let served = first.contains("hello") && texts.len() > 1;
    assert!(served || connection.is_aborted() || texts.iter().any(|text| text.starts_with("closed")), "{texts:?}");
    drop(connection);
    engine.settle().await;
}

proptest! {
    #![proptest_config(cases(150))]

    #[test]
    fn an_engine_works_or_is_refused_with_the_name_of_a_field((config, names) in configuration()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let built = runtime.block_on(async { Engine::builder("app", "App").config(config.clone()).try_build() });
        match built {
            Ok(engine) => {
                drop(engine);
                runtime.block_on(works(config));
            }
            Err(error) => {
                prop_assert!(names.contains(&error.field), "{error} was not changed: {names:?}");
                prop_assert!(error.to_string().contains(error.field));
            }
        }
        runtime.shutdown_background();
    }
}
