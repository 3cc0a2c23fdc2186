//! What the guide shows is what the code returns.

use grove_nats::{ParticipantUser, Subjects, server_configuration};

#[test]
fn the_configuration_in_the_guide_is_the_generated_one() {
    let alice = ParticipantUser {
        user: "alice".to_owned(),
        password: "$ALICE_PASSWORD".to_owned(),
        project: "acme".to_owned(),
        room: "board".to_owned(),
    };
    let generated = server_configuration(&Subjects::below(Subjects::DEFAULT_PREFIX).unwrap(), &[alice]);
    let guide = include_str!("../../../../docs/guide/nats.md");
    assert!(guide.contains(&format!("```text\n{generated}```")), "the guide must show this:\n{generated}");
}
