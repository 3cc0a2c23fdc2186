//! Messages on their way to the socket, encoded as WebSocket frames.

/// The first byte of an unfragmented text message, and a whole ping without content (RFC 6455, 5.2).
const TEXT: u8 = 0x81;
const PING: [u8; 2] = [0x89, 0];

/// A longer message is not copied behind others, but written from its own buffer.
const SMALL_BYTES: usize = 4 * 1024;

/// Several small messages together, and possibly one large one behind them.
#[derive(Debug, Default)]
pub(crate) struct FrameBatch {
    head: Vec<u8>,
    tail: String,
    written: usize,
}

impl FrameBatch {
    /// Adds a message.
    pub(crate) fn text(&mut self, text: String) {
        debug_assert!(self.has_room(), "nothing follows a large message");
        put_header(&mut self.head, text.len());
        if text.len() < SMALL_BYTES {
            self.head.extend_from_slice(text.as_bytes());
        } else {
            self.tail = text;
        }
    }

    pub(crate) fn ping(&mut self) {
        self.head.extend_from_slice(&PING);
    }

    /// Whether another message may be added and is worth adding, so that a patch and the result behind it share a
    /// packet.
    pub(crate) fn has_room(&self) -> bool {
        self.tail.is_empty() && self.head.len() < SMALL_BYTES
    }

    /// What is not written yet.
    pub(crate) fn rest(&self) -> [&[u8]; 2] {
        let tail = self.written.saturating_sub(self.head.len());
        [&self.head[self.written.min(self.head.len())..], &self.tail.as_bytes()[tail..]]
    }

    /// `count` more bytes of [`Self::rest`] have been written.
    pub(crate) fn advance(&mut self, count: usize) {
        self.written += count;
    }
}

/// The header of a text message from a server, which is not masked.
fn put_header(out: &mut Vec<u8>, length: usize) {
    out.push(TEXT);
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ ..=125), _) => out.push(short),
        (_, Ok(length)) => {
            out.push(126);
            out.extend_from_slice(&length.to_be_bytes());
        }
        _ => {
            out.push(127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::put_header;

    #[test]
    fn a_header_encodes_the_length_in_as_few_bytes_as_possible() {
        for (length, bytes) in [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            let mut header = Vec::new();
            put_header(&mut header, length);
            assert_eq!(header.len(), bytes, "{length}");
        }
    }
}
