//! Hotfixes, and the sequence that they must form.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use tracing::warn;

use crate::pack::{PackName, Product, entry_time, open_zip, printable};
use crate::step::Problem;

const MANIFEST: &str = "hotfix.json";
/// Names of ignored files that a warning tells; a folder can hold thousands.
const IGNORED_SHOWN: usize = 5;

/// A hotfix for the product at hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hotfix {
    /// Its place in the sequence, from 1.
    pub number: u32,
    /// Name of its zip.
    pub file: String,
    /// Length of its zip in bytes.
    pub bytes: u64,
    /// Where its zip is.
    #[serde(skip)]
    pub path: PathBuf,
    /// Time of the newest entry in it, in seconds since 1970: the time that files changed by it get in an image.
    #[serde(skip)]
    pub newest: u64,
}

/// Hotfixes numbered 1, 2, 3 … without gap or double, each for one product, version and level. Only valid ones can be
/// made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct HotfixSequence(Vec<Hotfix>);

impl HotfixSequence {
    /// The hotfixes for `product` in `folder`, the first `through` of them where that is given. What is no zip is
    /// passed over, with a warning.
    ///
    /// # Errors
    /// Where a zip is no hotfix or is for another product, version or level; where a number is missing or there twice;
    /// where there is none at all or fewer than `through`.
    pub fn read(folder: &Path, product: &Product, through: Option<u32>) -> Result<Self, Problem> {
        let mut hotfixes = Vec::new();
        for path in zips_in(folder)? {
            hotfixes.push(Hotfix::read(&path, product)?);
        }
        hotfixes.sort_by(|a, b| (a.number, &a.file).cmp(&(b.number, &b.file)));
        check_numbers(folder, &hotfixes)?;
        let there = hotfixes.len();
        let wanted = through.map_or(there, |through| through as usize);
        if wanted > there {
            return Err(Problem::new(
                format!("--through {wanted} asks for more hotfixes than there are: {} holds {there}", folder.display()),
                "put the missing hotfixes into the folder, or give a smaller number",
            ));
        }
        if there == 0 && through.is_none() {
            return Err(Problem::new(
                format!("there is no hotfix in {}", folder.display()),
                "put hotfixes (<product>-<version>.<level>-hf-<n>.zip) there; to build the image without any, give --through 0",
            ));
        }
        hotfixes.truncate(wanted);
        Ok(Self(hotfixes))
    }

    /// The hotfixes in the order in which they are applied.
    pub fn as_slice(&self) -> &[Hotfix] {
        &self.0
    }
}

/// The zips in `folder`, by name.
fn zips_in(folder: &Path) -> Result<Vec<PathBuf>, Problem> {
    let unreadable = |error: std::io::Error| {
        Problem::new(format!("the hotfix folder {} cannot be read", folder.display()), "check its permissions")
            .because(error)
    };
    let (mut zips, mut others) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let is_zip = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("zip"));
        if is_zip && !is_apple_double(&path) {
            zips.push(path);
        } else {
            others.push(printable(&path.file_name().unwrap_or_default().to_string_lossy()));
        }
    }
    zips.sort();
    others.sort();
    warn_of_ignored(folder, &others);
    Ok(zips)
}

/// What macOS puts beside a file on disks that cannot hold its attributes: `._` and the file's name.
fn is_apple_double(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"._"))
}

