//! The directory of a pack, decided upon before the first byte is written.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::path::Path;

use icu_normalizer::ComposingNormalizerBorrowed;
use zip::CompressionMethod;

use super::archive::Archive;
use super::links::leads_out;
use super::name::{safe_name, shown, split_product};
use super::printable;
use crate::step::Problem;

/// Something in the product's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub kind: NodeKind,
    /// Permission bits.
    pub mode: u32,
    /// Seconds since 1970, the zip's local time taken as UTC: the same on any machine.
    pub mtime: u64,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeKind {
    /// A folder.
    Directory,
    /// A file.
    File {
        /// Number of its entry in the zip.
        index: usize,
        /// Unpacked, in bytes.
        size: u64,
    },
    /// A symbolic link to somewhere in the product.
    Symlink {
        /// As written.
        target: String,
    },
}

impl Node {
    /// Bytes when unpacked; 0 for what is no file.
    pub fn size(&self) -> u64 {
        match self.kind {
            NodeKind::File { size, .. } => size,
            NodeKind::Directory | NodeKind::Symlink { .. } => 0,
        }
    }
}

const TYPE_BITS: u32 = 0o170_000;
/// No system has longer ones (`PATH_MAX` of Linux, without its end).
const LONGEST_LINK: u64 = 4095;
/// For the names of everything in a product; those of the largest ones take some 2 MB.
pub(crate) const NAMES_MEMORY: usize = 128 << 20;
/// What a node takes beside its name.
pub(crate) const NODE_MEMORY: usize = 128;

/// An entry of the zip, checked for itself.
struct Entry {
    path: String,
    node: Node,
}

/// The product's folder and what is in it.
pub(super) fn read(
    pack: &Path,
    archive: &mut Archive,
    max_unpacked_size: u64,
) -> Result<(String, BTreeMap<String, Node>), Problem> {
    let bad = |what: String| unsafe_pack(pack, what);
    let mut entries = Vec::with_capacity(archive.len());
    let mut total: u64 = 0;
    for index in 0..archive.len() {
        let entry = read_entry(archive, index).map_err(bad)?;
        total = total.saturating_add(entry.node.size());
        entries.push(entry);
    }
    if total > max_unpacked_size {
        let limit = bytesize::ByteSize(max_unpacked_size);
        return Err(Problem::new(
            format!("{} unpacks to {}, more than the limit of {limit}", pack.display(), bytesize::ByteSize(total)),
            "if that is its real size, raise --max-unpacked-size",
        ));
    }
    let folder = top_folder(pack, &entries)?;
    let nodes = below(&folder, entries).map_err(bad)?;
    Ok((folder, nodes))
}

fn read_entry(archive: &mut Archive, index: usize) -> Result<Entry, String> {
    let damaged = |error: zip::result::ZipError| format!("entry {index}: {error}");
    let (raw, entry) = {
        let data = archive.by_index_data(index).map_err(damaged)?;
        let raw = data.name_raw().to_vec();
        let say = |what: &str| format!("{}: {what}", shown(&raw));
        if data.encrypted() {
            return Err(say("is encrypted"));
        }
        if !matches!(data.compression(), CompressionMethod::Stored | CompressionMethod::Deflated) {
            return Err(say("is compressed in a way that the vendor does not use"));
        }
        let path = safe_name(&raw).map_err(|reason| say(&format!("its name {reason}")))?;
        let unix = data.unix_mode();
        let mode = unix.unwrap_or_default() & 0o777;
        let kind = match unix.unwrap_or_default() & TYPE_BITS {
            _ if raw.ends_with(b"/") && data.size() > 0 => return Err(say("is a folder, and has content")),
            _ if raw.ends_with(b"/") => NodeKind::Directory,
            0 | 0o100_000 => NodeKind::File { index, size: data.size() },
            0o120_000 => NodeKind::Symlink { target: String::new() },
            0o040_000 => NodeKind::Directory,
            _ => return Err(say("is neither a file nor a folder nor a link")),
        };
        let mode = permissions(&kind, &path, unix.map(|_| mode).filter(|mode| *mode != 0));
        let mtime = data.last_modified().map(entry_time).unwrap_or_default();
        (raw, Entry { path, node: Node { kind, mode, mtime } })
    };
    match entry.node.kind {
        NodeKind::Symlink { .. } => {
            let target = read_link(archive, index).map_err(|what| format!("{}: {what}", shown(&raw)))?;
            Ok(Entry { node: Node { kind: NodeKind::Symlink { target }, ..entry.node }, ..entry })
        }
        _ => Ok(entry),
    }
}

/// Entries made on DOS have no permissions; scripts must run all the same.
fn permissions(kind: &NodeKind, path: &str, given: Option<u32>) -> u32 {
    match (kind, given) {
        (NodeKind::Symlink { .. }, _) => 0o777,
        (_, Some(mode)) => mode,
        (NodeKind::Directory, None) => 0o755,
        (NodeKind::File { .. }, None) if path.ends_with(".sh") => 0o755,
        (NodeKind::File { .. }, None) => 0o644,
    }
}

