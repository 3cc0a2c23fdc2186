//! Who is there, who is away, and who has gone.

use serde_json::{Value, json};

use crate::mirror;
use crate::rooms::{at, counted, create_open, is, is_about, join, kinds, own_id, participants, start};

/// Short times, but long enough for a busy machine.
const TIMES: [&str; 4] = ["--offline-ms", "300", "--left-ms", "900"];

#[tokio::test]
async fn a_participant_whose_connection_is_lost_is_offline_after_a_while_and_has_left_after_another() {
    let app = start(&TIMES).await;
    let mut alice = app.consumer("alice").await;
    let room = create_open(&mut alice).await;
    alice.subscribe(&at(&room), -1).await;
    drop(join(&app, "bob", &room).await);
    alice.event(is_about("participant.offline", "bob")).await;
    alice.until(|tree| tree["properties"]["online"] == 1).await;
    let shown = participants(&alice);
    assert_eq!((&shown[1]["user"], &shown[1]["status"]), (&json!("bob"), &json!("offline")));
    let left = alice.event(is_about("participant.left", "bob")).await;
    assert_eq!(left["body"]["reason"], "lost");
    let about_bob: Vec<_> = alice.events().iter().filter(|event| event["body"]["user"] == "bob").cloned().collect();
    assert_eq!(kinds(&about_bob), ["participant.joined", "participant.offline", "participant.left"]);
    alice.until(|tree| tree["children"][0]["children"].as_array().is_some_and(|rows| rows.len() == 1)).await;
    counted(&app, "one lease", |counts| counts["leases"] == 1 && counts["presence"] == 1).await;
}

#[tokio::test]
async fn who_comes_back_within_the_lease_is_the_same_participant() {
    let app = start(&["--offline-ms", "300", "--left-ms", "60000"]).await;
    let mut alice = app.consumer("alice").await;
    let room = create_open(&mut alice).await;
    alice.subscribe(&at(&room), -1).await;
    let mut bob = join(&app, "bob", &room).await;
    let before = own_id(&mut bob).await;
    drop(bob);
    alice.event(is_about("participant.offline", "bob")).await;
    let back = join(&app, "bob", &room).await;
    assert_eq!(alice.event(is("participant.online")).await["body"]["participant"], before);
    assert_eq!(participants(&back).len(), 2);
    let joined = alice.events().iter().filter(|event| is_about("participant.joined", "bob")(event)).count();
    assert_eq!(joined, 1);
}

#[tokio::test]
async fn a_connection_that_answers_no_ping_is_offline_and_is_online_again_when_it_does() {
    let app = start(&["--offline-ms", "300", "--left-ms", "60000"]).await;
    let mut alice = app.consumer("alice").await;
    let room = create_open(&mut alice).await;
    alice.subscribe(&at(&room), -1).await;
    // It does not read, and so answers nothing.
    let mut bob = join(&app, "bob", &room).await;
    alice.event(is_about("participant.offline", "bob")).await;
    bob.check().await;
    alice.event(is_about("participant.online", "bob")).await;
    assert!(!kinds(alice.events()).contains(&"participant.left"));
}

#[tokio::test]
async fn presence_shows_those_of_the_project_who_have_a_card() {
    let app = start(&TIMES).await;
    let mut alice = app.subscribed("alice").await;
    let bob = app.consumer("bob").await;
    let mut anon = app.subscribed("anon").await;
    let _elsewhere = app.consumer("zoe-pblue").await;
    let rows = |tree: &Value| -> Vec<Value> {
        let list = mirror::at(tree, "/presence");
        mirror::ids(&list).iter().map(|id| mirror::at(&list, id)["properties"].clone()).collect()
    };
    alice.until(|tree| rows(tree).len() == 2).await;
    let shown = rows(alice.tree());
    for (row, (user, name)) in shown.iter().zip([("alice", "Alice"), ("bob", "Bob")]) {
        assert_eq!((&row["user"], &row["name"]), (&json!(user), &json!(name)));
        assert_eq!((&row["kind"], &row["status"]), (&json!("person"), &json!("online")));
        assert!(row["connected_at"].is_string() && row["host"].is_null());
    }
    counted(&app, "three cards", |counts| counts["presence"] == 3).await;
    anon.check().await;
    assert_eq!(rows(anon.tree()), Vec::<Value>::new(), "nobody in particular sees nobody");
    drop(bob);
    alice.until(|tree| rows(tree).get(1).is_some_and(|row| row["status"] == "offline")).await;
    alice.until(|tree| rows(tree).len() == 1).await;
    let bob = app.consumer("bob").await;
    alice.until(|tree| rows(tree).len() == 2).await;
    bob.leave().await;
    alice.until(|tree| rows(tree).len() == 1).await;
}
