//! Random sources: what they read of a session, which depends on earlier answers, and what they show of the answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use grove_engine::{Action, Descriptor, Engine, Invocation, Item, Session, SessionProvider, Sharing, Source};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::claims::{Claims, data, id, marker, markers};
use crate::random::Random;
use crate::reference::set_children;

/// The paths of sources; a path below another becomes one of its children.
pub(crate) const PATHS: [&str; 4] = ["p0", "p0/deep", "p1", "p2"];

/// The application's data: how often the data of each marker's owner changed; shared data is under "".
pub(crate) type Data = Arc<Mutex<BTreeMap<String, u64>>>;

/// One read of a session.
#[derive(Debug, Clone, Copy)]
pub(crate) enum SessionRead {
    Id,
    User,
    Project,
    Parent,
    Org,
    Team,
    Secret,
    Can(u8),
    Attributes,
    Permissions,
    Own,
}

/// A random source.
#[derive(Debug, Clone)]
pub(crate) struct SourceModel {
    kind: &'static str,
    /// The next read is selected by the answers so far.
    reads: Vec<SessionRead>,
    length: usize,
    evaluation: Evaluation,
    salience: Option<f64>,
    has_action: bool,
    /// The handler keeps the session and makes all reads when it is called; while the source is evaluated, it makes none.
    keeps_session: bool,
}

/// How a source is evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Evaluation {
    Blocking,
    Async,
    /// Blocking, and for each session separately.
    Unshared,
}

impl SessionRead {
    fn random(random: &mut Random) -> Self {
        match random.below(13) {
            0..=7 => random.choose(&[Self::User, Self::Project, Self::Org, Self::Team, Self::Parent]),
            8..=11 => Self::Can(random.below(3) as u8),
            _ => random.choose(&[Self::Id, Self::Secret, Self::Attributes, Self::Permissions, Self::Own]),
        }
    }
}

impl SourceModel {
    pub(crate) fn random(random: &mut Random) -> Self {
        Self {
            kind: random.choose(&["group", "status", "collection"]),
            reads: random.some(1, 11, SessionRead::random),
            length: random.below(5),
            evaluation: random.choose(&[
                Evaluation::Blocking,
                Evaluation::Blocking,
                Evaluation::Blocking,
                Evaluation::Async,
                Evaluation::Async,
                Evaluation::Unshared,
            ]),
            salience: random.maybe(50, |random| random.choose(&[0.2, 0.5, 0.9])),
            has_action: random.percent(50),
            keeps_session: random.percent(20),
        }
    }

    /// Makes its reads, one after the other, and returns the answers. What it shows depends only on these.
    fn answers(&self, read: impl Fn(SessionRead) -> String) -> Vec<String> {
        let mut state = 7_usize;
        let mut answers = Vec::new();
        for _ in 0..self.length {
            let answer = read(self.reads[state % self.reads.len()]);
            state = answer.bytes().fold(state, |state, byte| (state ^ usize::from(byte)).wrapping_mul(0x0100_0193));
            answers.push(answer);
            if state.is_multiple_of(5) {
                break;
            }
        }
        answers
    }

    /// The answers, each with the application's data for the markers in it.
    fn lines(answers: Vec<String>, data: &BTreeMap<String, u64>) -> Vec<String> {
        let revision = |marker: &str| data.get(marker).copied().unwrap_or_default();
        let line = |answer: String| {
            let known: Vec<_> = markers(&answer).map(|marker| format!("{marker} at {}", revision(marker))).collect();
            format!("{answer}: {}", known.join(", "))
        };
        std::iter::once(format!("all at {}", revision(""))).chain(answers.into_iter().map(line)).collect()
    }

    /// The id of an item, which is a secret too.
    fn item_id(at: usize, line: &str) -> String {
        format!("i{at}{}", markers(line).next().unwrap_or_default())
    }

    pub(crate) fn register(&self, engine: &Engine, path: &str, data: &Data) {
        let (this, data) = (self.clone(), Arc::clone(data));
        let describe = move |session: &Session| this.describe_to(session, &data);
        let source = match self.evaluation {
            Evaluation::Blocking => Source::new(describe),
            Evaluation::Unshared => Source::new(describe).sharing(Sharing::Never),
            Evaluation::Async => Source::new_async(move |session: Session| {
                let described = describe(&session);
                async move {
                    tokio::task::yield_now().await;
                    described
                }
            }),
        };
        engine.register_source(path, source);
    }

    /// Registers the source in the provider of one session, which it captures.
    pub(crate) fn register_in(
        &self,
        provider: SessionProvider,
        path: &str,
        session: &Session,
        data: &Data,
    ) -> SessionProvider {
        let (this, session, data) = (self.clone(), session.clone(), Arc::clone(data));
        provider.register(path, move || this.describe_to(&session, &data))
    }

    pub(crate) const fn has_action(&self) -> bool {
        self.has_action
    }

    fn describe_to(&self, session: &Session, data: &Data) -> Descriptor {
        if self.keeps_session() {
            let (this, kept, all) = (self.clone(), session.clone(), Arc::clone(data));
            let result = move || Self::lines(this.answers(|read| read_session(&kept, read)), &all.lock());
            return self.describe(&Self::lines(Vec::new(), &data.lock()), result);
        }
        let lines = Self::lines(self.answers(|read| read_session(session, read)), &data.lock());
        // The handler captures the answers; a caller must have the same answers.
        let captured = lines.clone();
        self.describe(&lines, move || captured.clone())
    }

    const fn keeps_session(&self) -> bool {
        self.has_action && self.keeps_session
    }

