//! `/context`: for whom this tree is.

use grove_engine::{Descriptor, Session};

use super::actor::user;
use crate::desk::Desk;

pub(super) fn register(desk: &Desk) {
    desk.engine().register("context", show);
}

fn show(session: &Session) -> Descriptor {
    let role = session.attribute("role").unwrap_or_default();
    let display = session.attribute("display").unwrap_or_default();
    let org = session.attribute("org").unwrap_or_default();
    Descriptor::new("context")
        .prop("user", user(session))
        .prop("name", display)
        .prop("org", org)
        .prop("role", role)
        .prop("permissions", session.permissions())
        .summary(format!("{display} of {org}, {role}"))
        .pinned(true)
}
