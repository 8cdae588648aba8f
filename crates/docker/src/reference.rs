//! Names of images, parsed once.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use regex_lite::Regex;

use crate::{Error, Result};

/// The grammar in the documentation of `github.com/distribution/reference`, with groups for name, tag and digest. Of ASCII
/// letters only, as there: in Unicode the repeated class of a tag takes tens of milliseconds to compile.
static GRAMMAR: LazyLock<Regex> = LazyLock::new(|| {
    let label = "[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?";
    let host = format!(r"{label}(?:\.{label})*(?::[0-9]+)?");
    let part = "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*";
    let name = format!("(?:{host}/)?{part}(?:/{part})*");
    let tag = "[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}";
    let digest = "sha256:[0-9a-fA-F]{64}|sha384:[0-9a-fA-F]{96}|sha512:[0-9a-fA-F]{128}";
    #[allow(clippy::unwrap_used)] // Tests parse with it.
    Regex::new(&format!("^({name})(?::({tag}))?(?:@({digest}))?$")).unwrap()
});
/// Of a repository's path and of its host, as the grammar's documentation has it.
const LONGEST_NAME: usize = 255;
const DOCKER_HUB: &str = "docker.io";

/// A reference such as `127.0.0.1:5000/team/wso2am:4.1.0.10-hf3`, by the rules of `docker`: without a registry it is
/// Docker Hub's, without a tag and a digest it is `latest`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ImageRef {
    /// As it was given; a tag is added where there was none.
    text: String,
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<String>,
}

impl ImageRef {
    /// Host and, where given, port of the registry; `docker.io` for Docker Hub.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// Path of the repository in its registry, `library/busybox` for `busybox`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag, `None` for a reference by digest.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, `sha256:…`, where the reference has one.
    pub fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }

    /// Whether `other` is in another repository of the same registry.
    pub(crate) fn is_beside(&self, other: &Self) -> bool {
        self.registry() == other.registry() && self.repository() != other.repository()
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

    /// Host and, where given, port that answer for the registry.
    pub(crate) fn host(&self) -> &str {
        if self.registry == DOCKER_HUB { "index.docker.io" } else { &self.registry }
    }
}

/// A repository, by the rules of `docker`: `team/wso2am` is the same as `docker.io/team/wso2am`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryRef(ImageRef);

impl RepositoryRef {
    /// Whether `reference` is in it.
    pub fn has(&self, reference: &ImageRef) -> bool {
        (self.0.registry(), self.0.repository()) == (reference.registry(), reference.repository())
    }
}

impl FromStr for RepositoryRef {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let reference: ImageRef = text.parse().map_err(|error: Error| error.to_string())?;
        match reference.name() == text {
            true => Ok(Self(reference)),
            false => Err(format!("that is an image; its repository is {}", reference.name())),
        }
    }
}

impl fmt::Display for RepositoryRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
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
        let refused = |reason: &str| Error::Reference { text: without_password(text), reason: reason.to_owned() };
        let groups = GRAMMAR.captures(text).ok_or_else(|| refused("invalid reference format"))?;
        let group = |number| groups.get(number).map(|found| found.as_str().to_owned());
        let (registry, repository) = registry_and_repository(&groups[1]);
        if repository.len() > LONGEST_NAME {
            return Err(refused("repository name must not be more than 255 characters"));
        }
        let digest = group(3);
        let tag = group(2).or_else(|| digest.is_none().then(|| "latest".to_owned()));
        // `latest` is added; what was given is kept otherwise, as users expect to read it again.
        let given = text.rsplit('/').next().is_some_and(|last| last.contains([':', '@']));
        let text = if given { text.to_owned() } else { format!("{text}:latest") };
        Ok(Self { text, registry, repository, tag, digest })
    }
}

/// A first part that can be no user of Docker Hub is a host; those are of small letters.
fn registry_and_repository(name: &str) -> (String, String) {
    let is_host =
        |first: &str| first == "localhost" || first.bytes().any(|b| matches!(b, b'.' | b':') || b.is_ascii_uppercase());
    let (registry, repository) = match name.split_once('/') {
        Some(("index.docker.io", rest)) => (DOCKER_HUB, rest),
        Some((first, rest)) if is_host(first) => (first, rest),
        _ => (DOCKER_HUB, name),
    };
    match repository.contains('/') || registry != DOCKER_HUB {
        true => (registry.to_owned(), repository.to_owned()),
        false => (registry.to_owned(), format!("library/{repository}")),
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
            ("Host/x", "Host/x:latest", "Host", "x", "Host/x"),
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
    fn another_parser_reads_the_same() {
        use oci_spec::distribution::Reference;
        let sha256 = format!("sha256:{}", "0a".repeat(32));
        let long = "a/".repeat(140) + "b";
        let texts = [
            "a",
            "a:b",
            "A",
            "a:B_.-x",
            "a/b",
            "a.b/c",
            "a:1/c",
            "a:1",
            "localhost/c:d",
            "Host.example/c",
            "a--b",
            "a__b",
            "a___b",
            "a_.b",
            "a..b",
            "-a",
            "a-",
            "a/-b",
            "a/B",
            "index.docker.io/x",
            "docker.io/x",
            "docker.io/x/y:z",
            "h-.x/y",
            "h.-x/y",
            "h:/y",
            "h:x/y",
            "a@b",
            "a:",
            ":a",
            "a/",
            "/a",
            "a//b",
            "",
            " a",
            "a b",
            "a\n",
            "a:t\n",
            "a:é",
            "é",
            "[::1]:5000/a",
            "u:p@h/a",
            &long,
        ];
        let with_digest =
            [&sha256, "sha256:00", &sha256.to_uppercase(), &sha256.replace("sha256", "md5"), &sha256[..70]];
        let with_digest = with_digest.map(|digest| format!("h/a:t@{digest}"));
        for text in texts.into_iter().chain(with_digest.iter().map(String::as_str)) {
            let parts = |r: &ImageRef| {
                (
                    r.registry().to_owned(),
                    r.repository().to_owned(),
                    r.tag().map(str::to_owned),
                    r.digest().map(str::to_owned),
                )
            };
            let ours = text.parse::<ImageRef>().ok().map(|reference| parts(&reference));
            let other = text.parse::<Reference>().ok().filter(|_| text.is_ascii());
            let other = other.map(|r| {
                (
                    r.registry().to_owned(),
                    r.repository().to_owned(),
                    r.tag().map(str::to_owned),
                    r.digest().map(str::to_owned),
                )
            });
            assert_eq!(ours, other, "{text:?}");
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
