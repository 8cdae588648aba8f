//! A very small HTTP server on a free port of this machine, which answers as a test wants it, or as somebody behind it does.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};

use super::faults::{self, Fault};

pub struct Request {
    pub method: String,
    /// With the query.
    pub address: String,
    pub authorization: String,
    pub body: String,
    /// The head as it came, but for its last line.
    head: String,
    /// The body as it came.
    raw: Vec<u8>,
}

impl Request {
    /// All of it, for somebody else, who is to end the connection with the answer.
    pub fn forwarded(&self) -> Vec<u8> {
        [self.head.as_bytes(), b"connection: close\r\n\r\n", &self.raw].concat()
    }
}

pub struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    /// What comes after that, again and again, until the client has enough.
    pub endless: Vec<u8>,
}

impl Answer {
    pub fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new(), endless: Vec::new() }
    }

    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub fn body(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.body = bytes.into();
        self
    }

    /// After the body comes this, and has no end.
    pub fn endless(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.endless = bytes.into();
        self
    }
}

/// How long a body is.
#[derive(Clone, Copy)]
enum Length {
    Bytes(usize),
    Chunked,
}

/// A request of which the head was read, and whoever waits for its answer.
pub struct Exchange {
    pub request: Request,
    pub client: TcpStream,
    reader: BufReader<TcpStream>,
    length: Length,
}

pub struct Server {
    pub host: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub fn start(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        Self::start_with(move |mut exchange| {
            exchange.read_body()?;
            let answer = answer(&exchange.request);
            exchange.answer(answer)
        })
    }

    /// Answers as `host` does, but for what `own` answers in its place.
    pub fn in_front_of(host: &str, own: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static) -> Self {
        Self::with_faults(host, own, |_| None)
    }

    /// The same, with faults; they and `own` are asked before there is a body. A host that is a path is a socket.
    pub fn with_faults(
        host: &str,
        own: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static,
        fault: impl Fn(&Request) -> Option<Fault> + Send + Sync + 'static,
    ) -> Self {
        let host = host.to_owned();
        Self::start_with(move |exchange| match (fault(&exchange.request), own(&exchange.request)) {
            (Some(fault), own) => faults::happen(fault, exchange, own, &host),
            (None, Some(answer)) => exchange.answer(answer),
            (None, None) => exchange.pass(&host),
        })
    }

    fn start_with(serve: impl Fn(Exchange) -> Option<()> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let host = listener.local_addr().expect("an address").to_string();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (serve, log) = (Arc::new(serve), Arc::clone(&requests));
        std::thread::spawn(move || {
            for client in listener.incoming().filter_map(Result::ok) {
                let (serve, log) = (Arc::clone(&serve), Arc::clone(&log));
                // A client that says nothing sensible, such as one that tries TLS, is hung up on.
                std::thread::spawn(move || {
                    let exchange = Exchange::read(client)?;
                    let asked = format!("{} {}", exchange.request.method, exchange.request.address);
                    log.lock().ok()?.push(asked);
                    serve(exchange)
                });
            }
        });
        Self { host, requests }
    }

    /// `METHOD address` of all requests, oldest first.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("nobody panicked").clone()
    }
}

