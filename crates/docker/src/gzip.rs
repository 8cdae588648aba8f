//! Gzip on all cores, with the same bytes on any machine.
//!
//! The input is cut into pieces of a fixed size, each compressed into a gzip member of its own; members one after the
//! other are a valid gzip file (RFC 1952, 2.2). libdeflate gives the same bytes whatever instructions the processor
//! has, which zlib-ng and its relatives do not promise.

use std::io::{self, Write};

use libdeflater::{CompressionLvl, Compressor};
use rayon::prelude::*;

/// Larger pieces compress no better here; smaller ones cost more members.
const PIECE: usize = 256 * 1024;
/// Pieces compressed side by side; bounds the memory to a few MiB.
const PIECES: usize = 16;
/// Three quarters of a product are jars, which do not get smaller at any level.
const LEVEL: i32 = 6;

/// Compresses what is written to it. `finish` must be called.
pub(crate) struct GzipWriter<W> {
    out: W,
    pending: Vec<u8>,
    wrote_any: bool,
}

impl<W: Write> GzipWriter<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { out, pending: Vec::with_capacity(PIECE * PIECES), wrote_any: false }
    }

    pub(crate) fn finish(mut self) -> io::Result<W> {
        if !self.pending.is_empty() || !self.wrote_any {
            self.compress_pending()?;
        }
        self.out.flush()?;
        Ok(self.out)
    }

    fn compress_pending(&mut self) -> io::Result<()> {
        let pieces: Vec<&[u8]> = if self.pending.is_empty() { vec![&[]] } else { self.pending.chunks(PIECE).collect() };
        let members = pieces.into_par_iter().map(compress).collect::<io::Result<Vec<_>>>()?;
        for member in members {
            self.out.write_all(&member)?;
        }
        self.pending.clear();
        self.wrote_any = true;
        Ok(())
    }
}

fn compress(piece: &[u8]) -> io::Result<Vec<u8>> {
    let level = CompressionLvl::new(LEVEL).map_err(|_| io::Error::other("no such compression level"))?;
    let mut compressor = Compressor::new(level);
    let mut member = vec![0; compressor.gzip_compress_bound(piece.len())];
    let length = compressor.gzip_compress(piece, &mut member).map_err(io::Error::other)?;
    member.truncate(length);
    Ok(member)
}

impl<W: Write> Write for GzipWriter<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let room = PIECE * PIECES - self.pending.len();
        let taken = buffer.len().min(room);
        self.pending.extend_from_slice(&buffer[..taken]);
        if self.pending.len() == PIECE * PIECES {
            self.compress_pending()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn compressed(bytes: &[u8], write_size: usize) -> Vec<u8> {
        let mut writer = GzipWriter::new(Vec::new());
        for part in bytes.chunks(write_size) {
            writer.write_all(part).expect("memory");
        }
        writer.finish().expect("memory")
    }

    #[test]
    fn reads_back_and_does_not_depend_on_how_it_was_written() {
        let bytes: Vec<u8> = (0..PIECE * PIECES * 2 + 12_345).map(|i| (i * i / 7) as u8).collect();
        let once = compressed(&bytes, bytes.len());
        assert_eq!(once, compressed(&bytes, 10_007));
        let mut back = Vec::new();
        flate2::read::MultiGzDecoder::new(once.as_slice()).read_to_end(&mut back).expect("valid gzip");
        assert!(back == bytes);
    }

    #[test]
    fn nothing_is_still_a_valid_file() {
        let mut back = Vec::new();
        flate2::read::MultiGzDecoder::new(compressed(&[], 1).as_slice()).read_to_end(&mut back).expect("valid gzip");
        assert!(back.is_empty());
    }
}
