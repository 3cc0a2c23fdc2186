//! The nodes of one session, and every way to change them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::LazyLock;

use grove_engine::{ActionError, ContentRef};
use serde_json::{Map, Value, json};

use crate::node::{Node, Offer};
use crate::seed;
use crate::tokens::user_of;

/// The registered path that comes and goes with `late`.
pub(crate) const LATE: &str = "deep/a";

/// Registered paths whose nodes are computed, and so belong to no session.
const COMPUTED: [&str; 4] = ["board", "me", "org", "stamp"];

/// The result of a change: nothing, or why it failed.
pub(crate) type ChangeResult = Result<(), ActionError>;

/// Nodes by registered path.
type Nodes = BTreeMap<&'static str, Node>;

/// The initial nodes of every session. They are stored once: most sessions never change most of them.
static SEED: LazyLock<Nodes> = LazyLock::new(|| seed::session_nodes(false).into());

/// The same for read-only users.
static READ_ONLY_SEED: LazyLock<Nodes> = LazyLock::new(|| seed::session_nodes(true).into());

/// One session's nodes.
#[derive(Debug)]
pub(crate) struct Own {
    /// The nodes that differ from the initial ones.
    changed: Nodes,
    /// Registered paths that are not registered for this session now.
    pub(crate) gone: BTreeSet<String>,
    read_only: bool,
    next_todo: u64,
    next_grown: u64,
}

/// What is registered for one session alone.
#[derive(Debug)]
pub(crate) struct Registrations {
    gone: BTreeSet<String>,
    is_late: bool,
}

impl Registrations {
    /// The paths that are registered otherwise than before.
    pub(crate) fn changed_since(&self, before: &Self) -> BTreeSet<String> {
        let late = (self.is_late != before.is_late).then(|| LATE.to_owned());
        self.gone.symmetric_difference(&before.gone).cloned().chain(late).collect()
    }
}

impl Own {
    /// The initial nodes of a session.
    pub(crate) fn new(session: &str) -> Self {
        let read_only = user_of(session).starts_with("ro");
        Self { changed: Nodes::new(), gone: BTreeSet::new(), read_only, next_todo: 3, next_grown: 1 }
    }

    /// The node that is registered under exactly this path.
    pub(crate) fn registered(&self, path: &str) -> Option<&Node> {
        self.changed.get(path).or_else(|| self.seed().get(path))
    }

    fn seed(&self) -> &'static Nodes {
        if self.read_only { &READ_ONLY_SEED } else { &SEED }
    }

    /// The node that is registered under exactly this path, to be changed.
    fn change(&mut self, path: &str) -> Option<&mut Node> {
        if let Some((path, seed)) = self.seed().get_key_value(path) {
            return Some(self.changed.entry(path).or_insert_with(|| seed.clone()));
        }
        self.changed.get_mut(path)
    }

    /// A node by its path from the root, to be changed.
    fn node(&mut self, path: &str) -> Result<&mut Node, ActionError> {
        let ids: Vec<&str> = path.split('/').filter(|id| !id.is_empty()).collect();
        if ids.first().is_some_and(|first| COMPUTED.contains(first)) {
            return Err(ActionError::conflict(format!("`{path}` is computed, it cannot be changed for one session")));
        }
        let missing = || ActionError::not_found(format!("there is no node `{path}`"));
        let registered = |length: &usize| self.registered(&ids[..*length].join("/")).is_some();
        let length = (1..=ids.len()).rev().find(registered).ok_or_else(missing)?;
        let node = self.change(&ids[..length].join("/")).ok_or_else(missing)?;
        node.below(ids[length..].iter().copied()).ok_or_else(missing)
    }

    pub(crate) fn set(&mut self, node: &str, key: &str, value: Value) -> ChangeResult {
        self.node(node)?.set(key, value);
        Ok(())
    }

    pub(crate) fn unset(&mut self, node: &str, key: &str) -> ChangeResult {
        self.node(node)?.unset(key);
        Ok(())
    }

    pub(crate) fn set_meta(&mut self, node: &str, meta: Map<String, Value>) -> ChangeResult {
        self.node(node)?.meta = meta;
        Ok(())
    }

    pub(crate) fn set_kind(&mut self, node: &str, kind: &str) -> ChangeResult {
        if kind.is_empty() {
            return Err(ActionError::invalid_params("params.type must not be empty"));
        }
        kind.clone_into(&mut self.node(node)?.kind);
        Ok(())
    }

    pub(crate) fn set_content(&mut self, node: &str, content: Option<ContentRef>) -> ChangeResult {
        self.node(node)?.content = content;
        Ok(())
    }

    /// Offers these actions and no others, each once.
    pub(crate) fn set_offers(&mut self, node: &str, names: Vec<String>) -> ChangeResult {
        if let Some(bad) = names.iter().find(|name| name.is_empty() || name.len() > 512 || name.contains(['/', '~'])) {
            return Err(ActionError::invalid_params(format!("`{bad}` cannot be the name of an action")));
        }
        let mut seen = HashSet::new();
        let names = names.into_iter().filter(|name| seen.insert(name.clone()));
        self.node(node)?.offers = names.map(Offer::Plain).collect();
        Ok(())
    }

    /// Puts a node at [`LATE`], or takes it away. Its path is registered again if it was not.
    pub(crate) fn set_late(&mut self, on: bool) {
        self.gone.remove(LATE);
        if on && !self.is_late() {
            self.changed.insert(LATE, seed::late());
        } else if !on {
            self.changed.remove(LATE);
        }
    }

    /// What is to be registered for this session alone.
    pub(crate) fn registrations(&self) -> Registrations {
        Registrations { gone: self.gone.clone(), is_late: self.is_late() }
    }

    pub(crate) fn is_late(&self) -> bool {
        self.changed.contains_key(LATE)
    }
}

