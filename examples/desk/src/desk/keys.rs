//! The keys by which people launch sessions that act for them.

use grove_attest::{Member, PublicKey};

use super::{Desk, may_write};
use crate::change::{Area, Change};
use crate::error::{DeskError, Result};
use crate::people::Person;
use crate::session::WRITE;

impl Desk {
    /// Sets the key by which a person launches sessions. Those that were launched with another key end.
    pub(crate) fn set_key(&self, person: &Person, typed: &str) -> Result<()> {
        may_write(person)?;
        let wrong = |_| DeskError::Invalid("A key has 64 digits, from 0 to 9 and a to f.".to_owned());
        let key: PublicKey = typed.trim().parse().map_err(wrong)?;
        self.peers().add_member(&person.org, Member::new(person.name.as_str(), key).right(WRITE))?;
        self.keys_changed(person);
        Ok(())
    }

    /// Takes it away: all sessions that were launched with it end.
    pub(crate) fn remove_key(&self, person: &Person) -> Result<()> {
        may_write(person)?;
        self.peers().remove_member(&person.org, &person.name)?;
        self.keys_changed(person);
        Ok(())
    }

    /// The key of a person.
    pub(crate) fn key_of(&self, person: &Person) -> Result<Option<PublicKey>> {
        let members = self.peers().members().list(&person.org)?;
        Ok(members.into_iter().find(|member| member.id == person.name).map(|member| member.public_key))
    }

    fn keys_changed(&self, person: &Person) {
        self.announce(Change::Own { area: Area::Settings, person: person.name.clone() });
    }
}
