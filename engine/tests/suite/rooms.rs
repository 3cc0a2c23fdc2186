//! How rooms are created, and to whom they exist (rooms 2).

use grove_engine::{
    Access, ActionError, Engine, Event, Facet, Limit, Mode, NewRoom, Origin, RoomOptions, RoomQuery, RoomRole,
    RoomState, Session, Trust,
};

use crate::fixtures::{EventLog, in_project, room_engine, room_engine_with, user_session};

fn code<T>(done: Result<T, ActionError>) -> String {
    done.err().map_or_else(String::new, |error| error.code().to_owned())
}

/// A room of this user without a project.
fn create(engine: &Engine, owner: &Session, new: &NewRoom) -> grove_engine::Room {
    engine.rooms().create(owner, new).expect("a user may create a room").room
}

#[tokio::test]
async fn a_room_has_the_defaults_of_the_contract() {
    let (engine, _clock) = room_engine();
    let ann = in_project("a", "ann", "acme");
    let created = engine.rooms().create(&ann, &NewRoom::new("Board")).unwrap();
    let room = created.room;
    assert_eq!((room.title(), room.owner().as_str(), room.project().as_str()), ("Board", "ann", "acme"));
    assert_eq!((room.state(), room.origin(), room.access()), (RoomState::Active, Origin::App, Access::Invited));
    assert_eq!((created.trust, room.mode(), created.contract), (Trust::Verified, Mode::Production, None));
    assert!(room.is_streaming() && !room.is_replayable() && !room.is_one_shot());
    assert_eq!((room.created_at(), room.ends_at()), ("2026-01-01T00:00:00.000Z".to_owned(), None));
    assert_eq!((room.id().len(), room.id().starts_with("m_"), room.seq()), (24, true, 1));
    let properties = engine.rooms().describe(&ann, room.id()).unwrap();
    let expected = serde_json::json!({
        "title": "Board", "state": "active", "owner": "ann", "role": "owner", "joined": false, "online": 0,
        "created_at": "2026-01-01T00:00:00.000Z", "trust": "verified", "mode": "production", "replayable": false,
    });
    assert_eq!(properties, expected);
}

#[tokio::test]
async fn a_session_without_a_user_creates_nothing_and_that_is_reported() {
    let (engine, _clock) = room_engine();
    let log = EventLog::of(&engine);
    assert_eq!(code(engine.rooms().create(&Session::new("s"), &NewRoom::new("t"))), "unauthorized");
    assert_eq!(engine.rooms().stats().rooms, 0);
    let reported = Event::RoomRefused {
        what: "create",
        code: "unauthorized".into(),
        session: "s".into(),
        user: None,
        room: "".into(),
    };
    assert_eq!(log.count(|event| *event == reported), 1);
}

#[tokio::test]
async fn a_creation_that_cannot_be_is_refused_with_its_code() {
    let (engine, _clock) = room_engine();
    let rooms = engine.rooms();
    let ann = user_session("a", "ann");
    let doubtful = user_session("d", "dan").with_trust(Trust::Provisional);
    let asks = || NewRoom::new("t").trust(Trust::Verified);
    for (session, new, expected) in [
        (&ann, NewRoom::new("t").agent("kernel"), "unknown_agent"),
        (&ann, NewRoom::new("t").contract("c"), "contract_violation"),
        (&ann, NewRoom::new("t").ttl_s(0), "invalid_params"),
        (&ann, NewRoom::new("t").parent("m_unknown", []), "not_found"),
        (&doubtful, asks().strict(true), "caps_refused"),
    ] {
        assert_eq!(code(rooms.create(session, &new)), expected, "{new:?}");
    }
    let granted = rooms.create(&doubtful, &asks()).unwrap();
    assert_eq!((granted.trust, granted.room.trust()), (Trust::Provisional, Trust::Provisional));
    assert_eq!(rooms.create(&doubtful, &NewRoom::new("t")).unwrap().trust, Trust::Provisional);
    assert_eq!(rooms.create(&ann, &asks().trust(Trust::Untrusted)).unwrap().trust, Trust::Untrusted);
}

