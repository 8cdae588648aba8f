//! What the zips look like from outside.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Instant;

use tempfile::TempDir;
use update_tool_sim::{HotfixBuilder, Listing, PackBuilder, tool_file_name};
use zip::{DateTime, System};

use crate::product::{open, pack};

/// Name, mode and size of every entry, in order.
fn entries(zip: &Path) -> Vec<(String, Option<u32>, u64)> {
    let mut zip = open(zip);
    (0..zip.len())
        .map(|index| {
            let entry = zip.by_index(index).expect("an entry");
            let name = entry.name().expect("UTF-8").into_owned();
            (name, entry.unix_mode().map(|mode| mode & 0o7777), entry.size())
        })
        .collect()
}

fn write(pack: PackBuilder) -> (TempDir, std::path::PathBuf) {
    let folder = TempDir::new().expect("a temporary folder");
    let zip = pack.write_to(folder.path());
    (folder, zip)
}

#[test]
fn the_default_pack() {
    let (_folder, zip) = write(pack());
    assert!(zip.ends_with("wso2am-4.1.0.10.zip"));
    let entries = entries(&zip);
    let modes: BTreeMap<_, _> = entries.iter().map(|(name, mode, _)| (name.as_str(), *mode)).collect();
    assert_eq!(modes["wso2am-4.1.0/"], Some(0o755));
    assert_eq!(modes["wso2am-4.1.0/bin/"], Some(0o755));
    assert_eq!(modes["wso2am-4.1.0/repository/logs/"], Some(0o755));
    assert_eq!(modes["wso2am-4.1.0/bin/api-manager.sh"], Some(0o755));
    assert_eq!(modes["wso2am-4.1.0/bin/README.txt"], Some(0o644));
    let tool = format!("wso2am-4.1.0/bin/{}", tool_file_name());
    assert_eq!(modes[tool.as_str()], Some(0o644));
    for special in ['#', '~', '$', '@', ' '] {
        assert!(modes.keys().any(|name| name.contains(special)), "{special:?}");
    }
    assert!(entries.iter().all(|(name, _, _)| name.starts_with("wso2am-4.1.0/")));
    let position = |wanted: &str| entries.iter().position(|(name, _, _)| name == wanted);
    assert!(position("wso2am-4.1.0/bin/") < position("wso2am-4.1.0/bin/README.txt"));
    assert_eq!(pack().content_of("updates/product.txt"), b"wso2am-4.1.0");
}

#[test]
fn the_same_bytes_each_time() {
    let (_one, first) = write(pack());
    let (_two, second) = write(pack());
    assert!(fs::read(first).expect("readable") == fs::read(second).expect("readable"));
}

#[test]
fn times_are_fixed_and_those_of_hotfixes_differ() {
    let (folder, zip) = write(pack());
    let hotfix = HotfixBuilder::new("wso2am", "4.1.0", 10, 1).add("x", "x").write_to(folder.path());
    let time = DateTime::from_date_and_time(2022, 3, 28, 10, 20, 30).ok();
    let time_of = |zip: &Path, name: &str| open(zip).by_name(name).expect("there").last_modified();
    assert_eq!(time_of(&zip, "wso2am-4.1.0/bin/README.txt"), time);
    assert!(time_of(&hotfix, "files/x").is_some_and(|other| Some(other) != time));
}

#[test]
fn names_by_level_and_by_wish() {
    let folder = TempDir::new().expect("a temporary folder");
    let exe = env!("CARGO_BIN_EXE_update-tool-sim");
    let km = PackBuilder::new("wso2is-km", "5.10.0").tool_executable(exe).write_to(folder.path());
    assert!(km.ends_with("wso2is-km-5.10.0.zip"));
    assert!(pack().file_name("x.zip").write_to(folder.path()).ends_with("x.zip"));
}

