//! The build context: the user's folder, and what else is put beside it.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use walkdir::WalkDir;

use super::ignore::Ignore;
use crate::hashing::digest_of;
use crate::layer::{Entry, FileContent, Layer, Metadata, Node};
use crate::{Error, Result, files};

/// What is sent to the builder, as a tar that is made while it is sent.
#[derive(Debug, Clone)]
pub struct Context {
    /// Name of the Dockerfile in it.
    pub dockerfile: String,
    /// What the Dockerfile says.
    pub text: String,
    /// Files, folders and links by path. Owned by root, as `docker build` sends them.
    pub entries: Layer,
}

impl Context {
    /// The folder of a Dockerfile, without what its `.dockerignore` leaves out. The ignore files themselves are not sent:
    /// some engines would apply them again, and to what is put beside the folder too.
    ///
    /// # Errors
    /// Where something cannot be read, or has a name that is not UTF-8.
    pub fn read(file: &Path) -> Result<Self> {
        let folder = folder_of(file);
        let unusable = |path: &Path, reason: &str| Error::BuildContext { path: path.into(), reason: reason.to_owned() };
        let name = file.file_name().and_then(|name| name.to_str());
        let dockerfile = name.ok_or_else(|| unusable(file, "has a name that is not UTF-8"))?.to_owned();
        let text = files::read_text(file).map_err(Error::io("read", file))?;
        let ignore = Ignore::of(folder, &dockerfile)?;
        let mut entries = Layer::default();
        let mut walk = WalkDir::new(folder).min_depth(1).into_iter();
        while let Some(found) = walk.next() {
            let found = found.map_err(|error| {
                let path = error.path().unwrap_or(folder).to_owned();
                Error::io("read", &path)(error.into())
            })?;
            let inner = found.path().strip_prefix(folder).unwrap_or(found.path());
            let path = inner.to_str().ok_or_else(|| unusable(found.path(), "has a name that is not UTF-8"))?;
            if path == ".dockerignore" || path.strip_prefix(&dockerfile) == Some(".dockerignore") {
                continue;
            }
            if ignore.leaves_out(path) {
                if found.file_type().is_dir() && ignore.is_final() {
                    walk.skip_current_dir();
                }
                continue;
            }
            if let Some(entry) = entry(found.path())? {
                add_folders(&mut entries, folder, path)?;
                entries.insert(path, entry);
            }
        }
        // Always, whatever the patterns say, and never as a link to somewhere else.
        let metadata = Metadata { mode: 0o644, uid: 0, gid: 0, mtime: 0 };
        let node = Node::File(Arc::new(text.clone().into_bytes()));
        entries.insert(dockerfile.clone(), Entry { node, metadata });
        Ok(Self { dockerfile, text, entries })
    }

    /// Digest of all content, names and modes, whenever the files were last written.
    ///
    /// # Errors
    /// Where a file cannot be read.
    pub fn digest(&self) -> Result<String> {
        let mut timeless = Layer::default();
        for (path, entry) in self.entries.entries() {
            let metadata = Metadata { mtime: 0, ..entry.metadata };
            timeless.insert(path, Entry { metadata, ..entry.clone() });
        }
        let tar = timeless.write_to(std::io::sink()).map_err(Error::Layer)?.diff_id;
        Ok(digest_of(format!("{}\n{tar}", self.dockerfile).as_bytes()))
    }
}

/// The context's folder.
pub fn folder_of(dockerfile: &Path) -> &Path {
    match dockerfile.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// The folders above something that is kept are kept as they are, although a pattern leaves them out.
fn add_folders(entries: &mut Layer, folder: &Path, path: &str) -> Result<()> {
    for (end, _) in path.match_indices('/') {
        if let Some(above) = entry(&folder.join(&path[..end]))? {
            entries.insert(&path[..end], above);
        }
    }
    Ok(())
}

/// `None` for sockets, pipes and devices, which no image has a use for.
fn entry(path: &Path) -> Result<Option<Entry>> {
    let read = || Error::io("read", path);
    let metadata = path.symlink_metadata().map_err(read())?;
    let node = match metadata.file_type() {
        kind if kind.is_dir() => Node::Directory,
        kind if kind.is_file() => Node::File(Arc::new(FileContent::new(path.to_owned()).map_err(read())?)),
        kind if kind.is_symlink() => {
            let target = std::fs::read_link(path).map_err(read())?;
            Node::Symlink(target.to_str().map(str::to_owned).ok_or_else(|| Error::BuildContext {
                path: path.to_owned(),
                reason: "is a link to a name that is not UTF-8".to_owned(),
            })?)
        }
        _ => {
            tracing::debug!("{} is neither a file nor a folder nor a link, and is not sent", path.display());
            return Ok(None);
        }
    };
    let age = metadata.modified().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    let mtime = age.map_or(0, |age| age.as_secs());
    let metadata = Metadata { mode: metadata.permissions().mode() & 0o7777, uid: 0, gid: 0, mtime };
    Ok(Some(Entry { node, metadata }))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn context(files: &[(&str, &str)]) -> (tempfile::TempDir, Context) {
        let folder = tempfile::tempdir().expect("a folder");
        for (path, text) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().expect("below")).expect("a folder");
            fs::write(path, text).expect("writable");
        }
        let context = Context::read(&folder.path().join("Dockerfile")).expect("readable");
        (folder, context)
    }

    fn paths(context: &Context) -> Vec<&str> {
        context.entries.entries().map(|(path, _)| path).collect()
    }

    #[test]
    fn what_is_left_out_is_not_sent_and_the_dockerfile_always_is() {
        let files = [("Dockerfile", "FROM a"), (".dockerignore", "*\n!a/b"), ("a/b/c", "1"), ("a/d", "2"), ("e", "3")];
        let (_folder, context) = context(&files);
        assert_eq!(paths(&context), ["Dockerfile", "a", "a/b", "a/b/c"]);
    }

    #[test]
    fn the_dockerfiles_own_ignore_file_goes_before_the_folders() {
        let files =
            [("Dockerfile", "FROM a"), (".dockerignore", "a"), ("Dockerfile.dockerignore", "b"), ("a", ""), ("b", "")];
        let (_folder, context) = context(&files);
        assert_eq!(paths(&context), ["Dockerfile", "a"]);
    }

    #[test]
    fn the_digest_is_of_content_not_of_times() {
        let files = [("Dockerfile", "FROM a"), ("x", "1")];
        let (folder, first) = context(&files);
        let (_other, second) = context(&files);
        let later = fs::File::options().append(true).open(folder.path().join("x")).expect("there");
        later.set_modified(std::time::UNIX_EPOCH).expect("it takes times");
        let digest = |context: &Context| context.digest().expect("readable");
        let again = Context::read(&folder.path().join("Dockerfile")).expect("readable");
        assert_eq!(digest(&again), digest(&second));
        fs::write(folder.path().join("x"), "2").expect("writable");
        assert_ne!(digest(&first), digest(&second), "same length, other content");
    }

    #[test]
    fn names_that_cannot_be_sent_are_told() {
        use std::os::unix::ffi::OsStrExt;
        let (folder, _) = context(&[("Dockerfile", "FROM a")]);
        fs::write(folder.path().join(std::ffi::OsStr::from_bytes(b"\xff")), "").expect("writable");
        let error = Context::read(&folder.path().join("Dockerfile")).expect_err("not UTF-8").to_string();
        assert!(error.contains("not UTF-8"), "{error}");
    }
}