/// A zip's time in seconds since 1970. It has no time zone; UTC gives the same on any machine.
pub fn entry_time(time: zip::DateTime) -> u64 {
    let date = jiff::civil::date(
        i16::try_from(time.year()).unwrap_or(1980),
        i8::try_from(time.month()).unwrap_or(1),
        i8::try_from(time.day()).unwrap_or(1),
    );
    let part = |value: u8| i8::try_from(value).unwrap_or_default();
    let time = date.at(part(time.hour()), part(time.minute()), part(time.second()).min(59), 0);
    let utc = time.to_zoned(jiff::tz::TimeZone::UTC).map(|zoned| zoned.timestamp().as_second());
    utc.ok().and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or_default()
}

fn read_link(archive: &mut Archive, index: usize) -> Result<String, String> {
    let mut target = String::new();
    let entry = archive.by_index(index).map_err(|error| error.to_string())?;
    if entry.size() > LONGEST_LINK {
        return Err(format!("its link target has more than {LONGEST_LINK} bytes"));
    }
    entry
        .take(LONGEST_LINK)
        .read_to_string(&mut target)
        .map_err(|error| format!("its link target cannot be read: {error}"))?;
    Ok(target)
}

fn top_folder(pack: &Path, entries: &[Entry]) -> Result<String, Problem> {
    let mut tops: Vec<&str> = entries.iter().map(|entry| entry.path.split('/').next().unwrap_or_default()).collect();
    tops.sort_unstable();
    tops.dedup();
    let hint = "give the product pack as the vendor delivers it: a zip with one folder <product>-<version>";
    match tops.as_slice() {
        [] => Err(Problem::new(format!("{} holds no product: it is empty", pack.display()), hint)),
        [top] if split_product(top).is_some() => Ok((*top).to_owned()),
        [top] => Err(Problem::new(
            format!("{} holds no product: its folder is '{}', not <product>-<version>", pack.display(), printable(top)),
            hint,
        )),
        several => {
            let names: Vec<String> = several.iter().take(5).map(|top| printable(top)).collect();
            Err(Problem::new(format!("{} holds more than one folder: {}", pack.display(), names.join(", ")), hint))
        }
    }
}

/// Nodes by path below `folder`, with the folders that the zip only implies.
fn below(folder: &str, entries: Vec<Entry>) -> Result<BTreeMap<String, Node>, String> {
    let prefix = format!("{folder}/");
    let mut nodes = BTreeMap::new();
    for Entry { path, node } in entries {
        let Some(inner) = path.strip_prefix(&prefix) else {
            if node.kind == NodeKind::Directory {
                continue;
            }
            return Err(format!("{}: is no folder", printable(&path)));
        };
        if nodes.insert(inner.to_owned(), node).is_some() {
            return Err(format!("{}: is there twice", printable(&path)));
        }
    }
    let newest = nodes.values().map(|node| node.mtime).max().unwrap_or_default();
    add_folders(&mut nodes, Node { kind: NodeKind::Directory, mode: 0o755, mtime: newest })?;
    let link_at = |path: &str| match &nodes.get(path)?.kind {
        NodeKind::Symlink { target } => Some(target.as_str()),
        _ => None,
    };
    for (path, node) in &nodes {
        if let NodeKind::Symlink { target } = &node.kind
            && leads_out(path, target, link_at)
        {
            let path = printable(path);
            return Err(match target.as_str() {
                "" => format!("{path}: is a link to nothing"),
                _ => format!("{path}: is a link that leaves the product, to '{}'", printable(target)),
            });
        }
    }
    check_alike(&nodes)?;
    Ok(nodes)
}

/// Folders that are nowhere but in the paths of what is in them.
fn add_folders(nodes: &mut BTreeMap<String, Node>, folder: Node) -> Result<(), String> {
    let paths: Vec<String> = nodes.keys().cloned().collect();
    let mut left = NAMES_MEMORY;
    let mut take = |path: &str| {
        left = left.checked_sub(path.len() + NODE_MEMORY).ok_or("it has more names than can be kept in mind")?;
        Ok::<_, String>(())
    };
    for path in &paths {
        take(path)?;
        for above in ancestors(path).collect::<Vec<_>>().into_iter().rev() {
            match nodes.get(above) {
                Some(node) if node.kind == NodeKind::Directory => break,
                Some(_) => return Err(format!("{}: is a file or a link, and a folder to others", printable(above))),
                None => {
                    take(above)?;
                    nodes.insert(above.to_owned(), folder.clone());
                }
            }
        }
    }
    Ok(())
}

/// No two paths that are one on file systems that take no notice of case, or of how letters are composed.
fn check_alike(nodes: &BTreeMap<String, Node>) -> Result<(), String> {
    let normalizer = ComposingNormalizerBorrowed::new_nfc();
    let mut seen = HashMap::with_capacity(nodes.len());
    for path in nodes.keys() {
        let folded = normalizer.normalize(&path.to_lowercase()).into_owned();
        if let Some(other) = seen.insert(folded, path) {
            return Err(format!("{}: is the same as {} but for case or form", printable(path), printable(other)));
        }
    }
    Ok(())
}

/// The folders above a path: `a/b/c` → `a`, `a/b`.
pub fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}

fn unsafe_pack(pack: &Path, what: String) -> Problem {
    Problem::new(
        format!("{} is not safe to unpack: {what}", pack.display()),
        "download the pack again from the vendor; do not use this one",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zip_times_are_taken_as_utc() {
        let time = zip::DateTime::from_date_and_time(2022, 3, 28, 10, 20, 30).expect("valid");
        assert_eq!(entry_time(time), 1_648_462_830);
    }
}
