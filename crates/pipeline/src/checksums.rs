//! Checksums of everything that goes in.

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::Path;

use hotfix_docker::files;
use sha2::{Digest, Sha256};

use crate::blocking::blocking;
use crate::cache::{Cache, sha256_of};
use crate::home::copy_bytes;
use crate::hotfix::Hotfix;
use crate::inputs::hint_for;
use crate::plan::Plan;
use crate::source::Source;
use crate::step::Problem;
use crate::workspace::Workspace;

/// Checksums of what goes in, `sha256` in hexadecimal digits.
#[derive(Debug, Clone)]
pub struct InputDigests {
    /// Of the pack; where the product is from an image, the image's digest.
    pub pack: String,
    /// Of the hotfixes, in order.
    pub hotfixes: Vec<String>,
}

/// Checksums of pack and hotfixes, and copies of the hotfixes in the workspace: what is checked is what is applied.
pub async fn read_inputs(plan: &Plan, workspace: &Workspace, cache: Option<&Cache>) -> Result<InputDigests, Problem> {
    let source = plan.source.clone();
    let hotfixes = plan.hotfixes.as_slice().to_vec();
    let folder = workspace.hotfixes();
    let cache = cache.cloned();
    blocking(move || {
        let failed = |path: &Path| {
            let folder = folder.clone();
            let what = format!("{} cannot be read or copied to the workspace", path.display());
            move |error: io::Error| {
                let hint = hint_for(&error, &folder, "check its permissions and the workspace's disk");
                Problem::new(what, hint).because(error)
            }
        };
        let mut sha256 = Vec::new();
        for hotfix in &hotfixes {
            copy_bytes(&hotfix.path, &folder.join(&hotfix.file)).map_err(failed(&hotfix.path))?;
            sha256.push(hex_of(&folder.join(&hotfix.file)).map_err(failed(&hotfix.path))?);
        }
        Ok(InputDigests { pack: of_source(&source, cache.as_ref())?, hotfixes: sha256 })
    })
    .await
}

/// Checksums of pack and hotfixes as they are, without copies.
pub(crate) async fn digests_of(plan: &Plan, cache: Option<&Cache>) -> Result<InputDigests, Problem> {
    let (source, hotfixes, cache) = (plan.source.clone(), plan.hotfixes.as_slice().to_vec(), cache.cloned());
    blocking(move || {
        let of_hotfix = |hotfix: &Hotfix| hex_of(&hotfix.path).map_err(|error| unreadable(&hotfix.path, error));
        let hotfixes = hotfixes.iter().map(of_hotfix).collect::<Result<_, _>>()?;
        Ok(InputDigests { pack: of_source(&source, cache.as_ref())?, hotfixes })
    })
    .await
}

/// Whether `copy`, of `hotfix`, is what was copied.
pub(crate) fn check_copy(hotfix: &Hotfix, copy: &Path, sha256: &str) -> Result<(), Problem> {
    let changed = || {
        Problem::new(
            format!("{}, the run's own copy of a hotfix, is not what it was when the run began", copy.display()),
            "the update tool, or somebody else in the workspace, has changed it: run it again, or ask the vendor",
        )
    };
    let read = || -> io::Result<bool> {
        let file = files::open(copy)?;
        // Of another length it need not be read, and could be endless.
        let is_as_long = file.metadata()?.len() == hotfix.bytes;
        Ok(is_as_long && hex::encode(digest_of(file)?) == sha256)
    };
    match read() {
        Ok(true) => Ok(()),
        Ok(false) => Err(changed()),
        Err(error) => Err(changed().because(error)),
    }
}

fn of_source(source: &Source, cache: Option<&Cache>) -> Result<String, Problem> {
    match source {
        Source::Pack(pack) => sha256_of(cache, pack.file(), &pack.path).map_err(|error| unreadable(&pack.path, error)),
        Source::Image(image, _) => {
            Ok(image.base.digest.as_deref().unwrap_or_default().trim_start_matches("sha256:").to_owned())
        }
    }
}

fn unreadable(path: &Path, error: io::Error) -> Problem {
    Problem::new(format!("{} cannot be read", path.display()), "check its permissions").because(error)
}

fn hex_of(path: &Path) -> io::Result<String> {
    digest_of_file(path).map(hex::encode)
}

/// A SHA-256.
pub(crate) type Sha256Digest = [u8; 32];

/// The SHA-256 of what is written to it.
#[derive(Default)]
pub(crate) struct HashWriter(Sha256);

impl HashWriter {
    pub(crate) fn finish(self) -> Sha256Digest {
        self.0.finalize().into()
    }
}

impl Write for HashWriter {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0.update(buffer);
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The SHA-256 of a file.
pub(crate) fn digest_of_file(path: &Path) -> io::Result<Sha256Digest> {
    digest_of(File::open(path)?)
}

fn digest_of(file: File) -> io::Result<Sha256Digest> {
    let mut hash = HashWriter::default();
    io::copy(&mut BufReader::with_capacity(1 << 17, file), &mut hash)?;
    Ok(hash.finish())
}
