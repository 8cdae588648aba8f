//! The script's way: what `hotfix apply` replaces, as `apply-hotfix-by-hand.sh` next to this file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::child;
use crate::engine::Engine;

const SCRIPT: &str = include_str!("apply-hotfix-by-hand.sh");

/// The script, in a folder of its own.
#[derive(Debug)]
pub struct Script {
    folder: PathBuf,
}

/// A run of the script that went well.
#[derive(Debug, Clone)]
pub struct ByHand {
    /// From start to end of the process.
    pub seconds: f64,
    /// Name and seconds of each part.
    pub parts: Vec<(String, f64)>,
}

impl Script {
    /// Looks for what the script needs; it will work in `folder`.
    ///
    /// # Errors
    /// Where a program is missing, or the folder cannot be made.
    pub fn new(folder: &Path) -> Result<Self> {
        for program in ["bash", "unzip", "awk"] {
            // By the shell's own search: not all of them know --version.
            let found = child::run(Command::new("sh").args(["-c", &format!("command -v {program}")]));
            ensure!(found.is_ok(), "the script needs {program}, which is not here");
        }
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// Runs it; what it leaves behind in folders is removed, outside the time that is taken. The image stays.
    ///
    /// # Errors
    /// Where it fails.
    pub fn run(&self, pack: &Path, hotfixes: &Path, base: &str, image: &str, docker_host: &str) -> Result<ByHand> {
        let folder = tempfile::tempdir_in(&self.folder).context("cannot make a folder")?;
        let (script, times) = (folder.path().join("apply-hotfix-by-hand.sh"), folder.path().join("times"));
        fs::write(&script, SCRIPT)?;
        let mut command = Command::new("bash");
        command.arg(&script).args([pack, hotfixes]).args(["jo@example.org", "sample-password"]);
        command.current_dir(folder.path()).env("HOME", folder.path()).env("TMPDIR", folder.path());
        command.env("BASE_IMAGE", base).env("IMAGE", image).env("TIMES", &times).env("DOCKER_HOST", docker_host);
        let ended = child::run(&mut command)?;
        let times = fs::read_to_string(&times).context("the script took no times")?;
        Ok(ByHand { seconds: ended.seconds, parts: parts(&times) })
    }
}

/// Removes both names that the script gives its image.
///
/// # Errors
/// Where there is no such image.
pub fn remove_image(engine: &Engine, image: &str) -> Result<()> {
    let (repository, _) = image.rsplit_once(':').context("a name with a tag")?;
    engine.remove(&format!("{repository}:built"))?;
    engine.remove(image)
}

/// Lines of name and seconds; a name that comes again is added to.
fn parts(times: &str) -> Vec<(String, f64)> {
    let mut parts: Vec<(String, f64)> = Vec::new();
    for (name, seconds) in times.lines().filter_map(|line| line.split_once(' ')) {
        let seconds: f64 = seconds.parse().unwrap_or_default();
        match parts.iter_mut().find(|(known, _)| known == name) {
            Some((_, sum)) => *sum += seconds,
            None => parts.push((name.to_owned(), seconds)),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_one_name_are_added_up() {
        let expected = [("checks".to_owned(), 3.5), ("unzip".to_owned(), 2.0)];
        assert_eq!(parts("checks 1.5\nunzip 2\nchecks 2\n"), expected);
    }
}
