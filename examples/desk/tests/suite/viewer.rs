use serde_json::json;
use slop_ai::SlopNode;

use crate::agent::{actions, at, children, code, property};
use crate::running::Running;

fn expect_no_actions(node: &SlopNode) {
    assert_eq!(actions(node), Vec::<&str>::new(), "on {}", node.id);
    children(node).iter().for_each(expect_no_actions);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_sees_a_whole_desk_without_actions() {
    let running = Running::start().await;
    let victor = running.agent("victor").await;
    let tree = victor.tree().await;
    // Rooms may be created and joined by everybody; what a viewer may do in one is tested there.
    children(&tree).iter().filter(|node| node.id != "rooms").for_each(expect_no_actions);
    assert_eq!(children(at(&tree, "/inbox").expect("an inbox")).len(), 25);
    assert_eq!(property(at(&tree, "/context").expect("a context"), "permissions"), &json!([]));
    for (path, action) in [("/tasks", "add"), ("/tasks", "export"), ("/board", "add_card"), ("/settings", "set_theme")]
    {
        let refused = code(victor.invoke(path, action, json!({"title": "x", "column": "todo", "theme": "dark"})).await);
        assert!(["not_found", "unauthorized"].contains(&refused.as_str()), "{action}: {refused}");
    }
    victor.mirror_is_exact().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewers_page_has_no_forms_and_refuses_their_requests() {
    let running = Running::start().await;
    let victor = running.browser("victor").await;
    for section in ["tasks", "inbox", "board", "settings"] {
        let (status, html) = victor.get(&format!("/sections/{section}")).await;
        assert!(status.is_success() && !html.contains("<form"), "{section}");
    }
    let writes = [
        ("/tasks", "title=x"),
        ("/tasks/t1/toggle", ""),
        ("/inbox/m1/archive", ""),
        ("/inbox/m1/reply", "text=x"),
        ("/board/cards", "column=todo&title=x"),
        ("/board/cards/c1/move", "column=done"),
        ("/settings/signature", "text=x"),
        ("/settings/theme", "theme=dark"),
    ];
    for (path, form) in writes {
        assert_eq!(victor.post(path, form).await.0, 403, "{path}");
    }
}
