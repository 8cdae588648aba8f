//! A record of how the tool was called, kept outside product and home, so that a test can read it when the
//! pipeline under test has removed everything else.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// One run of the tool, as seen from inside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// The version that ran.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// The arguments, without the executable.
    pub arguments: Vec<String>,
    /// The folder it was started in.
    pub current_dir: PathBuf,
    /// Its whole environment.
    pub environment: BTreeMap<String, String>,
    /// What its stdin is (`/dev/null`, `pipe:[…]`); empty where the system does not tell.
    pub stdin: String,
    /// Whether stdin, stdout or stderr is a terminal.
    pub has_terminal: bool,
}

impl Call {
    /// This process.
    pub(crate) fn current(version: &str) -> Self {
        use std::io::IsTerminal;
        let text = |value: std::ffi::OsString| value.to_string_lossy().into_owned();
        Self {
            version: version.to_owned(),
            pid: std::process::id(),
            arguments: std::env::args_os().skip(1).map(text).collect(),
            current_dir: std::env::current_dir().unwrap_or_default(),
            environment: std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect(),
            stdin: std::fs::read_link("/proc/self/fd/0")
                .map(|path| path.to_string_lossy().into_owned())
                .unwrap_or_default(),
            has_terminal: io::stdin().is_terminal() || io::stdout().is_terminal() || io::stderr().is_terminal(),
        }
    }

    /// Appends the call to `journal` in one write, so that tools running at once do not mix their lines.
    pub(crate) fn append_to(&self, journal: &Path) -> io::Result<()> {
        let mut line = serde_json::to_vec(self)?;
        line.push(b'\n');
        let mut file = OpenOptions::new().create(true).append(true).open(journal)?;
        file.write_all(&line)
    }
}

/// All calls that `journal` records, oldest first; none where no tool ran. A line that a tool is just writing, which has
/// no end yet, does not count.
///
/// # Panics
/// Where the file is no journal.
#[must_use]
pub fn calls(journal: &Path) -> Vec<Call> {
    let text = match std::fs::read_to_string(journal) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => panic!("cannot read {}: {error}", journal.display()),
    };
    let lines = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
    lines.map(|line| serde_json::from_str(line).expect("each line of a journal is a call")).collect()
}
