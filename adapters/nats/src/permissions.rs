//! Who may publish and subscribe to what at the servers (SEC10 to SEC12).

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use crate::subjects::Subjects;

/// The subjects that one user of the servers may publish on and subscribe to, and no others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permissions {
    /// May publish on these.
    pub publish: Vec<String>,
    /// May subscribe to these.
    pub subscribe: Vec<String>,
}

impl Permissions {
    /// What an instance may: everything below the prefix. Besides, it needs `allow_responses`, since a request from another
    /// account is replied to on a subject of the server's.
    #[must_use]
    pub fn of_instances(subjects: &Subjects) -> Self {
        let all = vec![format!("{}.>", subjects.prefix())];
        Self { publish: all.clone(), subscribe: all }
    }

    /// What a participant of one room may: publish on its input, and subscribe to its events and to the subject of their
    /// own replies. There is no wildcard in it (SEC11). `key` is the participant's alone: the user's name, or the public key.
    #[must_use]
    pub fn of_participant(subjects: &Subjects, project: &str, room: &str, key: &str) -> Self {
        Self {
            publish: vec![subjects.room_input(project, room)],
            subscribe: vec![subjects.room_events(project, room), subjects.room_replies(project, room, key)],
        }
    }
}

/// A participant of one room who connects to the servers with a password.
#[derive(Clone)]
pub struct ParticipantUser {
    /// The name of the user at the servers. It must be the participant's alone.
    pub user: String,
    /// What stands in the configuration as the password: a hash of it (`$2a$..`), or `$NAME` for an environment variable.
    pub password: String,
    /// The room's project.
    pub project: String,
    /// The room's id.
    pub room: String,
}

impl std::fmt::Debug for ParticipantUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { user, project, room, .. } = self;
        f.debug_struct("ParticipantUser")
            .field("user", user)
            .field("project", project)
            .field("room", room)
            .finish_non_exhaustive()
    }
}

/// Returns the accounts for the configuration of nats-server: one for the instances, whose password is the environment
/// variable `GROVE_NATS_PASSWORD` of the server, and one for participants, who see nothing of the former but the events of
/// their rooms, and reach nothing of it but their inputs (SEC12).
#[must_use]
pub fn server_configuration(subjects: &Subjects, participants: &[ParticipantUser]) -> String {
    let instances = Permissions::of_instances(subjects);
    let (events, input) = (format!("{}.*.room.*.ev", subjects.prefix()), format!("{}.*.room.*.in", subjects.prefix()));
    let mut users = String::new();
    for user in participants {
        let permissions = Permissions::of_participant(subjects, &user.project, &user.room, &user.user);
        let _ = write!(
            users,
            "\n      {{ user: {}, password: {}, permissions: {{ publish: {}, subscribe: {} }} }}",
            quoted(&user.user),
            password(&user.password),
            list(&permissions.publish),
            list(&permissions.subscribe),
        );
    }
    format!(
        "accounts {{
  INSTANCES {{
    users: [
      {{ user: instance, password: $GROVE_NATS_PASSWORD, permissions: {{ publish: {publish}, subscribe: {subscribe}, allow_responses: true }} }}
    ]
    exports: [
      {{ stream: {events}, accounts: [PARTICIPANTS] }}
      {{ service: {input}, accounts: [PARTICIPANTS] }}
    ]
  }}
  PARTICIPANTS {{
    users: [{users}
    ]
    imports: [
      {{ stream: {{ account: INSTANCES, subject: {events} }} }}
      {{ service: {{ account: INSTANCES, subject: {input} }} }}
    ]
  }}
}}
",
        publish = list(&instances.publish),
        subscribe = list(&instances.subscribe),
        events = quoted(&events),
        input = quoted(&input),
    )
}

fn list(subjects: &[String]) -> String {
    format!("[{}]", subjects.iter().map(|subject| quoted(subject)).collect::<Vec<_>>().join(", "))
}

/// Its escapes are those of JSON.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A reference to a variable is not quoted; a hash of a password begins with `$2` and is.
fn password(text: &str) -> String {
    let name = text.strip_prefix('$').unwrap_or_default();
    let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    if is_name && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        text.to_owned()
    } else {
        quoted(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subjects() -> Subjects {
        Subjects::below(Subjects::DEFAULT_PREFIX).unwrap()
    }

    #[test]
    fn a_participant_has_exactly_one_room_and_no_wildcard() {
        let permissions = Permissions::of_participant(&subjects(), "a.b", ">", "*");
        assert_eq!(permissions.publish, ["grove.v1.=YS5i.room.=Pg.in"]);
        assert_eq!(permissions.subscribe, ["grove.v1.=YS5i.room.=Pg.ev", "grove.v1.=YS5i.room.=Pg.reply.=Kg"]);
    }

    #[test]
    fn a_user_with_an_unusual_name_may_hear_the_replies_that_are_sent_to_that_name() {
        let (user, password) = ("bob@x".to_owned(), "$BOB".to_owned());
        let user = ParticipantUser { user, password, project: "p".into(), room: "r".into() };
        let text = server_configuration(&subjects(), &[user]);
        assert!(text.contains(&subjects().room_replies("p", "r", "bob@x")), "{text}");
    }

    #[test]
    fn names_and_passwords_cannot_break_out_of_the_configuration() {
        let hostile = |text: &str| ParticipantUser {
            user: text.to_owned(),
            password: text.to_owned(),
            project: text.to_owned(),
            room: text.to_owned(),
        };
        let text = server_configuration(&subjects(), &[hostile("x\", permissions: {publish: \">\"}\n}")]);
        assert!(text.contains(r#"user: "x\", permissions: {publish: \">\"}\n}", password: "x\""#), "{text}");
        assert_eq!(password("$SECRET"), "$SECRET");
        assert_eq!(password("$2a$11$abc"), r#""$2a$11$abc""#);
        assert_eq!(password("$A }"), r#""$A }""#);
    }
}
