//! A connection over which no more comes than can be meant: most answers of an engine are kept in memory as a whole.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Method, Request, header};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// An answer, in bytes. A list of ten thousand images has some 15 MB.
const LARGEST_ANSWER: u64 = 64 << 20;
/// What is said during long work.
const LONGEST_TALK: u64 = 256 << 20;
/// Their answers are archives, which nobody keeps in memory.
const ARCHIVES: [&str; 3] = ["/archive", "/export", "/get"];
/// They report while they work.
const WORK: [&str; 4] = ["/build", "/images/create", "/images/load", "/push"];

/// How much may come in answer to `request`; there is no limit to what is passed on piece by piece.
pub(crate) fn limit_of<B>(request: &Request<B>) -> Option<u64> {
    let path = request.uri().path();
    let ends = |endings: &[&str]| endings.iter().any(|ending| path.ends_with(ending));
    if request.headers().contains_key(header::UPGRADE) || (request.method() == Method::GET && ends(&ARCHIVES)) {
        return None;
    }
    Some(if ends(&WORK) { LONGEST_TALK } else { LARGEST_ANSWER })
}

/// A connection from which at most so many bytes are read.
pub(crate) struct Bounded<S> {
    inner: S,
    left: u64,
}

impl<S> Bounded<S> {
    pub(crate) fn new(inner: S, limit: Option<u64>) -> Self {
        Self { inner, left: limit.unwrap_or(u64::MAX) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.left == 0 {
            let reason = "the answer has no end";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, reason)));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(context, buffer);
        let more = buffer.filled().len().saturating_sub(before) as u64;
        self.left = self.left.saturating_sub(more);
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[test]
    fn archives_have_no_limit() {
        let limit = |method: &str, path: &str, header: &str| {
            let request = Request::builder().method(method).uri(path).header(header, "x");
            limit_of(&request.body(()).expect("a request"))
        };
        for (method, path, header, expected) in [
            ("GET", "/v1.41/images/a/get", "x", None),
            ("GET", "/v1.41/containers/a/archive?path=%2F", "x", None),
            ("PUT", "/v1.41/containers/a/archive?path=%2F", "x", Some(LARGEST_ANSWER)),
            ("GET", "/v1.41/containers/a/export", "x", None),
            ("POST", "/session", "upgrade", None),
            ("POST", "/v1.41/images/create?fromImage=a", "x", Some(LONGEST_TALK)),
            ("POST", "/v1.41/images/a/push", "x", Some(LONGEST_TALK)),
            ("GET", "/v1.41/images/json", "x", Some(LARGEST_ANSWER)),
            ("GET", "/_ping", "x", Some(LARGEST_ANSWER)),
        ] {
            assert_eq!(limit(method, path, header), expected, "{method} {path}");
        }
    }

    #[tokio::test]
    async fn what_goes_beyond_is_refused() {
        let mut read = Vec::new();
        let bytes = [7; 100].as_slice();
        Bounded::new(bytes, None).read_to_end(&mut read).await.expect("it is short");
        Bounded::new(bytes, Some(101)).read_to_end(&mut read).await.expect("it is short");
        assert_eq!(read.len(), 200);
        let error = Bounded::new(bytes, Some(99)).read_to_end(&mut read).await.expect_err("it is longer");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
