//! Checksums of everything that goes in.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::blocking::blocking;
use crate::plan::Plan;
use crate::step::Problem;
use crate::workspace::Workspace;

/// Checksums of what goes in, `sha256` in hexadecimal digits.
#[derive(Debug, Clone)]
pub struct InputDigests {
    /// Of the pack.
    pub pack: String,
    /// Of the hotfixes, in order.
    pub hotfixes: Vec<String>,
}

/// Checksums of pack and hotfixes, and copies of the hotfixes in the workspace: what is checked is what is applied.
pub async fn read_inputs(plan: &Plan, workspace: &Workspace) -> Result<InputDigests, Problem> {
    let pack = plan.pack.path.clone();
    let hotfixes = plan.hotfixes.as_slice().to_vec();
    let folder = workspace.hotfixes();
    blocking(move || {
        let failed = |path: &Path| {
            let what = format!("{} cannot be read or copied to the workspace", path.display());
            move |error: io::Error| Problem::new(what, "check its permissions and the workspace's disk").because(error)
        };
        let mut sha256 = Vec::new();
        for hotfix in &hotfixes {
            fs::copy(&hotfix.path, folder.join(&hotfix.file)).map_err(failed(&hotfix.path))?;
            sha256.push(sha256_of(&folder.join(&hotfix.file)).map_err(failed(&hotfix.path))?);
        }
        Ok(InputDigests { pack: sha256_of(&pack).map_err(failed(&pack))?, hotfixes: sha256 })
    })
    .await
}

fn sha256_of(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 17];
    loop {
        match io::Read::read(&mut file, &mut buffer)? {
            0 => return Ok(hex::encode(hash.finalize())),
            read => hash.update(&buffer[..read]),
        }
    }
}
