//! Numbers passes, and knows which of them run.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::sessions::turn::Ticket;
use crate::sync::Mutex;

/// Numbers passes in the order in which they start.
#[derive(Debug, Default)]
pub(super) struct Tickets(Mutex<Numbers>);

#[derive(Debug, Default)]
struct Numbers {
    last: u64,
    running: BTreeSet<u64>,
}

/// The ticket of a pass. The pass runs as long as this is held, also by workers that outlive whoever started it.
#[derive(Debug)]
pub(super) struct HeldTicket {
    tickets: Arc<Tickets>,
    pub(super) ticket: Ticket,
}

impl Tickets {
    /// The next number, together with that of the oldest pass that runs.
    pub(super) fn take(self: &Arc<Self>) -> HeldTicket {
        let mut numbers = self.0.lock();
        numbers.last += 1;
        let number = numbers.last;
        numbers.running.insert(number);
        let oldest = numbers.running.first().copied().unwrap_or(number);
        HeldTicket { tickets: Arc::clone(self), ticket: Ticket { number, oldest } }
    }
}

impl Drop for HeldTicket {
    fn drop(&mut self) {
        self.tickets.0.lock().running.remove(&self.ticket.number);
    }
}
