//! A proxy in front of the real engine's socket: it goes away after so many bytes were sent to it, or says something else of
//! the engine than that would.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tempfile::TempDir;

use super::engine;

pub struct Proxy {
    folder: TempDir,
}

impl Proxy {
    /// Lets `bytes` through to the engine, over all connections; then everything is cut off.
    pub fn start(bytes: i64) -> Self {
        Self::start_as(bytes, None)
    }

    /// The engine says of itself what is in `info`, a JSON object.
    pub fn start_with_info(info: &'static str) -> Self {
        Self::start_as(i64::MAX, Some(info))
    }

    fn start_as(bytes: i64, info: Option<&'static str>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let listener = UnixListener::bind(folder.path().join("engine.sock")).expect("a socket");
        let left = Arc::new(AtomicI64::new(bytes));
        std::thread::spawn(move || {
            for client in listener.incoming().filter_map(Result::ok) {
                if let Some(info) = info.filter(|_| asks_for_info(&client)) {
                    answer(client, info);
                    continue;
                }
                let Ok(engine) = UnixStream::connect(engine::socket()) else { return };
                let (from_client, to_engine, left) =
                    (client.try_clone().expect("a socket"), engine.try_clone().expect("a socket"), Arc::clone(&left));
                std::thread::spawn(move || copy(from_client, to_engine, Some(&left)));
                std::thread::spawn(move || copy(engine, client, None));
            }
        });
        Self { folder }
    }

    pub fn endpoint(&self) -> String {
        format!("unix://{}", self.folder.path().join("engine.sock").display())
    }
}

/// Each request has a connection of its own, so its first bytes tell which it is.
fn asks_for_info(client: &UnixStream) -> bool {
    let mut first = [0; 10];
    while let Ok((read, _)) = rustix::net::recv(client, &mut first, rustix::net::RecvFlags::PEEK) {
        if read == 0 || read == first.len() {
            return first.starts_with(b"GET /info ");
        }
    }
    false
}

fn answer(mut client: UnixStream, body: &str) {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: ";
    // Whoever does not wait for it has hung up.
    let _ = client.write_all(format!("{head}{}\r\n\r\n{body}", body.len()).as_bytes());
}

fn copy(mut from: UnixStream, mut to: UnixStream, left: Option<&AtomicI64>) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        let over = left.is_some_and(|left| left.fetch_sub(read as i64, Ordering::SeqCst) < read as i64);
        if over || to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    // Either end gone is the end of both.
    let _ = from.shutdown(std::net::Shutdown::Both);
    let _ = to.shutdown(std::net::Shutdown::Both);
}
