//! Changes to the board of a person's org.

use super::{Desk, may_write, text};
use crate::change::Change;
use crate::error::{DeskError, Result};
use crate::id::CardId;
use crate::people::Person;

impl Desk {
    pub(crate) fn add_card(&self, person: &Person, column: &str, title: &str) -> Result<CardId> {
        may_write(person)?;
        let title = text::line("A title", title)?;
        self.expect_column(person, column)?;
        let card = self.store().add_card(&person.org, column, &title, &person.name)?;
        self.board_changed(person);
        Ok(card)
    }

    /// Puts a card last in a column.
    pub(crate) fn move_card(&self, person: &Person, card: CardId, column: &str) -> Result<()> {
        may_write(person)?;
        self.expect_column(person, column)?;
        if !self.store().move_card(&person.org, card, column)? {
            return Err(DeskError::NotFound(format!("There is no card {card} on your org's board.")));
        }
        self.board_changed(person);
        Ok(())
    }

    fn expect_column(&self, person: &Person, column: &str) -> Result<()> {
        if self.store().has_column(&person.org, column)? {
            return Ok(());
        }
        Err(DeskError::NotFound(format!("There is no column {column:?} on your org's board.")))
    }

    fn board_changed(&self, person: &Person) {
        self.announce(Change::Board { org: person.org.clone() });
    }
}
