//! Names of images, parsed once.

use std::fmt;
use std::str::FromStr;

use oci_spec::distribution::Reference;

use crate::{Error, Result};

/// A reference such as `127.0.0.1:5000/team/wso2am:4.1.0.10-hf3`, by the rules of `docker`: without a registry it is
/// Docker Hub's, without a tag and a digest it is `latest`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ImageRef {
    /// As it was given; a tag is added where there was none.
    text: String,
    full: Reference,
}

impl ImageRef {
    /// Host and, where given, port of the registry; `docker.io` for Docker Hub.
    pub fn registry(&self) -> &str {
        self.full.registry()
    }

    /// Path of the repository in its registry, `library/busybox` for `busybox`.
    pub fn repository(&self) -> &str {
        self.full.repository()
    }

    /// The tag, `None` for a reference by digest.
    pub fn tag(&self) -> Option<&str> {
        self.full.tag()
    }

    /// The digest, `sha256:…`, where the reference has one.
    pub fn digest(&self) -> Option<&str> {
        self.full.digest()
    }

    /// What it is called in its repository: the digest where it has one, else the tag.
    pub(crate) fn tag_or_digest(&self) -> &str {
        self.digest().or(self.tag()).unwrap_or("latest")
    }

    /// The name without tag and digest, as it was given.
    pub fn name(&self) -> &str {
        let name = self.text.split_once('@').map_or(self.text.as_str(), |(name, _)| name);
        match self.tag() {
            Some(tag) => name.strip_suffix(tag).and_then(|n| n.strip_suffix(':')).unwrap_or(name),
            None => name,
        }
    }

    /// What can be an id of an image as `docker images` shows them: hexadecimal digits, 12 at least, and nothing else.
    pub(crate) fn short_id(&self) -> Option<&str> {
        let id = self.text.strip_suffix(":latest")?;
        let is_hex = id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        (id.len() >= 12 && is_hex).then_some(id)
    }

    /// As it was given, with `:latest` where neither a tag nor a digest was.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn full(&self) -> &Reference {
        &self.full
    }
}

/// A name as it may be shown: what is before an `@` that begins no digest can be a password, `user:password@host/…`.
pub fn without_password(text: &str) -> String {
    let digest =
        text.rfind('@').filter(|at| text[at + 1..].starts_with("sha256:") || text[at + 1..].starts_with("sha512:"));
    let (name, digest) = text.split_at(digest.unwrap_or(text.len()));
    match name.rsplit_once('@') {
        Some((_, rest)) => format!("***@{rest}{digest}"),
        None => text.to_owned(),
    }
}

impl FromStr for ImageRef {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let full = Reference::from_str(text)
            .map_err(|error| Error::Reference { text: without_password(text), reason: error.to_string() })?;
        // The parser adds `latest` itself; what was given is kept otherwise, as users expect to read it again.
        let given = text.rsplit('/').next().is_some_and(|last| last.contains([':', '@']));
        let text = if given { text.to_owned() } else { format!("{text}:latest") };
        Ok(Self { text, full })
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_those_of_docker() {
        for (text, shown, registry, repository, name) in [
            ("busybox", "busybox:latest", "docker.io", "library/busybox", "busybox"),
            (
                "127.0.0.1:5000/team/wso2am:t1",
                "127.0.0.1:5000/team/wso2am:t1",
                "127.0.0.1:5000",
                "team/wso2am",
                "127.0.0.1:5000/team/wso2am",
            ),
            ("localhost/x", "localhost/x:latest", "localhost", "x", "localhost/x"),
        ] {
            let reference: ImageRef = text.parse().expect("valid");
            assert_eq!(
                (reference.as_str(), reference.registry(), reference.repository(), reference.name()),
                (shown, registry, repository, name)
            );
        }
    }

    #[test]
    fn by_digest_there_is_no_tag() {
        let text = format!("wso2/wso2am@sha256:{}", "a".repeat(64));
        let reference: ImageRef = text.parse().expect("valid");
        assert_eq!((reference.as_str(), reference.tag(), reference.name()), (text.as_str(), None, "wso2/wso2am"));
    }

    #[test]
    fn passwords_are_not_shown() {
        for (text, shown) in [
            ("jo:pw@h:5000/am:1", "***@h:5000/am:1"),
            ("jo:p@w@h/am@sha256:00", "***@h/am@sha256:00"),
            ("h/am@sha256:00", "h/am@sha256:00"),
            ("UPPER", "UPPER"),
        ] {
            assert_eq!(without_password(text), shown);
        }
    }

    #[test]
    fn what_docker_refuses_is_refused() {
        for text in ["", "UPPER", "a b", "x:", "x:t@g", "-x", "x//y", ":tag"] {
            let error = text.parse::<ImageRef>().expect_err(text).to_string();
            assert!(error.contains("is not an image reference"), "{error}");
        }
    }
}
