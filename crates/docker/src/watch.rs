//! A way to the engine for another program, which takes note of what the program has it make.
//!
//! Builds of the classic builder leave an image for every instruction, and a build that fails leaves them for good. The
//! engine says their ids as it makes them; they are in no other list from which one could tell whose they are.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::connection::{Dialer, Stream};
use crate::engine::Engine;

const SOCKET: &str = "engine.sock";
/// For what the engine is doing when the program has gone.
const LAST_WORDS: Duration = Duration::from_millis(1500);
const LONGEST_LINE: usize = 4096;
const SHORT_ID: usize = 12;

/// What the engine was seen to make.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Made {
    /// Short ids of images, oldest first.
    pub images: Vec<String>,
    /// Short ids of containers, oldest first.
    pub containers: Vec<String>,
}

/// A socket that leads to the engine.
#[derive(Debug)]
pub struct Watch {
    socket: PathBuf,
    made: Arc<Mutex<Made>>,
    closing: CancellationToken,
    door: JoinHandle<()>,
}

impl Watch {
    /// A socket in `folder` that leads to `engine`, wherever that is.
    ///
    /// # Errors
    /// Where the socket cannot be made, such as for the length of its path.
    pub fn open(engine: &Engine, folder: &Path) -> io::Result<Self> {
        let socket = folder.join(SOCKET);
        let listener = UnixListener::bind(&socket)?;
        let (made, closing) = (Arc::<Mutex<Made>>::default(), CancellationToken::new());
        let door = tokio::spawn(serve(listener, Arc::clone(&engine.dialer), Arc::clone(&made), closing.clone()));
        Ok(Self { socket, made, closing, door })
    }

    /// For `DOCKER_HOST`.
    pub fn endpoint(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    /// Closes the way, once the engine has ended what it was doing, and tells what it made.
    pub async fn close(mut self) -> Made {
        self.closing.cancel();
        if tokio::time::timeout(LAST_WORDS, &mut self.door).await.is_err() {
            debug!("the engine did not end what it was doing");
        }
        std::mem::take(&mut *self.made.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.door.abort();
        // It goes with its folder at the latest.
        let _ = std::fs::remove_file(&self.socket);
    }
}

async fn serve(listener: UnixListener, dialer: Arc<Dialer>, made: Arc<Mutex<Made>>, closing: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        let client = tokio::select! {
            client = listener.accept() => client,
            () = closing.cancelled() => break,
        };
        let Ok((client, _)) = client else { continue };
        let (dialer, made) = (Arc::clone(&dialer), Arc::clone(&made));
        connections.spawn(async move {
            // The program is told by the end of its connection.
            if let Ok(engine) = dialer.dial().await {
                connect(client, engine, made).await;
            }
        });
    }
    while connections.join_next().await.is_some() {}
}

async fn connect(client: UnixStream, engine: Box<dyn Stream>, made: Arc<Mutex<Made>>) {
    let (from_client, to_client) = client.into_split();
    let (from_engine, to_engine) = tokio::io::split(engine);
    let mut seen = Seen { made, ..Seen::default() };
    // The end of what the program says is passed on, which makes the engine stop; its own end is waited for.
    tokio::join!(pump(from_client, to_engine, |_| {}), pump(from_engine, to_client, |bytes| seen.take(bytes)));
}

/// Passes on what there is, to the end; where nobody takes it any more, it is still read.
async fn pump(mut from: impl AsyncRead + Unpin, to: impl AsyncWrite + Unpin, mut see: impl FnMut(&[u8])) {
    let mut to = Some(to);
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        see(&buffer[..read]);
        if let Some(writer) = &mut to
            && writer.write_all(&buffer[..read]).await.is_err()
        {
            to = None;
        }
    }
    if let Some(mut writer) = to {
        // The other end may be gone already.
        let _ = writer.shutdown().await;
    }
}

/// What one connection says, a line at a time.
#[derive(Default)]
struct Seen {
    made: Arc<Mutex<Made>>,
    line: Vec<u8>,
    /// Whether the next image is one that was there.
    cached: bool,
}

impl Seen {
    fn take(&mut self, bytes: &[u8]) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            // Layers pass here as well; what is longer is none of the lines looked for.
            if self.line.len() < LONGEST_LINE {
                self.line.extend_from_slice(&part[..part.len().min(LONGEST_LINE)]);
            }
            if part.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                self.read(&String::from_utf8_lossy(&line));
            }
        }
    }

    /// ` ---> ID`, ` ---> Running in ID` and `Successfully built ID`, in JSON, where `>` may be `\u003e`.
    fn read(&mut self, line: &str) {
        let line = line.replace("\\u003e", ">");
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if line.contains("---> Using cache") {
            self.cached = true;
        } else if let Some(container) = id_after(&line, "Running in ") {
            made.containers.push(container);
        } else if let Some(image) = id_after(&line, "---> ").or_else(|| id_after(&line, "Successfully built "))
            && !std::mem::take(&mut self.cached)
        {
            made.images.push(image);
        }
    }
}

fn id_after(said: &str, words: &str) -> Option<String> {
    let (_, rest) = said.split_once(words)?;
    let id: String = rest.chars().take_while(char::is_ascii_hexdigit).collect();
    (id.len() == SHORT_ID).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = concat!(
        "1f\r\n{\"stream\":\"Step 1/3 : FROM base\"}\r\n{\"stream\":\"\\n\"}\r\n{\"stream\":\" ---\\u003e 0123456789ab\\n\"}\r\n",
        "{\"stream\":\"Step 2/3 : RUN x\"}\r\n{\"stream\":\" ---\\u003e Running in aaaaaaaaaaaa\\n\"}\r\n",
        "{\"stream\":\" ---\\u003e bbbbbbbbbbbb\\n\"}\r\n{\"stream\":\"Successfully built cccccccccccc\\n\"}\r\n"
    );

    fn seen(text: &str, chunk: usize) -> Made {
        let mut seen = Seen::default();
        text.as_bytes().chunks(chunk).for_each(|bytes| seen.take(bytes));
        seen.made.lock().expect("not poisoned").clone()
    }

    #[test]
    fn ids_are_found_however_the_answer_is_cut() {
        for chunk in [1, 7, 64, 10_000] {
            let made = seen(SAID, chunk);
            assert_eq!(made.images, ["0123456789ab", "bbbbbbbbbbbb", "cccccccccccc"], "{chunk}");
            assert_eq!(made.containers, ["aaaaaaaaaaaa"], "{chunk}");
        }
    }

    #[test]
    fn what_comes_from_the_cache_is_not_ours() {
        let cached = "{\"stream\":\" ---\\u003e Using cache\\n\"}\r\n{\"stream\":\" ---\\u003e 0123456789ab\\n\"}\r\n";
        assert_eq!(seen(cached, 20), Made::default());
        assert_eq!(seen("{\"Id\":\"sha256:0123456789ab\"} ---> short\n", 5), Made::default());
    }
}
