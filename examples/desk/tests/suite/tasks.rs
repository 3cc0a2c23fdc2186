use serde_json::json;
use slop_ai::{SlopNode, Urgency};

use crate::agent::{actions, at, children, code, property, summary, window};
use crate::running::Running;

fn first_task(tree: &SlopNode) -> String {
    children(at(tree, "/tasks").expect("tasks"))[0].id.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_ticked_on_the_page_arrives_in_that_persons_tree_and_in_no_other() {
    let running = Running::start().await;
    let alice = running.agent("alice").await;
    let others = [running.agent("amir").await, running.agent("zoe").await, running.agent("victor").await];
    let id = first_task(&alice.tree().await);
    let path = format!("/tasks/{id}");

    running.browser("alice").await.submit(&format!("{path}/toggle"), "").await;
    alice.until("the tick in alice's tree", |tree| *property(at(tree, &path).unwrap(), "done") == json!(true)).await;

    // Whatever the others were sent arrives before what they are sent now.
    for (name, other) in ["amir", "zoe"].into_iter().zip(&others) {
        let own = format!("/tasks/{}", first_task(&other.tree().await));
        assert_ne!(own, path);
        running.browser(name).await.submit(&format!("{own}/rename"), "title=Marker").await;
        other.until("the marker", |tree| *property(at(tree, &own).unwrap(), "title") == json!("Marker")).await;
        for patched in other.patched_paths() {
            assert!(patched.starts_with(&own), "{name} was sent {patched}");
        }
    }
    others[2].mirror_is_exact().await;
    assert_eq!(others[2].patched_paths(), Vec::<String>::new());
    alice.mirror_is_exact().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_ai_changes_appears_on_the_page() {
    let running = Running::start().await;
    let alice = running.agent("alice").await;
    let browser = running.browser("alice").await;
    let mut events = browser.events().await;

    let added = alice.invoke("/tasks", "add", json!({"title": "Buy <milk>"})).await.expect("a task");
    assert_eq!(events.next().await.as_deref(), Some("tasks"));
    let id = added["data"]["id"].as_str().expect("an id");
    let (_, section) = browser.get("/sections/tasks").await;
    assert!(section.contains("Buy &lt;milk&gt;"), "{section}");
    let tree = alice.tree().await;
    assert_eq!(property(at(&tree, &format!("/tasks/{id}")).expect("the new task"), "title"), &json!("Buy <milk>"));

    alice.invoke(&format!("/tasks/{id}"), "rename", json!({"title": "Buy oats"})).await.expect("a rename");
    assert_eq!(events.next().await.as_deref(), Some("tasks"));
    alice.invoke(&format!("/tasks/{id}"), "toggle", json!({})).await.expect("a tick");
    let (_, page) = browser.get("/").await;
    assert!(page.contains(&format!("<li class=\"task done\" id=\"{id}\">")), "{page}");
    alice.invoke(&format!("/tasks/{id}"), "delete", json!({})).await.expect("a deletion");
    let (_, page) = browser.get("/").await;
    assert!(!page.contains("Buy oats"));
    alice.mirror_is_exact().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn overdue_tasks_come_first_and_say_so() {
    let running = Running::start().await;
    let tree = running.agent("alice").await.tree().await;
    let tasks = at(&tree, "/tasks").expect("tasks");
    assert_eq!(summary(tasks), "11 open, 2 overdue, 2 due today");
    assert_eq!(actions(tasks), ["add", "export"]);

    let items = children(tasks);
    let meta = items[0].meta.as_ref().expect("meta");
    assert_eq!(meta.urgency, Some(Urgency::High));
    assert_eq!(meta.reason.as_deref(), Some("overdue by 3 days"));
    let open = items.iter().filter(|item| *property(item, "done") == json!(false));
    let salience: Vec<f64> = open.map(|item| item.meta.as_ref().and_then(|meta| meta.salience).unwrap()).collect();
    assert!(salience[0] > salience[2] && salience[2] > salience[6], "{salience:?}");
    assert!(items[0].affordances.iter().flatten().any(|action| action.action == "delete" && action.dangerous));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_persons_task_does_not_exist() {
    let running = Running::start().await;
    let amir = running.agent("amir").await;
    let foreign = first_task(&running.agent("alice").await.tree().await);

    assert_eq!(code(amir.invoke(&format!("/tasks/{foreign}"), "toggle", json!({})).await), "not_found");
    let browser = running.browser("amir").await;
    for action in ["toggle", "delete"] {
        assert_eq!(browser.post(&format!("/tasks/{foreign}/{action}"), "").await.0, 404);
    }
    assert_eq!(browser.post(&format!("/tasks/{foreign}/rename"), "title=Mine").await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_input_is_refused_with_a_sentence() {
    let running = Running::start().await;
    let alice = running.agent("alice").await;
    for params in [json!({}), json!({"title": " "}), json!({"title": "x", "due": "tomorrow"}), json!({"title": 5})] {
        assert_eq!(code(alice.invoke("/tasks", "add", params).await), "invalid_params");
    }
    let browser = running.browser("alice").await;
    let (status, sentence) = browser.post("/tasks", "title=x&due=2026-02-30").await;
    assert_eq!((status.as_u16(), sentence.as_str()), (422, "\"2026-02-30\" is not a day like 2026-03-09."));
    browser.submit("/tasks", "title=x&due=").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_list_counts_the_persons_tasks_and_not_the_engines_window() {
    let running = Running::start().await;
    let alice = running.agent("alice").await;
    for number in 0..46 {
        alice.invoke("/tasks", "add", json!({"title": format!("Step {number}")})).await.expect("a task");
    }
    let answer = alice.invoke("/tasks", "export", json!({})).await.expect("an answer");
    let work = answer["data"]["taskId"].as_str().expect("a task id");
    let path = format!("/tasks/{work}");
    let tree = alice.until("the export", |tree| at(tree, &path).is_some()).await;

    let tasks = at(&tree, "/tasks").expect("tasks");
    let meta = tasks.meta.as_ref().expect("meta");
    assert_eq!((property(tasks, "count"), meta.total_children, meta.window), (&json!(60), Some(60), Some((0, 50))));
    assert_eq!((children(tasks).len(), children(tasks)[50].id.as_str()), (51, work));

    let slice = window(&running.url("alice"), "/tasks", 50, 10).await;
    assert_eq!((&slice["meta"]["total_children"], &slice["meta"]["window"]), (&json!(60), &json!([50, 10])));
    let beyond = slice["children"].as_array().expect("the others");
    assert!(beyond.len() == 10 && beyond.iter().all(|task| !task["id"].as_str().unwrap().contains('-')), "{slice}");
    let last = format!("/tasks/{}", beyond[9]["id"].as_str().expect("an id"));
    alice.invoke(&last, "delete", json!({})).await.expect("a deletion of what the tree does not hold");
    assert_eq!(code(alice.invoke(&last, "delete", json!({})).await), "not_found");
    assert_eq!(property(at(&alice.tree().await, "/tasks").unwrap(), "count"), &json!(59));
    alice.mirror_is_exact().await;
}
