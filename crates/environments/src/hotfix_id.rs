//! The name of a hotfix, whichever image it is in: `wso2am-4.1.0.10/hf-2`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A text that is no name of a hotfix.
#[derive(Debug, thiserror::Error)]
#[error("expected <product>-<version>.<level>/hf-<n>, such as wso2am-4.1.0.10/hf-2; 'hotfix env status' lists them")]
pub struct NoHotfixId;

/// A hotfix of a product, a version and an update level.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct HotfixId {
    /// `wso2am`.
    pub product: String,
    /// `4.1.0`.
    pub version: String,
    /// Update level.
    pub level: u32,
    /// Its number in the sequence, from 1.
    pub number: u32,
}

impl fmt::Display for HotfixId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { product, version, level, number } = self;
        write!(f, "{product}-{version}.{level}/hf-{number}")
    }
}

impl FromStr for HotfixId {
    type Err = NoHotfixId;

    fn from_str(text: &str) -> Result<Self, NoHotfixId> {
        parse(text).ok_or(NoHotfixId)
    }
}

/// A text that is no update level.
#[derive(Debug, thiserror::Error)]
#[error("expected an update level such as 15, or with its version, such as 4.2.0.1")]
pub struct NoLevel;

/// An update level, of the version that is spoken of or of another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Level {
    /// `4.2.0`, where it was given.
    pub version: Option<String>,
    /// The level.
    pub level: u32,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            Some(version) => write!(f, "{version}.{}", self.level),
            None => self.level.fmt(f),
        }
    }
}

impl FromStr for Level {
    type Err = NoLevel;

    fn from_str(text: &str) -> Result<Self, NoLevel> {
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let parts: Vec<&str> = text.split('.').collect();
        let (version, level) = match parts.as_slice() {
            [level] => (None, level),
            [version @ .., level] if version.len() == 3 => (Some(version.join(".")), level),
            _ => return Err(NoLevel),
        };
        let is_version = parts.iter().all(|part| is_number(part));
        let level = level.parse().ok().filter(|level| is_version && *level > 0).ok_or(NoLevel)?;
        Ok(Self { version, level })
    }
}

fn parse(text: &str) -> Option<HotfixId> {
    let (pack, number) = text.split_once("/hf-")?;
    let (product, full_version) = pack.rsplit_once('-')?;
    let (version, level) = full_version.rsplit_once('.')?;
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let is_name = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    let is_whole = is_name(product) && version.split('.').all(is_digits) && is_digits(level) && is_digits(number);
    let number = number.parse().ok().filter(|number| *number > 0)?;
    is_whole.then_some(())?;
    Some(HotfixId { product: product.to_owned(), version: version.to_owned(), level: level.parse().ok()?, number })
}

impl From<HotfixId> for String {
    fn from(id: HotfixId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for HotfixId {
    type Error = NoHotfixId;

    fn try_from(text: String) -> Result<Self, NoHotfixId> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for text in ["wso2am-4.1.0.10/hf-2", "wso2is-km-5.10.0.1/hf-100"] {
            assert_eq!(text.parse::<HotfixId>().expect("a name").to_string(), text);
        }
    }

    #[test]
    fn levels_can_have_their_version() {
        let level = |text: &str| text.parse::<Level>().ok().map(|level| (level.version, level.level));
        assert_eq!(level("15"), Some((None, 15)));
        assert_eq!(level("4.2.0.1"), Some((Some("4.2.0".to_owned()), 1)));
        for text in ["", "0", "4.2.0", "4.2.0.0", "a.2.0.1", "-1", "4.2.0.1.5", "+3", "99999999999"] {
            assert_eq!(level(text), None, "{text}");
        }
    }

    #[test]
    fn others_are_no_names() {
        for text in [
            "",
            "wso2am-4.1.0.10",
            "wso2am-4.1.0.10/hf-0",
            "wso2am-4.1.0.10/hf-x",
            "wso2am-4.1.0.x/hf-1",
            "4.1.0.10/hf-1",
            "-4.1.0.10/hf-1",
            "wso2am-.10/hf-1",
            "a/b-4.1.0.10/hf-1",
            "wso2am-4.1.0.10/hf--1",
            "wso2am-4.1.0.10/hf-99999999999",
        ] {
            assert!(text.parse::<HotfixId>().is_err(), "{text}");
        }
    }
}
