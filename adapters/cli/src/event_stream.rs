//! Reads server-sent events: a pure type.

/// How long one event may be, in bytes: a message of 16 KiB, with what is around it.
const EVENT_BYTES: usize = 256 << 10;

/// What was received of a stream of events and is not complete yet.
#[derive(Debug, Default)]
pub(crate) struct EventStream {
    rest: Vec<u8>,
}

/// An event is too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLong;

impl EventStream {
    /// Takes more of the stream. Returns the data of the events that are complete now.
    ///
    /// # Errors
    /// If one is too long.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<Vec<String>, TooLong> {
        self.rest.extend_from_slice(bytes);
        let mut complete = Vec::new();
        while let Some(end) = self.rest.windows(2).position(|two| two == b"\n\n") {
            let event: Vec<u8> = self.rest.drain(..end + 2).collect();
            complete.extend(data(&String::from_utf8_lossy(&event)));
        }
        if self.rest.len() > EVENT_BYTES { Err(TooLong) } else { Ok(complete) }
    }
}

/// The data of one event; none if it is a comment.
fn data(event: &str) -> Option<String> {
    let lines = event.lines().filter_map(|line| line.strip_prefix("data:"));
    let lines: Vec<_> = lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_same_events_are_read_wherever_the_stream_is_cut(cuts in proptest::collection::vec(0_usize..70, 0..8)) {
            let stream = b":\n\nevent: message\nid: 1\ndata: {\"a\":1}\n\ndata:x\ndata: y\n\nevent: none\n\n";
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(stream.len())).collect();
            cuts.extend([0, stream.len()]);
            cuts.sort_unstable();
            let mut reader = EventStream::default();
            let pieces = cuts.windows(2).map(|two| &stream[two[0]..two[1]]);
            let read: Vec<_> = pieces.flat_map(|piece| reader.take(piece).unwrap()).collect();
            prop_assert_eq!(read, ["{\"a\":1}", "x\ny"]);
        }
    }

    #[test]
    fn an_endless_event_is_refused() {
        let mut reader = EventStream::default();
        assert_eq!(reader.take(&vec![b'x'; EVENT_BYTES]), Ok(Vec::new()));
        assert_eq!(reader.take(b"x"), Err(TooLong));
    }
}
