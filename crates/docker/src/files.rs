//! Files that others have written, read so that they can be neither endless nor waited for.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

/// Of settings, documents and the like, in bytes.
pub const SMALL: u64 = 16 << 20;

/// Opens a regular file to read it.
///
/// # Errors
/// Where it cannot be opened; [`io::ErrorKind::InvalidInput`] for what is no regular file.
pub fn open(path: &Path) -> io::Result<File> {
    // Opened as usual, a pipe waits for whoever writes to it.
    let file = File::options().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file")),
    }
}

/// The content of a regular file of at most `most` bytes.
///
/// # Errors
/// As [`open`]; [`io::ErrorKind::FileTooLarge`] for a larger one.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > most {
        true => Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {} MiB", most >> 20))),
        false => Ok(bytes),
    }
}

/// The content of a small text file.
///
/// # Errors
/// As [`read`]; [`io::ErrorKind::InvalidData`] for what is not UTF-8.
pub fn read_text(path: &Path) -> io::Result<String> {
    String::from_utf8(read(path, SMALL)?).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_end_is_not_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        let file = File::create(&path).expect("created");
        file.set_len(5 << 20).expect("sparse");
        assert_eq!(read(&path, 5 << 20).expect("it is small").len(), 5 << 20);
        file.set_len(1 << 40).expect("sparse");
        assert_eq!(read(&path, 5 << 20).expect_err("a TiB").to_string(), "it is larger than 5 MiB");
        let pipe = folder.path().join("pipe");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).expect("a pipe");
        for other in [pipe.as_path(), folder.path(), Path::new("/dev/zero")] {
            assert_eq!(read(other, 10).expect_err("no file").to_string(), "it is no regular file", "{other:?}");
        }
        std::fs::write(&path, b"\xff").expect("written");
        assert_eq!(read_text(&path).expect_err("no text").kind(), io::ErrorKind::InvalidData);
    }
}
