//! The board as a room: people at its page and their AIs together.

use axum::http::header::ORIGIN;
use axum::http::{HeaderValue, StatusCode};
use grove_engine::Scope;
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::guest::Guest;
use crate::running::Running;

const ACME: &str = "/rooms/board-acme";

/// What a room shows under this name.
fn child<'a>(room: &'a Value, id: &str) -> &'a Value {
    let mut children = room["children"].as_array().into_iter().flatten();
    children.find(|child| child["id"] == id).unwrap_or(&Value::Null)
}

/// The participants' names with kind and role, as the tree of a room shows them.
fn participants(room: &Value) -> Vec<String> {
    let there = child(room, "participants")["children"].as_array().cloned().unwrap_or_default();
    let shown = |participant: &Value| {
        let text = |key: &str| participant["properties"][key].as_str().unwrap_or_default().to_owned();
        format!("{}, {}, {}", text("name"), text("kind"), text("role"))
    };
    there.iter().map(shown).collect()
}

fn actions(node: &Value) -> Vec<&str> {
    let actions = node["affordances"].as_array().into_iter().flatten();
    actions.filter_map(|action| action["action"].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_org_has_one_board_which_nobody_can_close() {
    let running = Running::start().await;
    // Alice runs the org.
    let mut alice = Guest::ai(&running, &running.token("alice")).await;
    let rooms = alice.query("/rooms").await;
    let all = rooms["children"].as_array().expect("rooms");
    assert_eq!((all.len(), &all[0]["id"]), (1, &json!("board-acme")), "{rooms}");
    let shown = &all[0]["properties"];
    assert_eq!((&shown["title"], &shown["role"]), (&json!("Acme Parcels board"), &json!("member")));
    let room = alice.join(ACME).await;
    assert!(actions(&room).contains(&"say") && !actions(&room).contains(&"close"), "{room}");
    for action in ["close", "admit", "dismiss"] {
        assert_eq!(alice.refusal(ACME, action, json!({"user": "amir", "role": "observer"})).await, "unauthorized");
    }
    assert_eq!(alice.query(ACME).await["properties"]["state"], "active");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_and_their_ai_stand_beside_each_other_and_each_speaks_in_its_own_name() {
    let running = Running::start().await;
    let browser = running.browser("alice").await;
    let mut page = Guest::person(&running, &browser).await;
    page.join(ACME).await;
    let mut ai = Guest::ai(&running, &browser.agent_token().await).await;
    let room = ai.join(ACME).await;
    assert_eq!(participants(&room), ["Alice Moreau, person, member", "Alice Moreau's AI, agent, member"]);
    let (_, faces) = browser.get("/sections/people").await;
    assert!(faces.contains("1 person, 1 AI<"), "{faces}");
    for face in [
        "<li class=\"face person online\" data-user=\"alice\">",
        "<li class=\"face agent online\" data-user=\"alice\">",
    ] {
        assert!(faces.contains(face), "{faces}");
    }
    assert!(faces.contains("Alice Moreau&#39;s AI <small>online"), "{faces}");

    browser.submit("/board/messages", "text=Good+morning").await;
    ai.invoke(ACME, "say", json!({"text": "Good morning from me"})).await;
    let joined = ["participant.joined, Alice Moreau", "participant.joined, Alice Moreau's AI"];
    let said = ["message, Alice Moreau, Good morning", "message, Alice Moreau's AI, Good morning from me"];
    let heard: Vec<_> = page.hears(4).await.into_iter().map(|(_, what)| what).collect();
    assert_eq!(heard, [joined, said].concat());
    ai.event().await;
    let (by_person, by_ai) = (ai.event().await, ai.event().await);
    assert_eq!((&by_person["actor"]["user"], &by_person["actor"]["kind"]), (&json!("alice"), &json!("person")));
    assert!(by_person["actor"]["participant"].is_string(), "{by_person}");
    assert_eq!((&by_ai["actor"]["user"], &by_ai["actor"]["kind"]), (&json!("alice"), &json!("agent")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_and_ais_say_and_do_reaches_all_in_one_order() {
    let running = Running::start().await;
    let browsers = [running.browser("alice").await, running.browser("amir").await];
    let mut guests = Vec::new();
    for browser in &browsers {
        guests.push(Guest::person(&running, browser).await);
        guests.push(Guest::ai(&running, &browser.agent_token().await).await);
    }
    for guest in &mut guests {
        guest.join(ACME).await;
    }
    // The first one hears the others come, the last one only itself.
    let own = [4, 3, 2, 1];
    let [_, ai_of_alice, _, ai_of_amir] = &mut guests[..] else { panic!("four guests") };
    let card = json!({"title": "New gate", "column": "ideas"});
    let (board, params) = (format!("{ACME}/board"), |text: &str| json!({"text": text}));
    let (said, added, _, _) = tokio::join!(
        ai_of_alice.invoke(ACME, "say", params("one")),
        ai_of_amir.invoke(&board, "add_card", card),
        browsers[0].submit("/board/messages", "text=two"),
        browsers[1].submit("/board/messages", "text=three"),
    );
    assert_eq!((&said["status"], &added["status"]), (&json!("ok"), &json!("ok")), "{said} {added}");
    let mut all = Vec::new();
    for (guest, own) in guests.iter_mut().zip(own) {
        let heard = guest.hears(own + 4).await;
        all.push(heard[own..].to_vec());
    }
    assert!(all.iter().all(|heard| *heard == all[0]), "{all:?}");
    let numbers: Vec<_> = all[0].iter().map(|(seq, _)| *seq).collect();
    assert_eq!(numbers, [6, 7, 8, 9]);
    let mut told: Vec<_> = all[0].iter().map(|(_, what)| what.as_str()).collect();
    told.sort_unstable();
    let expected = [
        "message, Alice Moreau's AI, one",
        "message, Alice Moreau, two",
        "message, Amir Haddad's AI, added “New gate” to Ideas",
        "message, Amir Haddad, three",
    ];
    assert_eq!(told, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_board_in_the_room_is_evaluated_once_for_all_members_and_offers_its_actions() {
    let running = Running::start().await;
    let mut guests = Vec::new();
    for name in ["alice", "amir", "bea"] {
        let browser = running.browser(name).await;
        guests.push(Guest::person(&running, &browser).await);
        guests.push(Guest::ai(&running, &browser.agent_token().await).await);
    }
    for guest in &mut guests {
        let room = guest.join(ACME).await;
        assert_eq!(actions(child(&room, "board")), ["add_card", "move_card"]);
    }
    let engine = running.desk.engine();
    let count = || engine.stats().evaluations.get("/rooms/{id}/board").copied().unwrap_or_default();
    let before = count();
    assert_eq!(engine.refresh_now(Scope::room("board-acme").paths(["rooms/board-acme/board"])).await, 6);
    assert_eq!(count() - before, 1);

    let card = json!({"title": "New gate", "column": "ideas"});
    let added = guests[1].invoke(&format!("{ACME}/board"), "add_card", card).await;
    let path = format!("{ACME}/board/ideas/{}", added["data"]["id"].as_str().expect("an id"));
    for guest in &mut guests {
        guest.until(&path, |card| card["properties"]["title"] == "New gate").await;
    }
    let moved = json!({"card": added["data"]["id"], "column": "done"});
    assert_eq!(guests[2].invoke(&format!("{ACME}/board"), "move_card", moved).await["status"], "ok");
    let done = &mut guests[4];
    done.until(&format!("{ACME}/board/done"), |column| column.to_string().contains("New gate")).await;
    done.until("/board/done", |column| column.to_string().contains("New gate")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_does_on_their_desk_is_told_at_the_board() {
    let running = Running::start().await;
    let mut bea = Guest::ai(&running, &running.token("bea")).await;
    bea.join(ACME).await;
    assert_eq!(bea.heard().await, "participant.joined, Bea Lindqvist's AI");
    let amir = running.browser("amir").await;
    amir.submit("/board/cards", "column=ideas&title=New+gate").await;
    let told = bea.event().await;
    assert_eq!(told["body"]["text"], "added “New gate” to Ideas");
    let card = told["body"]["data"]["card"].as_str().expect("a card");
    assert_eq!((&told["actor"]["name"], &told["actor"]["participant"]), (&json!("Amir Haddad"), &Value::Null));
    amir.submit(&format!("/board/cards/{card}/move"), "column=done").await;
    assert_eq!(bea.heard().await, "message, Amir Haddad, moved “New gate” to Done");
    assert_eq!(amir.post("/board/cards/c999/move", "column=done").await.0, StatusCode::NOT_FOUND);
    amir.submit("/board/messages", "text=Marker").await;
    assert_eq!(bea.heard().await, "message, Amir Haddad, Marker", "what was refused is not told");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_sees_everything_at_the_board_and_says_nothing() {
    let running = Running::start().await;
    let victor = running.browser("victor").await;
    let (status, page) = victor.get("/board").await;
    assert_eq!(status, StatusCode::OK);
    assert!(!page.contains("action=\"/board") && page.contains("say nothing"), "{page}");
    assert!(running.browser("bea").await.get("/board").await.1.contains("action=\"/board/messages\""));
    assert_eq!(victor.post("/board/messages", "text=x").await.0, StatusCode::FORBIDDEN);

    let mut person = Guest::person(&running, &victor).await;
    let mut ai = Guest::ai(&running, &victor.agent_token().await).await;
    for guest in [&mut person, &mut ai] {
        let room = guest.join(ACME).await;
        assert!(child(&room, "board").is_object() && actions(child(&room, "board")).is_empty(), "{room}");
        assert!(!actions(&room).contains(&"say"), "{room}");
        assert_eq!(guest.refusal(ACME, "say", json!({"text": "x"})).await, "unauthorized");
        let card = json!({"title": "x", "column": "todo"});
        assert_eq!(guest.refusal(&format!("{ACME}/board"), "add_card", card).await, "unauthorized");
    }
    running.browser("amir").await.submit("/board/messages", "text=Hello").await;
    assert_eq!(ai.heard().await, "participant.joined, Victor Osei's AI");
    assert_eq!(ai.heard().await, "message, Amir Haddad, Hello");
    let (_, faces) = victor.get("/sections/people").await;
    assert!(faces.contains("Victor Osei <small>online"), "{faces}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_org_learns_nothing_of_a_board() {
    let running = Running::start().await;
    let alice = running.browser("alice").await;
    let mut at_acme = Guest::person(&running, &alice).await;
    at_acme.join(ACME).await;
    let zoe = running.browser("zoe").await;
    let (_, page) = zoe.get("/board").await;
    assert!(page.contains("data-room=\"board-globex\"") && page.contains("Globex Lamps"), "{page}");
    assert!(!page.contains("Alice") && !page.contains("cme") && !zoe.get("/sections/people").await.1.contains("Alice"));

    for mut guest in [Guest::person(&running, &zoe).await, Guest::ai(&running, &running.token("zoe")).await] {
        let unknown = guest.ask("subscribe", &json!({"path": "/rooms/board-unknown"})).await;
        let foreign = guest.ask("subscribe", &json!({"path": ACME})).await;
        assert_eq!(foreign["error"]["code"], "not_found");
        assert_eq!(foreign["error"], serde_json::from_str::<Value>(&unknown["error"].to_string()).expect("JSON"));
        for (action, params) in [("join", json!({})), ("say", json!({"text": "x"})), ("close", json!({}))] {
            assert_eq!(guest.refusal(ACME, action, params).await, "not_found");
        }
        let tree = guest.query("/").await.to_string();
        assert!(tree.contains("board-globex") && !tree.contains("board-acme"), "{tree}");
    }
    alice.submit("/board/messages", "text=Marker").await;
    assert_eq!(at_acme.heard().await, "participant.joined, Alice Moreau");
    assert_eq!(at_acme.heard().await, "message, Alice Moreau, Marker", "nobody else came, and nobody was heard");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_reloaded_keeps_its_place_and_one_that_leaves_is_gone_at_once() {
    let running = Running::start().await;
    let mut bea = Guest::ai(&running, &running.token("bea")).await;
    bea.join(ACME).await;
    bea.heard().await;
    let amir = running.browser("amir").await;
    let mut page = Guest::person(&running, &amir).await;
    page.join(ACME).await;
    assert_eq!(bea.heard().await, "participant.joined, Amir Haddad");
    // As the module closes it when the page is reloaded.
    page.close(4000).await;
    let mut page = Guest::person(&running, &amir).await;
    let room = page.join(ACME).await;
    assert_eq!(participants(&room)[1], "Amir Haddad, person, member");
    amir.submit("/board/messages", "text=Marker").await;
    assert_eq!(bea.heard().await, "message, Amir Haddad, Marker", "nobody left or came");
    page.close(1000).await;
    assert_eq!(bea.heard().await, "participant.left, Amir Haddad, closed");
    let (_, faces) = amir.get("/sections/people").await;
    assert!(faces.contains("0 people, 1 AI<"), "{faces}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_logs_out_leaves_the_board_with_their_ai() {
    let running = Running::start().await;
    let mut bea = Guest::ai(&running, &running.token("bea")).await;
    bea.join(ACME).await;
    bea.heard().await;
    let amir = running.browser("amir").await;
    let mut page = Guest::person(&running, &amir).await;
    page.join(ACME).await;
    bea.heard().await;
    let mut ai = Guest::ai(&running, &amir.agent_token().await).await;
    ai.join(ACME).await;
    bea.heard().await;
    amir.submit("/logout", "").await;
    let mut left = [bea.heard().await, bea.heard().await];
    left.sort();
    assert_eq!(left, ["participant.left, Amir Haddad's AI, revoked", "participant.left, Amir Haddad, revoked"]);
    page.ended().await;
    ai.ended().await;
    assert_eq!(running.upgrade_at("/board/slop", &format!("Cookie: {}\r\n", amir.cookie)).await, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_page_of_a_login_comes_in_as_a_person() {
    let running = Running::start().await;
    let alice = running.browser("alice").await;
    let (token, agent_token) = (running.token("alice"), alice.agent_token().await);
    let cookie = format!("Cookie: {}\r\n", alice.cookie);
    assert_eq!(running.upgrade_at("/board/slop", &cookie).await, 101);
    assert_eq!(running.upgrade_at("/board/slop", "").await, 401);
    assert_eq!(running.upgrade_at(&format!("/board/slop?token={token}"), "").await, 401);
    assert_eq!(running.upgrade_at("/board/slop", &format!("Authorization: Bearer {token}\r\n")).await, 401);
    assert_eq!(running.upgrade_at("/board/slop", &format!("Cookie: session={agent_token}\r\n")).await, 401);
    let foreign = format!("{cookie}Origin: http://evil.example\r\n");
    assert_eq!(running.upgrade_at("/board/slop", &foreign).await, 403);

    let mut forged = alice.form("/board/messages", "text=Forged");
    forged.headers_mut().insert(ORIGIN, HeaderValue::from_static("http://evil.example"));
    assert_eq!(alice.send(forged).await.status(), StatusCode::FORBIDDEN);
    let stranger = Browser::with_cookie(running.app.clone(), "session=made-up");
    assert_eq!(stranger.get("/board").await.0, StatusCode::SEE_OTHER);
    assert_eq!(stranger.get("/sections/people").await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(stranger.post("/board/messages", "text=x").await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_one_text_of_a_bounded_length() {
    let running = Running::start().await;
    let alice = running.browser("alice").await;
    let (status, sentence) = alice.post("/board/messages", "text=+%0A").await;
    assert_eq!((status.as_u16(), sentence.as_str()), (422, "A message cannot be empty."));
    assert_eq!(alice.post("/board/messages", &format!("text={}", "x".repeat(2_001))).await.0.as_u16(), 422);
    // The longest one fits, however it is written in JSON.
    alice.submit("/board/messages", &format!("text={}", "%01".repeat(2_000))).await;
    alice.submit("/board/messages", &format!("text={}", "%F0%9F%8E%88".repeat(2_000))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_the_board_is_guarded_and_brings_its_scripts() {
    let running = Running::start().await;
    let alice = running.browser("alice").await;
    let page = alice.send(alice.question("/board")).await;
    let policy = page.headers()["content-security-policy"].to_str().expect("a policy").to_owned();
    assert!(policy.contains("script-src 'self'") && !policy.contains("unsafe"), "{policy}");
    let (_, page) = crate::browser::read(page).await;
    assert!(page.contains("<script src=\"/room.js\" type=\"module\">") && page.contains("Winter schedule"), "{page}");
    for script in ["/room.js", "/sections.js", "/slop/consumer.js"] {
        assert_eq!(alice.get(script).await.0, StatusCode::OK, "{script}");
    }
    let (_, script) = alice.get("/room.js").await;
    assert!(!script.contains("innerHTML") && script.contains("from \"/slop/consumer.js\""));
}
