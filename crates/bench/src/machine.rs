//! What the figures were measured on.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::engine::Engine;
use crate::table::Table;

const NO_JOURNAL: &str = ", without a journal: slow to make files where others were removed within the last minutes, as the update tool's copies are";

/// A table of the machine, the engine and ourselves.
pub fn table(work: &Path, engine: Option<&Engine>) -> Table {
    let mut table = Table::new(["what", "which"]);
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    table.row(["processor", &format!("{processors} × {}", field("/proc/cpuinfo", "model name"))]);
    table.row(["memory", &memory()]);
    table.row(["kernel", &format!("{} {}", std::env::consts::OS, read("/proc/sys/kernel/osrelease"))]);
    table.row(["system", &field_of(&read("/etc/os-release"), "PRETTY_NAME", '=')]);
    table.row(["file system", &file_system(work)]);
    let engine = engine.map_or_else(|| "none".to_owned(), |engine| engine.description().unwrap_or_default());
    table.row(["engine", &engine]);
    table.row(["hotfix", &version()]);
    table.row(["measured", &jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M UTC").to_string()]);
    table
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

fn field(path: &str, name: &str) -> String {
    field_of(&read(path), name, ':')
}

fn field_of(text: &str, name: &str, separator: char) -> String {
    let pairs = text.lines().filter_map(|line| line.split_once(separator));
    let value = pairs.map(|(key, value)| (key.trim(), value)).find(|(key, _)| *key == name);
    value.map_or("unknown", |(_, value)| value.trim().trim_matches('"')).to_owned()
}

fn memory() -> String {
    let kibibytes = field("/proc/meminfo", "MemTotal");
    let kibibytes: f64 = kibibytes.trim_end_matches("kB").trim().parse().unwrap_or_default();
    format!("{:.1} GiB", kibibytes / 1024.0 / 1024.0)
}

/// Kind and options of the mount that a folder is on.
fn file_system(folder: &Path) -> String {
    let mounts = read("/proc/self/mountinfo");
    let parsed = mounts.lines().filter_map(|line| {
        // Fields before the dash vary in number: see proc(5).
        let (mount, kind) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(4);
        let (point, options) = (mount.next()?, mount.next()?);
        let mut kind = kind.split(' ');
        Some((point, options, kind.next()?, kind.next()?))
    });
    let here = parsed.filter(|(point, ..)| folder.starts_with(point)).max_by_key(|(point, ..)| point.len());
    here.map_or_else(
        || "unknown".to_owned(),
        |(_, options, kind, device)| {
            format!("{kind} ({options}){}", if has_no_journal(kind, device) { NO_JOURNAL } else { "" })
        },
    )
}

/// An ext4 without one is slow to make files where others were removed within the last minutes: it passes over each of their
/// inodes, one by one (`find_inode_bit` in the kernel's fs/ext4/ialloc.c).
fn has_no_journal(kind: &str, device: &str) -> bool {
    let device = fs::canonicalize(device).unwrap_or_else(|_| device.into());
    let name = device.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let is_its = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with(&format!("{name}-"));
    kind == "ext4" && !fs::read_dir("/proc/fs/jbd2").into_iter().flatten().flatten().any(|entry| is_its(&entry))
}

fn version() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
    };
    let changed = if git(&["status", "--porcelain", "--", ":/crates", ":/Cargo.lock"]).is_empty() {
        ""
    } else {
        ", changed since"
    };
    format!("{}, commit {}{changed}", env!("CARGO_PKG_VERSION"), git(&["rev-parse", "--short", "HEAD"]))
}
