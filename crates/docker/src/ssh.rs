//! An engine on another machine: `ssh` runs `docker system dial-stdio` there, as the `docker` command does it.

use std::io;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

use crate::endpoint::SshTarget;

/// How much of what ssh said last is kept.
const SAID_BYTES: usize = 1000;
/// A shared connection of ssh keeps its stderr open in the background, so its end cannot be waited for.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// ssh ended before the engine said anything.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct SshFailure(pub String);

/// A connection through a running `ssh`, which ends with it.
pub(crate) struct SshStream {
    stdin: Option<ChildStdin>,
    stdout: ChildStdout,
    answered: bool,
    said: Pin<Box<dyn Future<Output = String> + Send>>,
    _child: Child,
}

/// Starts `ssh`. It never asks for anything: there may be nobody to answer.
pub(crate) fn connect(target: &SshTarget) -> io::Result<SshStream> {
    let mut command = Command::new("ssh");
    command.args(["-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=5"]);
    if let Some(user) = &target.user {
        command.args(["-l", user]);
    }
    if let Some(port) = target.port {
        command.args(["-p", &port.to_string()]);
    }
    command.args(["--", &target.host, "docker"]);
    if let Some(socket) = &target.socket {
        command.args(["--host", &format!("unix://{socket}")]);
    }
    command.args(["system", "dial-stdio"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // Of its own group: an interrupt at the terminal is for us, who still have to undo what was begun.
    command.kill_on_drop(true).process_group(0);
    let mut child =
        command.spawn().map_err(|error| io::Error::other(SshFailure(format!("ssh cannot start: {error}"))))?;
    let missing = || io::Error::other("ssh has no such pipe");
    let stderr = child.stderr.take().ok_or_else(missing)?;
    Ok(SshStream {
        stdin: child.stdin.take(),
        stdout: child.stdout.take().ok_or_else(missing)?,
        answered: false,
        said: Box::pin(last_words(stderr)),
        _child: child,
    })
}

/// The end of what ssh says, once it has ended; it is read from now on, or ssh would stand still.
fn last_words(mut stderr: ChildStderr) -> impl Future<Output = String> + Send {
    let said = Arc::new(Mutex::new(Vec::new()));
    let into = Arc::clone(&said);
    let reading = tokio::spawn(async move {
        let mut buffer = [0; 1024];
        while let Ok(read @ 1..) = stderr.read(&mut buffer).await {
            let mut said = into.lock().unwrap_or_else(PoisonError::into_inner);
            said.extend_from_slice(&buffer[..read]);
            let excess = said.len().saturating_sub(SAID_BYTES);
            said.drain(..excess);
        }
    });
    async move {
        let _ = tokio::time::timeout(LAST_WORDS, reading).await;
        let said = said.lock().unwrap_or_else(PoisonError::into_inner);
        printable(&String::from_utf8_lossy(&said))
    }
}

/// In one line, without anything that a terminal would obey.
fn printable(text: &str) -> String {
    let lines = text.lines().map(|line| line.chars().filter(|c| !c.is_control()).collect::<String>());
    lines.filter(|line| !line.trim().is_empty()).collect::<Vec<_>>().join("; ")
}

impl AsyncRead for SshStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stdout).poll_read(cx, buffer))?;
        if buffer.filled().len() > before {
            self.answered = true;
        }
        if self.answered {
            return Poll::Ready(Ok(()));
        }
        let said = ready!(self.said.as_mut().poll(cx));
        self.answered = true;
        let said = if said.is_empty() { "it ended without a word".to_owned() } else { said };
        Poll::Ready(Err(io::Error::other(SshFailure(said))))
    }
}

impl AsyncWrite for SshStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Some(stdin) = &mut self.stdin else { return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())) };
        match ready!(Pin::new(stdin).poll_write(cx, bytes)) {
            // ssh is gone; the reader knows why.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe && !self.answered => Poll::Ready(Ok(bytes.len())),
            outcome => Poll::Ready(outcome),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stdin.as_mut().map_or(Poll::Ready(Ok(())), |stdin| Pin::new(stdin).poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(stdin) = &mut self.stdin {
            ready!(Pin::new(stdin).poll_shutdown(cx))?;
        }
        // Only a closed pipe tells the other side that nothing follows.
        self.stdin = None;
        Poll::Ready(Ok(()))
    }
}
