//! What an engine gives when it is asked to save an image: a tar with a table of contents, a configuration, and layers.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// A part of a file.
#[derive(Debug, Clone)]
pub(super) struct Span {
    file: Arc<File>,
    start: u64,
    length: u64,
}

impl Span {
    fn whole(file: File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        Ok(Self { file: Arc::new(file), start: 0, length })
    }

    /// From byte `from` up to byte `to`, counted from its own beginning.
    pub(super) fn part(&self, from: u64, to: u64) -> Self {
        Self { file: Arc::clone(&self.file), start: self.start + from, length: to - from }
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Reads into `buffer` what stands at `position`; 0 bytes at the end.
    pub(super) fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let left = self.length.saturating_sub(position);
        let wanted = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        self.file.read_at(&mut buffer[..wanted], self.start + position)
    }

    pub(super) fn reader(&self) -> SpanReader<'_> {
        SpanReader { span: self, position: 0 }
    }
}

/// Reads a span from its beginning.
pub(super) struct SpanReader<'a> {
    span: &'a Span,
    position: u64,
}

impl Read for SpanReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.span.read_at(buffer, self.position)?;
        self.position += read as u64;
        Ok(read)
    }
}

/// An image as an engine saved it.
#[derive(Debug)]
pub(super) struct SavedImage {
    pub(super) configuration: Value,
    /// Uncompressed, lowest first.
    pub(super) layers: Vec<Span>,
}

impl SavedImage {
    /// Reads the tables of the archive. Layers that are compressed are unpacked to files without a name in `folder`.
    pub(super) fn open(mut archive: File, folder: &Path) -> io::Result<Self> {
        archive.rewind()?;
        let (mut spans, mut links) = (HashMap::new(), HashMap::new());
        let whole = Span::whole(archive.try_clone()?)?;
        for entry in tar::Archive::new(archive).entries_with_seek()? {
            let entry = entry?;
            let name = entry.path()?.to_string_lossy().into_owned();
            if let Some(target) = entry.link_name()? {
                // Equal layers are stored once: `<id>/layer.tar` is then a link to `../<other id>/layer.tar`.
                links.insert(name, target.to_string_lossy().trim_start_matches("../").to_owned());
            } else {
                let start = entry.raw_file_position();
                spans.insert(name, whole.part(start, start + entry.size()));
            }
        }
        let span = |name: &Value| {
            let name = name.as_str().unwrap_or_default();
            let name = links.get(name).map_or(name, String::as_str);
            spans.get(name).ok_or_else(|| io::Error::other(format!("the engine's archive has no {name}")))
        };
        let manifest = json(span(&Value::from("manifest.json"))?)?;
        let names = manifest[0]["Layers"].as_array().cloned().unwrap_or_default();
        let layers = names.iter().map(|name| uncompressed(span(name)?, folder)).collect::<io::Result<_>>()?;
        Ok(Self { configuration: json(span(&manifest[0]["Config"])?)?, layers })
    }
}

fn json(span: &Span) -> io::Result<Value> {
    serde_json::from_reader(io::BufReader::new(span.reader())).map_err(io::Error::other)
}

/// Engines that keep layers as a registry sent them save them so.
fn uncompressed(layer: &Span, folder: &Path) -> io::Result<Span> {
    let mut magic = [0; 4];
    layer.read_at(&mut magic, 0)?;
    if magic == ZSTD {
        return Err(io::Error::new(io::ErrorKind::Unsupported, "a layer is compressed with zstd"));
    }
    if !magic.starts_with(&GZIP) {
        return Ok(layer.clone());
    }
    let mut file = tempfile::tempfile_in(folder)?;
    let packed = io::BufReader::with_capacity(1 << 17, layer.reader());
    io::copy(&mut flate2::bufread::MultiGzDecoder::new(packed), &mut file)?;
    Span::whole(file)
}
