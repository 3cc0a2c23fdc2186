//! Rooms over HTTP (rooms 7).

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;

use grove_axum::Slop;
use grove_engine::{Engine, Message, Revocation};
use serde_json::{Value, json};

use crate::rooms_server::{engine, serving, session_of, slop};
use crate::server::{Server, known_users};

#[tokio::test]
async fn a_room_is_created_shown_listed_and_closed() {
    let (server, _) = serving().await;
    let new = json!({"title": "Board", "trust": "verified", "attributes": {"board": "b7"}});
    let (status, created) = server.asks("ann", "POST", "/v1/rooms", &new).await;
    assert_eq!((status, &created["trust"], &created["contract"]), (201, &json!("verified"), &Value::Null));
    let room = &created["room"];
    let id = room["id"].as_str().unwrap();
    assert_eq!((&room["title"], &room["role"], &room["joined"]), (&json!("Board"), &json!("owner"), &json!(false)));
    let held = server.engine.rooms().get(&session_of("ann"), id).unwrap();
    assert_eq!((held.origin().as_str(), held.attribute("board")), ("http", Some("b7")));

    let path = format!("/v1/rooms/{id}");
    assert_eq!(server.gets("ann", &path).await, (200, json!({"room": room})));
    let (_, listed) = server.gets("ann", "/v1/rooms").await;
    assert_eq!(listed, json!({"rooms": [room], "next": null}));
    assert_eq!(server.gets("bob", "/v1/rooms").await, (200, json!({"rooms": [], "next": null})));

    let (status, ended) = server.asks("ann", "DELETE", &path, &Value::Null).await;
    assert_eq!((status, &ended["reason"]), (200, &json!("close")));
    assert!(ended["duration_ms"].is_u64(), "{ended}");
    let (_, shown) = server.gets("ann", &path).await;
    assert_eq!((&shown["room"]["state"], &shown["room"]["end_reason"]), (&json!("ended"), &json!("close")));
    assert_eq!(server.asks("ann", "DELETE", &path, &Value::Null).await.0, 409);
}

#[tokio::test]
async fn a_room_has_the_properties_that_its_node_has() {
    let (server, _) = serving().await;
    let room = server.open_room().await;
    let child = json!({"parent": room.rsplit('/').next(), "ttl_s": 5, "access": "observe"});
    let (_, created) = server.asks("ann", "POST", "/v1/rooms", &child).await;
    let mut shown = created["room"].clone();
    let id = shown.as_object_mut().unwrap().shift_remove("id").unwrap();
    let described = server.engine.rooms().describe(&session_of("ann"), id.as_str().unwrap()).unwrap();
    assert_eq!(shown, described);
    assert!(shown["parent"].is_string() && shown["ends_at"].is_string(), "{shown}");
}

#[tokio::test]
async fn lists_are_filtered_and_come_in_pages() {
    let (server, _) = serving().await;
    let mut ids = Vec::new();
    for user in ["ann", "bob", "ann"] {
        let (_, created) = server.asks(user, "POST", "/v1/rooms", &json!({"access": "project"})).await;
        ids.push(created["room"]["id"].as_str().unwrap().to_owned());
    }
    server.asks("ann", "DELETE", &format!("/v1/rooms/{}", ids[0]), &Value::Null).await;
    let listed = |query: String| {
        let server = &server;
        async move {
            let (status, page) = server.gets("bob", &format!("/v1/rooms{query}")).await;
            assert_eq!(status, 200, "{page}");
            let rooms = page["rooms"].as_array().unwrap().iter().map(|room| room["id"].as_str().unwrap().to_owned());
            (rooms.collect::<Vec<_>>(), page["next"].clone())
        }
    };
    assert_eq!(listed("?limit=2".to_owned()).await, (ids[..2].to_vec(), json!(ids[1])));
    assert_eq!(listed(format!("?limit=2&after={}", ids[1])).await, (ids[2..].to_vec(), Value::Null));
    assert_eq!(listed("?state=active&owner=ann".to_owned()).await.0, ids[2..]);
    assert_eq!(listed("?state=ended".to_owned()).await.0, ids[..1]);
    for query in ["?state=gone", "?limit=-1", "?limit=x"] {
        let (status, refused) = server.gets("bob", &format!("/v1/rooms{query}")).await;
        assert_eq!((status, &refused["error"]["code"]), (400, &json!("invalid_params")), "{query}");
    }
}

