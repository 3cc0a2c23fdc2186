use axum::body::Body;
use axum::http::header::{COOKIE, HOST, ORIGIN, SET_COOKIE};
use axum::http::{HeaderValue, Method, Request, StatusCode};
use desk::SignIn;
use serde_json::json;
use slop_ai::{ClientTransport, SlopNode, WsClientTransport};

use crate::agent::{Agent, at, children, property};
use crate::browser::{Browser, read, shown_token};
use crate::running::{Running, within_deadline};

#[tokio::test(flavor = "multi_thread")]
async fn without_a_login_there_is_no_access() {
    let running = Running::start().await;
    let stranger = Browser::with_cookie(running.app.clone(), "session=made-up");
    assert_eq!(stranger.get("/").await.0, StatusCode::SEE_OTHER);
    for path in ["/sections/tasks", "/events", "/exports/e1"] {
        assert_eq!(stranger.get(path).await.0, StatusCode::UNAUTHORIZED, "{path}");
    }
    assert_eq!(stranger.post("/tasks", "title=x").await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(stranger.post("/login", "person=nobody").await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(stranger.post("/login", "token=made-up").await.0, StatusCode::UNAUTHORIZED);
    for (query, headers) in [("", ""), ("?token=made-up", ""), ("", "Cookie: session=made-up\r\n")] {
        assert_eq!(running.upgrade(query, headers).await, 401, "{query} {headers}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_gives_access_in_the_query_as_bearer_and_in_the_cookie() {
    let running = Running::start().await;
    let token = running.token("alice");
    let Browser { cookie, .. } = Browser::log_in(running.app.clone(), &format!("token={token}")).await;
    assert_eq!(running.upgrade(&format!("?token={token}"), "").await, 101);
    assert_eq!(running.upgrade("", &format!("Authorization: Bearer {token}\r\n")).await, 101);
    assert_eq!(running.upgrade("", &format!("Cookie: {cookie}\r\n")).await, 101);
    assert_eq!(running.upgrade("", &format!("Cookie: session={token}\r\n")).await, 101);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_that_is_not_utf8_does_not_hide_the_login() {
    let running = Running::start().await;
    let alice = running.browser("alice").await;
    let cookie = [b"theme=caf\xe9; ", alice.cookie.as_bytes()].concat();
    let mut request = Request::get("/sections/tasks").body(Body::empty()).expect("a request");
    request.headers_mut().insert(COOKIE, HeaderValue::from_bytes(&cookie).expect("a header value"));
    assert_eq!(alice.send(request).await.status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_ends_this_browsers_login_and_no_other() {
    let running = Running::start().await;
    let (here, there) = (running.browser("alice").await, running.browser("alice").await);
    let mut events = here.events().await;
    assert_ne!(here.cookie, there.cookie);

    let (status, _) = here.post("/logout", "").await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    assert_eq!(events.next().await, None);
    assert_eq!(here.get("/").await.0, StatusCode::SEE_OTHER);
    assert_eq!(running.upgrade("", &format!("Cookie: {}\r\n", here.cookie)).await, 401);
    assert_eq!(there.get("/").await.0, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_ends_the_connections_of_its_cookie_and_no_other() {
    let running = Running::start().await;
    let (here, there) = (running.browser("alice").await, running.browser("alice").await);
    let url = |browser: &Browser| running.url_with(browser.cookie.strip_prefix("session=").expect("a token"));
    let (_sender, mut ended) = WsClientTransport::new(&url(&here)).connect().await.expect("a connection");
    let (other, by_token) = (Agent::connect(&url(&there)).await, running.agent("alice").await);

    here.submit("/logout", "").await;
    within_deadline("the end of the connection", async { while ended.recv().await.is_some() {} }).await;
    assert!(WsClientTransport::new(&url(&here)).connect().await.is_err());
    // Both others are still served, and still live.
    there.submit("/tasks", "title=Marker").await;
    for agent in [other, by_token] {
        let marked = |tree: &SlopNode| {
            children(at(tree, "/tasks").unwrap()).iter().any(|task| *property(task, "title") == json!("Marker"))
        };
        agent.until("the marker", marked).await;
        agent.mirror_is_exact().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_can_renew_after_its_page_extended_the_login_until_the_logout() {
    let running = Running::start().await;
    let here = running.browser("alice").await;
    let token = here.agent_token().await;
    let renew = format!("/slop/renew?token={token}");
    assert_eq!(here.post(&renew, "").await.0, StatusCode::CONFLICT, "nothing is connected yet");
    let agent = Agent::connect(&running.url_with(&token)).await;
    let (status, answer) = here.post(&renew, "").await;
    assert_eq!(status, StatusCode::OK);
    let answer: serde_json::Value = serde_json::from_str(&answer).expect("JSON");
    assert!(answer["expires_in_ms"].as_u64() > Some(29 * 24 * 3_600_000), "{answer}");
    agent.mirror_is_exact().await;
    here.submit("/logout", "").await;
    assert_eq!(here.post(&renew, "").await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cookie_is_hidden_from_scripts_and_other_sites() {
    let running = Running::start().await;
    let nobody = Browser::with_cookie(running.app.clone(), "");
    let answer = nobody.send(nobody.form("/login", "person=alice")).await;
    let cookie = answer.headers()[SET_COOKIE].to_str().expect("a cookie");
    for part in ["HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_site_cannot_write_with_the_cookie() {
    let running = Running::start().await;
    let alice = running.browser("alice").await;
    let mut forged = alice.form("/tasks", "title=Forged");
    forged.headers_mut().insert(ORIGIN, HeaderValue::from_static("http://evil.example"));
    assert_eq!(alice.send(forged).await.status(), StatusCode::FORBIDDEN);
    assert!(!alice.get("/").await.1.contains("Forged"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_suffices_only_on_this_machine() {
    let running = Running::start().await;
    let nobody = Browser::with_cookie(running.app.clone(), "");
    let mut rebound = nobody.form("/login", "person=alice");
    rebound.headers_mut().insert(HOST, HeaderValue::from_static("evil.example"));
    assert_eq!(nobody.send(rebound).await.status(), StatusCode::UNAUTHORIZED);

    let public = Running::start_with(SignIn::ByToken).await;
    let nobody = Browser::with_cookie(public.app.clone(), "");
    assert_eq!(nobody.post("/login", "person=alice").await.0, StatusCode::UNAUTHORIZED);
    assert!(!nobody.get("/login").await.1.contains("alice"));
    let token = public.token("alice");
    let alice = Browser::log_in(public.app.clone(), &format!("token={token}")).await;
    assert_eq!(alice.agent_token().await, "TOKEN", "a page that others might see shows no token");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_shows_a_token_for_the_tree_of_its_own_login_and_nothing_else() {
    let running = Running::start().await;
    let (here, there) = (running.browser("alice").await, running.browser("alice").await);
    let token = here.agent_token().await;
    assert_eq!(here.agent_token().await, token, "a page shown again shows the same");
    assert_ne!(there.agent_token().await, token, "another login has another");
    assert!(!here.cookie.contains(&token) && running.token("alice") != token);
    assert_eq!(running.upgrade(&format!("?token={token}"), "").await, 101);
    assert_eq!(running.upgrade("", &format!("Authorization: Bearer {token}\r\n")).await, 101);

    let with_token = Browser::with_cookie(running.app.clone(), &format!("session={token}"));
    assert_eq!(with_token.get("/").await.0, StatusCode::SEE_OTHER);
    assert_eq!(with_token.get("/sections/tasks").await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(with_token.post("/tasks", "title=x").await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(with_token.post("/login", &format!("token={token}")).await.0, StatusCode::UNAUTHORIZED);

    let mut rebound = here.form("/", "");
    *rebound.method_mut() = Method::GET;
    rebound.headers_mut().insert(HOST, HeaderValue::from_static("evil.example"));
    let (_, page) = read(here.send(rebound).await).await;
    assert_eq!(shown_token(&page), "TOKEN", "a page of another name shows no token");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_and_its_agent_share_a_session_which_ends_with_the_logout() {
    let running = Running::start().await;
    let (here, there) = (running.browser("alice").await, running.browser("alice").await);
    let (own, other) = (here.agent_token().await, there.agent_token().await);
    let tab =
        format!("{}&slop_role=provider&mount=ui", running.url_with(here.cookie.strip_prefix("session=").unwrap()));
    let (sender, mut heard) = WsClientTransport::new(&tab).connect().await.expect("a tab");
    sender.send(json!({"type": "hello", "provider": {"id": "page", "name": "Page"}})).expect("a hello");
    let page = json!({"id": "page", "type": "root", "children": [{"id": "route", "type": "status"}]});
    within_deadline("the question for the tab's tree", async {
        while let Some(message) = heard.recv().await {
            if message["type"] == "subscribe" {
                let snapshot =
                    json!({"type": "snapshot", "id": message["id"], "version": 1, "seq": 0, "tree": page.clone()});
                return sender.send(snapshot).expect("a snapshot");
            }
        }
        panic!("the tab was not asked for its tree");
    })
    .await;

    let agent = Agent::connect(&running.url_with(&own)).await;
    agent.until("the tab", |tree| at(tree, "/ui/tab-1/route").is_some()).await;
    for url in [running.url_with(&other), running.url("alice"), running.url("amir")] {
        assert!(at(&Agent::connect(&url).await.tree().await, "/ui").is_none(), "a tab is of its own session only");
    }

    let (_sender, mut ended) = WsClientTransport::new(&running.url_with(&own)).connect().await.expect("a connection");
    here.submit("/logout", "").await;
    within_deadline("the end of the agent", async { while ended.recv().await.is_some() {} }).await;
    within_deadline("the end of the tab", async { while heard.recv().await.is_some() {} }).await;
    assert_eq!(running.upgrade(&format!("?token={own}"), "").await, 401);
    assert_eq!(running.upgrade(&format!("?token={other}"), "").await, 101);
}
