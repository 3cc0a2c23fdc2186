//! Laws of the lane for the application's events.

use proptest::prelude::*;

use super::*;

fn lane(events: usize, max_bytes: usize) -> EventLane {
    let mut lane = EventLane::default();
    (0..events).for_each(|at| {
        lane.push(EncodedEvent::own(&format!("{at:03}"), None), max_bytes);
    });
    lane
}

/// The length of every event here.
const LENGTH: usize = r#"{"type":"event","name":"000"}"#.len();

fn names(lane: &mut EventLane) -> Vec<String> {
    std::iter::from_fn(|| lane.pop()).map(|event| event.name.to_string()).collect()
}

#[test]
fn events_come_out_in_order() {
    let mut lane = lane(3, 1_000);
    assert_eq!(names(&mut lane), ["000", "001", "002"]);
    assert_eq!(lane.bytes(), 0);
}

#[test]
fn over_the_bound_the_oldest_are_dropped_and_one_message_says_how_many() {
    let mut lane = lane(10, 3 * LENGTH);
    assert_eq!((lane.outstanding(), lane.bytes()), (10, 3 * LENGTH));
    assert_eq!(lane.pop().unwrap().text, r#"{"type":"event","name":"events.dropped","data":{"count":7}}"#);
    assert_eq!(names(&mut lane), ["007", "008", "009"]);
}

#[test]
fn the_newest_event_is_kept_whatever_its_size() {
    let mut lane = lane(2, 3);
    assert_eq!(lane.bytes(), LENGTH);
    assert_eq!(names(&mut lane), ["events.dropped", "001"]);
}

fn with_text(text: &str) -> Arc<EncodedEvent> {
    EncodedEvent::plain(text)
}

/// What may happen to a lane.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// An event of so many bytes comes.
    Push(usize),
    /// The socket has room.
    Pop,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![(4..40_usize).prop_map(Step::Push), Just(Step::Pop)]
}

/// All events that were pushed, as a list in which each stands once: it waits, or it was dropped.
#[derive(Debug, Default)]
struct Model {
    /// In order; `None` for one that was dropped and not reported.
    events: Vec<Option<String>>,
    /// The next pop gives the first of them.
    first_is_next: bool,
}

impl Model {
    fn bytes(&self) -> usize {
        self.events.iter().flatten().map(String::len).sum()
    }

    fn push(&mut self, event: String, max_bytes: usize) {
        self.events.push(Some(event));
        let (first, last) = (usize::from(self.first_is_next), self.events.len() - 1);
        for at in first..last {
            if self.bytes() > max_bytes {
                self.events[at] = None;
            }
        }
    }

    fn pop(&mut self) -> Option<String> {
        let dropped = self.events.iter().take_while(|event| event.is_none()).count();
        if dropped > 0 {
            self.events.drain(..dropped);
            self.first_is_next = true;
            return Some(format!(r#"{{"type":"event","name":"events.dropped","data":{{"count":{dropped}}}}}"#));
        }
        self.first_is_next = false;
        if self.events.is_empty() { None } else { self.events.remove(0) }
    }
}

proptest! {
    #[test]
    fn it_is_a_queue_from_which_the_oldest_are_dropped_and_counted(
        max_bytes in 1..120_usize,
        steps in prop::collection::vec(step(), 0..200),
    ) {
        let (mut lane, mut model, mut number) = (EventLane::default(), Model::default(), 0);
        let mut given = Vec::new();
        for step in steps {
            match step {
                Step::Push(len) => {
                    let event = format!("{number:-<len$}");
                    number += 1;
                    let before = lane.dropped;
                    prop_assert_eq!(lane.push(with_text(&event), max_bytes), lane.dropped > before);
                    model.push(event, max_bytes);
                }
                Step::Pop => {
                    let popped = lane.pop().map(|event| event.text.clone());
                    prop_assert_eq!(&popped, &model.pop());
                    given.extend(popped);
                }
            }
            prop_assert_eq!(lane.bytes(), model.bytes());
            prop_assert_eq!(lane.outstanding(), model.events.len() as u64);
            prop_assert_eq!(lane.is_empty(), model.events.is_empty());
            let kept = lane.waiting.len();
            prop_assert!(lane.bytes() <= max_bytes || kept <= 1 + lane.reserved as usize, "over its bound");
        }
        given.extend(std::iter::from_fn(|| lane.pop()).map(|event| event.text.clone()));
        let is_notice = |text: &&String| text.contains("events.dropped");
        prop_assert!(given.windows(2).all(|pair| !pair.iter().all(|text| is_notice(&text))), "two in a row");
        let events = given.iter().filter(|text| !is_notice(text)).count();
        let counts = given.iter().filter(is_notice).map(|text| text.split_once(":{\"count\":").unwrap().1);
        let dropped: usize = counts.map(|count| count.trim_end_matches('}').parse::<usize>().unwrap()).sum();
        prop_assert_eq!(events + dropped, number);
    }
}