    fn describe(&self, lines: &[String], result: impl Fn() -> Vec<String> + Send + Sync + 'static) -> Descriptor {
        let item = |(at, line): (usize, &String)| Item::new(Self::item_id(at, line)).prop("line", line.as_str());
        let mut descriptor = Descriptor::new(self.kind)
            .prop("answers", lines.to_vec())
            .summary(lines.last().cloned().unwrap_or_default())
            .items(lines.iter().enumerate().map(item));
        if let Some(salience) = self.salience {
            descriptor = descriptor.salience(salience);
        }
        if self.has_action {
            descriptor = descriptor.action(&Action::new("get", move |_: Invocation<()>| json!(result())));
        }
        descriptor
    }

    fn expected_lines(&self, number: usize, claims: &Claims, data: &BTreeMap<String, u64>) -> Vec<String> {
        if self.keeps_session() {
            return Self::lines(Vec::new(), data);
        }
        self.expected_result(number, claims, data)
    }

    fn expected_result(&self, number: usize, claims: &Claims, data: &BTreeMap<String, u64>) -> Vec<String> {
        Self::lines(self.answers(|read| read_claims(number, claims, read)), data)
    }

    fn node(&self, id: &str, lines: &[String]) -> Value {
        let item = |(at, line): (usize, &String)| json!({"id": Self::item_id(at, line), "type": "item", "properties": {"line": line}});
        let mut node =
            json!({"id": id, "type": self.kind, "properties": {"answers": lines}, "meta": {"summary": lines.last()}});
        if let Some(salience) = self.salience {
            node["meta"]["salience"] = json!(salience);
        }
        if self.has_action {
            node["affordances"] = json!([{"action": "get"}]);
        }
        set_children(&mut node, lines.iter().enumerate().map(item).collect());
        node
    }
}

fn read_session(session: &Session, read: SessionRead) -> String {
    match read {
        SessionRead::Id => session.id().to_owned(),
        SessionRead::User => format!("user {:?}", session.user()),
        SessionRead::Project => format!("project {:?}", session.project()),
        SessionRead::Parent => format!("parent {:?}", session.parent()),
        SessionRead::Org => format!("org {:?}", session.attribute("org")),
        SessionRead::Team => format!("team {:?}", session.attribute("team")),
        SessionRead::Secret => format!("secret {:?}", session.attribute("secret")),
        SessionRead::Can(name) if session.can(&marker('c', name)) => format!("can {}", marker('c', name)),
        SessionRead::Can(_) => "can not".to_owned(),
        SessionRead::Attributes => format!("attributes {:?}", session.attributes()),
        SessionRead::Permissions => format!("permissions {:?}", session.permissions()),
        SessionRead::Own => format!("own {:?}", session.data::<String>()),
    }
}

/// The same, from the claims that the test knows.
fn read_claims(number: usize, claims: &Claims, read: SessionRead) -> String {
    let named = |kind, number: Option<u8>| number.map(|number| marker(kind, number));
    match read {
        SessionRead::Id => id(number),
        SessionRead::User => format!("user {:?}", named('u', claims.user)),
        SessionRead::Project => format!("project {:?}", named('p', claims.project)),
        SessionRead::Parent => format!("parent {:?}", named('q', claims.parent)),
        SessionRead::Org => format!("org {:?}", named('o', claims.org)),
        SessionRead::Team => format!("team {:?}", named('t', claims.team)),
        SessionRead::Secret => format!("secret {:?}", Some(marker('s', number))),
        SessionRead::Can(name) if claims.permissions.contains(&name) => format!("can {}", marker('c', name)),
        SessionRead::Can(_) => "can not".to_owned(),
        SessionRead::Attributes => {
            let attributes = [
                ("org", named('o', claims.org)),
                ("secret", Some(marker('s', number))),
                ("team", named('t', claims.team)),
            ];
            let known: Vec<_> = attributes.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
            format!("attributes {known:?}")
        }
        SessionRead::Permissions => {
            let known: Vec<_> = claims.permissions.iter().map(|name| marker('c', *name)).collect();
            format!("permissions {known:?}")
        }
        SessionRead::Own => format!("own {:?}", claims.has_data.then(|| data(number))),
    }
}

/// The whole tree of one session, computed for it alone. `own` is the revision of the path that is registered for it.
pub(crate) fn expected_tree(
    sources: &[SourceModel],
    number: usize,
    claims: &Claims,
    data: &BTreeMap<String, u64>,
    own: Option<u64>,
) -> Value {
    let node = |at: usize| {
        let name = PATHS[at].rsplit('/').next().unwrap_or_default();
        sources.get(at).map(|source| source.node(name, &source.expected_lines(number, claims, data)))
    };
    let first = node(0).map(|mut outer| {
        if let (Some(inner), Some(children)) = (node(1), outer["children"].as_array_mut()) {
            children.push(inner);
        }
        outer
    });
    let own =
        own.map(|revision| json!({"id": "own", "type": "status", "properties": {"own": own_text(number, revision)}}));
    // Sorted by id.
    let children = [own, first, node(2), node(3)].into_iter().flatten().collect();
    let mut root = json!({"id": "app", "type": "root", "properties": {"label": "App"}});
    set_children(&mut root, children);
    root
}

/// The text that the source at a session's own path shows.
pub(crate) fn own_text(number: usize, revision: u64) -> String {
    format!("{} only, {revision}", marker('s', number))
}

/// The expected result of calling `get` at a path.
pub(crate) fn expected_result(
    source: &SourceModel,
    number: usize,
    claims: &Claims,
    data: &BTreeMap<String, u64>,
) -> Value {
    json!(source.expected_result(number, claims, data))
}