#[tokio::test]
async fn an_id_of_the_applications_choice_is_taken_once() {
    let (engine, _clock) = room_engine();
    let board = || NewRoom::new("t").id("board");
    assert_eq!(create(&engine, &user_session("a", "ann"), &board()).id(), "board");
    assert_eq!(code(engine.rooms().create(&in_project("b", "bob", "other"), &board())), "conflict");
    assert_eq!(code(engine.rooms().create(&user_session("a", "ann"), &NewRoom::new("t").id("a/b"))), "invalid_params");
}

#[tokio::test]
async fn a_room_exists_only_for_those_with_a_role() {
    let (engine, _clock) = room_engine();
    let rooms = engine.rooms();
    let [ann, bob] = ["ann", "bob"].map(|user| in_project(user, user, "acme"));
    let eve = in_project("eve", "eve", "other");
    let visitor = Session::new("v").with_project("acme");
    let ids = [Access::Invited, Access::Project, Access::Observe]
        .map(|access| create(&engine, &ann, &NewRoom::new("t").access(access)).id().clone());
    let role = |session: &Session, id: &str| rooms.role(session, id).ok();
    assert!(ids.iter().all(|id| role(&ann, id) == Some(RoomRole::Owner)));
    assert_eq!([0, 1, 2].map(|at| role(&bob, &ids[at])), [None, Some(RoomRole::Member), Some(RoomRole::Observer)]);
    for id in &ids {
        for session in [&eve, &visitor] {
            // In the same words as for a room that never was.
            let unknown = rooms.get(session, "m_unknown").unwrap_err();
            assert_eq!(rooms.get(session, id).unwrap_err(), unknown);
            assert_eq!(rooms.join(session, id).unwrap_err(), unknown);
            assert_eq!(rooms.close(session, id, None).await.unwrap_err(), unknown);
            assert_eq!(rooms.say(session, id, &grove_engine::Message::text("x")).unwrap_err(), unknown);
            assert_eq!(rooms.admit(session, id, "bob", RoomRole::Member).unwrap_err(), unknown);
            assert_eq!(rooms.events(session, id).unwrap_err(), unknown);
        }
    }
    let listed = |session: &Session| rooms.list(session, &RoomQuery::default()).unwrap().rooms.len();
    assert_eq!([&ann, &bob, &eve, &visitor].map(listed), [3, 2, 0, 0]);
}

#[tokio::test]
async fn the_owner_admits_users_and_dismisses_them() {
    let (engine, _clock) = room_engine();
    let rooms = engine.rooms();
    let [ann, bob] = ["ann", "bob"].map(|user| user_session(user, user));
    let room = create(&engine, &ann, &NewRoom::new("t"));
    rooms.admit(&ann, room.id(), "bob", RoomRole::Observer).unwrap();
    assert_eq!(rooms.role(&bob, room.id()), Ok(RoomRole::Observer));
    rooms.admit(&ann, room.id(), "bob", RoomRole::Member).unwrap();
    assert_eq!((rooms.role(&bob, room.id()), room.admitted("bob")), (Ok(RoomRole::Member), Some(RoomRole::Member)));
    assert_eq!(code(rooms.admit(&bob, room.id(), "cid", RoomRole::Member)), "unauthorized");
    assert_eq!(code(rooms.dismiss(&bob, room.id(), "ann")), "unauthorized");
    for (user, role) in [("ann", RoomRole::Member), ("cid", RoomRole::Owner), ("", RoomRole::Member)] {
        assert_eq!(code(rooms.admit(&ann, room.id(), user, role)), "invalid_params", "{user}");
    }
    rooms.dismiss(&ann, room.id(), "bob").unwrap();
    assert_eq!(code(rooms.get(&bob, room.id())), "not_found");
    assert_eq!(code(rooms.dismiss(&ann, room.id(), "bob")), "not_found");
}

