//! A zip that says one thing only: whichever way another program reads it, it finds the same entries.

use std::collections::HashSet;
use std::fs::File;
use std::io::BufReader;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use zip::read::{ArchiveOffset, Config};
use zip::result::ZipError;
use zip::{ZipArchive, ZipReadOptions};

use tracing::warn;

use super::name::shown;
use super::reader::Place;

/// What an entry of the directory begins with, and its length without name, extra field and comment (APPNOTE 4.3.12).
const ENTRY: &[u8] = b"PK\x01\x02";
const ENTRY_LENGTH: usize = 46;
/// Then the upper half of its attributes is its mode (4.4.2.2, 4.4.15).
const MADE_ON_UNIX: u8 = 3;
const SET_ID: u16 = 0o6000;
/// The end of the directory, with its length without the comment (4.3.16).
const END: &[u8] = b"PK\x05\x06";
const END_LENGTH: usize = 22;
/// The zip64 form of it, with what its length does not count (4.3.14), and what tells where that is (4.3.15).
const END64: &[u8] = b"PK\x06\x06";
const END64_UNCOUNTED: usize = 12;
const LOCATOR: &[u8] = b"PK\x06\x07";
const LOCATOR_LENGTH: usize = 20;
/// A million entries take less.
const LARGEST_DIRECTORY: u64 = 1 << 28;

/// A zip whose parts agree.
pub(crate) type Archive = ZipArchive<BufReader<Place>>;

/// Opens the zip in `file`, whose every entry is in the directory and says there what it says before its data, lies where no other
/// does, and is counted; with nothing before the first entry or after the end.
///
/// # Errors
/// In which way it is damaged.
pub(crate) fn open(file: &Arc<File>) -> Result<Archive, ZipError> {
    // Read here and there: a large buffer would be filled in vain.
    let place = BufReader::with_capacity(512, Place::new(Arc::clone(file)));
    let config = Config { archive_offset: ArchiveOffset::Known(0) };
    let mut archive = ZipArchive::with_config(config, place)?;
    check_directory(file, archive.central_directory_start())?;
    match archive.validate_header_consistency() {
        Ok(()) => Ok(archive),
        Err(error) => Err(of_entry(&mut archive, error)),
    }
}

/// The directory in `file` from `start` on: each name once, as many entries as it says, its end, and nothing after that.
fn check_directory(file: &File, start: u64) -> Result<(), ZipError> {
    let length = file.metadata()?.len().saturating_sub(start);
    if length > LARGEST_DIRECTORY {
        return Err(damaged("its directory is too large"));
    }
    let mut directory = vec![0; usize::try_from(length).unwrap_or_default()];
    file.read_exact_at(&mut directory, start)?;
    let mut rest = directory.as_slice();
    let mut names = HashSet::new();
    while rest.starts_with(ENTRY) {
        let lengths = [28, 30, 32].map(|at| usize::from(number(rest, at)));
        let whole = ENTRY_LENGTH + lengths.iter().sum::<usize>();
        let (entry, next) = rest.split_at_checked(whole).ok_or_else(|| damaged("its directory is cut short"))?;
        let name = &entry[ENTRY_LENGTH..ENTRY_LENGTH + lengths[0]];
        if !names.insert(name) {
            return Err(ZipError::InvalidArchive(format!("{}: is there twice", shown(name)).into()));
        }
        // The library drops it without a word.
        if entry[5] == MADE_ON_UNIX && number(entry, 40) & SET_ID != 0 {
            warn!("{}: its set-user-id or set-group-id bit is dropped", shown(name));
        }
        rest = next;
    }
    let found = (names.len() as u64, (directory.len() - rest.len()) as u64);
    let mut said = None;
    if rest.starts_with(END64) {
        let wide = |at: usize| rest.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes);
        let end = wide(4).and_then(|length| usize::try_from(length).ok()?.checked_add(END64_UNCOUNTED));
        said = wide(32).zip(wide(40));
        rest = end.and_then(|end| rest.get(end..)).unwrap_or_default();
        if !rest.starts_with(LOCATOR) {
            return Err(damaged("its zip64 directory has no end"));
        }
        rest = rest.get(LOCATOR_LENGTH..).unwrap_or_default();
    }
    // Number and length of its entries.
    let length = u64::from(number(rest, 12)) | u64::from(number(rest, 14)) << 16;
    if !rest.starts_with(END) || said.unwrap_or((number(rest, 10).into(), length)) != found {
        return Err(damaged("it has other entries in its directory than it says"));
    }
    let comment = rest.get(END_LENGTH..).ok_or_else(|| damaged("its end is cut short"))?;
    if usize::from(number(rest, 20)) != comment.len() {
        return Err(damaged("there is something after its end"));
    }
    if comment.windows(END.len()).any(|part| part == END) {
        return Err(damaged("there is another zip in its comment"));
    }
    Ok(())
}

/// The number of two bytes at `at`; 0 where there is none.
fn number(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).and_then(|bytes| bytes.try_into().ok()).map(u16::from_le_bytes).unwrap_or_default()
}

/// The error with the entry that is to blame, where it is about one.
fn of_entry(archive: &mut Archive, error: ZipError) -> ZipError {
    let options = || ZipReadOptions::new().ignore_encryption_flag(true).enforce_header_consistency(true);
    let contradicts_itself = (0..archive.len()).find(|index| archive.by_index_with_options(*index, options()).is_err());
    let to_blame = contradicts_itself.or_else(|| overlapping(archive));
    let name = to_blame.and_then(|index| Some(shown(archive.by_index_raw(index).ok()?.name_raw())));
    match (name, &error) {
        (Some(name), ZipError::InvalidArchive(what)) => ZipError::InvalidArchive(format!("{name}: {what}").into()),
        _ => error,
    }
}

/// An entry whose data lie in those of another one, or in the directory.
fn overlapping(archive: &mut Archive) -> Option<usize> {
    let mut places = Vec::new();
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).ok()?;
        places.push((entry.header_start(), entry.data_start()?.saturating_add(entry.compressed_size()), index));
    }
    places.sort_unstable();
    let starts = places.iter().skip(1).map(|place| place.0).chain([archive.central_directory_start()]);
    places.iter().zip(starts).find(|(place, next)| place.1 > *next).map(|(place, _)| place.2)
}

fn damaged(what: &'static str) -> ZipError {
    ZipError::InvalidArchive(what.into())
}