#[tokio::test]
async fn each_failure_has_the_status_of_the_contract_and_says_what_is_wrong() {
    let (server, _) = serving().await;
    let room = server.open_room().await;
    let messages = format!("{room}/messages");
    let observed = json!({"access": "observe"});
    let (_, created) = server.asks("ann", "POST", "/v1/rooms", &observed).await;
    let observed = format!("/v1/rooms/{}/messages", created["room"]["id"].as_str().unwrap());
    let long = "x".repeat(16_384);
    let cases = [
        ("ann", "POST", "/v1/rooms", json!({"ttl_s": 0}), 400, "invalid_params", "`ttl_s`"),
        ("ann", "POST", "/v1/rooms", json!({"access": "all"}), 400, "invalid_params", "`access`"),
        ("ann", "POST", "/v1/rooms", json!({"owner": "bob"}), 400, "invalid_params", "`owner`"),
        ("ann", "POST", "/v1/rooms", json!(["title"]), 400, "invalid_params", "JSON object"),
        ("ann", "POST", "/v1/rooms", Value::Null, 400, "invalid_params", "JSON object"),
        ("ann", "POST", "/v1/rooms", json!({"agent": "a"}), 422, "unknown_agent", ""),
        ("ann", "POST", "/v1/rooms", json!({"contract": "c"}), 422, "contract_violation", ""),
        ("nobody", "POST", "/v1/rooms", json!({}), 403, "unauthorized", ""),
        ("ann", "POST", &messages, json!({}), 400, "invalid_params", "`text` or `data`"),
        ("ann", "POST", &messages, json!({"text": 1}), 400, "invalid_params", "`text`"),
        ("ann", "POST", &messages, json!({"text": "x", "actor": "bob"}), 400, "invalid_params", "`actor`"),
        ("ann", "POST", &messages, json!({"text": "x", "to": "p_1"}), 404, "not_found", ""),
        ("ann", "POST", &messages, json!({"text": long}), 413, "invalid_params", "16384 bytes"),
        ("bob", "POST", &observed, json!({"text": "x"}), 403, "unauthorized", ""),
        ("bob", "DELETE", &room, Value::Null, 403, "unauthorized", ""),
        ("bob", "GET", "/v1/rooms/m_1", Value::Null, 404, "not_found", ""),
        ("bob", "GET", "/v1/rooms/%ff", Value::Null, 404, "not_found", ""),
    ];
    for (user, method, target, body, status, code, words) in cases {
        let (got, refused) = server.asks(user, method, target, &body).await;
        let error = &refused["error"];
        assert_eq!((got, &error["code"]), (status, &json!(code)), "{method} {target} {body}: {refused}");
        assert!(error["message"].as_str().unwrap().contains(words), "{refused}");
    }
}

#[tokio::test]
async fn too_many_rooms_are_refused_with_429() {
    let (engine, clock) = engine(|config| config.rooms.rooms_per_user = 1);
    let app = slop(&engine, &clock).router();
    let server = Server::of(engine, app).await;
    server.open_room().await;
    let (status, refused) = server.asks("ann", "POST", "/v1/rooms", &json!({})).await;
    assert_eq!((status, &refused["error"]["code"]), (429, &json!("busy")));
}

