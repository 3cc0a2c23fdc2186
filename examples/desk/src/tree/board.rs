//! The board that an org shares: `/board`, and the same in the org's room, `/rooms/{id}/board`. Of the session the one
//! reads the org and whether the reader may write, the other only the role in the room.

use std::sync::Arc;

use grove_engine::{
    Action, ActionError, Descriptor, Estimate, Invocation, Item, Outcome, Room, RoomRole, RoomSource, Session,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::actor::{actor, id};
use super::source::source;
use crate::desk::Desk;
use crate::error::Result;
use crate::session::WRITE;
use crate::store::{Card, Column};

/// What can be done on a board.
struct Actions {
    add_card: Action,
    move_card: Action,
}

#[derive(Deserialize, JsonSchema)]
struct AddCard {
    /// What the card says, on one line.
    title: String,
    /// The id of a column of the board, like the ids of its children.
    column: String,
}

#[derive(Deserialize, JsonSchema)]
struct MoveCard {
    /// The id of the card, like c12.
    card: String,
    /// The id of the column it goes to.
    column: String,
}

pub(super) fn register(desk: &Desk) {
    let actions = Arc::new(Actions { add_card: add_card(desk.clone()), move_card: move_card(desk.clone()) });
    let for_room = (desk.clone(), Arc::clone(&actions));
    let board = source(desk, move |desk, session| {
        let org = session.attribute("org").unwrap_or_default();
        show(desk, org, session.can(WRITE).then_some(&*actions))
    });
    desk.engine().register_source("board", board);
    let board = RoomSource::new(move |room: &Room, session: &Session| {
        let (desk, actions) = &for_room;
        let dispatches = session.role_in(room) != Some(RoomRole::Observer);
        show(desk, room.project(), dispatches.then_some(&**actions))
    });
    desk.engine().register_room_source("board", board);
}

/// The board of an org, with what its reader can do there.
fn show(desk: &Desk, org: &str, actions: Option<&Actions>) -> Result<Descriptor> {
    let columns = desk.store().board(org)?;
    let cards: usize = columns.iter().map(|column| column.cards.len()).sum();
    let board = Descriptor::collection()
        .prop("label", "Board")
        .prop("org", org)
        .summary(format!("{cards} cards in {} columns", columns.len()))
        .salience(0.5);
    let board = match actions {
        Some(Actions { add_card, move_card }) => board.action(add_card).action(move_card),
        None => board,
    };
    Ok(columns.iter().fold(board, |board, column| board.child(column.id.as_str(), show_column(column))))
}

fn show_column(column: &Column) -> Descriptor {
    Descriptor::collection()
        .prop("label", column.label.as_str())
        .prop("count", column.cards.len())
        .items(column.cards.iter().map(item))
}

fn item(card: &Card) -> Item {
    Item::new(card.id.to_string()).prop("title", card.title.as_str()).prop("author", card.author.as_str())
}

fn add_card(desk: Desk) -> Action {
    Action::new("add_card", move |call: Invocation<AddCard>| -> Result<Outcome, ActionError> {
        let person = actor(&desk, &call.session)?;
        let card = desk.add_card(&call.session, &person, &call.params.column, &call.params.title)?;
        Ok(Outcome::data(json!({ "id": card.to_string() })))
    })
    .label("Add card")
    .estimate(Estimate::Instant)
}

fn move_card(desk: Desk) -> Action {
    Action::new("move_card", move |call: Invocation<MoveCard>| -> Result<(), ActionError> {
        let person = actor(&desk, &call.session)?;
        Ok(desk.move_card(&call.session, &person, id("card", &call.params.card)?, &call.params.column)?)
    })
    .label("Move card")
    .description("The card becomes the last of the column.")
    .estimate(Estimate::Instant)
}
