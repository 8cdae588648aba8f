//! Stopping a writer that is far from finished.

use std::io::{self, Write};

use tokio_util::sync::CancellationToken;

/// Passes everything on until the token is cancelled, then fails.
pub(crate) struct CancellableWriter<W> {
    inner: W,
    cancel: CancellationToken,
}

impl<W: Write> CancellableWriter<W> {
    pub(crate) fn new(inner: W, cancel: &CancellationToken) -> Self {
        Self { inner, cancel: cancel.clone() }
    }

    pub(crate) fn into_inner(self) -> W {
        self.inner
    }
}

impl<W: Write> Write for CancellableWriter<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        if self.cancel.is_cancelled() {
            // Not `Interrupted`: that kind means "try again" to every caller of `write`.
            return Err(io::Error::other("stopped on request"));
        }
        self.inner.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
