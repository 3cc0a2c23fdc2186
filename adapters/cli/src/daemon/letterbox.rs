//! Which messages of a session wait for a reader here: a pure type.

use std::collections::VecDeque;

use grove_client::peer::Mail;

/// How many messages wait here, and how many bytes; more are left at the server, which sends them on the next link. The
/// server keeps no more than that either.
const MESSAGES: usize = 100;
const BYTES: usize = 512 << 10;

/// How many ids of taken messages are remembered. A message whose acknowledgement was lost is sent again.
const TAKEN: usize = 1_024;

/// The messages that no reader has taken, oldest first, and which were taken.
#[derive(Debug, Default)]
pub(crate) struct Letterbox {
    waiting: VecDeque<(Mail, usize)>,
    bytes: usize,
    taken: VecDeque<String>,
}

/// What an arriving message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// New: it waits now.
    New,
    /// It waits already, or there is no space for it.
    Ignored,
    /// A reader has taken it before: the server does not know yet.
    TakenBefore,
}

impl Letterbox {
    pub(crate) fn arrive(&mut self, mail: &Mail) -> Arrival {
        if self.taken.contains(&mail.message) {
            return Arrival::TakenBefore;
        }
        let bytes = mail.body.to_string().len() + mail.from.to_string().len();
        let waits = self.waiting.iter().any(|(other, _)| other.message == mail.message);
        if waits || self.waiting.len() >= MESSAGES || self.bytes + bytes > BYTES {
            return Arrival::Ignored;
        }
        self.bytes += bytes;
        self.waiting.push_back((mail.clone(), bytes));
        Arrival::New
    }

    /// A reader has taken a message. Whether it is the first to do so.
    pub(crate) fn take(&mut self, id: &str) -> bool {
        let Some(at) = self.waiting.iter().position(|(mail, _)| mail.message == id) else { return false };
        self.bytes -= self.waiting.remove(at).map_or(0, |(_, bytes)| bytes);
        if self.taken.len() >= TAKEN {
            self.taken.pop_front();
        }
        self.taken.push_back(id.to_owned());
        true
    }

    /// What waits, oldest first.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = &Mail> {
        self.waiting.iter().map(|(mail, _)| mail)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn mail(id: usize, bytes: usize) -> Mail {
        let mail = json!({"message": id.to_string(), "from": null, "body": "x".repeat(bytes), "at": "now"});
        serde_json::from_value(mail).unwrap()
    }

    proptest! {
        #[test]
        fn each_message_is_read_once_however_often_it_arrives(
            steps in proptest::collection::vec((any::<bool>(), 0_usize..30, 0_usize..60_000), 0..60)
        ) {
            let (mut letterbox, mut waiting, mut taken) = (Letterbox::default(), Vec::<usize>::new(), Vec::<usize>::new());
            for (arrives, id, bytes) in steps {
                if arrives {
                    match letterbox.arrive(&mail(id, bytes)) {
                        Arrival::New => {
                            prop_assert!(!waiting.contains(&id) && !taken.contains(&id));
                            waiting.push(id);
                        }
                        Arrival::Ignored => prop_assert!(!taken.contains(&id)),
                        Arrival::TakenBefore => prop_assert!(taken.contains(&id)),
                    }
                } else if letterbox.take(&id.to_string()) {
                    prop_assert!(waiting.contains(&id));
                    waiting.retain(|other| *other != id);
                    taken.push(id);
                } else {
                    prop_assert!(!waiting.contains(&id));
                }
                let shown: Vec<_> = letterbox.waiting().map(|mail| mail.message.parse::<usize>().unwrap()).collect();
                prop_assert_eq!(&shown, &waiting);
                prop_assert!(letterbox.bytes <= BYTES && waiting.len() <= MESSAGES);
            }
        }
    }

    #[test]
    fn what_is_remembered_of_taken_messages_is_bounded() {
        let mut letterbox = Letterbox::default();
        for id in 0..TAKEN + 10 {
            assert_eq!(letterbox.arrive(&mail(id, 1)), Arrival::New);
            assert!(letterbox.take(&id.to_string()) && !letterbox.take(&id.to_string()));
        }
        assert_eq!(letterbox.taken.len(), TAKEN);
        assert_eq!((letterbox.bytes, letterbox.arrive(&mail(TAKEN, 1))), (0, Arrival::TakenBefore));
    }
}