#[tokio::test]
async fn who_is_dismissed_from_an_open_room_stays_out_until_admitted() {
    let (engine, _clock) = room_engine();
    let rooms = engine.rooms();
    let [ann, bob] = ["ann", "bob"].map(|user| user_session(user, user));
    let room = create(&engine, &ann, &NewRoom::new("t").access(Access::Project));
    rooms.dismiss(&ann, room.id(), "bob").unwrap();
    assert_eq!(code(rooms.get(&bob, room.id())), "not_found");
    rooms.admit(&ann, room.id(), "bob", RoomRole::Observer).unwrap();
    assert_eq!(rooms.role(&bob, room.id()), Ok(RoomRole::Observer));
}

#[tokio::test]
async fn the_application_may_decide_about_roles_within_a_project() {
    let options = RoomOptions::new().access(|session, room| match session.attribute("org") {
        Some("panic") => panic!("the application has a fault"),
        Some(org) if Some(org) == room.attribute("org") => Some(RoomRole::Member),
        _ => (session.user() == Some(room.owner())).then_some(RoomRole::Owner),
    });
    let (engine, _clock) = room_engine_with(options, |_| {});
    let log = EventLog::of(&engine);
    let rooms = engine.rooms();
    let of_org = |user: &str, org: &str| in_project(user, user, "p").with_attribute("org", org);
    let room = create(&engine, &of_org("ann", "none"), &NewRoom::new("t").attribute("org", "acme"));
    assert_eq!(rooms.role(&of_org("ann", "none"), room.id()), Ok(RoomRole::Owner));
    assert_eq!(rooms.role(&of_org("bob", "acme"), room.id()), Ok(RoomRole::Member));
    assert_eq!(code(rooms.get(&of_org("cid", "other"), room.id())), "not_found");
    assert_eq!(code(rooms.get(&user_session("x", "x").with_attribute("org", "acme"), room.id())), "not_found");
    assert_eq!(code(rooms.get(&of_org("dan", "panic"), room.id())), "not_found");
    assert!(log.count(|event| matches!(event, Event::Panicked { what: grove_engine::PanicSite::Access, .. })) > 0);
}

#[tokio::test]
async fn a_child_takes_what_it_inherits_and_is_no_more_than_its_parent() {
    let (engine, _clock) = room_engine();
    let [ann, bob] = ["ann", "bob"].map(|user| user_session(user, user));
    let parent =
        NewRoom::new("p").mode(Mode::Sandbox).trust(Trust::Provisional).attribute("a", "1").attribute("b", "1");
    let parent = create(&engine, &ann, &parent);
    let child =
        |inherit: &[Facet]| NewRoom::new("c").parent(parent.id().as_str(), inherit.to_vec()).attribute("b", "2");
    let room = create(&engine, &ann, &child(&[Facet::Attributes]));
    assert_eq!((room.mode(), room.trust(), room.parent()), (Mode::Sandbox, Trust::Provisional, Some(parent.id())));
    assert_eq!((room.attribute("a"), room.attribute("b")), (Some("1"), Some("2")));
    assert_eq!(create(&engine, &ann, &child(&[])).attribute("a"), None);
    assert_eq!(code(engine.rooms().create(&bob, &child(&[]))), "not_found");
    assert_eq!(code(engine.rooms().create(&ann, &child(&[]).trust(Trust::Verified).strict(true))), "caps_refused");
    engine.rooms().close(&ann, parent.id(), None).await.unwrap();
    assert_eq!(code(engine.rooms().create(&ann, &child(&[]))), "conflict");
}