#[tokio::test]
async fn nobody_learns_of_a_room_in_which_they_have_no_role() {
    let (server, _) = serving().await;
    let (_, created) = server.asks("ann", "POST", "/v1/rooms", &json!({})).await;
    let id = created["room"]["id"].as_str().unwrap();
    for (method, below) in [
        ("GET", ""),
        ("DELETE", ""),
        ("POST", "/messages"),
        ("GET", "/events"),
        ("GET", "/events?since=1"),
        ("GET", "/participants"),
        ("GET", "/memory"),
        ("GET", "/memory/k"),
        ("PUT", "/memory/k"),
        ("DELETE", "/memory/k"),
    ] {
        let body = match method {
            "POST" => json!({"text": "x"}),
            "PUT" => json!({"value": 1}),
            _ => Value::Null,
        };
        for user in ["bob", "eve", "nobody"] {
            let real = server.asks(user, method, &format!("/v1/rooms/{id}{below}"), &body).await;
            let other = server.asks(user, method, &format!("/v1/rooms/m_0{below}"), &body).await;
            assert_eq!((real.0, &real), (404, &other), "{user} {method} {below}");
        }
    }
    assert_eq!(server.gets("bob", &format!("/v1/rooms?after={id}")).await.0, 404);
    assert_eq!(server.gets("eve", "/v1/presence").await, (200, json!({"participants": []})));
}

#[tokio::test]
async fn every_route_asks_for_a_credential_that_is_still_accepted() {
    let (server, _) = serving().await;
    let room = server.open_room().await;
    for (method, target) in [
        ("POST", "/v1/rooms".to_owned()),
        ("GET", "/v1/rooms".to_owned()),
        ("GET", room.clone()),
        ("DELETE", room.clone()),
        ("POST", format!("{room}/messages")),
        ("GET", format!("{room}/events")),
        ("GET", format!("{room}/participants")),
        ("GET", format!("{room}/memory")),
        ("GET", format!("{room}/memory/k")),
        ("PUT", format!("{room}/memory/k")),
        ("DELETE", format!("{room}/memory/k")),
        ("GET", "/v1/presence".to_owned()),
    ] {
        let (status, refused) = server.json(method, &target, "", "{}").await;
        assert_eq!((status, &refused["error"]["code"]), (401, &json!("unauthorized")), "{method} {target}");
    }
    server.engine.revoke(Revocation::user("bob"));
    assert_eq!(server.gets("bob", &room).await.0, 401);
    assert_eq!(server.gets("ann", &format!("{room}?token=ann")).await.0, 200, "the credential may be in the query");
}

#[tokio::test]
async fn a_cookie_changes_something_only_from_an_allowed_origin() {
    let (engine, clock) = engine(|_| {});
    let app = slop(&engine, &clock).allow_origin("https://desk.example").router();
    let server = Server::of(engine, app).await;
    let cookie = "cookie: session=ann\r\n";
    for (method, more, expected) in [
        ("POST", "", 401),
        ("POST", "sec-fetch-site: same-origin\r\n", 401),
        ("POST", "authorization: Bearer ann\r\n", 201),
        ("POST", "origin: http://localhost\r\n", 201),
        ("POST", "origin: https://desk.example\r\n", 201),
        ("POST", "origin: https://evil.example\r\n", 403),
        ("POST", "origin: null\r\n", 403),
        ("GET", "", 200),
        ("GET", "sec-fetch-site: same-origin\r\n", 200),
        ("GET", "sec-fetch-site: cross-site\r\n", 401),
        ("GET", "origin: https://evil.example\r\n", 403),
    ] {
        let (status, response) = server.json(method, "/v1/rooms", &format!("{cookie}{more}"), "{}").await;
        assert_eq!(status, expected, "{method} {more}: {response}");
    }
}

#[tokio::test]
async fn a_body_of_more_than_a_mebibyte_is_refused() {
    let (server, _) = serving().await;
    let fill = |bytes: usize| format!("{{\"title\": \"\"{}}}", " ".repeat(bytes - 13));
    let headers = "authorization: Bearer ann\r\n";
    assert_eq!(server.json("POST", "/v1/rooms", headers, &fill(1 << 20)).await.0, 201);
    let (status, refused) = server.json("POST", "/v1/rooms", headers, &fill((1 << 20) + 1)).await;
    assert_eq!((status, &refused["error"]["code"]), (413, &json!("too_large")));
}

