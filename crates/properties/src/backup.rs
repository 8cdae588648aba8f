//! Backups of servers.

use std::io::{self, Read};

use hotfix_pipeline::installation::archive::Backup;
use hotfix_pipeline::installation::manifest::Kind;

use crate::scratch::Scratch;
use crate::{assert_stays_inside, assert_well_said};

thread_local! {
    static SCRATCH: Scratch = Scratch::new();
}

/// What is accepted is as its manifest says, and stays in the folders that were taken. A tar is taken as it is and compressed, so that
/// not every change breaks what is in it.
pub fn check(tar: &[u8]) {
    let compressed = zstd::encode_all(tar, 1).expect("memory");
    SCRATCH.with(|scratch| {
        for content in [&compressed, tar] {
            scratch.used(|scratch| match Backup::open(&scratch.file("backup", content)) {
                Ok(backup) => check_entries(&backup),
                Err(problem) => assert_well_said(&problem),
            });
        }
    });
}

fn check_entries(backup: &Backup) {
    let manifest = &backup.manifest;
    for entry in &manifest.entries {
        assert_stays_inside(&entry.path);
        let is_taken = manifest.folders.iter().any(|folder| {
            folder.taken
                && entry
                    .path
                    .strip_prefix(folder.folder.trim_end_matches('/'))
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        assert!(is_taken, "{:?} is in no folder that was taken", entry.path);
    }
    let mut handed = Vec::new();
    let read = backup.each(|entry, content| {
        let mut bytes = Vec::new();
        content.take(entry.bytes() + 1).read_to_end(&mut bytes).expect("it was read before");
        io::copy(content, &mut io::sink()).expect("it was read before");
        assert_eq!(bytes.len() as u64, entry.bytes(), "{:?}", entry.path);
        assert!(bytes.is_empty() || matches!(entry.kind, Kind::File { .. }), "{:?}", entry.path);
        handed.push(entry.clone());
        Ok(())
    });
    read.expect("it was whole a moment ago");
    assert_eq!(handed, manifest.entries);
}
