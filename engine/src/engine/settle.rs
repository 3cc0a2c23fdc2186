//! When an engine is at rest, for tests.

use super::Engine;

impl Engine {
    /// Waits until the engine has nothing to do: no pass, no call, no timer that is due.
    pub async fn settle(&self) {
        let (in_flight, timers) = (&self.parts().background.in_flight, &self.parts().connector.services.timers);
        loop {
            let listener = in_flight.listen();
            // What begins between the two looks is seen by neither, but counted.
            let begun = || (in_flight.started(), timers.fired());
            let before = begun();
            let is_at_rest = in_flight.is_idle() && !timers.is_due();
            if !is_at_rest {
                listener.await;
            } else if begun() == before {
                return;
            }
        }
    }
}
