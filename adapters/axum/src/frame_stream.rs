//! The stream below the WebSocket library: it counts the peer's frames, and has a way past the library for the messages
//! that this server sends.
//!
//! The library copies every message into a buffer that keeps the size of the largest message ever written: 35 KB and
//! more for each connection that once got a snapshot. Here a message goes from its own buffer to the socket, and nothing
//! is kept. The library still writes its own frames: pongs and the closing handshake.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::frame_batch::FrameBatch;
use crate::frame_counter::{FrameCounter, TooManyFrames};

/// A stream on which whole batches are written between the library's own frames, and on which a peer may send only so
/// many frames.
#[derive(Debug)]
pub(crate) struct FrameStream<S> {
    stream: S,
    batch: Option<FrameBatch>,
    /// `None` once the peer has sent too many frames. What it sends then is only read to be discarded.
    counter: Option<FrameCounter>,
}

impl<S: AsyncWrite + Unpin> FrameStream<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, batch: None, counter: Some(FrameCounter::new()) }
    }

    /// Whether the peer has sent too many control frames or fragments.
    pub(crate) const fn is_flooded(&self) -> bool {
        self.counter.is_none()
    }

    /// Writes a batch next. The library must have no frame half written, and no other batch may be in progress.
    pub(crate) fn put(&mut self, batch: FrameBatch) {
        debug_assert!(self.batch.is_none(), "one batch at a time");
        self.batch = Some(batch);
    }

    /// Writes the batch in progress to its end.
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
                count => batch.advance(count),
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for FrameStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let counted = self.counter.as_mut().map(|counter| counter.count(&buffer.filled()[before..]));
        if let Some(Err(TooManyFrames)) = counted {
            self.counter = None;
            buffer.set_filled(before);
            return Poll::Ready(Err(io::Error::other("too many frames")));
        }
        Poll::Ready(Ok(()))
    }
}

/// The library's writes wait until the batch is written.
impl<S: AsyncWrite + Unpin> AsyncWrite for FrameStream<S> {
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

    fn batch(texts: &[&str]) -> FrameBatch {
        let mut batch = FrameBatch::default();
        texts.iter().for_each(|text| batch.text((*text).to_owned()));
        batch
    }

    #[tokio::test]
    async fn the_librarys_bytes_wait_until_a_batch_is_written_and_never_interrupt_it() {
        let (near, mut far) = duplex(7);
        let long = "x".repeat(5_000);
        let expected = batch(&["a", &long]).rest().concat();
        let mut stream = FrameStream::new(near);
        stream.put(batch(&["a", &long]));
        let write = async move {
            poll_fn(|context| {
                assert!(stream.poll_batch(context).is_pending(), "the pipe is narrow");
                Poll::Ready(())
            })
            .await;
            stream.write_all(b"pong").await.unwrap();
        };
        let read = async {
            let mut all = Vec::new();
            far.read_to_end(&mut all).await.unwrap();
            all
        };
        let ((), all) = tokio::join!(write, read);
        assert_eq!(all, [&expected[..], b"pong"].concat());
    }

    #[tokio::test]
    async fn writing_to_a_peer_that_is_gone_is_an_error() {
        let (near, far) = duplex(7);
        drop(far);
        let mut stream = FrameStream::new(near);
        stream.put(batch(&["a"]));
        assert!(stream.flush().await.is_err());
    }
}
