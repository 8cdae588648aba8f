//! Names of hotfixes and packs.

use std::ffi::OsStr;
use std::io::{Cursor, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::LazyLock;

use hotfix_environments::hotfix_id::HotfixId;
use hotfix_pipeline::hotfix::{HotfixSequence, split_number};
use hotfix_pipeline::pack::PackName;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::assert_well_said;
use crate::pack::product;
use crate::scratch::Scratch;

static HOTFIX: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file("hotfix.json", SimpleFileOptions::default()).expect("memory");
    zip.write_all(b"{}").expect("memory");
    zip.finish().expect("memory").into_inner()
});

thread_local! {
    static SCRATCH: Scratch = Scratch::new();
}

/// A name is read as it is written, or refused: in a folder of hotfixes, by itself, and as others show it.
pub fn check(name: &[u8]) {
    if let Ok(text) = std::str::from_utf8(name) {
        check_number(text);
        check_pack(text);
        check_id(text);
    }
    // What cannot be the name of a file.
    let cannot_be = name.is_empty() || name == b"." || name == b".." || name.contains(&b'/') || name.contains(&0);
    if !cannot_be && name.len() <= 255 {
        SCRATCH.with(|scratch| scratch.used(|scratch| check_folder(scratch, OsStr::from_bytes(name))));
    }
}

fn check_number(name: &str) {
    let Some((stem, number)) = split_number(name) else { return };
    let rest = name.strip_prefix(stem).expect("it begins with that").to_ascii_lowercase();
    let rest = rest.strip_prefix("-hf").and_then(|rest| rest.strip_suffix(".zip"));
    let digits = rest.map(|rest| rest.strip_prefix('-').unwrap_or(rest)).unwrap_or_else(|| panic!("{name:?}"));
    assert!(digits.bytes().all(|digit| digit.is_ascii_digit()), "{name:?} has the number {number}");
    assert_eq!(digits.trim_start_matches('0'), number.to_string().trim_start_matches('0'), "{name:?}");
    for again in [format!("{stem}-hf-{number}.zip"), format!("{stem}-HF{number:05}.ZIP")] {
        assert_eq!(split_number(&again), Some((stem, number)), "{name:?} as {again:?}");
    }
    assert!(PackName::of(Path::new(name)).is_none(), "{name:?} is a pack too");
}

fn check_pack(name: &str) {
    let Some(pack) = PackName::of(Path::new(name)) else { return };
    let level = pack.level.map(|level| format!(".{level}")).unwrap_or_default();
    let again = format!("{}-{}{level}.zip", pack.product, pack.version);
    assert_eq!(PackName::of(Path::new(&again)), Some(pack), "{name:?}");
}

fn check_id(text: &str) {
    let Ok(id) = text.parse::<HotfixId>() else { return };
    assert!(id.number > 0, "{text:?}");
    assert_eq!(id.to_string().parse::<HotfixId>().ok().as_ref(), Some(&id), "{text:?}");
}

/// The folder with one good hotfix under that name.
fn check_folder(scratch: &Scratch, name: &OsStr) {
    scratch.file(name, &HOTFIX);
    match HotfixSequence::read(scratch.path(), &product(), None) {
        Ok(sequence) => {
            let [hotfix] = sequence.as_slice() else { panic!("{name:?} gives {sequence:?}") };
            assert_eq!((OsStr::new(&hotfix.file), hotfix.number), (name, 1));
            assert_eq!(split_number(&hotfix.file).map(|(_, number)| number), Some(1), "{name:?}");
            let folder = product().folder();
            let is_for_it = hotfix.file.get(..folder.len()).is_some_and(|start| start.eq_ignore_ascii_case(&folder));
            assert!(is_for_it, "{name:?} is for another product");
            assert!(!hotfix.file.chars().any(char::is_control), "{name:?} has control characters");
        }
        Err(problem) => assert_well_said(&problem),
    }
}