#[tokio::test]
async fn participants_and_presence_show_what_the_viewer_may_see() {
    let (server, _) = serving().await;
    let room = server.open_room().await;
    let participants = format!("{room}/participants");
    assert_eq!(server.gets("bob", &participants).await, (200, json!({"participants": []})));
    let mut stream = server.events("ann", &room, "", "").await;
    let joined = stream.next().await.unwrap().data;
    let (_, shown) = server.gets("bob", &participants).await;
    let expected = json!({
        "participant": joined["body"]["participant"], "user": "ann", "name": "ANN", "kind": "person", "role": "owner",
        "status": "online", "since": joined["at"],
    });
    assert_eq!(shown["participants"], json!([expected]));
    let row = |shown: &Value| shown["participants"].as_array().unwrap().first().cloned().unwrap_or_default();
    let seen = row(&server.gets("bob", "/v1/presence").await.1);
    assert_eq!((&seen["name"], &seen["groups"], &seen["cwd"]), (&json!("ANN"), &json!(["staff"]), &Value::Null));
    assert_eq!(row(&server.gets("ann", "/v1/presence").await.1)["cwd"], "/home");
    assert_eq!(server.gets("bob", "/v1/presence").await.1["participants"].as_array().unwrap().len(), 1, "no new row");
}

#[tokio::test]
async fn a_message_has_the_trace_of_the_header_and_acts_once_per_call_id() {
    let (server, _) = serving().await;
    let room = server.open_room().await;
    let mut stream = server.events("bob", &room, "", "").await;
    stream.next().await.unwrap();
    let trace = "tx-123e4567-e89b-12d3-a456-426614174000";
    let headers = format!("authorization: Bearer ann\r\ntrace-id: {trace}\r\n");
    let body = json!({"text": "hello", "data": {"n": 1}, "call_id": "c1"}).to_string();
    let (status, said) = server.json("POST", &format!("{room}/messages"), &headers, &body).await;
    let event = stream.next().await.unwrap().data;
    assert_eq!((status, said), (201, json!({"event": event["id"], "seq": 3})));
    assert_eq!((&event["trace_id"], &event["call_id"]), (&json!(trace), &json!("c1")));
    assert_eq!(event["actor"], json!({"user": "ann", "name": "ANN", "kind": "person"}), "she has not joined");
    let (status, again) = server.json("POST", &format!("{room}/messages"), &headers, &body).await;
    assert_eq!((status, &again["event"]), (201, &event["id"]));
    server.say("ann", &room, "next").await;
    assert_eq!(stream.summary().await, ("message".to_owned(), 4));
}

#[tokio::test]
async fn a_route_with_other_methods_says_so() {
    let (server, _) = serving().await;
    for (method, target) in [("PUT", "/v1/rooms"), ("POST", "/v1/presence"), ("PATCH", "/v1/rooms/m_0/memory/k")] {
        let (status, refused) = server.json(method, target, "authorization: Bearer ann\r\n", "").await;
        assert_eq!((status, &refused["error"]["code"]), (405, &json!("method_not_allowed")), "{method} {target}");
    }
}

#[tokio::test]
async fn what_is_no_route_says_so_as_every_other_failure_does() {
    let (server, _) = serving().await;
    for target in ["/v1", "/v1/", "/v1/nothing", "/v1/rooms/", "/v1/rooms/m_0/nothing", "/v1/archive", "/v1/a/b/c/d"] {
        for method in ["GET", "POST", "DELETE"] {
            let (status, refused) = server.json(method, target, "authorization: Bearer ann\r\n", "").await;
            assert_eq!((status, &refused["error"]["code"]), (404, &json!("not_found")), "{method} {target}");
            assert!(refused["error"]["message"].is_string(), "{refused}");
        }
    }
}

