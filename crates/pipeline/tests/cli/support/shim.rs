//! System calls that fail: the Nth of a kind, once or for good. Who makes them fail is `shim.c`, preloaded.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::Scenario;

const SOURCE: &str = include_str!("shim.c");
/// Of what the shim and its environment share with us: a number and a path.
const STATE_BYTES: u64 = 8 + 4096;
/// A run that takes longer hangs.
const BOUNDED: [&str; 3] = ["timeout", "--signal=KILL", "120"];

/// What is to fail.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    /// Whose calls: the name of an executable.
    pub process: &'static str,
    pub kind: &'static str,
    pub error: Error,
    pub for_good: bool,
}

/// In which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    DiskFull,
    Io,
    Access,
    Interrupted,
    /// Only a part is written, which is no error.
    Short,
}

impl Error {
    fn number(self) -> i32 {
        match self {
            Self::DiskFull => rustix::io::Errno::NOSPC.raw_os_error(),
            Self::Io => rustix::io::Errno::IO.raw_os_error(),
            Self::Access => rustix::io::Errno::ACCESS.raw_os_error(),
            Self::Interrupted => rustix::io::Errno::INTR.raw_os_error(),
            Self::Short => 0,
        }
    }
}

/// The shim, and a file by which it tells what it did.
pub struct Shim {
    folder: TempDir,
}

impl Shim {
    /// None where there is no C compiler, or no such kernel; which is told.
    pub fn build() -> Option<Self> {
        if !cfg!(target_os = "linux") {
            super::engine::skip_even_in_ci("only Linux hands calls of a program to itself");
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new("cc");
        command.args(["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-x", "c", "-", "-o"]);
        let Ok(mut compiler) = command.arg(folder.path().join("shim.so")).stdin(Stdio::piped()).spawn() else {
            super::engine::skip("no C compiler is here (Debian: gcc, libc6-dev)");
            return None;
        };
        compiler.stdin.take().expect("piped").write_all(SOURCE.as_bytes()).expect("it reads");
        assert!(compiler.wait().expect("it ends").success(), "shim.c is not compiled");
        Some(Self { folder })
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// Lets the scenario's next runs have it: the call `number` of those that are meant fails in them.
    pub fn put_on(&self, scenario: &mut Scenario, fault: Fault, number: u64) {
        let state = fs::File::create(self.state()).expect("writable");
        state.set_len(STATE_BYTES).expect("writable");
        let text = |path: &Path| path.to_str().expect("UTF-8").to_owned();
        let place = scenario.path("").canonicalize().expect("there");
        let words = [
            "env".to_owned(),
            format!("LD_PRELOAD={}", text(&self.folder.path().join("shim.so"))),
            format!("FAULTS_PROCESS={}", fault.process),
            format!("FAULTS_FOLDER={}/", text(&place)),
            format!("FAULTS_KIND={}", fault.kind),
            format!("FAULTS_AT={number}"),
            format!("FAULTS_FOR_GOOD={}", u8::from(fault.for_good)),
            format!("FAULTS_ERROR={}", fault.error.number()),
            format!("FAULTS_STATE={}", text(&self.state())),
        ];
        scenario.under = words.into_iter().chain(BOUNDED.map(str::to_owned)).collect();
    }

    /// Lets them go on without it.
    pub fn take_off(scenario: &mut Scenario) {
        scenario.under = BOUNDED.map(str::to_owned).into();
    }

    /// How many calls of the kind there were, and what the first was made on that failed.
    pub fn seen(&self) -> (u64, String) {
        let state = fs::read(self.state()).expect("there");
        let (count, path) = state.split_first_chunk().expect("longer");
        let path = path.split(|byte| *byte == 0).next().unwrap_or_default();
        (u64::from_ne_bytes(*count), String::from_utf8_lossy(path).into_owned())
    }
}