#[test]
fn shapes_that_are_wrong_on_purpose() {
    let (_folder, zip) = write(
        pack()
            .top_folder("other-1.0.0")
            .second_top_folder("second-1.0.0")
            .without("bin/README.txt")
            .product_txt(None)
            .symlink("bin/link", "/etc/passwd")
            .mode("bin/api-manager.sh", 0o600)
            .empty_dir("empty")
            .raw_entry("../evil.txt", "evil"),
    );
    let entries = entries(&zip);
    let mode = |wanted: &str| {
        let found = entries.iter().find(|(name, _, _)| name == wanted);
        found.map(|(_, mode, _)| mode.expect("a mode"))
    };
    assert_eq!(mode("other-1.0.0/bin/api-manager.sh"), Some(0o600));
    assert_eq!(mode("other-1.0.0/bin/README.txt"), None);
    assert_eq!(mode("other-1.0.0/updates/product.txt"), None);
    assert!(mode("other-1.0.0/empty/").is_some());
    assert!(mode("second-1.0.0/README.txt").is_some());
    assert!(mode("../evil.txt").is_some());
    let mut zip = open(&zip);
    assert!(zip.by_name("other-1.0.0/bin/link").expect("there").is_symlink());
}

#[test]
fn made_on_dos_there_are_no_unix_modes() {
    let (_folder, path) = write(pack().made_on_dos());
    let mut zip = open(&path);
    for index in 0..zip.len() {
        let entry = zip.by_index(index).expect("an entry");
        assert_eq!(entry.system(), System::Dos);
        assert_eq!(entry.external_attributes() >> 16, 0);
    }
}

#[test]
fn any_size() {
    let small: u64 = entries(&write(pack()).1).iter().map(|entry| entry.2).sum();
    let (_folder, zip) = write(pack().filler(5_000_001));
    let filled: u64 = entries(&zip).iter().map(|entry| entry.2).sum();
    assert_eq!(filled - small, 5_000_001);
    let packed = fs::metadata(zip).expect("there").len();
    assert!(packed > 3_500_000, "jars do not compress");
}

/// The contents are checked in small: 620 MB are not for every test run.
#[test]
fn the_full_shape() {
    for listing in [Listing::Wso2am410, Listing::Wso2is710] {
        let pack = PackBuilder::new(listing.product(), listing.version()).listing(listing);
        for entry in listing.entries().filter(|entry| entry.size < 3000).step_by(50) {
            let bytes = pack.content_of(entry.path);
            assert_eq!(bytes.len() as u64, entry.size, "{}", entry.path);
        }
        assert_eq!(
            pack.content_of("updates/product.txt"),
            format!("{}-{}", listing.product(), listing.version()).into_bytes()
        );
    }
}

/// `cargo test --release -- --ignored full_size`, for how long it takes.
#[test]
#[ignore = "writes 1.2 GB"]
#[allow(clippy::print_stderr)] // The time is what a person runs it for.
fn full_size() {
    for listing in [Listing::Wso2am410, Listing::Wso2is710] {
        let start = Instant::now();
        let pack = PackBuilder::new(listing.product(), listing.version()).level(10).listing(listing).without_tool();
        let (_folder, zip) = write(pack);
        let seconds = start.elapsed().as_secs_f32();

        let written = entries(&zip).into_iter().filter(|(name, _, _)| {
            let config = name.ends_with("updates/config.json");
            !name.ends_with('/') && !config
        });
        let written: BTreeMap<_, _> = written.map(|(name, _, size)| (name, size)).collect();
        let top = format!("{}-{}", listing.product(), listing.version());
        let expected: BTreeMap<_, _> = listing
            .entries()
            .filter(|entry| entry.path != "updates/config.json")
            .map(|entry| (format!("{top}/{}", entry.path), entry.size))
            .collect();
        assert!(written == expected);
        let packed = fs::metadata(&zip).expect("there").len();
        eprintln!("{listing:?}: {packed} bytes packed, {seconds} s");
    }
}
