//! Changes to the board of a person's org. Those who are at the board are told of each, in the name of whoever made it.

use grove_engine::{Message, Session};
use serde_json::json;

use super::{Desk, may_write, text};
use crate::board_room;
use crate::change::Change;
use crate::error::{DeskError, Result};
use crate::id::CardId;
use crate::people::Person;

impl Desk {
    /// `session` is that of the person or of their AI.
    pub(crate) fn add_card(&self, session: &Session, person: &Person, column: &str, title: &str) -> Result<CardId> {
        may_write(person)?;
        let title = text::line("A title", title)?;
        let label = self.column_label(person, column)?;
        let card = self.store().add_card(&person.org, column, &title, &person.name)?;
        self.board_changed(person);
        self.tell(session, person, format!("added “{title}” to {label}"), (card, column));
        Ok(card)
    }

    /// Puts a card last in a column.
    pub(crate) fn move_card(&self, session: &Session, person: &Person, card: CardId, column: &str) -> Result<()> {
        may_write(person)?;
        let label = self.column_label(person, column)?;
        let Some(title) = self.store().move_card(&person.org, card, column)? else {
            return Err(DeskError::NotFound(format!("There is no card {card} on your org's board.")));
        };
        self.board_changed(person);
        self.tell(session, person, format!("moved “{title}” to {label}"), (card, column));
        Ok(())
    }

    fn column_label(&self, person: &Person, column: &str) -> Result<String> {
        let label = self.store().column_label(&person.org, column)?;
        label.ok_or_else(|| DeskError::NotFound(format!("There is no column {column:?} on your org's board.")))
    }

    fn board_changed(&self, person: &Person) {
        self.announce(Change::Board { org: person.org.clone() });
    }

    /// The change is made and shown in any case: that it cannot be told is no failure of it.
    fn tell(&self, session: &Session, person: &Person, text: String, (card, column): (CardId, &str)) {
        let data = json!({"card": card.to_string(), "column": column});
        let message = Message { text: Some(text), ..Message::data(data) };
        if let Err(refusal) = self.engine().rooms().say(session, &board_room::id(&person.org), &message) {
            tracing::warn!(%refusal, "a change of the board was not told");
        }
    }
}
