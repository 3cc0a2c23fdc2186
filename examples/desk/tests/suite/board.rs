use serde_json::json;
use slop_ai::SlopNode;

use crate::agent::{at, children, code, property};
use crate::running::Running;

fn has_card(tree: &SlopNode, column: &str, title: &str) -> bool {
    let column = at(tree, &format!("/board/{column}")).expect("a column");
    children(column).iter().any(|card| *property(card, "title") == json!(title))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_on_the_board_reaches_exactly_the_people_of_the_org() {
    let running = Running::start().await;
    let alice = running.agent("alice").await;
    let acme = [running.agent("amir").await, running.agent("bea").await, running.agent("victor").await];
    let globex = [running.agent("zoe").await, running.agent("gus").await];

    running.browser("alice").await.submit("/board/cards", "column=todo&title=New+gate").await;
    alice.until("the card in alice's tree", |tree| has_card(tree, "todo", "New gate")).await;
    for agent in &acme {
        agent.until("the card in a colleague's tree", |tree| has_card(tree, "todo", "New gate")).await;
        agent.mirror_is_exact().await;
    }
    running.browser("zoe").await.submit("/board/cards", "column=model&title=Marker").await;
    for agent in &globex {
        agent.until("the marker", |tree| has_card(tree, "model", "Marker")).await;
        agent.mirror_is_exact().await;
        // One change, and all of it is about the marker: the card, its column's count, the summary of the board.
        let paths = agent.patched_paths();
        let marker = |path: &String| path.starts_with("/board/model/") || path == "/board/meta";
        assert!(paths.len() == 3 && paths.iter().all(marker), "{paths:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_moved_by_an_ai_moves_on_the_pages_of_the_org() {
    let running = Running::start().await;
    let amir = running.agent("amir").await;
    let (bea, zoe) = (running.browser("bea").await, running.browser("zoe").await);
    let (mut seen_by_bea, mut seen_by_zoe) = (bea.events().await, zoe.events().await);

    let added =
        amir.invoke("/board", "add_card", json!({"title": "New gate", "column": "ideas"})).await.expect("a card");
    assert_eq!(seen_by_bea.next().await.as_deref(), Some("board"));
    let moved = json!({"card": added["data"]["id"], "column": "done"});
    amir.invoke("/board", "move_card", moved).await.expect("a move");
    assert_eq!(seen_by_bea.next().await.as_deref(), Some("board"));
    assert!(has_card(&amir.tree().await, "done", "New gate"));
    assert!(!has_card(&amir.tree().await, "ideas", "New gate"));
    assert!(bea.get("/sections/board").await.1.contains("New gate"));

    zoe.submit("/tasks", "title=Marker").await;
    assert_eq!(seen_by_zoe.next().await.as_deref(), Some("tasks"), "zoe hears nothing of the board of acme");
    assert!(!zoe.get("/").await.1.contains("New gate"));
    amir.mirror_is_exact().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_orgs_cards_and_columns_do_not_exist() {
    let running = Running::start().await;
    let zoe = running.agent("zoe").await;
    for params in [
        json!({"card": "c1", "column": "shop"}),
        json!({"card": "c999", "column": "shop"}),
        json!({"card": "t1", "column": "shop"}),
    ] {
        assert_eq!(code(zoe.invoke("/board", "move_card", params).await), "not_found");
    }
    let foreign_column = json!({"title": "x", "column": "todo"});
    assert_eq!(code(zoe.invoke("/board", "add_card", foreign_column).await), "not_found");
    assert_eq!(running.browser("zoe").await.post("/board/cards/c1/move", "column=shop").await.0, 404);
}
