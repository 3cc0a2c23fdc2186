//! Changes to one person's own inbox, and the one change that reaches another's: a reply to a colleague.

use super::{Delivery, Desk, may_write, text};
use crate::change::{Area, Change};
use crate::clock::Moment;
use crate::error::{DeskError, Result};
use crate::id::MessageId;
use crate::people::Person;
use crate::store::{Message, NewMessage};

impl Desk {
    pub(crate) fn mark_read(&self, person: &Person, id: MessageId) -> Result<()> {
        may_write(person)?;
        self.message_written(person, id, self.store().mark_read(&person.name, id)?)
    }

    pub(crate) fn archive(&self, person: &Person, id: MessageId) -> Result<()> {
        may_write(person)?;
        self.message_written(person, id, self.store().archive(&person.name, id)?)
    }

    /// Answers a message, with the person's signature under the text.
    pub(crate) fn reply(&self, person: &Person, id: MessageId, typed: &str) -> Result<Delivery> {
        may_write(person)?;
        let text = text::lines("A reply", typed)?;
        let Some(message) = self.store().message(&person.name, id)? else {
            return Err(DeskError::no_such("message", id));
        };
        let body = self.signed(person, text)?;
        let subject = reply_subject(&message);
        let answer = message.colleague.as_deref().map(|colleague| NewMessage {
            owner: colleague,
            sender: &person.display,
            colleague: Some(&person.name),
            subject: &subject,
            body: &body,
            received: Moment::now(),
            unread: true,
        });
        self.store().reply(&person.name, id, answer.as_ref())?;
        self.inbox_changed(&person.name);
        let Some(colleague) = &message.colleague else { return Ok(Delivery::Noted) };
        self.inbox_changed(colleague);
        Ok(Delivery::Inbox)
    }

    fn signed(&self, person: &Person, text: String) -> Result<String> {
        let settings = self.store().settings(&person.name)?;
        match settings.map(|settings| settings.signature) {
            Some(signature) if !signature.is_empty() => Ok(format!("{text}\n\n{signature}")),
            _ => Ok(text),
        }
    }

    fn message_written(&self, person: &Person, id: MessageId, found: bool) -> Result<()> {
        if !found {
            return Err(DeskError::no_such("message", id));
        }
        self.inbox_changed(&person.name);
        Ok(())
    }

    fn inbox_changed(&self, person: &str) {
        self.announce(Change::Own { area: Area::Inbox, person: person.to_owned() });
    }
}

fn reply_subject(message: &Message) -> String {
    if message.subject.starts_with("Re: ") { message.subject.clone() } else { format!("Re: {}", message.subject) }
}
