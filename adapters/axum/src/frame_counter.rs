//! Counts the frames that a peer sends which are no message of their own, and so are bounded by nothing else.
//!
//! A message is bounded in size by the WebSocket library and in number by the engine. Control frames are neither: each
//! ping queues a pong, which nothing bounds while the peer does not read. Nor are the fragments of a message: it may
//! have any number of empty ones, and the library reports none of them.

use tokio::time::Instant;

/// Burst of pings and pongs that is allowed, and how many more each second adds.
const CONTROL_FRAMES: Rate = Rate { burst: 60, per_second: 1 };

/// The same for small fragments, of fewer than [`SMALL_BYTES`]. A message of 64 KB in fragments of 125 bytes has 525.
const SMALL_FRAGMENTS: Rate = Rate { burst: 4_096, per_second: 1_024 };

/// A fragment of this size is bounded by the size of its message.
const SMALL_BYTES: u64 = 256;

const CONTINUATION: u8 = 0;
const FIRST_CONTROL: u8 = 8;

struct Rate {
    burst: u16,
    per_second: u16,
}

/// The peer has sent more control frames or small fragments than allowed.
#[derive(Debug)]
pub(crate) struct TooManyFrames;

/// Follows the frames in a byte stream from a peer. Useless after an error.
#[derive(Clone, Debug)]
pub(crate) struct FrameCounter {
    position: Position,
    control_left: u16,
    fragments_left: u16,
    refilled: Instant,
}

/// Where in a frame the stream is (RFC 6455, 5.2).
#[derive(Clone, Copy, Debug)]
enum Position {
    /// Before the first byte of a header.
    Start,
    /// Before the second byte of a header.
    Opcode(u8),
    /// In an extended length: how many of its bytes are missing, its value so far, and the bytes of the mask.
    Length { opcode: u8, missing: u8, length: u64, mask: u64 },
    /// In the mask and the payload, with this many bytes left.
    Body(u64),
}

impl FrameCounter {
    pub(crate) fn new() -> Self {
        let (control_left, fragments_left) = (CONTROL_FRAMES.burst, SMALL_FRAGMENTS.burst);
        Self { position: Position::Start, control_left, fragments_left, refilled: Instant::now() }
    }

    /// Counts the frames that begin in the next bytes of the stream.
    ///
    /// # Errors
    ///
    /// When there are too many.
    pub(crate) fn count(&mut self, mut bytes: &[u8]) -> Result<(), TooManyFrames> {
        while let [first, rest @ ..] = bytes {
            if let Position::Body(left) = self.position {
                let skipped = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                bytes = &bytes[skipped..];
                self.position = body(left - skipped as u64);
            } else {
                self.header_byte(*first)?;
                bytes = rest;
            }
        }
        Ok(())
    }

    fn header_byte(&mut self, byte: u8) -> Result<(), TooManyFrames> {
        self.position = match self.position {
            Position::Start | Position::Body(_) => Position::Opcode(byte & 0x0f),
            Position::Opcode(opcode) => {
                let mask = if byte & 0x80 == 0 { 0 } else { 4 };
                match byte & 0x7f {
                    126 => Position::Length { opcode, missing: 2, length: 0, mask },
                    127 => Position::Length { opcode, missing: 8, length: 0, mask },
                    short => self.begin(opcode, short.into(), mask)?,
                }
            }
            Position::Length { opcode, missing, length, mask } => {
                let length = length << 8 | u64::from(byte);
                match missing {
                    1 => self.begin(opcode, length, mask)?,
                    _ => Position::Length { opcode, missing: missing - 1, length, mask },
                }
            }
        };
        Ok(())
    }

    /// Counts a frame whose header is complete.
    fn begin(&mut self, opcode: u8, length: u64, mask: u64) -> Result<Position, TooManyFrames> {
        match opcode {
            FIRST_CONTROL.. => self.take(|counter| &mut counter.control_left)?,
            CONTINUATION if length < SMALL_BYTES => self.take(|counter| &mut counter.fragments_left)?,
            _ => {}
        }
        Ok(body(length.saturating_add(mask)))
    }

    fn take(&mut self, left: impl Fn(&mut Self) -> &mut u16) -> Result<(), TooManyFrames> {
        self.refill();
        let left = left(self);
        *left = left.checked_sub(1).ok_or(TooManyFrames)?;
        Ok(())
    }

    fn refill(&mut self) {
        let seconds = self.refilled.elapsed().as_secs();
        if seconds > 0 {
            let seconds = u16::try_from(seconds).unwrap_or(u16::MAX);
            let refilled = |left: u16, Rate { burst, per_second }: Rate| {
                left.saturating_add(per_second.saturating_mul(seconds)).min(burst)
            };
            self.control_left = refilled(self.control_left, CONTROL_FRAMES);
            self.fragments_left = refilled(self.fragments_left, SMALL_FRAGMENTS);
            self.refilled = Instant::now();
        }
    }
}

fn body(left: u64) -> Position {
    if left == 0 { Position::Start } else { Position::Body(left) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A masked frame.
    fn frame(opcode: u8, length: usize) -> Vec<u8> {
        let mut frame = vec![opcode];
        match length {
            ..126 => frame.push(0x80 | length as u8),
            126..65_536 => frame.extend([&[0xfe][..], &(length as u16).to_be_bytes()].concat()),
            _ => frame.extend([&[0xff][..], &(length as u64).to_be_bytes()].concat()),
        }
        frame.extend([9; 4]);
        // Bytes that look like the header of a ping.
        frame.extend(std::iter::repeat_n(0x89, length));
        frame
    }

    #[test]
    fn frames_are_found_however_the_stream_is_cut() {
        let frames: Vec<u8> = [0, 1, 125, 126, 300, 65_535, 65_536].into_iter().flat_map(|n| frame(0x81, n)).collect();
        for size in [1, 2, 3, 7, 1_000, frames.len()] {
            let mut counter = FrameCounter::new();
            for chunk in frames.chunks(size) {
                counter.count(chunk).unwrap();
            }
            assert!(matches!(counter.position, Position::Start), "{size}");
            assert_eq!(counter.control_left, CONTROL_FRAMES.burst, "{size}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn control_frames_and_small_fragments_are_bounded_and_time_refills_them() {
        for (opcode, rate) in [(0x89, CONTROL_FRAMES), (0x8a, CONTROL_FRAMES), (0x00, SMALL_FRAGMENTS)] {
            let mut counter = FrameCounter::new();
            for _ in 0..rate.burst {
                counter.count(&frame(opcode, 0)).unwrap();
            }
            assert!(counter.clone().count(&frame(opcode, 0)).is_err());
            tokio::time::advance(Duration::from_secs(1)).await;
            for _ in 0..rate.per_second {
                counter.count(&frame(opcode, 0)).unwrap();
            }
            assert!(counter.clone().count(&frame(opcode, 0)).is_err());
        }
    }

    #[test]
    fn messages_and_large_fragments_are_not_bounded_here() {
        let mut counter = FrameCounter::new();
        for _ in 0..10_000 {
            counter.count(&frame(0x81, 0)).unwrap();
            counter.count(&frame(0x00, 256)).unwrap();
        }
    }
}