impl Exchange {
    fn read(client: TcpStream) -> Option<Self> {
        let mut reader = BufReader::new(client.try_clone().ok()?);
        let mut head = String::new();
        reader.read_line(&mut head).ok()?;
        let mut words = head.split_whitespace();
        let (method, address) = (words.next()?.to_owned(), words.next()?.to_owned());
        let (mut length, mut authorization) = (Length::Bytes(0), String::new());
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim().split_once(": ") else { break };
            head.push_str(&line);
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = Length::Bytes(value.parse().ok()?),
                "transfer-encoding" => length = Length::Chunked,
                "authorization" => authorization = value.to_owned(),
                _ => {}
            }
        }
        let request = Request { method, address, authorization, body: String::new(), head, raw: Vec::new() };
        Some(Self { request, client, reader, length })
    }

    /// Reads the body, to its end.
    pub fn read_body(&mut self) -> Option<()> {
        self.read_body_in_pieces(16 * 1024, |_| true)
    }

    /// Reads the body, at most `most` bytes at a time, as long as `go_on` says so of the bytes that were read.
    pub fn read_body_in_pieces(&mut self, most: usize, mut go_on: impl FnMut(usize) -> bool) -> Option<()> {
        let raw = &mut self.request.raw;
        let mut piece = vec![0; most];
        while match self.length {
            Length::Bytes(length) => raw.len() < length,
            Length::Chunked => !raw.ends_with(b"\r\n0\r\n\r\n") && raw != b"0\r\n\r\n",
        } {
            if !go_on(raw.len()) {
                return Some(());
            }
            match self.reader.read(&mut piece).ok()? {
                0 => return None,
                read => raw.extend_from_slice(&piece[..read]),
            }
        }
        self.request.body = String::from_utf8_lossy(raw).into_owned();
        Some(())
    }

    /// The length of the body, where the client knows it.
    pub fn length(&self) -> Option<usize> {
        match self.length {
            Length::Bytes(length) => Some(length),
            Length::Chunked => None,
        }
    }

    /// Answers, once the body was read.
    pub fn answer(mut self, mut answer: Answer) -> Option<()> {
        self.read_body()?;
        let length = answer.body.len();
        let mut head = format!("HTTP/1.1 {} x\r\nconnection: close\r\n", answer.status);
        let is_said = answer.headers.iter().any(|(name, _)| *name == "content-length");
        if !is_said && answer.endless.is_empty() {
            answer.headers.push(("content-length", length.to_string()));
        }
        for (name, value) in &answer.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        self.client.write_all(format!("{head}\r\n").as_bytes()).ok()?;
        if self.request.method != "HEAD" {
            self.client.write_all(&answer.body).ok()?;
            while !answer.endless.is_empty() {
                self.client.write_all(&answer.endless).ok()?;
            }
        }
        Some(())
    }

    /// What `host` says to the request.
    pub fn ask(&mut self, host: &str) -> Option<Vec<u8>> {
        self.read_body()?;
        let mut answer = Vec::new();
        let mut upstream = Upstream::connect(host).ok()?;
        upstream.write_all(&self.request.forwarded()).ok()?;
        upstream.read_to_end(&mut answer).ok()?;
        Some(answer)
    }

    /// Lets both talk with each other. What has no body may become something else than HTTP.
    fn pass(mut self, host: &str) -> Option<()> {
        if self.request.head.to_ascii_lowercase().contains("\r\nupgrade:") {
            let mut upstream = Upstream::connect(host).ok()?;
            upstream.write_all(format!("{}\r\n", self.request.head).as_bytes()).ok()?;
            let (mut sender, mut reader) = (upstream.try_clone().ok()?, self.reader);
            std::thread::spawn(move || {
                // Either end may be gone.
                let _ = std::io::copy(&mut reader, &mut sender);
                sender.shutdown();
            });
            return std::io::copy(&mut upstream, &mut self.client).map(drop).ok();
        }
        let answer = self.ask(host)?;
        self.client.write_all(&answer).ok()
    }
}

/// A connection to somebody, at a port or a socket.
pub enum Upstream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Upstream {
    pub fn connect(host: &str) -> std::io::Result<Self> {
        match host.starts_with('/') {
            true => UnixStream::connect(host).map(Self::Unix),
            false => TcpStream::connect(host).map(Self::Tcp),
        }
    }

    fn try_clone(&self) -> std::io::Result<Self> {
        match self {
            Self::Tcp(stream) => stream.try_clone().map(Self::Tcp),
            Self::Unix(stream) => stream.try_clone().map(Self::Unix),
        }
    }

    /// The end of what we say.
    fn shutdown(&self) {
        // Who is gone need not be told.
        let _ = match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Self::Unix(stream) => stream.shutdown(Shutdown::Write),
        };
    }
}

impl Read for Upstream {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Upstream {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(buffer),
            Self::Unix(stream) => stream.write(buffer),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
