//! A product that has been unpacked, and the tool in it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use update_tool_sim::{PackBuilder, ToolBehaviour, tool_file_name};
use zip::ZipArchive;

pub const USER: &str = "jo@example.com";
pub const PASSWORD: &str = "s3cret-pass";

/// The small pack at level 10, with the executable that cargo built for these tests.
pub fn pack() -> PackBuilder {
    PackBuilder::new("wso2am", "4.1.0").level(10).tool_executable(env!("CARGO_BIN_EXE_update-tool-sim"))
}

/// The small pack with a tool that behaves like that, unpacked.
pub fn with(behaviour: ToolBehaviour) -> Product {
    Product::unpack(pack().tool(behaviour))
}

/// An unpacked product, with a user's home beside it.
pub struct Product {
    pub folder: TempDir,
    pub home: PathBuf,
    pub user_home: PathBuf,
}

impl Product {
    pub fn unpack(pack: PackBuilder) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let zip = pack.write_to(folder.path().join("packs"));
        let top = open(&zip).name_for_index(0).expect("an entry").expect("UTF-8").into_owned();
        open(&zip).extract(folder.path()).expect("the pack unpacks");
        let user_home = folder.path().join("user");
        fs::create_dir(&user_home).expect("a home");
        let product = Self { home: folder.path().join(top.trim_end_matches('/')), folder, user_home };
        if product.tool().exists() {
            product.set_run_bit();
        }
        product
    }

    pub fn tool(&self) -> PathBuf {
        self.home.join("bin").join(tool_file_name())
    }

    pub fn set_run_bit(&self) {
        fs::set_permissions(self.tool(), fs::Permissions::from_mode(0o755)).expect("chmod");
    }

    pub fn run_bits(&self) -> u32 {
        let metadata = fs::metadata(self.tool()).expect("the tool is there");
        metadata.permissions().mode() & 0o111
    }

    pub fn hotfixes(&self) -> PathBuf {
        self.folder.path().join("hotfixes")
    }

    /// The tool as a headless pipeline calls it: no terminal, nothing on stdin, little in the environment.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.tool());
        command
            .args(arguments)
            .current_dir(self.home.join("bin"))
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", &self.user_home)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs the tool with credentials in the environment; returns the exit code.
    pub fn run(&self, arguments: &[&str]) -> i32 {
        code(&self.output(arguments))
    }

    pub fn output(&self, arguments: &[&str]) -> Output {
        let child = spawn(self.logged_in(arguments));
        child.wait_with_output().expect("it ends")
    }

    pub fn logged_in(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(arguments);
        command.env("UPDATE_TOOL_USERNAME", USER).env("UPDATE_TOOL_PASSWORD", PASSWORD);
        command
    }

    pub fn apply(&self, hotfix: &Path) -> i32 {
        self.run(&["apply-hotfix", hotfix.to_str().expect("UTF-8")])
    }

    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.home.join(path)).expect("a text")
    }

    pub fn config(&self) -> Value {
        serde_json::from_str(&self.read("updates/config.json")).expect("JSON")
    }

    /// Every file but those that each run changes: path, mode and content. Folders are listed, too.
    pub fn snapshot(&self) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
        walkdir::WalkDir::new(&self.home)
            .into_iter()
            .map(|entry| entry.expect("readable"))
            .filter(|entry| !entry.path().starts_with(self.home.join("updates")))
            .map(|entry| {
                let mode = entry.metadata().expect("metadata").permissions().mode();
                let bytes = match entry.file_type().is_file() {
                    true => fs::read(entry.path()).expect("readable"),
                    false => Vec::new(),
                };
                (entry.into_path(), (mode, bytes))
            })
            .collect()
    }
}

pub fn open(zip: &Path) -> ZipArchive<File> {
    ZipArchive::new(File::open(zip).expect("the zip is there")).expect("a zip")
}

pub fn code(output: &Output) -> i32 {
    output.status.code().expect("it ended by itself")
}

/// Starts a command; again where another thread of the tests has just forked while the executable was being
/// written, and so holds it open.
pub fn spawn(mut command: Command) -> Child {
    loop {
        match command.spawn() {
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => {
                std::thread::sleep(Duration::from_millis(10));
            }
            other => return other.expect("the tool starts"),
        }
    }
}
