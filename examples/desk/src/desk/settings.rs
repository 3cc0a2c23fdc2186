//! Changes to what a person has set for the own desk.

use super::{Desk, may_write, text};
use crate::change::{Area, Change};
use crate::error::Result;
use crate::people::Person;
use crate::theme::Theme;

impl Desk {
    /// Sets what stands under each reply; an empty text takes it away.
    pub(crate) fn set_signature(&self, person: &Person, typed: &str) -> Result<()> {
        may_write(person)?;
        let signature = text::lines_or_nothing("A signature", typed)?;
        self.store().set_signature(&person.name, &signature)?;
        self.settings_changed(person);
        Ok(())
    }

    pub(crate) fn set_theme(&self, person: &Person, theme: Theme) -> Result<()> {
        may_write(person)?;
        self.store().set_theme(&person.name, theme)?;
        self.settings_changed(person);
        Ok(())
    }

    fn settings_changed(&self, person: &Person) {
        self.announce(Change::Own { area: Area::Settings, person: person.name.clone() });
    }
}
