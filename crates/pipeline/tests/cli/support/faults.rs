//! What goes wrong between us and somebody else.

use std::io::{Read, Write};
use std::time::Duration;

use super::http::{Answer, Exchange, Upstream};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// An answer of its own.
    Status(u16),
    /// The same, with the wish to be asked again after so many seconds.
    RetryAfter(u16, u64),
    /// The connection ends before the request gets there.
    LostRequest,
    /// It ends in the middle of the request, on both sides.
    HalfARequest,
    /// It ends once all is done over there.
    LostAnswer,
    /// It ends in the middle of the answer.
    HalfAnAnswer,
    /// The answer is well made, but half of its content is missing.
    ShortBody,
    /// One byte of the answer's content is another.
    WrongByte,
    /// The answer names another digest than that of its content.
    WrongDigest,
    /// 200, and nothing.
    NoContent,
    /// 200, and a stream that says in the end that it did not work.
    ErrorInStream,
    /// Nothing comes for so many seconds.
    Stall(u64),
    /// Half of the answer comes, and then nothing for so many seconds.
    StallAmid(u64),
    /// The content of request and of answer take so many seconds each, with a little of it at a time.
    Slow(u64),
}

/// What faults say, in the ways of registries and of engines.
pub const SAID: &str = "the test says no";
const PIECES_A_SECOND: u64 = 2;

/// Lets `fault` happen to a request that `own` is the answer to, or else that of `host`.
pub fn happen(fault: Fault, mut exchange: Exchange, own: Option<Answer>, host: &str) -> Option<()> {
    match fault {
        Fault::Status(status) => exchange.answer(no(status)),
        Fault::RetryAfter(status, seconds) => exchange.answer(no(status).header("retry-after", seconds.to_string())),
        Fault::LostRequest => exchange.read_body(),
        Fault::HalfARequest => half_a_request(exchange, host),
        Fault::NoContent => exchange.answer(Answer::new(200)),
        Fault::ErrorInStream => {
            let error = format!(r#"{{"errorDetail":{{"message":"{SAID}"}},"error":"{SAID}"}}"#);
            let lines = format!("{{\"status\":\"at work\"}}\r\n{error}\r\n");
            exchange.answer(Answer::new(200).header("content-type", "application/json").body(lines))
        }
        Fault::Stall(seconds) => silence(exchange, seconds),
        Fault::Slow(seconds) => slow(exchange, own, host, seconds),
        _ => {
            let answer = whole(&mut exchange, own, host)?;
            let half = answer.len() / 2;
            match fault {
                Fault::LostAnswer => Some(()),
                Fault::HalfAnAnswer => exchange.client.write_all(&answer[..half]).ok(),
                Fault::StallAmid(seconds) => {
                    exchange.client.write_all(&answer[..half]).ok()?;
                    silence(exchange, seconds)
                }
                _ => exchange.client.write_all(&changed(fault, &answer)?).ok(),
            }
        }
    }
}

fn no(status: u16) -> Answer {
    let said = format!(r#"{{"message":"{SAID}","errors":[{{"code":"TEST","message":"{SAID}"}}]}}"#);
    Answer::new(status).header("content-type", "application/json").body(said)
}

fn half_a_request(mut exchange: Exchange, host: &str) -> Option<()> {
    // Where the client does not know it either, the first piece is a part.
    let half = exchange.length().map_or(1, |length| length.div_ceil(2));
    exchange.read_body_in_pieces(half, |read| read < half)?;
    let mut part = exchange.request.forwarded();
    let most = part.len().saturating_sub(exchange.length().unwrap_or(2) / 2);
    part.truncate(most);
    Upstream::connect(host).ok()?.write_all(&part).ok()
}

/// Until the client has gone, or for so long.
fn silence(mut exchange: Exchange, seconds: u64) -> Option<()> {
    exchange.read_body()?;
    exchange.client.set_read_timeout(Some(Duration::from_secs(seconds))).ok()?;
    exchange.client.read(&mut [0]).map(drop).ok()
}

fn slow(mut exchange: Exchange, own: Option<Answer>, host: &str, seconds: u64) -> Option<()> {
    let pieces = usize::try_from(seconds * PIECES_A_SECOND).ok()?;
    let pause = Duration::from_millis(1000 / PIECES_A_SECOND);
    if let Some(length) = exchange.length() {
        exchange.read_body_in_pieces(length.div_ceil(pieces).max(1), |_| {
            std::thread::sleep(pause);
            true
        })?;
    }
    let answer = whole(&mut exchange, own, host)?;
    // A head comes at once, or not at all.
    let (head, content) = answer.split_at(answer.windows(4).position(|window| window == b"\r\n\r\n")? + 4);
    exchange.client.write_all(head).ok()?;
    for piece in content.chunks(content.len().div_ceil(pieces).max(1)) {
        std::thread::sleep(pause);
        exchange.client.write_all(piece).ok()?;
    }
    Some(())
}

/// The answer as it should be, head and content.
fn whole(exchange: &mut Exchange, own: Option<Answer>, host: &str) -> Option<Vec<u8>> {
    let Some(own) = own else { return exchange.ask(host) };
    exchange.read_body()?;
    let mut head = format!("HTTP/1.1 {} x\r\nconnection: close\r\n", own.status);
    for (name, value) in &own.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let content = format!("content-length: {}\r\n\r\n", own.body.len());
    Some([head.as_bytes(), content.as_bytes(), &own.body].concat())
}

/// An answer in which something is not as it should be.
fn changed(fault: Fault, answer: &[u8]) -> Option<Vec<u8>> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let is_chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let mut content = answer[end + 4..].to_vec();
    if is_chunked {
        content = dechunked(&content)?;
    }
    match fault {
        Fault::ShortBody => content.truncate(content.len() / 2),
        Fault::WrongByte => *content.last_mut()? ^= 1,
        _ => {}
    }
    let is_kept = |line: &&str| {
        let line = line.to_ascii_lowercase();
        let is_digest = line.starts_with("docker-content-digest:") && fault == Fault::WrongDigest;
        !line.starts_with("content-length:") && !line.starts_with("transfer-encoding:") && !is_digest
    };
    let mut lines: Vec<String> = head.lines().filter(is_kept).map(str::to_owned).collect();
    lines.push(format!("content-length: {}", content.len()));
    if fault == Fault::WrongDigest {
        lines.push(format!("docker-content-digest: sha256:{}", "0".repeat(64)));
    }
    Some([lines.join("\r\n").as_bytes(), b"\r\n\r\n", &content].concat())
}

fn dechunked(mut chunks: &[u8]) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    loop {
        let line = chunks.windows(2).position(|window| window == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&chunks[..line]).ok()?, 16).ok()?;
        if size == 0 {
            return Some(content);
        }
        content.extend_from_slice(chunks.get(line + 2..line + 2 + size)?);
        chunks = chunks.get(line + 2 + size + 2..)?;
    }
}
