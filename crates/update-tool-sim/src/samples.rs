//! Sets of three typical hotfixes, to be applied one after another.

use std::path::{Path, PathBuf};

use crate::behaviour::Update;
use crate::filler;
use crate::hotfix::HotfixBuilder;
use crate::listing::{Listing, ListingEntry};

const PLUGINS: &str = "repository/components/plugins/";
const WEBAPPS: &str = "repository/deployment/server/webapps/";

/// Writes three hotfixes for the default content of a [`crate::PackBuilder`] into a folder:
/// 1. replaces a jar by one of another name, and a text;
/// 2. adds a web file, and patches a text;
/// 3. deletes a file, and replaces the jar of the first by one of a third name.
pub fn sample_hotfixes(dir: impl AsRef<Path>, product: &str, version: &str, level: u32) -> Vec<PathBuf> {
    let dir = dir.as_ref();
    let jar = |revision: &str| format!("{PLUGINS}org.example.a_1.0.0{revision}.jar");
    let content = |path: &str| filler::content(path, 8200);
    let hotfix = |number| HotfixBuilder::new(product, version, level, number);
    let (second, third) = (jar(".1"), jar(".2"));
    vec![
        hotfix(1)
            .rename_jar(&jar(""), &second, content(&second))
            .replace("bin/README.txt", "How to start the server, corrected.\n")
            .write_to(dir),
        hotfix(2)
            .add(&format!("{WEBAPPS}publisher/fix#1.js"), "export const fix = 1;\n")
            .patch_text("repository/conf/deployment.toml", "localhost", "am.example.com")
            .write_to(dir),
        hotfix(3)
            .delete("repository/deployment/server/jaggeryapps/legacy/legacy.jag")
            .rename_jar(&second, &third, content(&third))
            .write_to(dir),
    ]
}

/// Updates for the default content of a [`crate::PackBuilder`] at level 10: to 15 a text, and a new file; to 20 the text once more, and a
/// setting.
#[must_use]
pub fn sample_updates() -> Vec<Update> {
    let (readme, settings) = ("bin/README.txt", "repository/conf/deployment.toml");
    let text = |level: &str| format!("How to start the server of level {level}.\n");
    let (ten, fifteen, twenty) = ("How to start the server.\n", text("15"), text("20"));
    let old = "[server]\nhostname = \"localhost\"\nnode_ip = \"127.0.0.1\"\n";
    let new = format!("{old}offset = 0\n");
    vec![
        Update::to(15).file(readme, Some(ten), Some(&fifteen)).file("bin/fix.txt", None, Some("fixed\n")),
        Update::to(20).file(readme, Some(&fifteen), Some(&twenty)).file(settings, Some(old), Some(&new)),
    ]
}

/// Jars that each of the full-size samples touches.
const JARS: usize = 4;

/// The same three, for a pack of the full shape, each with about `bytes_each` bytes in jars.
///
/// # Panics
/// Where the listing lacks what the samples change.
pub fn sample_hotfixes_for(listing: Listing, dir: impl AsRef<Path>, level: u32, bytes_each: u64) -> Vec<PathBuf> {
    let dir = dir.as_ref();
    let jar_size = usize::try_from(bytes_each).expect("fits in memory") / JARS;
    let mut jars = paths(listing, PLUGINS, ".jar");
    let renamed: Vec<_> = jars.by_ref().take(JARS).collect();
    let replaced: Vec<_> = jars.by_ref().take(JARS).collect();
    let mut texts = paths(listing, WEBAPPS, ".js");
    let (replaced_text, patched, deleted) = match (texts.next(), texts.next(), texts.next()) {
        (Some(first), Some(second), Some(third)) => (first, second, third),
        _ => panic!("the listing has too few texts below {WEBAPPS}"),
    };
    let hotfix = |number| HotfixBuilder::new(listing.product(), listing.version(), level, number);

    let mut first = hotfix(1).replace(replaced_text, "export const replaced = true;\n");
    let mut second = hotfix(2).add(&format!("{WEBAPPS}fix/fix.js"), "export const fix = 1;\n").patch_text(
        patched,
        &filler::first_line(patched),
        "/* patched */\n",
    );
    let mut third = hotfix(3).delete(deleted);
    for jar in renamed {
        let (once, twice) = (revision(jar, 1), revision(jar, 2));
        first = first.rename_jar(jar, &once, filler::content(&once, jar_size));
        third = third.rename_jar(&once, &twice, filler::content(&twice, jar_size));
    }
    for jar in replaced {
        // Seeded with another name, so that the content differs from the pack's.
        second = second.replace(jar, filler::content(&revision(jar, 1), jar_size));
    }
    [first, second, third].map(|hotfix| hotfix.write_to(dir)).into()
}

/// Paths of files that are large enough to have their first line in full.
fn paths(listing: Listing, below: &'static str, ending: &'static str) -> impl Iterator<Item = &'static str> {
    listing
        .entries()
        .filter(|ListingEntry { size, path }| *size > 2 * path.len() as u64)
        .map(|entry| entry.path)
        .filter(move |path| path.starts_with(below) && path.ends_with(ending))
}

/// The name that the vendor's revisions of a jar have: `a_1.0.0.jar`, `a_1.0.0.1.jar`.
fn revision(jar: &str, number: u32) -> String {
    let stem = jar.strip_suffix(".jar").expect("a jar");
    format!("{stem}.{number}.jar")
}
