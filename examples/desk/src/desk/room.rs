//! The rooms of the boards: who is there, and what is said.

use grove_engine::{Message, ParticipantView};

use super::{Desk, may_write, text};
use crate::board_room;
use crate::error::Result;
use crate::session::person_session_of;
use crate::store::Login;

impl Desk {
    /// Creates the room of each org's board. It exists for as long as the engine.
    pub(crate) fn open_rooms(&self) -> Result<()> {
        let rooms = self.engine().rooms();
        for (org, label) in self.store().orgs()? {
            rooms.create(&board_room::creator(&org), &board_room::new(&org, &label))?;
        }
        Ok(())
    }

    /// A person says something at the board of their org.
    pub(crate) fn say(&self, login: &Login, typed: &str) -> Result<()> {
        may_write(&login.person)?;
        let message = Message::text(text::lines("A message", typed)?);
        self.engine().rooms().say(&person_session_of(login), &board_room::id(&login.person.org), &message)?;
        Ok(())
    }

    /// Who is at the board of a person's org, in order of joining.
    pub(crate) fn people_at_board(&self, login: &Login) -> Result<Vec<ParticipantView>> {
        Ok(self.engine().rooms().participants(&person_session_of(login), &board_room::id(&login.person.org))?)
    }
}