fn warn_of_ignored(folder: &Path, names: &[String]) {
    let shown = names.iter().take(IGNORED_SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len() {
        0 => {}
        1..=IGNORED_SHOWN => warn!("ignored in {}, being no zip: {shown}", folder.display()),
        more => warn!("ignored in {}, being no zip: {shown} and {} more", folder.display(), more - IGNORED_SHOWN),
    }
}

impl Hotfix {
    fn read(path: &Path, product: &Product) -> Result<Self, Problem> {
        let shown = printable(&path.to_string_lossy());
        let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(|| {
            Problem::new(
                format!("the name of {shown} is not UTF-8"),
                "give the hotfix the name that the vendor gave it",
            )
        })?;
        // The name goes into logs, labels and the image's history.
        if printable(name) != name {
            return Err(Problem::new(
                format!("the name of {shown} has characters that cannot be shown"),
                "give the hotfix the name that the vendor gave it",
            ));
        }
        if !path.is_file() {
            return Err(Problem::new(
                format!("{shown} is no hotfix: it is no file, or a link to none"),
                "put the hotfix itself there, or take this out of the folder",
            ));
        }
        let Some((stem, number)) = split_number(name) else {
            if split_digits(name).is_some() {
                return Err(Problem::new(
                    format!("{shown} is no hotfix: the number in its name is too large"),
                    "take it out of the folder, or give it the name that the vendor gave it",
                ));
            }
            if PackName::of(path).is_some() {
                return Err(Problem::new(
                    format!("{shown} is no hotfix but a product pack"),
                    "keep hotfixes in a folder of their own",
                ));
            }
            return Err(Problem::new(
                format!("{shown} is no hotfix: its name does not end in -hf-<n>.zip or -hf<n>.zip"),
                "take it out of the folder, or give it the name that the vendor gave it",
            ));
        };
        check_product(stem, product).map_err(|other| {
            Problem::new(
                format!("{shown} is not for {} at level {}: {other}", product.folder(), product.update_level),
                "take it out of the folder; a hotfix fits one product, version and update level only",
            )
        })?;
        let (bytes, newest) = read_zip(path, &shown)?;
        Ok(Self { number, file: name.to_owned(), bytes, path: path.to_owned(), newest })
    }
}

/// Splits `<stem>-hf-<n>.zip` or `<stem>-hf<n>.zip`, in any case, leading zeros or not.
pub fn split_number(name: &str) -> Option<(&str, u32)> {
    let (stem, digits) = split_digits(name)?;
    Some((stem, digits.parse().ok()?))
}

/// As [`split_number`], however large the number is.
fn split_digits(name: &str) -> Option<(&str, &str)> {
    let (stem, ending) = name.rsplit_once('.')?;
    if !ending.eq_ignore_ascii_case("zip") {
        return None;
    }
    let digits = stem.len() - stem.bytes().rev().take_while(u8::is_ascii_digit).count();
    let (before, number) = stem.split_at(digits);
    if number.is_empty() {
        return None;
    }
    let before = before.strip_suffix('-').unwrap_or(before);
    let marker = before.len().checked_sub(3)?;
    let is_marker = before.get(marker..)?.eq_ignore_ascii_case("-hf");
    is_marker.then(|| (&before[..marker], number))
}

/// Whether the name begins with the product and version, and names no other level.
fn check_product(stem: &str, product: &Product) -> Result<(), String> {
    let folder = product.folder();
    let Some(rest) =
        stem.get(..folder.len()).filter(|start| start.eq_ignore_ascii_case(&folder)).map(|_| &stem[folder.len()..])
    else {
        return Err(format!("its name does not begin with {folder}"));
    };
    let digits = rest.strip_prefix('.').map(|rest| rest.bytes().take_while(u8::is_ascii_digit).count());
    match digits {
        _ if rest.is_empty() || rest.starts_with(['-', '_']) => Ok(()),
        Some(count @ 1..) => {
            let (level, more) = rest[1..].split_at(count);
            match level.parse::<u32>() {
                Ok(level) if level == product.update_level && (more.is_empty() || more.starts_with(['-', '_'])) => {
                    Ok(())
                }
                _ => Err(format!("its name says level {}", rest[1..].split(['-', '_']).next().unwrap_or_default())),
            }
        }
        _ => Err(format!("its name does not begin with {folder}")),
    }
}

/// Length of the zip, and time of its newest entry.
fn read_zip(path: &Path, shown: &str) -> Result<(u64, u64), Problem> {
    let unreadable =
        |error: std::io::Error| Problem::new(format!("{shown} cannot be read"), "check its permissions").because(error);
    let file = Arc::new(File::open(path).map_err(unreadable)?);
    let bytes = file.metadata().map_err(unreadable)?.len();
    let archive = open_zip(&file).map_err(|error| {
        Problem::new(format!("{shown} is no zip, or is damaged"), "download the hotfix again").because(error)
    })?;
    let mut is_hotfix = false;
    let mut newest = 0;
    for index in 0..archive.len() {
        let Ok(entry) = archive.by_index_data(index) else { continue };
        is_hotfix |= entry.name_raw().rsplit(|byte| *byte == b'/').next() == Some(MANIFEST.as_bytes());
        newest = newest.max(entry.last_modified().map(entry_time).unwrap_or_default());
    }
    if !is_hotfix {
        return Err(Problem::new(
            format!("{shown} is no hotfix: there is no {MANIFEST} in it"),
            "take it out of the folder, or download it again",
        ));
    }
    Ok((bytes, newest))
}

fn check_numbers(folder: &Path, sorted: &[Hotfix]) -> Result<(), Problem> {
    let folder = folder.display();
    for (position, hotfix) in sorted.iter().enumerate() {
        let expected = u32::try_from(position).unwrap_or(u32::MAX).saturating_add(1);
        if hotfix.number == expected {
            continue;
        }
        let previous = position.checked_sub(1).map(|before| &sorted[before]);
        return Err(match previous {
            Some(previous) if previous.number == hotfix.number => Problem::new(
                format!("hotfix {} is in {folder} twice: {} and {}", hotfix.number, previous.file, hotfix.file),
                "keep the right one of the two",
            ),
            Some(previous) => Problem::new(
                format!("hotfix {expected} is missing in {folder}: after {} comes {}", previous.file, hotfix.file),
                format!("put hotfix {expected} there; hotfixes are applied in sequence, without a gap"),
            ),
            None => Problem::new(
                format!("the sequence in {folder} begins with {}, not with hotfix 1", hotfix.file),
                match hotfix.number {
                    0 => {
                        "hotfixes are numbered from 1: take it out of the folder, or give it the name that the vendor gave it"
                    }
                    _ => "put the earlier hotfixes there; they are applied in sequence, from 1, to a clean pack",
                },
            ),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_of_the_number_count() {
        for (name, stem, number) in [
            ("wso2am-4.1.0.10-hf-1.zip", "wso2am-4.1.0.10", 1),
            ("wso2am-3.0.0-abc-hf1.zip", "wso2am-3.0.0-abc", 1),
            ("X-HF-01.ZIP", "X", 1),
            ("x-Hf008.Zip", "x", 8),
            ("-hf-12.zip", "", 12),
        ] {
            assert_eq!(split_number(name), Some((stem, number)), "{name}");
        }
        for name in [
            "x.zip",
            "x-hf.zip",
            "x-hf-.zip",
            "xhf1.zip",
            "x-hf-1a.zip",
            "x-hf--1.zip",
            "x-hf-1.tar",
            "1.zip",
            "x-hf-99999999999.zip",
            "é-hf-1",
            "hf1.zip",
        ] {
            assert_eq!(split_number(name), None, "{name}");
        }
    }

    #[test]
    fn the_name_says_for_which_product() {
        let product = Product { name: "wso2am".into(), version: "4.1.0".into(), update_level: 10 };
        for stem in
            ["wso2am-4.1.0.10", "wso2am-4.1.0", "wso2am-4.1.0-abc", "WSO2AM-4.1.0.010_x", "wso2am-4.1.0.10-fix #3~"]
        {
            assert_eq!(check_product(stem, &product), Ok(()), "{stem}");
        }
        for stem in [
            "wso2am-4.1.0.12",
            "wso2am-4.1.01",
            "wso2am-4.1.0x",
            "wso2is-4.1.0.10",
            "wso2am-4.2.0.10",
            "wso2am-km-4.1.0",
            "fix",
            "",
            "wso2am-4.1.0.x",
            "wso2am-4.1.é",
        ] {
            assert!(check_product(stem, &product).is_err(), "{stem}");
        }
    }
}
