//! Takes turns: a stream that always has bytes, or always takes them, shall keep neither its own deadline nor its neighbours from their turn.
//!
//! A poll that finds a turn's worth moved already answers "pending" and asks to be polled again, after everything else that is ready and after the
//! runtime has looked at sockets and clocks. How much a turn is follows from how long the last one took, so that bytes that are dear to read (heads,
//! tiny chunks) come in smaller pieces.

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream that takes turns.
#[derive(Debug)]
pub(super) struct Turns<S> {
    stream: S,
    /// Bytes read in this turn.
    read: usize,
    /// Bytes written in this turn.
    written: usize,
    /// Bytes that may be read in a turn.
    appetite: usize,
    /// When the turn's last byte was handed over, where all of it was.
    full_at: Option<Instant>,
}

impl<S> Turns<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, read: 0, written: 0, appetite: TURN_BYTES, full_at: None }
    }

    pub(super) fn get_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    /// A new exchange begins: what earlier ones moved is forgotten.
    pub(super) fn begin(&mut self) {
        (self.read, self.written, self.full_at) = (0, 0, None);
    }

    fn end_reading(&mut self) {
        if let Some(full_at) = self.full_at.take() {
            self.appetite = appetite_after(self.appetite, full_at.elapsed());
        }
        self.read = 0;
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Turns<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let Some(left) = this.appetite.checked_sub(this.read).filter(|left| *left > 0) else {
            this.end_reading();
            come_again(cx);
            return Poll::Pending;
        };
        let mut part = buffer.take(left);
        let result = Pin::new(&mut this.stream).poll_read(cx, &mut part);
        let moved = part.filled().len();
        let _ = part;
        // SAFETY: the stream has filled, and so initialised, this many bytes behind those that were filled before.
        unsafe { buffer.assume_init(moved) };
        buffer.advance(moved);
        if result.is_pending() {
            (this.read, this.full_at) = (0, None);
        } else {
            this.read += moved;
            if this.read >= this.appetite {
                this.full_at = Some(Instant::now());
            }
        }
        result
    }
}

impl<S: AsyncWrite + Unpin> Turns<S> {
    fn poll_written(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if self.written >= TURN_BYTES {
            self.written = 0;
            come_again(cx);
            return Poll::Pending;
        }
        let result = write(Pin::new(&mut self.stream), cx);
        match result {
            Poll::Ready(Ok(written)) => self.written += written,
            Poll::Ready(Err(_)) | Poll::Pending => self.written = 0,
        }
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Turns<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().poll_written(cx, |stream, cx| stream.poll_write(cx, &bytes[..bytes.len().min(TURN_BYTES)]))
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, parts: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let whole: usize = parts.iter().map(|part| part.len()).sum();
        if whole <= TURN_BYTES {
            return self.get_mut().poll_written(cx, |stream, cx| stream.poll_write_vectored(cx, parts));
        }
        let mut left = TURN_BYTES;
        let mut few = [io::IoSlice::new(&[]); PARTS_MAX];
        for (place, part) in few.iter_mut().zip(parts) {
            let taken = part.len().min(left);
            *place = io::IoSlice::new(&part[..taken]);
            left -= taken;
        }
        self.get_mut().poll_written(cx, |stream, cx| stream.poll_write_vectored(cx, &few[..parts.len().min(PARTS_MAX)]))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        Pin::new(&mut this.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

/// Wakes the task once all others that are ready have run and the runtime has looked at its sockets and its clock.
fn come_again(cx: &mut Context<'_>) {
    // Its first poll hands the waker to the runtime, which keeps it; there is nothing in the future itself that must live on.
    let first = pin!(tokio::task::yield_now()).poll(cx);
    if first.is_ready() {
        cx.waker().wake_by_ref();
    }
}

/// The bytes of the next turn, when the last one's kept their reader busy for `took`.
fn appetite_after(appetite: usize, took: Duration) -> usize {
    if took > DEAR {
        (appetite / 2).max(TURN_BYTES_MIN)
    } else if took < CHEAP {
        (appetite * 2).min(TURN_BYTES)
    } else {
        appetite
    }
}

/// Bytes of a turn, as long as they are read at the usual speed; as much as an exchange reads at once.
const TURN_BYTES: usize = 64 * 1024;
/// A turn must stay worth its way through the runtime.
const TURN_BYTES_MIN: usize = 2 * 1024;
/// A turn that takes longer is too long.
const DEAR: Duration = Duration::from_micros(50);
/// A turn that takes less may be longer.
const CHEAP: Duration = Duration::from_micros(20);
/// A head and a body, or the frames of one flush.
const PARTS_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[test]
    fn an_endless_stream_lets_others_run_after_each_turn() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let others = tokio::task::spawn_local(async {
                for _ in 0..100 {
                    tokio::task::yield_now().await;
                }
            });
            let (mut endless, mut buffer, mut reads) = (Turns::new(tokio::io::repeat(7)), vec![0; TURN_BYTES], 0);
            while !others.is_finished() {
                endless.read_exact(&mut buffer).await.unwrap();
                reads += 1;
            }
            assert!(reads < 300, "{reads} turns before 100 of another's");
            let others = tokio::task::spawn_local(async {
                for _ in 0..100 {
                    tokio::task::yield_now().await;
                }
            });
            let (mut endless, mut writes) = (Turns::new(tokio::io::sink()), 0);
            while !others.is_finished() {
                endless.write_all(&buffer).await.unwrap();
                writes += 1;
            }
            assert!(writes < 300, "{writes} turns before 100 of another's");
        });
    }

    #[test]
    fn a_turn_shrinks_while_its_bytes_are_dear_and_grows_back() {
        assert_eq!(appetite_after(TURN_BYTES, Duration::from_millis(1)), TURN_BYTES / 2);
        assert_eq!(appetite_after(TURN_BYTES_MIN, Duration::from_millis(1)), TURN_BYTES_MIN);
        assert_eq!(appetite_after(TURN_BYTES / 4, Duration::ZERO), TURN_BYTES / 2);
        assert_eq!(appetite_after(TURN_BYTES, Duration::ZERO), TURN_BYTES);
    }

    #[test]
    fn every_byte_comes_through_whatever_the_pieces() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let sent: Vec<u8> = (0..1_000_000_u32).map(|number| (number % 251) as u8).collect();
            let (one, other) = tokio::io::duplex(100_000);
            let (mut reader, mut writer) = (Turns::new(one), Turns::new(other));
            let (copy, ()) = tokio::join!(
                async {
                    let mut got = Vec::new();
                    reader.read_to_end(&mut got).await.unwrap();
                    got
                },
                async {
                    writer.write_all(&sent).await.unwrap();
                    drop(writer);
                }
            );
            assert!(copy == sent);
        });
    }
}
