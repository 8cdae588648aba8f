//! Writes the seeds that are no texts: `cargo run -p hotfix-properties --example seeds`, in the folder of the workspace.

use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;

use serde_json::{Value, json};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

#[path = "../../pipeline/tests/cli/support/raw_zip.rs"]
mod raw_zip;

use raw_zip::{Entry, zip, zip_that_says};

const PRODUCT: &str = "wso2am-4.1.0";
/// Of `jo`.
const SHA256: &str = "c278ec5a69c34aace42773e41b1163e6ce40c906f2a14f807d39d1b2a1c2dff5";

fn main() -> std::io::Result<()> {
    let seeds = Path::new("fuzz/seeds");
    for (target, all) in [("pack", zips()), ("backup", backups())] {
        fs::create_dir_all(seeds.join(target))?;
        for (name, bytes) in all {
            fs::write(seeds.join(target).join(name), bytes)?;
        }
    }
    Ok(())
}

fn zips() -> Vec<(&'static str, Vec<u8>)> {
    let at = |path: &str| format!("{PRODUCT}/{path}");
    let product = || Entry::file(at("updates/product.txt"), PRODUCT.as_bytes());
    let with = |more: Entry| zip(&[product(), more]);
    let two = [product(), Entry::file(at("a"), b"one"), Entry::file(at("b"), b"two")];
    vec![
        ("pack", with(Entry::file(at("bin/a.sh"), b"#!/bin/sh\n"))),
        ("link", zip(&[product(), Entry::file(at("a"), b"a"), Entry::link(&at("b/up"), "../a")])),
        ("link_out", zip(&[product(), Entry::link(&at("b/up"), ".."), Entry::link(&at("c"), "b/up/..")])),
        ("config", with(Entry::file(at("updates/config.json"), br#"{"update-level":"10","hotfixes":[]}"#))),
        ("deflated", written(CompressionMethod::Deflated, false)),
        ("zip64", written(CompressionMethod::Stored, true)),
        ("hotfix", zip(&[Entry::file("hotfix.json", b"{}"), Entry::file("carbon/a", b"a")])),
        ("leads_out", with(Entry::file(at("../a"), b"a"))),
        ("overlap", zip(&[product(), Entry { at_that_of: Some(0), ..Entry::file(at("a"), b"a") }])),
        ("too_long", with(Entry { size: 9, local_size: Some(9), ..Entry::file(at("a"), b"a") })),
        ("count", zip_that_says(&two, 2, b"")),
        ("comment", zip_that_says(&two, 3, &zip(&[Entry::file("a", b"a")]))),
        ("case", zip(&[product(), Entry::file(at("A/b"), b""), Entry::file(at("a/B"), b"")])),
    ]
}

/// As writers of zips make them.
fn written(method: CompressionMethod, zip64: bool) -> Vec<u8> {
    let options = SimpleFileOptions::default().compression_method(method).large_file(zip64);
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (path, content) in [("updates/product.txt", PRODUCT), ("lib/a.jar", &"a jar ".repeat(50))] {
        zip.start_file(format!("{PRODUCT}/{path}"), options).expect("memory");
        zip.write_all(content.as_bytes()).expect("memory");
    }
    zip.finish().expect("memory").into_inner()
}

fn backups() -> Vec<(&'static str, Vec<u8>)> {
    let entry = |path: &str, kind: Value| json!({ "path": path, "kind": kind, "mode": 0o644, "modified": "2024-01-02T03:04:05Z", "uid": 0, "gid": 0 });
    let folder = || entry("repository", json!("directory"));
    let file = |path: &str| entry(path, json!({ "file": { "bytes": 2, "sha256": SHA256 } }));
    let link = || entry("repository/l", json!({ "link": { "target": "a" } }));
    vec![
        ("empty", backup(&json!([]), &[])),
        (
            "whole",
            backup(&json!([folder(), file("repository/a"), link()]), &["repository", "repository/a", "repository/l"]),
        ),
        ("leads_out", backup(&json!([folder(), file("repository/../a")]), &["repository", "repository/../a"])),
        ("elsewhere", backup(&json!([file("bin/a")]), &["bin/a"])),
        ("below_link", backup(&json!([folder(), link(), file("repository/l/a")]), &["repository", "repository/l"])),
        ("twice", backup(&json!([folder(), folder()]), &["repository", "repository"])),
        ("missing", backup(&json!([folder(), file("repository/a")]), &["repository"])),
    ]
}

fn backup(entries: &Value, paths: &[&str]) -> Vec<u8> {
    let manifest = json!({
        "schema": 1, "made_by": "0.1.0", "time": "2024-01-02T03:04:05Z", "product": "wso2am", "version": "4.1.0",
        "update_level": 10, "hotfixes": 0, "folders": [{ "folder": "repository", "taken": true, "reason": "data" }],
        "entries": entries, "removed": [],
    });
    let mut tar = tar::Builder::new(Vec::new());
    let mut add = |path: &str, kind, content: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        if kind == tar::EntryType::Symlink {
            header.set_link_name_literal("a").expect("short");
        }
        // As it is: `append_data` takes no path that leads elsewhere.
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_cksum();
        tar.append(&header, content).expect("memory");
    };
    add("hotfix-backup.json", tar::EntryType::Regular, manifest.to_string().as_bytes());
    for path in paths {
        match *path {
            "repository" => add(path, tar::EntryType::Directory, b""),
            "repository/l" => add(path, tar::EntryType::Symlink, b""),
            _ => add(path, tar::EntryType::Regular, b"jo"),
        }
    }
    tar.into_inner().expect("memory")
}
