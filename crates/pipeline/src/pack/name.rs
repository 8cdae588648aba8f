//! Names: of packs, and of the entries in them.

use std::path::Path;

use super::printable;

/// What the file name of a pack says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackName {
    /// `wso2am`.
    pub product: String,
    /// `4.1.0`.
    pub version: String,
    /// `10`, where the name has one.
    pub level: Option<u32>,
}

impl PackName {
    /// Reads `<product>-<version>[.<level>].zip`, the vendor's rule; `None` for other names.
    pub fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        let (stem, ending) = name.rsplit_once('.')?;
        if !ending.eq_ignore_ascii_case("zip") {
            return None;
        }
        let (product, numbers) = stem.rsplit_once('-')?;
        let parts: Vec<&str> = numbers.split('.').collect();
        let level = match parts.as_slice() {
            [_, _, _] => None,
            [_, _, _, level] => Some(number(level)?),
            _ => return None,
        };
        let stem = format!("{product}-{}", parts[..3].join("."));
        let (product, version) = split_product(&stem)?;
        Some(Self { product: product.to_owned(), version: version.to_owned(), level })
    }
}

/// Splits `<product>-<N.N.N>`, where the product's name is of letters, digits and `-`.
pub(crate) fn split_product(text: &str) -> Option<(&str, &str)> {
    let (product, version) = text.rsplit_once('-')?;
    let is_product = !product.is_empty() && product.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let numbers: Vec<&str> = version.split('.').collect();
    let is_version = numbers.len() == 3 && numbers.iter().all(|text| number(text).is_some());
    (is_product && is_version).then_some((product, version))
}

fn number(text: &str) -> Option<u32> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

/// Folders in each other; the deepest of the vendor's products have some twenty.
const DEEPEST: usize = 200;

/// Checks the name of an entry: relative, UTF-8, `/` between plain names, nothing that could end up elsewhere or fool a
/// terminal. Returns it without a `/` at its end.
///
/// # Errors
/// What is wrong with it, after "its name".
pub(crate) fn safe_name(raw: &[u8]) -> Result<String, String> {
    let name = std::str::from_utf8(raw).map_err(|_| "is not UTF-8".to_owned())?;
    if name.chars().any(char::is_control) {
        return Err("has control characters".to_owned());
    }
    if name.contains('\\') {
        return Err("has a backslash".to_owned());
    }
    if name.starts_with('/') {
        return Err("is absolute".to_owned());
    }
    if name.len() > 4096 {
        return Err(format!("is of {} bytes", name.len()));
    }
    if name.split('/').count() > DEEPEST {
        return Err(format!("has more than {DEEPEST} parts"));
    }
    let name = name.strip_suffix('/').unwrap_or(name);
    for part in name.split('/') {
        match part {
            "" => return Err("has an empty part".to_owned()),
            "." | ".." => return Err(format!("has the part '{part}'")),
            _ if part.len() > 255 => return Err(format!("has a part of {} bytes", part.len())),
            _ if part.as_bytes().get(1) == Some(&b':') && part.as_bytes()[0].is_ascii_alphabetic() => {
                return Err("begins with a drive letter".to_owned());
            }
            // In a layer such a name deletes another file.
            _ if part.starts_with(hotfix_docker::layer::WHITEOUT_PREFIX) => {
                return Err("has a part that means a deletion in an image".to_owned());
            }
            _ => {}
        }
    }
    Ok(name.to_owned())
}

/// An entry's name for a message.
pub(super) fn shown(raw: &[u8]) -> String {
    let name = printable(&String::from_utf8_lossy(raw));
    if name.chars().count() <= 120 { name } else { name.chars().take(120).chain("…".chars()).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_packs() {
        let name = |text: &str| PackName::of(Path::new(text)).map(|n| (n.product, n.version, n.level));
        let is = |product: &str, version: &str, level| Some((product.to_owned(), version.to_owned(), level));
        assert_eq!(name("a b/wso2am-4.1.0.10.zip"), is("wso2am", "4.1.0", Some(10)));
        assert_eq!(name("wso2is-km-5.10.0.ZIP"), is("wso2is-km", "5.10.0", None));
        for other in [
            "wso2am.zip",
            "wso2am-4.1.zip",
            "wso2am-4.1.0.10.1.zip",
            "wso2am-4.1.0.x.zip",
            "-4.1.0.zip",
            "wso2am-4.1.0.tar",
            "wso2 am-4.1.0.zip",
            "wso2am-4.1.0.99999999999.zip",
        ] {
            assert_eq!(name(other), None, "{other}");
        }
    }

    #[test]
    fn names_of_entries_that_vendors_use_are_safe() {
        for name in ["a/b.jar", "a/#1~$@ (x).js", "a/", "a/..b", "a/.hidden", "ä"] {
            assert_eq!(safe_name(name.as_bytes()), Ok(name.trim_end_matches('/').to_owned()));
        }
    }

    #[test]
    fn names_that_could_end_up_elsewhere_are_refused() {
        let long = "x/".repeat(2500);
        let long_part = "x".repeat(256);
        for (name, reason) in [
            ("../x", "'..'"),
            ("a/../x", "'..'"),
            ("./x", "'.'"),
            ("/x", "absolute"),
            ("a//b", "empty"),
            ("", "empty"),
            ("a\\b", "backslash"),
            ("C:/x", "drive letter"),
            ("a/\u{1b}[31m", "control"),
            ("a\0b", "control"),
            (long.as_str(), "bytes"),
            (long_part.as_str(), "bytes"),
            ("a/.wh.b", "deletion"),
        ] {
            let error = safe_name(name.as_bytes()).expect_err(name);
            assert!(error.contains(reason), "{name}: {error}");
        }
        assert!(safe_name(b"a\xff").expect_err("not UTF-8").contains("UTF-8"));
        assert_eq!(shown(b"a\x1b[31m\xe2\x80\xae"), "a\\u{1b}[31m\\u{202e}");
    }
}
