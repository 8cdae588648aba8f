//! A bridge from code that writes bytes, on a thread of its own, to an HTTP body that streams them.

use std::io::{self, Write};

use bytes::Bytes;
use futures_util::Stream;
use tokio::sync::mpsc;

/// Bytes gathered before they are handed over; with the queue below, a bound on memory of about 2 MiB.
const CHUNK: usize = 256 * 1024;
const QUEUE: usize = 8;

/// The writing end. Writing fails once the reading end is gone, so a cancelled upload ends its writer.
pub(crate) struct PipeWriter {
    sender: mpsc::Sender<io::Result<Bytes>>,
    pending: Vec<u8>,
}

/// A writing end, for a blocking thread, and the stream of what is written to it.
pub(crate) fn pipe() -> (PipeWriter, impl Stream<Item = io::Result<Bytes>> + Send + 'static) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let stream = futures_util::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|item| (item, receiver))
    });
    (PipeWriter { sender, pending: Vec::with_capacity(CHUNK) }, stream)
}

impl PipeWriter {
    fn send(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let full = std::mem::replace(&mut self.pending, Vec::with_capacity(CHUNK));
        let gone = |_| io::Error::new(io::ErrorKind::BrokenPipe, "the receiver is gone");
        self.sender.blocking_send(Ok(full.into())).map_err(gone)
    }

    /// Makes the reading end fail, so that what was sent so far is not taken for the whole.
    pub(crate) fn fail(self, error: &io::Error) {
        // A reading end that is gone needs no telling.
        let _ = self.sender.blocking_send(Err(io::Error::new(error.kind(), error.to_string())));
    }
}

impl Write for PipeWriter {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let taken = buffer.len().min(CHUNK - self.pending.len());
        self.pending.extend_from_slice(&buffer[..taken]);
        if self.pending.len() == CHUNK {
            self.send()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send()
    }
}
