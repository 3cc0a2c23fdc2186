//! `/settings`: what the person has set for the own desk.

use grove_engine::{Action, ActionError, Descriptor, Estimate, Invocation, Session};
use schemars::JsonSchema;
use serde::Deserialize;

use super::actor::{actor, user};
use super::source::source;
use crate::desk::Desk;
use crate::error::Result;
use crate::session::WRITE;
use crate::theme::Theme;

/// What can be set.
struct Actions {
    set_signature: Action,
    set_theme: Action,
}

#[derive(Deserialize, JsonSchema)]
struct SetSignature {
    /// What stands under each reply; empty for nothing.
    text: String,
}

#[derive(Deserialize, JsonSchema)]
struct SetTheme {
    theme: Theme,
}

pub(super) fn register(desk: &Desk) {
    let actions = Actions { set_signature: set_signature(desk.clone()), set_theme: set_theme(desk.clone()) };
    let settings = source(desk, move |desk, session| show(desk, session, &actions));
    desk.engine().register_source("settings", settings);
}

fn show(desk: &Desk, session: &Session, actions: &Actions) -> Result<Descriptor> {
    let view = Descriptor::view().prop("label", "Settings").salience(0.2);
    let Some(settings) = desk.store().settings(user(session))? else { return Ok(view) };
    let view = view
        .prop("name", settings.display)
        .prop("signature", settings.signature)
        .prop("theme", settings.theme.as_str());
    Ok(if session.can(WRITE) { view.action(&actions.set_signature).action(&actions.set_theme) } else { view })
}

fn set_signature(desk: Desk) -> Action {
    Action::new("set_signature", move |call: Invocation<SetSignature>| -> Result<(), ActionError> {
        Ok(desk.set_signature(&actor(&desk, &call.session)?, &call.params.text)?)
    })
    .label("Set signature")
    .idempotent(true)
    .estimate(Estimate::Instant)
}

fn set_theme(desk: Desk) -> Action {
    Action::new("set_theme", move |call: Invocation<SetTheme>| -> Result<(), ActionError> {
        Ok(desk.set_theme(&actor(&desk, &call.session)?, call.params.theme)?)
    })
    .label("Set theme")
    .idempotent(true)
    .estimate(Estimate::Instant)
}