#[tokio::test]
async fn every_bound_on_rooms_is_refused_with_busy_and_reported() {
    let (engine, _clock) = room_engine_with(RoomOptions::new(), |config| {
        config.rooms.rooms = 5;
        config.rooms.rooms_per_project = 4;
        config.rooms.open_rooms_per_project = 1;
        config.rooms.rooms_per_user = 3;
        config.rooms.users_per_room = 2;
        config.rooms.admissions_per_user = 1;
    });
    let log = EventLog::of(&engine);
    let rooms = engine.rooms();
    let of = |user: &str, project: &str| in_project(user, user, project);
    let refused = |session: &Session, new: &NewRoom, limit: Limit| {
        let before = log.limit_count(limit);
        assert_eq!(code(rooms.create(session, new)), "busy", "{limit}");
        assert_eq!(log.limit_count(limit), before + 1);
    };
    let open = NewRoom::new("t").access(Access::Project);
    create(&engine, &of("ann", "p"), &open);
    refused(&of("ann", "p"), &open, Limit::OpenRoomsPerProject);
    let [first, second] = [0, 1].map(|_| create(&engine, &of("ann", "p"), &NewRoom::new("t")));
    refused(&of("ann", "p"), &NewRoom::new("t"), Limit::RoomsPerUser);
    create(&engine, &of("bob", "p"), &NewRoom::new("t"));
    refused(&of("bob", "p"), &NewRoom::new("t"), Limit::RoomsPerProject);
    create(&engine, &of("ann", "q"), &open);
    refused(&of("ann", "q"), &NewRoom::new("t"), Limit::Rooms);
    assert_eq!(rooms.stats().rooms, 5);
    let admit =
        |room: &grove_engine::Room, user: &str| code(rooms.admit(&of("ann", "p"), room.id(), user, RoomRole::Member));
    assert_eq!([admit(&first, "x"), admit(&first, "y"), admit(&first, "z")], ["", "", "busy"]);
    assert_eq!((admit(&second, "x"), second.admitted("x")), ("busy".to_owned(), None));
    assert_eq!((log.limit_count(Limit::UsersPerRoom), log.limit_count(Limit::AdmissionsPerUser)), (1, 1));
}

#[tokio::test]
async fn rooms_are_listed_in_order_of_creation_page_by_page() {
    let (engine, _clock) = room_engine();
    let rooms = engine.rooms();
    let [ann, bob] = ["ann", "bob"].map(|user| user_session(user, user));
    let open = |title: &str| NewRoom::new(title).access(Access::Project);
    for at in 0..5 {
        create(&engine, if at == 2 { &bob } else { &ann }, &open(&at.to_string()));
    }
    let titles = |query: RoomQuery| {
        let page = rooms.list(&bob, &query).unwrap();
        (page.rooms.iter().map(|room| room.title().to_owned()).collect::<Vec<_>>().join(""), page.next)
    };
    let (first, next) = titles(RoomQuery { limit: Some(2), ..RoomQuery::default() });
    let (second, end) = titles(RoomQuery { limit: Some(3), after: next, ..RoomQuery::default() });
    assert_eq!((first.as_str(), second.as_str(), end), ("01", "234", None));
    assert_eq!(titles(RoomQuery { owner: Some("bob".into()), ..RoomQuery::default() }).0, "2");
    let third = rooms.list(&bob, &RoomQuery::default()).unwrap().rooms[2].id().clone();
    rooms.close(&bob, &third, None).await.unwrap();
    assert_eq!(titles(RoomQuery { state: Some(RoomState::Ended), ..RoomQuery::default() }).0, "2");
    assert_eq!(code(rooms.list(&bob, &RoomQuery { after: Some("m_x".into()), ..RoomQuery::default() })), "not_found");
}

#[tokio::test]
async fn without_rooms_every_call_says_so() {
    let engine = crate::fixtures::engine();
    let ann = user_session("a", "ann");
    assert_eq!(code(engine.rooms().create(&ann, &NewRoom::new("t"))), "not_supported");
    assert_eq!(code(engine.rooms().get(&ann, "m_1")), "not_supported");
    assert_eq!(code(engine.rooms().complete("m_1").await), "not_supported");
    assert_eq!(engine.rooms().stats().rooms, 0);
}

#[tokio::test]
async fn who_was_revoked_or_has_expired_does_nothing_in_rooms() {
    let (engine, clock) = room_engine();
    let rooms = engine.rooms();
    let ann = user_session("a", "ann");
    let brief = user_session("b", "ann").with_expiry(grove_engine::Clock::wall(&*clock));
    assert_eq!(code(rooms.create(&brief, &NewRoom::new("t"))), "unauthorized");
    engine.revoke(grove_engine::Revocation::user("ann"));
    assert_eq!(code(rooms.create(&ann, &NewRoom::new("t"))), "unauthorized");
}