#[tokio::test]
async fn what_a_request_causes_in_a_room_has_the_trace_of_the_header() {
    let (server, _) = serving().await;
    let trace = |number: u32| format!("tx-123e4567-e89b-12d3-a456-{number:012}");
    let headers = |user: &str, number| format!("authorization: Bearer {user}\r\ntrace-id: {}\r\n", trace(number));
    let new = json!({"title": "Board", "access": "project", "replayable": true}).to_string();
    let (status, created) = server.json("POST", "/v1/rooms", &headers("ann", 1), &new).await;
    assert_eq!(status, 201, "{created}");
    let room = format!("/v1/rooms/{}", created["room"]["id"].as_str().unwrap());
    let mut stream = server.events("bob", &room, "?since=0", &format!("trace-id: {}\r\n", trace(2))).await;
    let (status, _) = server.json("DELETE", &room, &headers("ann", 3), "").await;
    assert_eq!(status, 200);
    for (kind, number) in [("room.started", 1), ("participant.joined", 2), ("room.ended", 3)] {
        let event = stream.next().await.unwrap().data;
        assert_eq!((&event["kind"], &event["trace_id"]), (&json!(kind), &json!(trace(number))));
    }
}

/// The operations in the document of a server: method and path.
async fn documented(server: &Server, path: &str) -> (Value, BTreeSet<(String, String)>) {
    let (status, document) = server.json("GET", path, "", "").await;
    assert_eq!((status, &document["openapi"]), (200, &json!("3.1.0")));
    let paths = document["paths"].as_object().unwrap().iter();
    let operations = paths.flat_map(|(path, item)| {
        item.as_object().unwrap().keys().map(move |method| (method.to_uppercase(), path.clone()))
    });
    let operations: BTreeSet<_> = operations.collect();
    let named = document["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap().values());
    let names: BTreeSet<_> = named.map(|operation| operation["operationId"].as_str().unwrap()).collect();
    assert_eq!(names.len(), operations.len(), "each operation has a name of its own: {names:?}");
    (document.clone(), operations)
}

#[tokio::test]
async fn every_route_is_documented_and_every_documented_route_answers() {
    let (server, _) = serving().await;
    let (_, documented) = documented(&server, "/v1/openapi.json").await;
    let contract = [
        ("POST", "/v1/rooms"),
        ("GET", "/v1/rooms"),
        ("GET", "/v1/rooms/{id}"),
        ("DELETE", "/v1/rooms/{id}"),
        ("POST", "/v1/rooms/{id}/messages"),
        ("GET", "/v1/rooms/{id}/events"),
        ("POST", "/v1/rooms/{id}/runs"),
        ("GET", "/v1/rooms/{id}/runs/{run}"),
        ("DELETE", "/v1/rooms/{id}/runs/{run}"),
        ("POST", "/v1/rooms/{id}/runs/{run}/input"),
        ("GET", "/v1/rooms/{id}/participants"),
        ("GET", "/v1/archive/{id}"),
        ("GET", "/v1/rooms/{id}/memory"),
        ("GET", "/v1/rooms/{id}/memory/{key}"),
        ("PUT", "/v1/rooms/{id}/memory/{key}"),
        ("DELETE", "/v1/rooms/{id}/memory/{key}"),
        ("GET", "/v1/presence"),
        ("GET", "/v1/openapi.json"),
    ];
    assert_eq!(documented, contract.map(|(method, path)| (method.to_owned(), path.to_owned())).into());
    let id = server.open_room().await.rsplit('/').next().unwrap().to_owned();
    for path in contract.map(|(_, path)| path) {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            let (status, _) = server.json(method, &path.replace("{id}", &id).replace("{run}", "r_1"), "", "{}").await;
            let is_documented = documented.contains(&(method.to_owned(), path.to_owned()));
            let expected = match (is_documented, path) {
                (true, "/v1/openapi.json") => 200,
                (true, _) => 401,
                (false, _) => 405,
            };
            assert_eq!(status, expected, "{method} {path}");
        }
    }
}

