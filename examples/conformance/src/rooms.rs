//! Who may do what in rooms, and what the app shows in each of them.

use std::sync::{Arc, Weak};

use grove_engine::{
    Action, ActionError, Descriptor, Engine, ErrorCode, Invocation, Item, Outcome, Room, RoomOptions, RoomRole, Scope,
    Session, Storage, Trust,
};
use serde_json::{Value, json};

use crate::notes::{NotTaken, Note};
use crate::state::State;
use crate::tokens::is_observer;

/// Rooms with the built-in policies, except that some users only observe the rooms of others; and `/presence`.
pub(crate) fn options(storage: Storage) -> RoomOptions {
    RoomOptions::new().presence().storage(storage).access(|session: &Session, room: &Room| {
        let user = session.user()?;
        let role = room.role_of(user)?;
        let only_observes = is_observer(user) && role != RoomRole::Owner;
        Some(if only_observes { RoomRole::Observer } else { role })
    })
}

/// Takes notes. The app does; it is still being built when its actions are declared.
pub(crate) trait NoteTaker: Send + Sync + 'static {
    /// Performs `note`.
    fn note(&self, call: &Invocation<Value>) -> Result<(), ActionError>;
}

/// Registers what is shown in rooms. Actions hold the app weakly, as the others do.
pub(crate) fn register(engine: &Engine, state: &Arc<State>, app: &Weak<impl NoteTaker>) {
    let note = note_action(app);
    let noted = Arc::clone(state);
    // It reads nothing of the session, so it is evaluated once for all participants. The action is therefore offered to
    // observers as well, who are refused.
    engine.register_room("board", move |room: &Room, _: &Session| {
        let notes = noted.notes.of(room.id());
        let board = Descriptor::collection().prop("notes", notes.len()).action(&note);
        notes.iter().enumerate().fold(board, |board, (at, note)| board.item(item(at + 1, note)))
    });
    let actions = [danger_action(), secure_action()];
    engine.register_room("mine", move |room: &Room, session: &Session| {
        Descriptor::status()
            .prop("user", session.user().unwrap_or_default())
            .prop("role", session.role_in(room).map(RoomRole::as_str))
            .actions(&actions)
    });
}

fn item(number: usize, note: &Note) -> Item {
    Item::new(format!("n{number}")).prop("text", note.text.as_str()).prop("by", note.by.as_str())
}

fn note_action(app: &Weak<impl NoteTaker>) -> Action {
    let app = Weak::clone(app);
    let note = Action::new("note", move |call: Invocation<Value>| {
        let app = app.upgrade().ok_or_else(|| ActionError::internal("the app has ended"))?;
        app.note(&call)
    });
    note.params(json!({"text": "string"}))
}

/// Adds a note to the board of a room and shows it to everyone who is there.
pub(crate) fn take_note(engine: &Engine, state: &State, call: &Invocation<Value>) -> Result<(), ActionError> {
    let room = call.room.as_ref().ok_or_else(|| ActionError::not_found("there is no room"))?;
    let text = call.params.get("text").and_then(Value::as_str);
    let text = text.ok_or_else(|| ActionError::invalid_params("params.text must be a string"))?;
    let by = call.session.user().unwrap_or_default();
    state.notes.add(room, Note { text: text.to_owned(), by: by.to_owned() }).map_err(|not| match not {
        NotTaken::Full => ActionError::new(ErrorCode::Busy, "the board is full"),
        NotTaken::Ended => ActionError::conflict("the room has ended"),
    })?;
    engine.refresh(Scope::room(room.id().clone()).paths([format!("rooms/{}/board", room.id())]));
    Ok(())
}

fn danger_action() -> Action {
    Action::new("danger", |_: Invocation<()>| Outcome::data(json!({"done": true}))).dangerous(true)
}

fn secure_action() -> Action {
    let secure = Action::new("secure", |_: Invocation<()>| Outcome::data(json!({"secure": true})));
    secure.requires_trust(Trust::Verified)
}
