//! The entries of a tar that nobody vouches for: what is kept in memory of it has bounds, whatever it says of itself.

use std::cell::Cell;
use std::io::{self, Read};

use tar::{Archive, Entry};

/// What an entry has before its content, all extensions (long names, extended attributes) together. Linux has names of 4 KiB
/// and attributes of 64 KiB.
pub const LARGEST_HEADER: u64 = 1 << 20;

/// Calls `each` with every entry of `tar`.
///
/// # Errors
/// What `each` or the reading gives; [`io::ErrorKind::InvalidData`] for an entry whose header has more than a MiB.
pub(crate) fn each_entry<R: Read>(
    tar: R,
    mut each: impl FnMut(&mut Entry<'_, Bounded<'_, R>>) -> io::Result<()>,
) -> io::Result<()> {
    let left = Cell::new(LARGEST_HEADER);
    let mut archive = Archive::new(Bounded::new(tar, &left));
    for entry in archive.entries()? {
        let mut entry = entry?;
        left.set(u64::MAX);
        each(&mut entry)?;
        // Passed over by the archive itself there is no telling it from a header.
        let stored = if entry.header().entry_type().is_gnu_sparse() {
            stored_sparse(&mut entry)?
        } else {
            io::copy(&mut entry, &mut io::sink())?;
            0
        };
        left.set(LARGEST_HEADER.saturating_add(stored));
    }
    Ok(())
}

/// The length that a sparse file has in the archive; read, it can be as long as it likes.
fn stored_sparse(entry: &mut Entry<'_, impl Read>) -> io::Result<u64> {
    if entry.pax_extensions()?.is_some() {
        return Err(invalid("a file is sparse in a way that is not understood"));
    }
    entry.header().entry_size()
}

/// A reader that comes to an end with its allowance, for archives that are gone through by hand: that is [`LARGEST_HEADER`] while the
/// archive looks for the next entry, and as much as there is while the content of one is read, to its end.
#[derive(Debug)]
pub struct Bounded<'a, R> {
    inner: R,
    left: &'a Cell<u64>,
}

impl<'a, R> Bounded<'a, R> {
    /// A reader of `inner` with the allowance `left`.
    pub fn new(inner: R, left: &'a Cell<u64>) -> Self {
        Self { inner, left }
    }
}

impl<R: Read> Read for Bounded<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.left.get();
        if left == 0 && !buffer.is_empty() {
            return Err(invalid("an entry's name and attributes take more than 1 MiB"));
        }
        let most = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let read = self.inner.read(&mut buffer[..most])?;
        self.left.set(left.saturating_sub(read as u64));
        Ok(read)
    }
}

/// Memory for what is found in an archive.
#[derive(Debug)]
pub(crate) struct Memory {
    left: usize,
}

impl Memory {
    /// What one thing takes beside its text.
    const EACH: usize = 128;

    pub(crate) fn of(bytes: usize) -> Self {
        Self { left: bytes }
    }

    /// Takes room for one more thing with that much text.
    ///
    /// # Errors
    /// Where there is none left.
    pub(crate) fn take(&mut self, text: usize) -> io::Result<()> {
        let left = self.left.checked_sub(text.saturating_add(Self::EACH));
        self.left = left.ok_or_else(|| invalid("it has more entries than can be kept in mind"))?;
        Ok(())
    }
}

fn invalid(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

#[cfg(test)]
mod tests {
    use tar::{Builder, EntryType, Header};

    use super::*;

    fn header(kind: EntryType, size: u64) -> Header {
        let mut header = Header::new_gnu();
        header.set_path("x").expect("short");
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_cksum();
        header
    }

    fn names(tar: impl Read) -> io::Result<Vec<usize>> {
        let mut names = Vec::new();
        each_entry(tar, |entry| {
            names.push(entry.path_bytes().len());
            Ok(())
        })?;
        Ok(names)
    }

    #[test]
    fn long_names_are_read_and_endless_ones_are_not() {
        let mut tar = Builder::new(Vec::new());
        let content = vec![7; 3 << 20];
        for name in ["a".repeat(4000), "b".to_owned()] {
            let mut header = header(EntryType::Regular, content.len() as u64);
            tar.append_data(&mut header, name, content.as_slice()).expect("memory");
        }
        assert_eq!(names(tar.into_inner().expect("memory").as_slice()).expect("readable"), [4000, 1]);

        for kind in [EntryType::GNULongName, EntryType::GNULongLink, EntryType::XHeader] {
            // It would fill the memory: its end never comes.
            let header = header(kind, 1 << 60);
            let endless = header.as_bytes().chain(io::repeat(b'a'));
            let error = names(endless).expect_err("endless").to_string();
            assert!(error.contains("more than 1 MiB"), "{kind:?}: {error}");
        }
    }

    #[test]
    fn a_sparse_file_is_passed_over_by_what_is_stored_of_it() {
        let mut sparse = header(EntryType::GNUSparse, 512);
        let gnu = sparse.as_gnu_mut().expect("GNU");
        let octal = |field: &mut [u8; 12], number: u64| field.copy_from_slice(format!("{number:011o}\0").as_bytes());
        octal(&mut gnu.sparse[0].offset, 0o7_000_000_000);
        octal(&mut gnu.sparse[0].numbytes, 512);
        octal(&mut gnu.realsize, 0o7_000_000_000 + 512);
        sparse.set_cksum();
        let mut tar = Builder::new(Vec::new());
        tar.append(&sparse, [1; 512].as_slice()).expect("memory");
        tar.append(&header(EntryType::Regular, 3), b"abc".as_slice()).expect("memory");
        assert_eq!(names(tar.into_inner().expect("memory").as_slice()).expect("readable"), [1, 1]);
    }

    #[test]
    fn memory_has_an_end() {
        let mut memory = Memory::of(2 * Memory::EACH + 10);
        memory.take(10).expect("room");
        memory.take(0).expect("room");
        assert!(memory.take(0).is_err());
        assert!(memory.take(usize::MAX).is_err());
    }
}