/// Whether a value has the properties that the document says, and all that are required.
fn check_shape(document: &Value, name: &str, value: &Value) {
    let schema = &document["components"]["schemas"][name];
    let properties = schema["properties"].as_object().unwrap_or_else(|| panic!("{name}: {document}"));
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let value = value.as_object().unwrap();
    assert!(value.keys().all(|key| properties.contains_key(key)), "{name}: {value:?}");
    assert!(required.iter().all(|key| value.contains_key(key.as_str().unwrap())), "{name}: {value:?}");
}

#[tokio::test]
async fn bodies_are_as_the_document_says() {
    let (server, _) = serving().await;
    let (document, _) = documented(&server, "/v1/openapi.json").await;
    let room = server.open_room().await;
    let _stream = server.events("ann", &room, "", "").await;
    let (_, created) = server.asks("ann", "POST", "/v1/rooms", &json!({"ttl_s": 9})).await;
    let (_, listed) = server.gets("ann", "/v1/rooms").await;
    let (_, participants) = server.gets("ann", &format!("{room}/participants")).await;
    let (_, presence) = server.gets("ann", "/v1/presence").await;
    let (_, said) = server.asks("ann", "POST", &format!("{room}/messages"), &json!({"text": "x"})).await;
    let (_, kept) = server.asks("ann", "PUT", &format!("{room}/memory/k"), &json!({"value": [1]})).await;
    let (_, entry) = server.gets("ann", &format!("{room}/memory/k")).await;
    let (_, memory) = server.gets("ann", &format!("{room}/memory")).await;
    let (_, removed) = server.asks("ann", "DELETE", &format!("{room}/memory/k"), &Value::Null).await;
    let (_, refused) = server.gets("ann", "/v1/rooms/m_0").await;
    let (_, ended) = server.asks("ann", "DELETE", &room, &Value::Null).await;
    for (name, value) in [
        ("CreatedBody", &created),
        ("RoomBody", &created["room"]),
        ("RoomListBody", &listed),
        ("ParticipantsBody", &participants),
        ("ParticipantBody", &participants["participants"][0]),
        ("PresenceListBody", &presence),
        ("PresenceBody", &presence["participants"][0]),
        ("SaidBody", &said),
        ("KeptBody", &kept),
        ("MemoryEntryBody", &entry),
        ("MemoryListBody", &memory),
        ("ErrorBody", &refused),
        ("ErrorDetail", &refused["error"]),
        ("EndedBody", &ended),
    ] {
        check_shape(&document, name, value);
    }
    assert_eq!((removed, &document["components"]["schemas"]["DoneBody"]["type"]), (json!({}), &json!("object")));
    let new = &document["components"]["schemas"]["NewRoom"]["properties"];
    assert!(new["ttl_s"].is_object() && new["access"].is_object() && new["id"].is_null(), "{new}");
    let body = &document["paths"]["/v1/rooms"]["post"]["requestBody"]["content"]["application/json"]["schema"];
    assert_eq!(body["$ref"], "#/components/schemas/NewRoom");
}

#[tokio::test]
async fn nested_and_merged_routes_are_beside_their_endpoints_and_the_document_says_where() {
    let ((desk, clock), (mail, _)) = (engine(|_| {}), engine(|_| {}));
    let own = session_of("ann");
    mail.rooms().create(&own, &grove_engine::NewRoom::new("Mail").id("only")).unwrap();
    let beside = slop(&mail, &clock).path("/mail/slop");
    let routes = slop(&desk, &clock).router().merge(beside.router());
    let server = Server::of(desk, axum::Router::new().nest("/app", routes)).await;
    for (prefix, status) in [("/app", 404), ("/app/mail", 200)] {
        assert_eq!(server.gets("ann", &format!("{prefix}/v1/rooms/only")).await.0, status);
        let (document, _) = documented(&server, &format!("{prefix}/v1/openapi.json")).await;
        assert_eq!(document["servers"], json!([{"url": prefix}]));
    }
    let (server, _) = serving().await;
    assert_eq!(documented(&server, "/v1/openapi.json").await.0["servers"], json!([{"url": "/"}]));
}

