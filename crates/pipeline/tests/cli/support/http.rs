//! A very small HTTP server on a free port of this machine, which answers as a test wants it, or as somebody behind it does.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub struct Request {
    pub method: String,
    /// With the query.
    pub address: String,
    pub authorization: String,
    pub body: String,
    /// All of it, as it came.
    raw: Vec<u8>,
}

pub struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub fn body(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.body = bytes.into();
        self
    }
}

enum Reply {
    Own(Answer),
    /// Of somebody else, head and body.
    Raw(Vec<u8>),
    /// None for so long.
    Silence(Duration),
}

/// What goes wrong between us and somebody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// An answer of its own.
    Status(u16),
    /// The same, with the wish to be asked again after so many seconds.
    RetryAfter(u16, u64),
    /// The connection ends before the request gets there.
    LostRequest,
    /// It ends once all is done over there.
    LostAnswer,
    /// It ends in the middle of the answer.
    HalfAnAnswer,
    /// Nothing comes for so many seconds.
    Stall(u64),
}

pub struct Server {
    pub host: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub fn start(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        Self::start_with(move |request| Reply::Own(answer(request)))
    }

    /// Answers as `host` does, but for what `own` answers in its place.
    pub fn in_front_of(host: &str, own: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static) -> Self {
        let host = host.to_owned();
        Self::start_with(move |request| match own(request) {
            Some(answer) => Reply::Own(answer),
            None => Reply::Raw(asked(&host, &request.raw).unwrap_or_default()),
        })
    }

    /// The same, with faults.
    pub fn with_faults(
        host: &str,
        own: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static,
        fault: impl Fn(&Request) -> Option<Fault> + Send + Sync + 'static,
    ) -> Self {
        let host = host.to_owned();
        Self::start_with(move |request| {
            let forwarded = || asked(&host, &request.raw).unwrap_or_default();
            match fault(request) {
                Some(Fault::Status(status)) => Reply::Own(Answer::new(status)),
                Some(Fault::RetryAfter(status, seconds)) => {
                    Reply::Own(Answer::new(status).header("retry-after", seconds.to_string()))
                }
                Some(Fault::LostRequest) => Reply::Raw(Vec::new()),
                Some(Fault::LostAnswer) => {
                    forwarded();
                    Reply::Raw(Vec::new())
                }
                Some(Fault::HalfAnAnswer) => {
                    let answer = forwarded();
                    Reply::Raw(answer[..answer.len() / 2].to_vec())
                }
                Some(Fault::Stall(seconds)) => Reply::Silence(Duration::from_secs(seconds)),
                None => own(request).map_or_else(|| Reply::Raw(forwarded()), Reply::Own),
            }
        })
    }

    fn start_with(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let host = listener.local_addr().expect("an address").to_string();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (answer, log) = (Arc::new(answer), Arc::clone(&requests));
        std::thread::spawn(move || {
            for client in listener.incoming().filter_map(Result::ok) {
                let (answer, log) = (Arc::clone(&answer), Arc::clone(&log));
                // A client that says nothing sensible, such as one that tries TLS, is hung up on.
                std::thread::spawn(move || serve(client, &*answer, &log));
            }
        });
        Self { host, requests }
    }

    /// `METHOD address` of all requests, oldest first.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("nobody panicked").clone()
    }
}

fn serve(mut client: TcpStream, answer: &dyn Fn(&Request) -> Reply, log: &Mutex<Vec<String>>) -> Option<()> {
    let mut reader = BufReader::new(client.try_clone().ok()?);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let mut words = first.split_whitespace();
    let (method, address) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (mut length, mut authorization) = (0, String::new());
    let mut raw = first.clone();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(": ") else { break };
        raw.push_str(&line);
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().ok()?,
            "authorization" => authorization = value.to_owned(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    log.lock().ok()?.push(format!("{method} {address}"));
    raw.push_str("connection: close\r\n\r\n");
    let raw = [raw.as_bytes(), &body].concat();
    let request = Request { method, address, authorization, body: String::from_utf8_lossy(&body).into_owned(), raw };
    let mut answer = match answer(&request) {
        Reply::Own(answer) => answer,
        Reply::Raw(bytes) => return client.write_all(&bytes).ok(),
        Reply::Silence(time) => {
            std::thread::sleep(time);
            return None;
        }
    };
    let length = answer.body.len();
    let mut head = format!("HTTP/1.1 {} x\r\nconnection: close\r\n", answer.status);
    if !answer.headers.iter().any(|(name, _)| *name == "content-length") {
        answer.headers.push(("content-length", length.to_string()));
    }
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    client.write_all(format!("{head}\r\n").as_bytes()).ok()?;
    if request.method != "HEAD" {
        client.write_all(&answer.body).ok()?;
    }
    Some(())
}

/// What `host` says to a request.
fn asked(host: &str, request: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(host)?;
    stream.write_all(request)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}
