//! Which spans surround a log line, and that their fields identify only who did what (SEC31, U16).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use grove_engine::{Action, Descriptor, Engine, Invocation, Session};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

use crate::fixtures::{connect_and_subscribe, engine, user_session};

/// A recorded span: its name, the names of its ancestors from the outermost in, and its fields.
#[derive(Debug, Clone)]
struct RecordedSpan {
    name: &'static str,
    ancestors: Vec<&'static str>,
    fields: BTreeMap<&'static str, String>,
}

/// Records every span of the engine that is opened in this process.
#[derive(Clone, Default)]
struct SpanRecorder(Arc<Mutex<Vec<RecordedSpan>>>);

impl SpanRecorder {
    /// The spans of all tests in this process. Passes run on their own threads, which only a global subscriber sees.
    fn global() -> &'static Self {
        static RECORDER: OnceLock<SpanRecorder> = OnceLock::new();
        RECORDER.get_or_init(|| {
            let recorder = Self::default();
            // Events are not recorded, so that other tests are not slowed down.
            let spans = recorder.clone().with_filter(filter_fn(|about| about.is_span() && about.target() == "grove"));
            tracing::subscriber::set_global_default(tracing_subscriber::registry().with(spans))
                .expect("no other test sets one");
            recorder
        })
    }

    /// Returns the spans with this name that were opened for a session.
    fn of(&self, name: &str, session: &str) -> Vec<RecordedSpan> {
        let spans = self.0.lock();
        let wanted =
            |span: &&RecordedSpan| span.name == name && span.fields.get("session").is_some_and(|id| id == session);
        spans.iter().filter(wanted).cloned().collect()
    }
}

impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> Layer<S> for SpanRecorder {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let mut ancestors: Vec<_> = context.span_scope(id).into_iter().flatten().map(|span| span.name()).collect();
        ancestors.reverse();
        ancestors.pop();
        self.0.lock().push(RecordedSpan { name: attributes.metadata().name(), ancestors, fields: fields.0 });
    }
}

#[derive(Default)]
struct Fields(BTreeMap<&'static str, String>);

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}

/// An engine with an action that returns the name of the span it ran in.
fn engine_with_action() -> Engine {
    let engine = engine();
    let act = Action::new("act", |_: Invocation<Value>| json!(tracing::Span::current().metadata().map(|at| at.name())));
    engine.register("n", move |session: &Session| {
        Descriptor::group().prop("token", session.attribute("token")).action(&act)
    });
    engine
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_passes_and_handlers_run_in_spans_that_name_session_and_user() {
    let recorder = SpanRecorder::global();
    let engine = engine_with_action();
    let (mut consumer, _) = connect_and_subscribe(&engine, user_session("traced-call", "alice")).await;
    let result = consumer.invoke("/n", "act", Value::Null).await;
    assert_eq!(result["data"], "invoke", "the handler runs in the span of its call");

    let invoke = &recorder.of("invoke", "traced-call")[0];
    let number = consumer.connection().number().to_string();
    let expected =
        [("action", "act"), ("connection", &number), ("path", "/n"), ("session", "traced-call"), ("user", "alice")];
    assert_eq!(invoke.fields, expected.map(|(name, value)| (name, value.to_owned())).into());
    let renders = recorder.of("render", "traced-call");
    assert_eq!(renders.len(), 2, "for the first tree and after the call: {renders:?}");
    assert_eq!(renders[0].ancestors, ["pass"]);
    assert_eq!(renders[1].ancestors, ["invoke", "pass"], "the refresh after a call belongs to the call");
    assert!(renders.iter().all(|span| span.fields["user"] == "alice"));
    let span = consumer.connection().span();
    assert_eq!(span.metadata().map(tracing::Metadata::name), Some("connection"));
    assert_eq!(recorder.of("connection", "traced-call")[0].fields["connection"], number);
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_contain_no_credentials_and_only_a_bounded_part_of_a_message() {
    let recorder = SpanRecorder::global();
    let engine = engine_with_action();
    let session =
        user_session("traced-secret", "alice").with_attribute("token", "s3cr3t-bytes").with_data("s3cr3t-bytes");
    let (mut consumer, _) = connect_and_subscribe(&engine, session).await;
    consumer.invoke("/n", "act", json!({"password": "s3cr3t-bytes"})).await;
    consumer.invoke(&format!("/{}", "é".repeat(5_000)), &"x".repeat(5_000), Value::Null).await;
    let _ = consumer.connection().span();
    let names = ["connection", "invoke", "render"];
    let spans: Vec<_> = names.iter().flat_map(|name| recorder.of(name, "traced-secret")).collect();
    assert!(spans.len() >= 5, "{spans:?}");
    for span in spans {
        for (name, value) in &span.fields {
            assert!(["session", "user", "connection", "path", "action"].contains(name), "{span:?}");
            assert!(!value.contains("s3cr3t") && value.len() <= 256, "{span:?}");
        }
    }
}
