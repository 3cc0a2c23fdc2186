//! Single-flight evaluation, and new claims concurrent with a pass with the old ones.

use crate::sync::{AtomicUsize, Ordering};
use std::sync::Arc;

use shuttle::future::block_on;

use super::{App, alice, check, join};
use crate::model::session::Session;
use crate::refresh::source_trace::{Claimed, SourceTrace};
use crate::render::descriptor::Descriptor;
use crate::sessions::waiters::Countdown;

#[test]
fn if_the_evaluating_thread_gives_up_a_waiting_one_takes_over() {
    check(|| {
        let trace = Arc::new(SourceTrace::default());
        let runs = Arc::new(AtomicUsize::new(0));
        let threads = ["a", "b", "c"].map(|id| {
            let (trace, runs) = (Arc::clone(&trace), Arc::clone(&runs));
            shuttle::thread::spawn(move || {
                let session = Session::new(id);
                loop {
                    match trace.claim(session.context()) {
                        Claimed::Hit(result) => return assert_eq!(result, 7),
                        // The first one gives up.
                        Claimed::Lead(lead) if runs.fetch_add(1, Ordering::SeqCst) == 0 => return drop(lead),
                        Claimed::Lead(lead) => drop(lead.settle(&[], 7)),
                        Claimed::Wait(waiting) => block_on(waiting.countdown.wait()),
                    }
                }
            })
        });
        join(threads);
        assert_eq!(runs.load(Ordering::SeqCst), 2, "it ran twice, because the first one gave up");
    });
}

#[test]
fn a_waiter_for_a_queued_pass_is_woken() {
    check(|| {
        let done = Countdown::new(tracing::Span::none());
        let rendering = [done.share(), done.share()].map(|share| shuttle::thread::spawn(move || drop(share)));
        block_on(done.wait());
        join(rendering);
    });
}

#[test]
fn new_claims_prevail_over_a_concurrent_pass_with_the_old_ones() {
    check(|| {
        let app = App::new();
        app.engine.register("n", |session: &Session| Descriptor::status().prop("n", u64::from(session.can("see"))));
        let mut consumer = app.subscribed(&alice().with_permission("see"));
        let renewing = app.spawn(|app| assert!(app.engine.update_session(&alice())));
        let changing = app.spawn(App::increment_soon);
        consumer.receive_until(|consumer| consumer.number() == Some(0));
        join([renewing, changing]);
        consumer.check_copy();
        // A new consumer never sees what the old claims allowed.
        assert_eq!(app.subscribed(&alice()).number(), Some(0));
    });
}
