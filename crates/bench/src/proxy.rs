//! Proxies that count what goes through them. They serve until the process ends.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use anyhow::{Context, Result};

/// Counts bytes on their way to a server, over all connections, requests and their headers included.
#[derive(Debug, Clone, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// Bytes since the last call.
    pub fn take(&self) -> u64 {
        self.0.swap(0, Ordering::SeqCst)
    }
}

/// A connection of either kind.
trait Connection: Read + Write + Send + Sized + 'static {
    fn duplicate(&self) -> io::Result<Self>;
    fn close(&self, how: Shutdown) -> io::Result<()>;
}

impl Connection for UnixStream {
    fn duplicate(&self) -> io::Result<Self> {
        self.try_clone()
    }

    fn close(&self, how: Shutdown) -> io::Result<()> {
        self.shutdown(how)
    }
}

impl Connection for TcpStream {
    fn duplicate(&self) -> io::Result<Self> {
        self.try_clone()
    }

    fn close(&self, how: Shutdown) -> io::Result<()> {
        self.shutdown(how)
    }
}

/// A proxy at the socket `at`, in front of an engine's socket.
///
/// # Errors
/// Where the socket cannot be made.
pub fn in_front_of_socket(engine: &Path, at: &Path) -> Result<Counter> {
    let listener = UnixListener::bind(at).with_context(|| format!("cannot listen at {}", at.display()))?;
    let (counter, engine) = (Counter::default(), engine.to_owned());
    let counting = counter.clone();
    thread::spawn(move || {
        for client in listener.incoming().filter_map(Result::ok) {
            if let Ok(server) = UnixStream::connect(&engine) {
                join(client, server, &counting);
            }
        }
    });
    Ok(counter)
}

/// A proxy at a free port of this machine, in front of another one; returns its address too.
///
/// # Errors
/// Where it cannot listen.
pub fn in_front_of_port(server: SocketAddr) -> Result<(Counter, SocketAddr)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot listen at a port")?;
    let address = listener.local_addr().context("cannot listen at a port")?;
    let counter = Counter::default();
    let counting = counter.clone();
    thread::spawn(move || {
        for client in listener.incoming().filter_map(Result::ok) {
            if let Ok(server) = TcpStream::connect(server) {
                join(client, server, &counting);
            }
        }
    });
    Ok((counter, address))
}

fn join<C: Connection>(client: C, server: C, counter: &Counter) {
    let (Ok(from_client), Ok(to_server)) = (client.duplicate(), server.duplicate()) else { return };
    let counter = counter.clone();
    thread::spawn(move || copy(from_client, to_server, Some(&counter)));
    thread::spawn(move || copy(server, client, None));
}

/// The end of one direction is passed on; the other may go on.
fn copy<C: Connection>(mut from: C, mut to: C, counter: Option<&Counter>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        if let Some(Counter(count)) = counter {
            count.fetch_add(read as u64, Ordering::SeqCst);
        }
        if to.write_all(&buffer[..read]).is_err() {
            // Whoever sends is not left waiting.
            let _ = from.close(Shutdown::Both);
            break;
        }
    }
    let _ = to.close(Shutdown::Write);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_is_counted_and_what_comes_back_is_not() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let server = listener.local_addr().expect("an address");
        thread::spawn(move || {
            let (mut client, _) = listener.accept().expect("a client");
            let mut asked = Vec::new();
            client.read_to_end(&mut asked).expect("a request");
            client.write_all(&[b'x'; 1000]).expect("an answer");
        });
        let (counter, address) = in_front_of_port(server).expect("a proxy");
        let mut client = TcpStream::connect(address).expect("it listens");
        client.write_all(b"hello").expect("a request");
        client.shutdown(Shutdown::Write).expect("the end of it");
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).expect("an answer");
        assert_eq!((answer.len(), counter.take(), counter.take()), (1000, 5, 0));
    }
}
