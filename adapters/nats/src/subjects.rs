//! The subjects of the profile `grove` (cluster 3).

use grove_engine::Topic;

use crate::token::{decode, encode};

/// The subjects of one application: all of them begin with its prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subjects {
    prefix: String,
}

impl Subjects {
    /// The prefix that the contract names.
    pub const DEFAULT_PREFIX: &str = "grove.v1";

    /// Returns the subjects below a prefix of one or more tokens, each of them of `[A-Za-z0-9_-]`. Nothing, if it is not
    /// such a prefix.
    #[must_use]
    pub fn below(prefix: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
        let is_token = |token: &str| !token.is_empty() && token.bytes().all(plain);
        (prefix.len() <= 128 && prefix.split('.').all(is_token)).then(|| Self { prefix: prefix.to_owned() })
    }

    /// The prefix of all subjects.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Returns the subject on which a topic is published. Nothing, if this version does not know the topic.
    #[must_use]
    pub fn of(&self, topic: &Topic) -> Option<String> {
        let prefix = &self.prefix;
        Some(match topic {
            Topic::Heartbeats => format!("{prefix}.inst.hb"),
            Topic::Notices => format!("{prefix}.notice"),
            Topic::ProjectNotices(project) => format!("{prefix}.{}.notice", encode(project)),
            Topic::Presence(project) => format!("{prefix}.{}.presence", encode(project)),
            Topic::Room { project, room } => self.room(project, room, "ev"),
            _ => return None,
        })
    }

    /// Returns the topic of a subject. Nothing, if no topic has it.
    #[must_use]
    pub fn topic(&self, subject: &str) -> Option<Topic> {
        let rest = subject.strip_prefix(&self.prefix)?.strip_prefix('.')?;
        let text = |token: &str| decode(token).map(Into::into);
        let tokens: Vec<&str> = rest.split('.').collect();
        match tokens[..] {
            ["notice"] => Some(Topic::Notices),
            ["inst", "hb"] => Some(Topic::Heartbeats),
            [project, "notice"] => text(project).map(Topic::ProjectNotices),
            [project, "presence"] => text(project).map(Topic::Presence),
            [project, "room", room, "ev"] => Some(Topic::Room { project: text(project)?, room: text(room)? }),
            _ => None,
        }
    }

    /// Returns the subject on which an instance is asked.
    #[must_use]
    pub fn requests_to(&self, instance: &str) -> String {
        format!("{}.inst.{}.rpc", self.prefix, encode(instance))
    }

    /// Returns what the subjects begin with on which an instance gets replies.
    pub(crate) fn replies_to(&self, instance: &str, life: &str) -> String {
        format!("{}.inst.{}.reply.{life}", self.prefix, encode(instance))
    }

    /// Returns the subject on which participants of a room receive its events.
    #[must_use]
    pub fn room_events(&self, project: &str, room: &str) -> String {
        self.room(project, room, "ev")
    }

    /// Returns the subject on which participants of a room send.
    #[must_use]
    pub fn room_input(&self, project: &str, room: &str) -> String {
        self.room(project, room, "in")
    }

    /// Returns the subject on which one participant of a room gets replies: exactly one, so that no permission needs a
    /// wildcard (SEC11).
    #[must_use]
    pub fn room_replies(&self, project: &str, room: &str, key: &str) -> String {
        self.room(project, room, &format!("reply.{}", encode(key)))
    }

    fn room(&self, project: &str, room: &str, what: &str) -> String {
        format!("{}.{}.room.{}.{what}", self.prefix, encode(project), encode(room))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn subjects() -> Subjects {
        Subjects::below(Subjects::DEFAULT_PREFIX).unwrap()
    }

    fn room(project: &str, room: &str) -> Topic {
        Topic::Room { project: project.into(), room: room.into() }
    }

    #[test]
    fn the_subjects_are_those_of_the_contract() {
        let subject = |topic: &Topic| subjects().of(topic).unwrap();
        assert_eq!(subject(&Topic::Heartbeats), "grove.v1.inst.hb");
        assert_eq!(subject(&Topic::Notices), "grove.v1.notice");
        assert_eq!(subject(&Topic::ProjectNotices("red".into())), "grove.v1.red.notice");
        assert_eq!(subject(&Topic::ProjectNotices("".into())), "grove.v1.=.notice");
        assert_eq!(subject(&Topic::Presence("a.b".into())), "grove.v1.=YS5i.presence");
        assert_eq!(subject(&room("red", "r1")), "grove.v1.red.room.r1.ev");
        assert_eq!(subjects().requests_to("one"), "grove.v1.inst.one.rpc");
        assert_eq!(subjects().room_input("red", "r1"), "grove.v1.red.room.r1.in");
    }

    /// A project may be called like a fixed token: the number of tokens tells them apart, or a name of two of them.
    #[test]
    fn a_project_may_have_the_name_of_a_fixed_token() {
        for name in ["inst", "notice", "hb", "room", "presence", "ev"] {
            for topic in [Topic::ProjectNotices(name.into()), Topic::Presence(name.into()), room(name, name)] {
                let subject = subjects().of(&topic).unwrap();
                assert_eq!(subjects().topic(&subject), Some(topic), "{subject}");
            }
        }
    }

    #[test]
    fn a_prefix_is_one_or_more_plain_tokens() {
        for good in ["grove.v1", "a", "a-b.c_d.E"] {
            assert!(Subjects::below(good).is_some(), "{good}");
        }
        for bad in ["", ".", "a.", ".a", "a..b", "a.*", ">", "a b", "é", &"a".repeat(129)] {
            assert!(Subjects::below(bad).is_none(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_topic_is_read_again_from_its_subject(project in "\\PC{0,40}", id in "[a.*>=é]{0,5}", kind in 0..3) {
            let topic = match kind {
                0 => Topic::ProjectNotices(project.into()),
                1 => Topic::Presence(project.into()),
                _ => room(&project, &id),
            };
            let subject = subjects().of(&topic).unwrap();
            prop_assert!(!subject.contains(['*', '>', ' ']), "{}", subject);
            prop_assert_eq!(subjects().topic(&subject), Some(topic));
        }
    }
}
