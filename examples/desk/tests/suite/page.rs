use std::time::Duration;

use axum::http::StatusCode;
use serde_json::json;

use crate::agent::{at, property};
use crate::browser::Browser;
use crate::running::Running;

#[tokio::test(flavor = "multi_thread")]
async fn two_people_of_different_orgs_see_different_pages() {
    let running = Running::start().await;
    let (_, alice) = running.browser("alice").await.get("/").await;
    let (_, zoe) = running.browser("zoe").await.get("/").await;
    assert!(alice.contains("Acme Parcels") && alice.contains("Winter schedule"));
    assert!(zoe.contains("Globex Lamps") && zoe.contains("Brass lamp"));
    assert!(!alice.contains("Brass lamp") && !zoe.contains("Winter schedule"));
}

#[tokio::test(flavor = "multi_thread")]
async fn typed_text_is_shown_and_never_executed() {
    let running = Running::start().await;
    let alice = running.browser("alice").await;
    let script = "%3Cscript%3Ealert(1)%3C/script%3E%22%27%7B%7Btoken%7D%7D";
    alice.submit("/tasks", &format!("title={script}")).await;
    alice.submit("/board/cards", &format!("column=todo&title={script}")).await;
    alice.submit("/settings/signature", &format!("text=%3C/textarea%3E{script}")).await;
    let (_, page) = alice.get("/").await;
    assert!(!page.contains("<script>alert") && !page.contains("</textarea><script"));
    assert_eq!(page.matches("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;{{token}}").count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_change_in_both_directions() {
    let running = Running::start().await;
    let alice = running.agent("alice").await;
    let browser = running.browser("alice").await;
    let mut events = browser.events().await;

    alice.invoke("/settings", "set_theme", json!({"theme": "dark"})).await.expect("a theme");
    assert_eq!(events.next().await.as_deref(), Some("settings"));
    assert!(browser.get("/").await.1.contains("<html lang=\"en\" data-theme=\"dark\">"));
    browser.submit("/settings/theme", "theme=light").await;
    let light = |tree: &_| *property(at(tree, "/settings").unwrap(), "theme") == json!("light");
    alice.until("the theme in the tree", light).await;
    assert_eq!(browser.post("/settings/theme", "theme=pink").await.0, StatusCode::UNPROCESSABLE_ENTITY);
    alice.mirror_is_exact().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn older_messages_are_on_further_pages() {
    let running = Running::start().await;
    let alice = running.browser("alice").await;
    let (_, first) = alice.get("/sections/inbox").await;
    let (_, second) = alice.get("/sections/inbox?from=25").await;
    assert!(first.contains("id=\"m180\"") && first.contains("id=\"m156\"") && !first.contains("id=\"m155\""));
    assert!(second.contains("id=\"m155\"") && !second.contains("id=\"m156\""));
    assert_eq!(alice.get("/sections/inbox?from=4000000000").await.0, StatusCode::OK);
    assert_eq!(alice.get("/sections/nothing").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_readiness_need_no_login() {
    let running = Running::start().await;
    let nobody = Browser::with_cookie(running.app.clone(), "");
    assert_eq!(nobody.get("/healthz").await.0, StatusCode::OK);
    assert_eq!(nobody.get("/readyz").await.0, StatusCode::OK);
    running.desk.engine().shutdown(Duration::ZERO).await;
    assert_eq!(nobody.get("/healthz").await.0, StatusCode::OK);
    assert_eq!(nobody.get("/readyz").await.0, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_scripts_of_the_page_are_served_here() {
    let running = Running::start().await;
    let alice = running.browser("alice").await;
    let (_, page) = alice.get("/").await;
    for script in ["/page.js", "/tab.js"] {
        assert!(page.contains(&format!("<script src=\"{script}\"")), "{page}");
        assert_eq!(alice.get(script).await.0, StatusCode::OK);
    }
    let (_, tab) = alice.get("/tab.js").await;
    assert!(tab.contains("from \"/slop/tab.js\""), "{tab}");
    assert_eq!(alice.get("/slop/tab.js").await.0, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_streams_of_all_pages_end_on_request() {
    let running = Running::start().await;
    let mut events = [running.browser("alice").await.events().await, running.browser("zoe").await.events().await];
    running.desk.end_page_streams();
    for events in &mut events {
        assert_eq!(events.next().await, None);
    }
}
