//! Contents without meaning: the same bytes each time, made as they are written, so that a pack of any size needs
//! little memory. Archives and images do not compress; everything else is text that does.

use std::io::{self, Write};
use std::sync::OnceLock;

const CHUNK: usize = 64 * 1024;

/// Endings of files that are compressed already.
const COMPRESSED: &[&str] = &[
    "aar", "br", "car", "ear", "gif", "gz", "jar", "jks", "jpeg", "jpg", "mar", "p12", "pdf", "png", "war", "webp",
    "woff", "woff2", "zip",
];

/// Writes `size` bytes of the content that a file at `path` has.
pub(crate) fn write(path: &str, size: u64, to: &mut impl Write) -> io::Result<()> {
    let ending = path.rsplit_once('.').map_or("", |(_, ending)| ending);
    if COMPRESSED.contains(&ending) { write_noise(path, size, to) } else { write_text(path, size, to) }
}

/// `size` bytes of the content that a file at `path` has.
pub(crate) fn content(path: &str, size: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size);
    write(path, size as u64, &mut bytes).expect("writing to memory cannot fail");
    bytes
}

fn write_noise(seed: &str, mut size: u64, to: &mut impl Write) -> io::Result<()> {
    let mut random = Random::new(seed);
    let mut chunk = vec![0; CHUNK];
    while size > 0 {
        for word in chunk.chunks_exact_mut(8) {
            word.copy_from_slice(&random.next().to_le_bytes());
        }
        let part = size.min(CHUNK as u64);
        to.write_all(&chunk[..part as usize])?;
        size -= part;
    }
    Ok(())
}

/// The first line names the file, so that no two texts are alike and a patch finds something to replace.
fn write_text(path: &str, mut size: u64, to: &mut impl Write) -> io::Result<()> {
    let first_line = first_line(path);
    let part = size.min(first_line.len() as u64);
    to.write_all(&first_line.as_bytes()[..part as usize])?;
    size -= part;

    let text = text();
    let mut start = (Random::new(path).next() % text.len() as u64) as usize;
    while size > 0 {
        let part = size.min((text.len() - start) as u64);
        to.write_all(&text[start..start + part as usize])?;
        size -= part;
        start = 0;
    }
    Ok(())
}

/// The first line of a text at `path`. A script that somebody runs by mistake ends at once, doing nothing.
pub(crate) fn first_line(path: &str) -> String {
    if path.ends_with(".sh") { format!("#!/bin/sh\nexit 0 # {path}\n") } else { format!("/* {path} */\n") }
}

/// Half a megabyte of lines that look like code.
fn text() -> &'static [u8] {
    const WORDS: [&str; 16] = [
        "context",
        "handler",
        "mediator",
        "endpoint",
        "sequence",
        "response",
        "message",
        "identity",
        "tenant",
        "registry",
        "artifact",
        "subscriber",
        "throttle",
        "gateway",
        "publisher",
        "keystore",
    ];
    static TEXT: OnceLock<Vec<u8>> = OnceLock::new();
    TEXT.get_or_init(|| {
        let mut random = Random::new("text");
        let mut word = || WORDS[(random.next() >> 60) as usize];
        let mut text = Vec::with_capacity(8 * CHUNK);
        while text.len() < 8 * CHUNK {
            let (subject, object) = (word(), word());
            writeln!(
                text,
                "    /** Sets what is in use from now on; earlier ones are forgotten. */\n    \
                 public synchronized void set{object}(final {subject} value) {{\n        \
                 this.configuration.put({subject}.class.getName(), value.get{object}());\n    }}"
            )
            .expect("writing to memory cannot fail");
        }
        text
    })
}

/// `xorshift64*`: quick, and random enough not to compress.
struct Random(u64);

impl Random {
    /// Seeded with the FNV-1a hash of a text.
    fn new(seed: &str) -> Self {
        let hash = seed
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        Self(hash | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_have_their_size_and_are_the_same_each_time() {
        for path in ["a.jar", "a.js", "a.sh"] {
            for size in [0, 1, 7, CHUNK + 3, 9 * CHUNK] {
                let bytes = content(path, size);
                assert_eq!(bytes.len(), size);
                assert_eq!(bytes, content(path, size));
            }
        }
        assert_ne!(content("a.jar", 100), content("b.jar", 100));
        assert_ne!(content("a.js", 100), content("b.js", 100));
    }
}
