//! Our own command, run as a process of its own: the benchmark's executable runs itself again as `hotfix`, so that it is the
//! code and the profile that were built with it.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::child;

/// First argument of the executable when it is to be `hotfix`; then where its peak memory is written to, then what
/// `hotfix` is given.
const AS_HOTFIX: &str = "--as-hotfix";
/// First argument of the executable when it is to unpack; then pack and target.
const AS_UNPACK: &str = "--as-unpack";
const ACCOUNT: [(&str, &str); 2] =
    [("UPDATE_TOOL_USERNAME", "jo@example.org"), ("UPDATE_TOOL_PASSWORD", "sample-password")];

/// Does what the process was started for, where that is to be `hotfix` or to unpack.
pub fn again(mut arguments: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    let _program = arguments.next();
    let part = arguments.next()?;
    if part == AS_HOTFIX {
        let peak = PathBuf::from(arguments.next()?);
        let code = hotfix_pipeline::cli::main(std::iter::once("hotfix".into()).chain(arguments));
        let written = peak_memory().and_then(|bytes| Ok(fs::write(&peak, bytes.to_string())?));
        // Whoever started us finds no file, and says so.
        return Some(written.map_or(ExitCode::FAILURE, |()| code));
    }
    if part == AS_UNPACK {
        let (pack, target) = (PathBuf::from(arguments.next()?), PathBuf::from(arguments.next()?));
        return Some(unpack(&pack, &target).map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS));
    }
    None
}

/// Unpacks a pack, whatever its size.
///
/// # Errors
/// Where it is damaged, or the disk fails.
pub fn unpack(pack: &Path, target: &Path) -> Result<()> {
    let unpacked = hotfix_pipeline::pack::ProductPack::open(pack, u64::MAX)
        .and_then(|opened| opened.extract(target, &CancellationToken::new()));
    match unpacked {
        Ok(_) => Ok(()),
        Err(problem) => bail!("{} cannot be unpacked: {}", pack.display(), problem.chain().join(": ")),
    }
}

/// The most memory that this process has had in use, in bytes: of itself alone, not of the tools that it ran.
fn peak_memory() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status").context("cannot read the own peak memory")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("the system knows no VmHWM")?;
    let kibibytes: u64 = line.trim().trim_end_matches("kB").trim().parse().context("VmHWM is no number")?;
    Ok(kibibytes * 1024)
}

/// `hotfix` with folders of its own for home, cache and temporary files.
#[derive(Debug)]
pub struct Hotfix {
    executable: PathBuf,
    folder: PathBuf,
    /// The engine it is to use.
    docker_host: Option<String>,
}

impl Hotfix {
    /// `executable` must call [`again`] first. `docker_host` is where the engine is, as in `DOCKER_HOST`.
    ///
    /// # Errors
    /// Where `folder` cannot be made.
    pub fn new(executable: &Path, folder: &Path, docker_host: Option<String>) -> Result<Self> {
        for name in ["home", "tmp"] {
            fs::create_dir_all(folder.join(name)).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        Ok(Self { executable: executable.to_owned(), folder: folder.to_owned(), docker_host })
    }

    /// The same with another engine, such as a proxy in front of it.
    #[must_use]
    pub fn through(&self, docker_host: &str) -> Self {
        let (executable, folder) = (self.executable.clone(), self.folder.clone());
        Self { executable, folder, docker_host: Some(docker_host.to_owned()) }
    }

    /// Forgets what is cached, so that the next run is a cold one.
    ///
    /// # Errors
    /// Where it cannot be removed.
    pub fn forget(&self) -> Result<()> {
        remove_if_there(&self.folder.join("cache"))
    }

    /// The command line of `hotfix` with these arguments; peak memory goes to a file for [`Hotfix::peak`].
    pub fn command<S: AsRef<std::ffi::OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(&self.executable);
        command.arg(AS_HOTFIX).arg(self.folder.join("peak")).args(arguments);
        self.settle(&mut command);
        command
    }

    /// Nothing of the user's own settings has a say.
    fn settle(&self, command: &mut Command) {
        let own = std::env::vars_os().map(|(key, _)| key).filter(|key| key.to_string_lossy().starts_with("HOTFIX_"));
        for key in own {
            command.env_remove(key);
        }
        command.current_dir(&self.folder).envs(ACCOUNT);
        command.env("HOME", self.folder.join("home")).env("TMPDIR", self.folder.join("tmp"));
        command.env("XDG_CACHE_HOME", self.folder.join("cache"));
        if let Some(host) = &self.docker_host {
            command.env("DOCKER_HOST", host);
        }
    }

    /// Runs `hotfix apply`, with a report.
    ///
    /// # Errors
    /// Where it fails, or its report cannot be read.
    pub fn apply(&self, pack: &Path, hotfixes: &Path, arguments: &[&str]) -> Result<Applied> {
        let report_folder = self.folder.join("report");
        remove_if_there(&report_folder)?;
        let mut command = self.command(["apply".as_ref(), pack.as_os_str(), hotfixes.as_os_str()]);
        command.args(arguments).arg("--report").arg(&report_folder);
        let ended = child::run(&mut command)?;
        let report = fs::read(report_folder.join("report.json")).context("hotfix wrote no report")?;
        let report = serde_json::from_slice(&report).context("the report is not JSON")?;
        Ok(Applied { seconds: ended.seconds, peak_bytes: self.peak()?, report })
    }

    /// Runs `hotfix plan`; returns the seconds that it took.
    ///
    /// # Errors
    /// Where it fails.
    pub fn plan(&self, pack: &Path, hotfixes: &Path) -> Result<f64> {
        let mut command = self.command(["plan".as_ref(), pack.as_os_str(), hotfixes.as_os_str()]);
        Ok(child::run(command.args(["--base-image", "scratch"]))?.seconds)
    }

    /// Unpacks as `hotfix` does, in a process of its own.
    pub fn unpack_command(&self, pack: &Path, target: &Path) -> Command {
        let mut command = Command::new(&self.executable);
        command.arg(AS_UNPACK).arg(pack).arg(target);
        self.settle(&mut command);
        command
    }

    /// Peak memory of the last run, in bytes.
    ///
    /// # Errors
    /// Where the run did not get as far as writing it.
    pub fn peak(&self) -> Result<u64> {
        let text = fs::read_to_string(self.folder.join("peak")).context("the run wrote no peak memory")?;
        text.parse().context("peak memory is no number")
    }
}

fn remove_if_there(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// A run of `hotfix apply` that went well.
#[derive(Debug, Clone)]
pub struct Applied {
    /// From start to end of the process.
    pub seconds: f64,
    /// The most memory that the process had in use, in bytes.
    pub peak_bytes: u64,
    /// Its `report.json`.
    pub report: Value,
}

impl Applied {
    /// What the update tool took of the time.
    pub fn tool_seconds(&self) -> Option<f64> {
        self.report["update_tool_seconds"].as_f64()
    }

    /// The rest of the time.
    pub fn own_seconds(&self) -> Option<f64> {
        self.tool_seconds().map(|tool| self.seconds - tool)
    }

    /// Name and seconds of each step.
    pub fn steps(&self) -> Vec<(String, f64)> {
        let steps = self.report["steps"].as_array().into_iter().flatten();
        let step = |step: &Value| Some((step["name"].as_str()?.to_owned(), step["seconds"].as_f64()?));
        steps.filter_map(step).collect()
    }

    /// Digest of the manifest that was pushed.
    pub fn digest(&self) -> Option<&str> {
        self.report["image"]["digest"].as_str()
    }
}
