//! Random sources: what they ask a session, which depends on what they were answered, and what they show of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use grove_engine::{Action, Descriptor, Engine, Invocation, Item, Session, SessionProvider, Sharing, Source};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::person::{Claims, data, id, marker, markers};
use crate::random::Random;
use crate::reference::set_children;

/// Where programs may be registered; a path below another stands among its children.
pub(crate) const PATHS: [&str; 4] = ["p0", "p0/deep", "p1", "p2"];

/// The application's data: how often what belongs to a marker changed; what belongs to everybody is under "".
pub(crate) type Data = Arc<Mutex<BTreeMap<String, u64>>>;

/// What is asked of a session.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Question {
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

/// One source.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    kind: &'static str,
    /// The next question is chosen by what was heard so far.
    questions: Vec<Question>,
    length: usize,
    way: Way,
    salience: Option<f64>,
    acts: bool,
}

/// How a source is evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Blocking,
    Async,
    /// Blocking, and for each session alone.
    Unshared,
}

impl Question {
    fn random(random: &mut Random) -> Self {
        match random.below(13) {
            0..=7 => random.choose(&[Self::User, Self::Project, Self::Org, Self::Team, Self::Parent]),
            8..=11 => Self::Can(random.below(3) as u8),
            _ => random.choose(&[Self::Id, Self::Secret, Self::Attributes, Self::Permissions, Self::Own]),
        }
    }
}

impl Program {
    pub(crate) fn random(random: &mut Random) -> Self {
        Self {
            kind: random.choose(&["group", "status", "collection"]),
            questions: random.some(1, 11, Question::random),
            length: random.below(5),
            way: random.choose(&[Way::Blocking, Way::Blocking, Way::Blocking, Way::Async, Way::Async, Way::Unshared]),
            salience: random.maybe(50, |random| random.choose(&[0.2, 0.5, 0.9])),
            acts: random.percent(50),
        }
    }

    /// What it hears, one answer after the other. All that may shape what it shows.
    fn hear(&self, ask: impl Fn(Question) -> String) -> Vec<String> {
        let mut state = 7_usize;
        let mut heard = Vec::new();
        for _ in 0..self.length {
            let answer = ask(self.questions[state % self.questions.len()]);
            state = answer.bytes().fold(state, |state, byte| (state ^ usize::from(byte)).wrapping_mul(0x0100_0193));
            heard.push(answer);
            if state.is_multiple_of(5) {
                break;
            }
        }
        heard
    }

    /// What was heard, with the application's data for it: whatever belongs to a marker is found by having heard it.
    fn lines(heard: Vec<String>, data: &BTreeMap<String, u64>) -> Vec<String> {
        let revision = |marker: &str| data.get(marker).copied().unwrap_or_default();
        let line = |answer: String| {
            let known: Vec<_> = markers(&answer).map(|marker| format!("{marker} at {}", revision(marker))).collect();
            format!("{answer}: {}", known.join(", "))
        };
        std::iter::once(format!("all at {}", revision(""))).chain(heard.into_iter().map(line)).collect()
    }

    /// The ids of its items: they are secrets, too.
    fn item_id(at: usize, line: &str) -> String {
        format!("i{at}{}", markers(line).next().unwrap_or_default())
    }

    // ------------------------------------------------------------ in the engine

    pub(crate) fn register(&self, engine: &Engine, path: &str, data: &Data) {
        let (this, data) = (self.clone(), Arc::clone(data));
        let describe = move |session: &Session| {
            let heard = this.hear(|question| ask_session(session, question));
            this.describe(&Self::lines(heard, &data.lock()))
        };
        let source = match self.way {
            Way::Blocking => Source::new(describe),
            Way::Unshared => Source::new(describe).sharing(Sharing::Never),
            Way::Async => Source::new_async(move |session: Session| {
                let described = describe(&session);
                async move {
                    tokio::task::yield_now().await;
                    described
                }
            }),
        };
        engine.register_source(path, source);
    }

    /// The same in an instance that is one session's: it closes over whom it describes.
    pub(crate) fn instantiate(
        &self,
        instance: SessionProvider,
        path: &str,
        session: &Session,
        data: &Data,
    ) -> SessionProvider {
        let (this, session, data) = (self.clone(), session.clone(), Arc::clone(data));
        instance.register(path, move || {
            let heard = this.hear(|question| ask_session(&session, question));
            this.describe(&Self::lines(heard, &data.lock()))
        })
    }

    pub(crate) const fn acts(&self) -> bool {
        self.acts
    }

    fn describe(&self, lines: &[String]) -> Descriptor {
        let item = |(at, line): (usize, &String)| Item::new(Self::item_id(at, line)).prop("line", line.as_str());
        let mut shape = Descriptor::new(self.kind)
            .prop("heard", lines.to_vec())
            .summary(lines.last().cloned().unwrap_or_default())
            .items(lines.iter().enumerate().map(item));
        if let Some(salience) = self.salience {
            shape = shape.salience(salience);
        }
        if self.acts {
            // Closes over what was heard; whoever calls it must have heard the same.
            let lines = lines.to_vec();
            shape = shape.action(&Action::new("tell", move |_: Invocation<()>| json!(lines)));
        }
        shape
    }

