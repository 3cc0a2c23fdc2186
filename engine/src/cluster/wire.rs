//! What instances say to each other, as JSON. Fields that are not known are ignored, and whoever cannot be understood to be
//! meant in particular is meant with all others (MT13).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::decision::{Decision, Known};
use super::instance::Instance;
use super::notice::{Notice, Reason};
use super::numbers::Number;
use super::topic::Topic;
use crate::model::Text;
use crate::model::selector::Selector;

/// The version that is written. Later ones only add fields, kinds and selectors.
const VERSION: u32 = 1;

/// Why a message is dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// It is longer than messages may be.
    TooLong,
    /// It is not what is expected here; says what is wrong, and nothing of what was sent.
    Json(&'static str),
}

impl Malformed {
    pub(crate) const fn as_str(&self) -> &'static str {
        match self {
            Self::TooLong => "is longer than `cluster.message_bytes`",
            Self::Json(what) => what,
        }
    }
}

/// Some notices of one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notices {
    pub(crate) from: Instance,
    pub(crate) at: Number,
    pub(crate) notices: Vec<Notice>,
    pub(crate) decisions: Vec<Decision>,
}

/// That an instance lives, and how far it has counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Heartbeat {
    #[serde(rename = "v")]
    version: u32,
    pub(crate) from: Instance,
    /// The last number of what concerns any project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) any: Option<u64>,
    /// The last number of each project in which something was published lately.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) projects: BTreeMap<Text, u64>,
    /// How far it has counted the decisions that it knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) decisions: Option<Known>,
    /// It ends, and nothing follows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) leaves: bool,
}

#[derive(Serialize)]
struct NoticesOut<'a> {
    v: u32,
    from: &'a Instance,
    number: u64,
    after: u64,
    notices: Vec<NoticeOut<'a>>,
    #[serde(skip_serializing_if = "<[Decision]>::is_empty")]
    decisions: &'a [Decision],
}

#[derive(Serialize)]
struct NoticeOut<'a> {
    whom: &'a Selector,
    #[serde(skip_serializing_if = "Option::is_none")]
    paths: Option<&'a [Text]>,
    reason: Reason,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<&'a Text>,
}

impl<'a> From<&'a Notice> for NoticeOut<'a> {
    fn from(notice: &'a Notice) -> Self {
        let Notice { whom, paths, reason, after } = notice;
        Self { whom, paths: paths.as_deref(), reason: *reason, after: after.as_ref() }
    }
}

#[derive(Deserialize)]
struct NoticesIn<'a> {
    from: Instance,
    number: u64,
    after: u64,
    #[serde(borrow)]
    notices: Vec<NoticeIn<'a>>,
    #[serde(borrow, default)]
    decisions: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct NoticeIn<'a> {
    #[serde(borrow)]
    whom: &'a RawValue,
    #[serde(default)]
    paths: Option<Vec<Text>>,
    #[serde(default = "other")]
    reason: Reason,
    #[serde(default)]
    after: Option<Text>,
}

const fn other() -> Reason {
    Reason::Other
}

impl Heartbeat {
    pub(crate) const fn new(from: Instance) -> Self {
        Self { version: VERSION, from, any: None, projects: BTreeMap::new(), decisions: None, leaves: false }
    }

    pub(crate) fn mark(&mut self, topic: &Topic, number: u64) {
        match topic {
            Topic::Notices => self.any = Some(number),
            Topic::ProjectNotices(project) => {
                self.projects.insert(project.clone(), number);
            }
            Topic::Heartbeats | Topic::Presence(_) | Topic::Room { .. } => {}
        }
    }

    /// The last number of each topic.
    pub(crate) fn marks(&self) -> impl Iterator<Item = (Topic, u64)> {
        let projects = self.projects.iter().map(|(project, number)| (Topic::ProjectNotices(project.clone()), *number));
        self.any.map(|number| (Topic::Notices, number)).into_iter().chain(projects)
    }

    pub(crate) fn encode(&self) -> Text {
        to_text(self)
    }

    pub(crate) fn decode(message: &str, max_bytes: usize) -> Result<Self, Malformed> {
        check_length(message, max_bytes)?;
        serde_json::from_str(message).map_err(|_| Malformed::Json("is no heartbeat"))
    }
}

impl Notices {
    pub(crate) fn encode(&self) -> Text {
        let notices = self.notices.iter().map(NoticeOut::from).collect();
        let Number { number, after } = self.at;
        let decisions = &self.decisions;
        to_text(&NoticesOut { v: VERSION, from: &self.from, number, after, notices, decisions })
    }