#[tokio::test]
async fn without_the_option_there_are_no_routes_and_without_rooms_the_option_is_a_mistake() {
    let server = Server::for_known_users().await;
    assert_eq!(server.json("GET", "/v1/rooms?token=alice", "", "").await.0, 404);
    let engine = Engine::builder("desk", "Desk").build();
    let rooms = engine.rooms();
    let mistake = std::panic::catch_unwind(AssertUnwindSafe(|| Slop::new(engine, known_users()).rooms(rooms)));
    let said = mistake.unwrap_err().downcast::<&str>().unwrap();
    assert!(said.contains("RoomOptions"), "{said}");
}

#[tokio::test]
async fn a_message_that_the_engine_says_reaches_http_as_well() {
    let (server, _) = serving().await;
    let room = server.open_room().await;
    let mut stream = server.events("bob", &room, "", "").await;
    stream.next().await.unwrap();
    let id = room.rsplit('/').next().unwrap();
    server.engine.rooms().say(&session_of("ann"), id, &Message::data(json!([1]))).unwrap();
    assert_eq!(stream.next().await.unwrap().data["body"], json!({"data": [1]}));
}

#[tokio::test]
async fn an_archive_is_read_as_lines_by_those_who_took_part() {
    let (server, _) = serving().await;
    let new = json!({"access": "project", "on_end": "archive"});
    let (_, created) = server.asks("ann", "POST", "/v1/rooms", &new).await;
    let room = format!("/v1/rooms/{}", created["room"]["id"].as_str().unwrap());
    for number in 0..700 {
        server.say("ann", &room, &format!("{number}\nsecond line")).await;
    }
    server.asks("ann", "DELETE", &room, &Value::Null).await;
    let (_, shown) = server.gets("ann", &room).await;
    let archive = format!("/v1/archive/{}", shown["room"]["cold_context_id"].as_str().unwrap());
    let head = format!("GET {archive} HTTP/1.0\r\nhost: localhost\r\nauthorization: Bearer ann\r\n\r\n");
    let (status, all) = server.raw(head).await;
    let (head, body) = all.split_once("\r\n\r\n").unwrap();
    assert!(status == 200 && head.contains("content-type: application/jsonl"), "{head}");
    let events: Vec<Value> = body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(events.iter().map(|event| event["seq"].as_u64().unwrap()).eq(1..=702));
    assert_eq!(events[701]["kind"], "room.ended");
    for user in ["bob", "eve", "nobody"] {
        assert_eq!(server.gets(user, &archive).await.0, 404, "{user}");
    }
    assert_eq!(server.json("GET", &archive, "", "").await.0, 401);
}

#[tokio::test]
async fn no_response_has_cors_headers_and_no_preflight_is_answered() {
    let (engine, clock) = engine(|_| {});
    let app = slop(&engine, &clock).allow_origin("https://app.example").router();
    let server = Server::of(engine, app).await;
    let common = "host: localhost\r\nconnection: close\r\norigin: https://app.example\r\n";
    for request in [
        format!("GET /v1/rooms HTTP/1.1\r\n{common}authorization: Bearer ann\r\n\r\n"),
        format!("GET /v1/openapi.json HTTP/1.1\r\n{common}\r\n"),
        format!("OPTIONS /v1/rooms HTTP/1.1\r\n{common}access-control-request-method: POST\r\n\r\n"),
    ] {
        let (status, response) = server.raw(&request).await;
        assert_eq!(status, if request.starts_with("OPTIONS") { 405 } else { 200 }, "{response}");
        assert!(!response.to_lowercase().contains("access-control-"), "{response}");
    }
}