    // ------------------------------------------------------------ for one session alone

    fn alone(&self, number: usize, claims: &Claims, data: &BTreeMap<String, u64>) -> Vec<String> {
        Self::lines(self.hear(|question| ask_claims(number, claims, question)), data)
    }

    fn node(&self, id: &str, lines: &[String]) -> Value {
        let item = |(at, line): (usize, &String)| json!({"id": Self::item_id(at, line), "type": "item", "properties": {"line": line}});
        let mut node =
            json!({"id": id, "type": self.kind, "properties": {"heard": lines}, "meta": {"summary": lines.last()}});
        if let Some(salience) = self.salience {
            node["meta"]["salience"] = json!(salience);
        }
        if self.acts {
            node["affordances"] = json!([{"action": "tell"}]);
        }
        set_children(&mut node, lines.iter().enumerate().map(item).collect());
        node
    }
}

fn ask_session(session: &Session, question: Question) -> String {
    match question {
        Question::Id => session.id().to_owned(),
        Question::User => format!("user {:?}", session.user()),
        Question::Project => format!("project {:?}", session.project()),
        Question::Parent => format!("parent {:?}", session.parent()),
        Question::Org => format!("org {:?}", session.attribute("org")),
        Question::Team => format!("team {:?}", session.attribute("team")),
        Question::Secret => format!("secret {:?}", session.attribute("secret")),
        Question::Can(name) if session.can(&marker('c', name)) => format!("can {}", marker('c', name)),
        Question::Can(_) => "can not".to_owned(),
        Question::Attributes => format!("attributes {:?}", session.attributes()),
        Question::Permissions => format!("permissions {:?}", session.permissions()),
        Question::Own => format!("own {:?}", session.data::<String>()),
    }
}

/// The same, from the claims as the test knows them.
fn ask_claims(number: usize, claims: &Claims, question: Question) -> String {
    let named = |kind, number: Option<u8>| number.map(|number| marker(kind, number));
    match question {
        Question::Id => id(number),
        Question::User => format!("user {:?}", named('u', claims.user)),
        Question::Project => format!("project {:?}", named('p', claims.project)),
        Question::Parent => format!("parent {:?}", named('q', claims.parent)),
        Question::Org => format!("org {:?}", named('o', claims.org)),
        Question::Team => format!("team {:?}", named('t', claims.team)),
        Question::Secret => format!("secret {:?}", Some(marker('s', number))),
        Question::Can(name) if claims.permissions.contains(&name) => format!("can {}", marker('c', name)),
        Question::Can(_) => "can not".to_owned(),
        Question::Attributes => {
            let attributes = [
                ("org", named('o', claims.org)),
                ("secret", Some(marker('s', number))),
                ("team", named('t', claims.team)),
            ];
            let known: Vec<_> = attributes.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
            format!("attributes {known:?}")
        }
        Question::Permissions => {
            let known: Vec<_> = claims.permissions.iter().map(|name| marker('c', *name)).collect();
            format!("permissions {known:?}")
        }
        Question::Own => format!("own {:?}", claims.has_data.then(|| data(number))),
    }
}

/// The whole tree of one session, rendered for it alone. `own` is what is registered for it alone.
pub(crate) fn tree_alone(
    programs: &[Program],
    number: usize,
    claims: &Claims,
    data: &BTreeMap<String, u64>,
    own: Option<u64>,
) -> Value {
    let node = |at: usize| {
        let name = PATHS[at].rsplit('/').next().unwrap_or_default();
        programs.get(at).map(|program| program.node(name, &program.alone(number, claims, data)))
    };
    let with_below = node(0).map(|mut outer| {
        if let (Some(inner), Some(children)) = (node(1), outer["children"].as_array_mut()) {
            children.push(inner);
        }
        outer
    });
    let own =
        own.map(|revision| json!({"id": "own", "type": "status", "properties": {"own": own_text(number, revision)}}));
    // In the order of their ids.
    let children = [own, with_below, node(2), node(3)].into_iter().flatten().collect();
    let mut root = json!({"id": "app", "type": "root", "properties": {"label": "App"}});
    set_children(&mut root, children);
    root
}

/// What a source shows that only one session has.
pub(crate) fn own_text(number: usize, revision: u64) -> String {
    format!("{} alone, {revision}", marker('s', number))
}

/// What calling `tell` at a path gives the session.
pub(crate) fn told_alone(program: &Program, number: usize, claims: &Claims, data: &BTreeMap<String, u64>) -> Value {
    json!(program.alone(number, claims, data))
}