    /// `topic` is where it was published.
    pub(crate) fn decode(topic: &Topic, message: &str, max_bytes: usize) -> Result<Self, Malformed> {
        check_length(message, max_bytes)?;
        let read: NoticesIn<'_> =
            serde_json::from_str(message).map_err(|_| Malformed::Json("is no list of notices"))?;
        let NoticesIn { from, number, after, notices, decisions } = read;
        let notice = |NoticeIn { whom, paths, reason, after }: NoticeIn<'_>| {
            let whom = serde_json::from_str(whom.get()).unwrap_or_else(|_| Notice::everybody(topic));
            Notice { whom, paths, reason, after }
        };
        let notices = notices.into_iter().map(notice).collect();
        // What a newer version decides that is not known here is left alone: it is told again to a newer version of this one.
        let decisions =
            decisions.into_iter().filter_map(|decision| serde_json::from_str(decision.get()).ok()).collect();
        Ok(Self { from, at: Number { number, after }, notices, decisions })
    }
}

pub(super) const fn check_length(message: &str, max_bytes: usize) -> Result<(), Malformed> {
    if message.len() > max_bytes { Err(Malformed::TooLong) } else { Ok(()) }
}

/// What is written here has texts for keys and no floats, so it cannot fail.
pub(super) fn to_text(value: &impl Serialize) -> Text {
    serde_json::to_string(value).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::decision::{Stamp, Subject, Verdict};
    use super::*;

    fn from() -> Instance {
        Instance { name: "a".into(), incarnation: 7 }
    }

    fn topic() -> Topic {
        Topic::ProjectNotices("p".into())
    }

    fn selectors() -> impl Strategy<Value = Selector> {
        let text = || ".{0,12}".prop_map(Text::from);
        prop_oneof![
            Just(Selector::All),
            text().prop_map(Selector::Session),
            text().prop_map(Selector::Named),
            (text(), text()).prop_map(|(name, value)| Selector::Attribute { name, value }),
        ]
    }

    fn notice(whom: Selector) -> Notice {
        Notice { whom, paths: None, reason: Reason::Refresh, after: None }
    }

    fn decision(whom: Selector) -> Decision {
        let stamp = Stamp { at: 5, by: "a".into() };
        Decision::new(Subject::Access(whom), Verdict::Revoked(Some(9)), stamp)
    }

    #[test]
    fn what_a_newer_version_adds_is_ignored_and_a_selector_that_is_not_known_means_all() {
        let message = r#"{"v":3,"from":{"name":"a","incarnation":7,"zone":"eu"},"number":5,"after":2,"colour":"red",
            "notices":[{"whom":{"moon_phase":"full"},"reason":"tides","weight":1},{"whom":{"user":"u"},"paths":["x"]}]}"#;
        let read = Notices::decode(&topic(), message, 1_000).unwrap();
        assert_eq!((read.from, read.at), (from(), Number { number: 5, after: 2 }));
        let user =
            Notice { paths: Some(vec!["x".into()]), reason: Reason::Other, ..notice(Selector::User("u".into())) };
        let unknown = Notice { reason: Reason::Other, ..notice(Selector::Project("p".into())) };
        assert_eq!(read.notices, [unknown, user]);
        let any = Notices::decode(&Topic::Notices, message, 1_000).unwrap();
        assert_eq!(any.notices[0].whom, Selector::All);
    }

    #[test]
    fn a_heartbeat_names_its_sender_and_marks() {
        let mut heartbeat = Heartbeat::new(from());
        assert_eq!(heartbeat.encode(), r#"{"v":1,"from":{"name":"a","incarnation":7}}"#);
        heartbeat.mark(&Topic::Notices, 3);
        heartbeat.mark(&topic(), 4);
        let read = Heartbeat::decode(&heartbeat.encode(), 1_000).unwrap();
        assert_eq!(read.marks().collect::<Vec<_>>(), [(Topic::Notices, 3), (topic(), 4)]);
        assert_eq!(Heartbeat::decode(&heartbeat.encode(), 10), Err(Malformed::TooLong));
    }

    proptest! {
        #[test]
        fn notices_survive_encoding(
            whom in prop::collection::vec(selectors(), 0..4),
            paths in prop::option::of(prop::collection::vec("[a-z/]{0,8}".prop_map(Text::from), 0..3)),
            after in prop::option::of(".{0,9}".prop_map(Text::from)),
            number in any::<u64>(),
            decided in prop::collection::vec(selectors(), 0..3),
        ) {
            let notice = |whom| Notice { whom, paths: paths.clone(), reason: Reason::Call, after: after.clone() };
            let notices = whom.into_iter().map(notice).collect();
            let decisions = decided.into_iter().map(decision).collect();
            let sent = Notices { from: from(), at: Number { number, after: number / 2 }, notices, decisions };
            prop_assert_eq!(Notices::decode(&topic(), &sent.encode(), 100_000), Ok(sent));
        }

        #[test]
        fn nothing_that_is_sent_makes_the_reader_panic(message in ".{0,80}", cut in 0_usize..200) {
            let sent = Notices { from: from(), at: Number { number: 1, after: 0 }, notices: vec![notice(Selector::All)], decisions: vec![decision(Selector::All)] };
            let encoded = sent.encode();
            let _ = Notices::decode(&topic(), &message, 100);
            let _ = Notices::decode(&topic(), &encoded[..cut.min(encoded.len())], 1_000);
            let _ = Heartbeat::decode(&message, 100);
        }
    }
}
