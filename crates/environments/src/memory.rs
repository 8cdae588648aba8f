//! What was read from a registry before, by its digest: it cannot have changed. And which digest a tag had, so that an unchanged
//! one need only be asked for that.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use hotfix_docker::files;
use hotfix_docker::hashing::digest_of;
use hotfix_docker::reference::ImageRef;
use tracing::debug;

/// A folder of blobs and of notes on tags. Nothing depends on what is in it.
#[derive(Debug, Clone)]
pub struct Memory {
    folder: Option<PathBuf>,
}

impl Memory {
    /// In `folder`, which need not be there; without one nothing is remembered.
    pub fn new(folder: Option<PathBuf>) -> Self {
        Self { folder }
    }

    /// The blob with this digest. One that was changed is none.
    pub(crate) fn blob(&self, digest: &str) -> Option<Bytes> {
        let bytes = files::read(&self.path("blobs", digest)?, files::SMALL).ok()?;
        (digest_of(&bytes) == digest).then(|| bytes.into())
    }

    pub(crate) fn keep_blob(&self, digest: &str, bytes: &[u8]) {
        self.keep("blobs", digest, bytes);
    }

    /// The digest that a tag had when it was last looked at.
    pub(crate) fn tag(&self, reference: &ImageRef) -> Option<String> {
        files::read_text(&self.path("tags", &name_of(reference))?).ok()
    }

    pub(crate) fn keep_tag(&self, reference: &ImageRef, digest: &str) {
        self.keep("tags", &name_of(reference), digest.as_bytes());
    }

    fn path(&self, kind: &str, digest: &str) -> Option<PathBuf> {
        let name = digest.strip_prefix("sha256:").filter(|name| name.bytes().all(|b| b.is_ascii_hexdigit()))?;
        Some(self.folder.as_ref()?.join(kind).join(name))
    }

    fn keep(&self, kind: &str, digest: &str, bytes: &[u8]) {
        let Some(path) = self.path(kind, digest) else { return };
        if let Err(error) = write(&path, bytes) {
            debug!(%error, "{} is not remembered", path.display());
        }
    }
}

/// A registry's name and a tag, as a name for a file.
fn name_of(reference: &ImageRef) -> String {
    digest_of(reference.as_str().as_bytes())
}

/// Whole or not at all.
fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new(""));
    fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.persist(path).map(drop).map_err(|error| error.error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_changed_is_not_known() {
        let folder = tempfile::tempdir().expect("a folder");
        let memory = Memory::new(Some(folder.path().to_owned()));
        let digest = digest_of(b"x");
        assert_eq!(memory.blob(&digest), None);
        memory.keep_blob(&digest, b"x");
        assert_eq!(memory.blob(&digest).as_deref(), Some(&b"x"[..]));
        fs::write(memory.path("blobs", &digest).expect("a path"), "y").expect("written");
        assert_eq!(memory.blob(&digest), None);
    }

    #[test]
    fn a_digest_is_no_path() {
        let memory = Memory::new(Some("x".into()));
        assert_eq!(memory.path("blobs", "sha256:../../etc/passwd"), None);
    }
}
