//! The stream below the WebSocket library, with a way past it for what this server says.
//!
//! The library copies every message into a buffer that keeps the size of the largest one ever written, 35 KB and more
//! for each connection that once got a snapshot. Here a message goes from its own text to the socket, and nothing is
//! kept. The library still writes its own: pongs and the closing handshake.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The first byte of an unfragmented text message, and a ping without content (RFC 6455, 5.2).
const TEXT: u8 = 0x81;
const PING: [u8; 2] = [0x89, 0];

/// A message that is longer is not copied behind others, but written from where it stands.
const SMALL_BYTES: usize = 4 * 1024;

/// Messages on their way: some small ones together, and perhaps one large one behind them.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    head: Vec<u8>,
    tail: String,
    written: usize,
}

impl Batch {
    /// Adds a message.
    pub(crate) fn text(&mut self, text: String) {
        debug_assert!(self.has_room(), "nothing stands behind a large message");
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

    /// Whether another message may be added and is worth it, so that a patch and the result behind it share a packet.
    pub(crate) fn has_room(&self) -> bool {
        self.tail.is_empty() && self.head.len() < SMALL_BYTES
    }

    /// What is not written yet.
    fn rest(&self) -> [&[u8]; 2] {
        let tail = self.written.saturating_sub(self.head.len());
        [&self.head[self.written.min(self.head.len())..], &self.tail.as_bytes()[tail..]]
    }
}

/// The header of a text message from a server: it is not masked.
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

/// A stream on which whole batches are written between what the library writes.
#[derive(Debug)]
pub(crate) struct Gate<S> {
    stream: S,
    batch: Option<Batch>,
}

impl<S: AsyncWrite + Unpin> Gate<S> {
    pub(crate) const fn new(stream: S) -> Self {
        Self { stream, batch: None }
    }

    /// Lets a batch through next. The library must have nothing half written, and no other batch be on its way.
    pub(crate) fn put(&mut self, batch: Batch) {
        debug_assert!(self.batch.is_none(), "one batch at a time");
        self.batch = Some(batch);
    }

    /// Writes the batch that is on its way, to its end.
    pub(crate) fn poll_batch(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(batch) = &mut self.batch {
            let [head, tail] = batch.rest();
            if head.is_empty() && tail.is_empty() {
                self.batch = None;
                break;
            }
            let slices = [IoSlice::new(head), IoSlice::new(tail)];
            match ready!(Pin::new(&mut self.stream).poll_write_vectored(context, &slices))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => batch.written += count,
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gate<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

/// The library's own way: it waits until the batch is through.
impl<S: AsyncWrite + Unpin> AsyncWrite for Gate<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_batch(context))?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_batch(context))?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_batch(context))?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    fn batch(texts: &[&str]) -> Batch {
        let mut batch = Batch::default();
        texts.iter().for_each(|text| batch.text((*text).to_owned()));
        batch
    }

    #[test]
    fn a_header_says_the_length_in_as_few_bytes_as_it_takes() {
        for (length, bytes) in [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            let mut header = Vec::new();
            put_header(&mut header, length);
            assert_eq!(header.len(), bytes, "{length}");
        }
    }

    #[tokio::test]
    async fn what_the_library_says_waits_until_a_batch_is_through_and_never_stands_in_it() {
        let (near, mut far) = duplex(7);
        let long = "x".repeat(SMALL_BYTES);
        let mut wanted = batch(&["a", &long]);
        wanted.head.extend_from_slice(wanted.tail.as_bytes());
        let mut gate = Gate::new(near);
        gate.put(batch(&["a", &long]));
        let write = async move {
            poll_fn(|context| {
                assert!(gate.poll_batch(context).is_pending(), "the pipe is narrow");
                Poll::Ready(())
            })
            .await;
            gate.write_all(b"pong").await.unwrap();
        };
        let read = async {
            let mut all = Vec::new();
            far.read_to_end(&mut all).await.unwrap();
            all
        };
        let ((), all) = tokio::join!(write, read);
        assert_eq!(all, [&wanted.head[..], b"pong"].concat());
    }

    #[tokio::test]
    async fn a_peer_that_is_gone_is_an_error() {
        let (near, far) = duplex(7);
        drop(far);
        let mut gate = Gate::new(near);
        gate.put(batch(&["a"]));
        assert!(gate.flush().await.is_err());
    }
}
