//! Which spans a log line stands in, and that they name nothing but who and what (SEC31, U16).

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

use crate::apps::{engine, person, watching};

/// A span as it was opened: its name, the names of those around it from the outside in, and its fields.
#[derive(Debug, Clone)]
struct Seen {
    name: &'static str,
    around: Vec<&'static str>,
    fields: BTreeMap<&'static str, String>,
}

/// Keeps every span of the engine that is opened in this process.
#[derive(Clone, Default)]
struct Keep(Arc<Mutex<Vec<Seen>>>);

impl Keep {
    /// The spans of all tests of this process: passes run on threads of their own, which only a global subscriber hears.
    fn all() -> &'static Self {
        static KEPT: OnceLock<Keep> = OnceLock::new();
        KEPT.get_or_init(|| {
            let keep = Self::default();
            // Events are left alone, so that other tests are not slowed down.
            let spans = keep.clone().with_filter(filter_fn(|about| about.is_span() && about.target() == "grove"));
            tracing::subscriber::set_global_default(tracing_subscriber::registry().with(spans))
                .expect("nobody else sets one");
            keep
        })
    }

    /// The spans of one name that a session was in.
    fn of(&self, name: &str, session: &str) -> Vec<Seen> {
        let spans = self.0.lock();
        let wanted = |span: &&Seen| span.name == name && span.fields.get("session").is_some_and(|id| id == session);
        spans.iter().filter(wanted).cloned().collect()
    }
}

impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Keep {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let mut around: Vec<_> = context.span_scope(id).into_iter().flatten().map(|span| span.name()).collect();
        around.reverse();
        around.pop();
        self.0.lock().push(Seen { name: attributes.metadata().name(), around, fields: fields.0 });
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

/// An engine whose action tells in which span it ran.
fn served() -> Engine {
    let engine = engine();
    let act = Action::new("act", |_: Invocation<Value>| json!(tracing::Span::current().metadata().map(|at| at.name())));
    engine.register("n", move |session: &Session| {
        Descriptor::group().prop("token", session.attribute("token")).action(&act)
    });
    engine
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_passes_and_handlers_run_in_spans_that_name_session_and_user() {
    let kept = Keep::all();
    let engine = served();
    let (mut consumer, _) = watching(&engine, person("traced-call", "alice")).await;
    let answer = consumer.invoke("/n", "act", Value::Null).await;
    assert_eq!(answer["data"], "invoke", "what the handler logs is in the span of its call");

    let invoke = &kept.of("invoke", "traced-call")[0];
    let number = consumer.connection().number().to_string();
    let wanted =
        [("action", "act"), ("connection", &number), ("path", "/n"), ("session", "traced-call"), ("user", "alice")];
    assert_eq!(invoke.fields, wanted.map(|(name, value)| (name, value.to_owned())).into());
    let renders = kept.of("render", "traced-call");
    assert_eq!(renders.len(), 2, "for the first tree and after the call: {renders:?}");
    assert_eq!(renders[0].around, ["pass"]);
    assert_eq!(renders[1].around, ["invoke", "pass"], "the refresh after a call is of the call");
    assert!(renders.iter().all(|span| span.fields["user"] == "alice"));
    let span = consumer.connection().span();
    assert_eq!(span.metadata().map(tracing::Metadata::name), Some("connection"));
    assert_eq!(kept.of("connection", "traced-call")[0].fields["connection"], number);
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_contain_no_credentials_and_only_a_bounded_part_of_a_message() {
    let kept = Keep::all();
    let engine = served();
    let session = person("traced-secret", "alice").with_attribute("token", "s3cr3t-bytes").with_data("s3cr3t-bytes");
    let (mut consumer, _) = watching(&engine, session).await;
    consumer.invoke("/n", "act", json!({"password": "s3cr3t-bytes"})).await;
    consumer.invoke(&format!("/{}", "é".repeat(5_000)), &"x".repeat(5_000), Value::Null).await;
    let _ = consumer.connection().span();
    let names = ["connection", "invoke", "render"];
    let spans: Vec<_> = names.iter().flat_map(|name| kept.of(name, "traced-secret")).collect();
    assert!(spans.len() >= 5, "{spans:?}");
    for span in spans {
        for (name, value) in &span.fields {
            assert!(["session", "user", "connection", "path", "action"].contains(name), "{span:?}");
            assert!(!value.contains("s3cr3t") && value.len() <= 256, "{span:?}");
        }
    }
}
