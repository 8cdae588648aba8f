//! The ledger as a file, a record a line: for those who want it in git.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use hotfix_docker::files;
use tracing::warn;

use super::record::Record;
use super::{LARGEST, from_lines, to_lines};
use crate::{Error, Result};

/// A file of records.
#[derive(Debug)]
pub struct FileLedger {
    path: PathBuf,
}

impl FileLedger {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// No file is no records.
    pub(super) fn read(&self) -> Result<Vec<Record>> {
        let bytes = match files::read(&self.path, LARGEST) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            bytes => bytes.map_err(Error::file("read", &self.path))?,
        };
        self.records_in(&bytes)
    }

    fn records_in(&self, bytes: &[u8]) -> Result<Vec<Record>> {
        let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
        let whole = &bytes[..whole_lines(bytes)];
        if whole.len() < bytes.len() {
            warn!("the last line of {} is cut short, and does not count", self.path.display());
        }
        from_lines(&self.path.display().to_string(), &String::from_utf8_lossy(whole))
    }

    pub(super) fn add(&self, record: &Record) -> Result<()> {
        let failed = || Error::file("write to the ledger", &self.path);
        // Neither a pipe nor a device.
        if self.path.exists() {
            files::open(&self.path).map_err(failed())?;
        }
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&self.path).map_err(failed())?;
        file.lock().map_err(failed())?;
        let mut before = Vec::new();
        (&mut file).take(LARGEST).read_to_end(&mut before).map_err(failed())?;
        if before.len() as u64 == LARGEST {
            return Err(failed()(io::ErrorKind::FileTooLarge.into()));
        }
        // What is no ledger is not written to.
        self.records_in(&before)?;
        add_line(&mut file, &before, to_lines([record]).as_bytes()).map_err(failed())
    }
}

/// What a machine that stopped has left of a line was never said to be written.
fn add_line(file: &mut File, before: &[u8], line: &[u8]) -> io::Result<()> {
    let whole = whole_lines(before);
    file.set_len(whole as u64)?;
    file.seek(SeekFrom::Start(whole as u64))?;
    // An editor can have taken the end of the last line.
    if before[..whole].last().is_some_and(|byte| *byte != b'\n') {
        file.write_all(b"\n")?;
    }
    file.write_all(line)?;
    file.sync_all()
}

/// Bytes that are lines: all but half a record at the end.
fn whole_lines(bytes: &[u8]) -> usize {
    let start = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let last = &bytes[start..];
    let is_half = last.first() == Some(&b'{') && serde_json::from_slice::<serde_json::Value>(last).is_err();
    if is_half { start } else { bytes.len() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Act, Actor, Declared, in_order, unchanged};

    fn record(level: u32) -> Record {
        let actor = Actor { name: "jo".to_owned(), declared_by: Declared::Option, run: None };
        let hotfix = "wso2am-4.1.0.10/hf-1".parse().expect("a name");
        Record::new(actor, Act::FixedIn { hotfix, level, version: None }, &[])
    }

    fn ledger() -> (tempfile::TempDir, FileLedger) {
        let folder = tempfile::tempdir().expect("a folder");
        let ledger = FileLedger::new(&folder.path().join("ledger.jsonl"));
        (folder, ledger)
    }

    #[test]
    fn what_is_added_is_read() {
        let (_folder, ledger) = ledger();
        assert_eq!(ledger.read().expect("none"), []);
        let records = [record(1), record(2)];
        records.iter().for_each(|record| ledger.add(record).expect("written"));
        assert_eq!(ledger.read().expect("two"), records);
    }

    #[test]
    fn half_a_line_at_the_end_was_never_there() {
        let (_folder, ledger) = ledger();
        let (first, second) = (record(1), record(2));
        ledger.add(&first).expect("written");
        let half = &to_lines([&record(9)])[..20];
        OpenOptions::new()
            .append(true)
            .open(&ledger.path)
            .and_then(|mut file| file.write_all(half.as_bytes()))
            .expect("written");
        assert_eq!(ledger.read().expect("one"), std::slice::from_ref(&first));
        ledger.add(&second).expect("written");
        assert_eq!(ledger.read().expect("two"), [first, second]);
    }

    #[test]
    fn a_last_line_without_an_end_is_a_line() {
        let (_folder, ledger) = ledger();
        let (first, second) = (record(1), record(2));
        std::fs::write(&ledger.path, to_lines([&first]).trim_end()).expect("written");
        assert_eq!(ledger.read().expect("one"), std::slice::from_ref(&first));
        ledger.add(&second).expect("written");
        assert_eq!(ledger.read().expect("two"), [first, second]);
    }

    #[test]
    fn what_is_no_ledger_is_not_written_to() {
        let (_folder, ledger) = ledger();
        std::fs::write(&ledger.path, "my notes").expect("written");
        assert_eq!(ledger.add(&record(1)).expect_err("no ledger").exit_code(), 4);
        assert_eq!(std::fs::read_to_string(&ledger.path).expect("text"), "my notes");
    }

    #[test]
    fn a_line_that_is_no_record_is_told() {
        let (_folder, ledger) = ledger();
        std::fs::write(&ledger.path, "\n{}\n").expect("written");
        let error = ledger.read().expect_err("no record").to_string();
        assert!(error.contains("ledger.jsonl:2: not a record"), "{error}");
    }

    #[test]
    fn a_record_of_a_newer_hotfix_is_told() {
        let (_folder, ledger) = ledger();
        let newer = to_lines([&record(1)]).replace("\"schema\":1", "\"schema\":2");
        std::fs::write(&ledger.path, newer).expect("written");
        let error = ledger.read().expect_err("newer").to_string();
        assert!(error.contains("ledger.jsonl:1: a record of a newer hotfix (schema 2; this one knows 1)"), "{error}");
    }

    #[test]
    fn a_record_that_somebody_changed_is_told() {
        let (_folder, ledger) = ledger();
        let read = || unchanged(in_order(ledger.read().expect("records")));
        let line = to_lines([&record(15)]);
        std::fs::write(&ledger.path, format!("{line}{line}")).expect("written");
        assert_eq!(read().expect("the same twice").len(), 1);
        std::fs::write(&ledger.path, format!("{line}{}", line.replace(":15", ":16"))).expect("written");
        let error = read().expect_err("changed").to_string();
        assert!(error.contains("two records with the id "), "{error}");
    }

    #[test]
    fn eight_writers_at_once_lose_nothing() {
        let (_folder, ledger) = ledger();
        let write = |writer: u32| (0..25).for_each(|n| ledger.add(&record(writer * 100 + n)).expect("written"));
        std::thread::scope(|scope| {
            for writer in 0..8 {
                let write = &write;
                scope.spawn(move || write(writer));
            }
        });
        assert_eq!(ledger.read().expect("all").len(), 200);
    }
}