/// The list of todos.
impl Own {
    fn todos(&mut self) -> &mut Node {
        self.change("todos").expect("every session has the list")
    }

    fn todo(&mut self, id: &str) -> Result<usize, ActionError> {
        self.todos().position(id).ok_or_else(|| ActionError::not_found(format!("there is no todo `{id}`")))
    }

    fn change_count(&mut self, by: i64) {
        let todos = self.todos();
        if let Some(count) = todos.get("count").and_then(Value::as_i64) {
            todos.set("count", count.saturating_add(by).max(0).into());
        }
    }

    /// An id that no todo has, with the next free number.
    fn free_id(todos: &Node, letter: char, next: &mut u64) -> String {
        loop {
            let id = format!("{letter}{next}");
            *next += 1;
            if todos.position(&id).is_none() {
                return id;
            }
        }
    }

    /// Appends a todo. Returns its id.
    pub(crate) fn add_todo(&mut self, title: &str) -> String {
        let mut next = self.next_todo;
        let read_only = self.read_only;
        let todos = self.todos();
        let id = Self::free_id(todos, 't', &mut next);
        todos.children.push(seed::todo(&id, title, false, read_only));
        self.next_todo = next;
        self.change_count(1);
        id
    }

    pub(crate) fn toggle_todo(&mut self, id: &str) -> ChangeResult {
        let at = self.todo(id)?;
        let todo = &mut self.todos().children[at];
        let done = todo.get("done") == Some(&Value::Bool(true));
        todo.set("done", (!done).into());
        Ok(())
    }

    pub(crate) fn delete_todo(&mut self, id: &str) -> ChangeResult {
        self.remove(id)?;
        self.change_count(-1);
        Ok(())
    }

    pub(crate) fn clear_todos(&mut self) {
        let todos = self.todos();
        todos.children.clear();
        if todos.get("count").is_some() {
            todos.set("count", 0.into());
        }
    }

    /// Inserts a bare item; beyond the end it comes last.
    pub(crate) fn insert(&mut self, id: &str, index: u64) -> ChangeResult {
        grove_engine::check_id(id).map_err(|why| ActionError::invalid_params(why.to_string()))?;
        let todos = self.todos();
        if todos.position(id).is_some() {
            return Err(ActionError::conflict(format!("there is a todo `{id}` already")));
        }
        let at = usize::try_from(index).unwrap_or(usize::MAX).min(todos.children.len());
        todos.children.insert(at, Node::item(id).prop("title", id));
        Ok(())
    }

    pub(crate) fn remove(&mut self, id: &str) -> ChangeResult {
        let at = self.todo(id)?;
        self.todos().children.remove(at);
        Ok(())
    }

    /// Puts the items into this order; those that it does not name come behind, in the order they had.
    pub(crate) fn order(&mut self, ids: &[String]) -> ChangeResult {
        let wanted: HashMap<&str, usize> = ids.iter().enumerate().map(|(at, id)| (id.as_str(), at)).collect();
        if wanted.len() < ids.len() {
            return Err(ActionError::invalid_params("params.ids must not name an item twice"));
        }
        let todos = self.todos();
        if let Some(unknown) = ids.iter().find(|id| todos.position(id).is_none()) {
            return Err(ActionError::not_found(format!("there is no todo `{unknown}`")));
        }
        todos.children.sort_by_key(|item| wanted.get(item.id.as_str()).copied().unwrap_or(usize::MAX));
        Ok(())
    }

    /// One of the changes that `burst` makes.
    pub(crate) fn burst(&mut self, at: u64) -> ChangeResult {
        self.set("/todos/t1", "title", format!("burst-{at}").into())
    }

    /// Adds items of about 300 bytes.
    pub(crate) fn grow(&mut self, count: u64) {
        let mut next = self.next_grown;
        let todos = self.todos();
        for _ in 0..count {
            let id = Self::free_id(todos, 'g', &mut next);
            let item = Node::item(&id).prop("title", id).prop("text", "0123456789".repeat(24));
            todos.children.push(item);
        }
        self.next_grown = next;
    }

    /// Puts things into the tree that must never reach the wire.
    pub(crate) fn spoil(&mut self) -> ChangeResult {
        let at = self.todo("t1")?;
        let todos = self.todos();
        let todo = &mut todos.children[at];
        todo.meta = Map::from_iter([("urgency".to_owned(), json!("soon"))]);
        todo.offers.iter_mut().filter(|offer| **offer == Offer::Toggle).for_each(|offer| *offer = Offer::ToggleSomeday);
        if todos.position("meta").is_none() {
            todos.children.extend(["meta", "a~b", "", "t2"].map(|id| Node::item(id).prop("title", "bad")));
        }
        Ok(())
    }
}
