//! What the server shows: little, so that much happens in minutes.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use grove_engine::{Action, Descriptor, Engine, Invocation, Item, Scope, Session};

use super::data::Data;
use crate::scenario::secrets::Secrets;

const NOTES: u64 = 60;

/// Makes a note so long that a few hundred trees fill a socket.
const NOTE_TEXT: &str = "This sentence is only here to make each note long enough for a few of them to fill a page.";

/// Registers the application with an engine.
pub(super) fn register(engine: &Engine, data: &Arc<Data>) {
    engine.register("context", |session: &Session| {
        Descriptor::context().prop("secret", Secrets::of_session(session.id())).prop("user", session.user())
    });
    let all = Arc::clone(data);
    engine.register("news", move |_: &Session| Descriptor::status().prop("count", all.all.load(Ordering::SeqCst)));
    let groups = Arc::clone(data);
    engine.register("group", move |session: &Session| {
        let group = session.attribute("group").unwrap_or_default().to_owned();
        let count = groups.of_group(&group).load(Ordering::SeqCst);
        Descriptor::status().prop("group", group).prop("count", count)
    });
    let (users, bump) = (Arc::clone(data), bump(engine, data));
    engine.register("notes", move |session: &Session| {
        let user = session.user().unwrap_or_default();
        notes(user, users.of_user(user).load(Ordering::SeqCst)).action(&bump)
    });
}

/// An action that changes the data of the caller's user.
fn bump(engine: &Engine, data: &Arc<Data>) -> Action {
    let (engine, data) = (engine.clone(), Arc::clone(data));
    Action::new("bump", move |call: Invocation<()>| {
        let user = call.session.user().unwrap_or_default().to_owned();
        data.of_user(&user).fetch_add(1, Ordering::SeqCst);
        engine.refresh(Scope::user(user));
    })
}

/// Notes that are added, changed and removed as the count rises.
fn notes(user: &str, count: u64) -> Descriptor {
    let first = count / 7;
    Descriptor::collection().prop("count", count).items((first..first + NOTES).map(|number| {
        Item::new(format!("note-{number}"))
            .prop("text", format!("{} {number}: {NOTE_TEXT}", Secrets::of_user(user)))
            .prop("read", number * 7 < count + 3)
    }))
}
