//! Between us and the real engine's socket: writes down everything that the engine is told.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex};

use tempfile::TempDir;

use super::engine;

pub struct Wiretap {
    folder: TempDir,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl Wiretap {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let listener = UnixListener::bind(folder.path().join("engine.sock")).expect("a socket");
        let heard = Arc::<Mutex<Vec<u8>>>::default();
        let notes = Arc::clone(&heard);
        std::thread::spawn(move || {
            for client in listener.incoming().filter_map(Result::ok) {
                let Ok(engine) = UnixStream::connect(engine::socket()) else { return };
                let (from, to) = (client.try_clone().expect("a socket"), engine.try_clone().expect("a socket"));
                let notes = Arc::clone(&notes);
                std::thread::spawn(move || pass_on(from, to, |bytes| notes.lock().expect("fine").extend(bytes)));
                std::thread::spawn(move || pass_on(engine, client, |_| {}));
            }
        });
        Self { folder, heard }
    }

    pub fn endpoint(&self) -> String {
        format!("unix://{}", self.folder.path().join("engine.sock").display())
    }

    /// Everything until now.
    pub fn heard(&self) -> Vec<u8> {
        self.heard.lock().expect("fine").clone()
    }
}

fn pass_on(mut from: UnixStream, mut to: UnixStream, note: impl Fn(&[u8])) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        note(&buffer[..read]);
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    // The other half may still have an answer to give.
    let _ = from.shutdown(Shutdown::Read);
    let _ = to.shutdown(Shutdown::Write);
}
