//! One layer, with entries left out or replaced; everything else stays as it is, to the byte.

use std::cell::Cell;
use std::io::{self, Read, Write};

use tar::{Archive, Entry};
use tokio_util::sync::CancellationToken;

use super::Rewrite;
use super::archive::Span;
use crate::hashing::HashingWriter;
use crate::{Error, Result};

const BLOCK: u64 = 512;

/// A layer to be written: parts of the old one, and new bytes between them.
#[derive(Debug)]
pub(super) struct NewLayer {
    pieces: Vec<Piece>,
    /// The new one; none where nothing changed.
    pub(super) diff_id: Option<String>,
}

#[derive(Debug)]
enum Piece {
    Old(Span),
    New(Vec<u8>),
}

impl NewLayer {
    /// Reads the layer `old` from end to end, and asks `rewrite` about each of its entries.
    pub(super) fn make(old: &Span, rewrite: &impl Rewrite, cancel: &CancellationToken) -> Result<Self> {
        let mut pieces = Vec::new();
        // Up to where the old layer has been dealt with, and where the entry in hand begins with its extensions.
        let (mut done, mut begin) = (0, 0);
        let source = Source { span: old, position: Cell::new(0), cancel };
        for entry in Archive::new(&source).entries().map_err(Error::Layer)? {
            let mut entry = entry.map_err(Error::Layer)?;
            let fate = fate(&mut entry, rewrite)?;
            let header = entry.raw_header_position();
            io::copy(&mut entry, &mut io::sink()).map_err(Error::Layer)?;
            let end = source.position.get().next_multiple_of(BLOCK);
            match fate {
                Fate::Kept => {}
                Fate::Dropped => {
                    pieces.push(Piece::Old(old.part(done, begin)));
                    done = end;
                }
                Fate::Replaced(bytes) => {
                    pieces.push(Piece::Old(old.part(done, header)));
                    pieces.push(Piece::New(bytes));
                    done = end;
                }
            }
            begin = end;
        }
        let is_changed = !pieces.is_empty();
        pieces.push(Piece::Old(old.part(done.min(old.length()), old.length())));
        let mut layer = Self { pieces, diff_id: None };
        if is_changed {
            let mut hash = HashingWriter::new(io::sink());
            layer.write_to(&mut hash).map_err(Error::Layer)?;
            let (_, diff_id, _) = hash.finish();
            layer.diff_id = Some(diff_id);
        }
        Ok(layer)
    }

    pub(super) fn size(&self) -> u64 {
        let sizes = self.pieces.iter().map(|piece| match piece {
            Piece::Old(span) => span.length(),
            Piece::New(bytes) => bytes.len() as u64,
        });
        sizes.sum()
    }

    pub(super) fn write_to(&self, out: &mut impl Write) -> io::Result<()> {
        self.pieces.iter().try_for_each(|piece| match piece {
            Piece::Old(span) => {
                let mut reader = io::BufReader::with_capacity(1 << 17, span.reader());
                io::copy(&mut reader, out).map(drop)
            }
            Piece::New(bytes) => out.write_all(bytes),
        })
    }
}

enum Fate {
    Kept,
    Dropped,
    /// By a header and content, filled up to whole blocks.
    Replaced(Vec<u8>),
}

fn fate(entry: &mut Entry<'_, impl Read>, rewrite: &impl Rewrite) -> Result<Fate> {
    let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
    let path = path.trim_start_matches("./").trim_matches('/').to_owned();
    if !rewrite.keeps(&path) {
        return Ok(Fate::Dropped);
    }
    let kind = entry.header().entry_type();
    if !(kind.is_file() || kind.is_contiguous() || kind.is_gnu_sparse()) {
        return Ok(Fate::Kept);
    }
    let content = rewrite.file(&path, entry).map_err(|source| Error::Refused { path: path.clone(), source })?;
    match content {
        None => Ok(Fate::Kept),
        Some(content) => replacement(entry, content)
            .map(Fate::Replaced)
            .map_err(|source| Error::Refused { path, source: source.into() }),
    }
}

fn replacement(entry: &mut Entry<'_, impl Read>, content: Vec<u8>) -> io::Result<Vec<u8>> {
    let sized = match entry.pax_extensions()? {
        Some(mut extensions) => extensions.any(|extension| extension.is_ok_and(|e| e.key_bytes() == b"size")),
        None => false,
    };
    // Its length stands where it would go unnoticed here.
    if sized || entry.header().entry_type().is_gnu_sparse() {
        return Err(io::Error::new(io::ErrorKind::Unsupported, "it is stored in a way in which it cannot be replaced"));
    }
    let mut header = entry.header().clone();
    header.set_size(content.len() as u64);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend(content);
    bytes.resize(bytes.len().next_multiple_of(BLOCK as usize), 0);
    Ok(bytes)
}

/// A layer as it is read: it knows how far, and can be stopped.
struct Source<'a> {
    span: &'a Span,
    position: Cell<u64>,
    cancel: &'a CancellationToken,
}

impl Read for &Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.cancel.is_cancelled() {
            return Err(io::Error::other("stopped on request"));
        }
        let read = self.span.read_at(buffer, self.position.get())?;
        self.position.set(self.position.get() + read as u64);
        Ok(read)
    }
}
