//! What the tests share: `hotfix` in a world of its own.

use std::io::Write;
use std::path::{Path, PathBuf};

use hotfix_bench::engine::Engine;
use hotfix_bench::hotfix::Hotfix;
use tempfile::TempDir;

/// The benchmark's own executable, which is `hotfix` as well.
pub const EXECUTABLE: &str = env!("CARGO_BIN_EXE_bench");

/// In CI a test that cannot run is a failure.
pub fn skip(what: &str) {
    let required = std::env::var("HOTFIX_TESTS_REQUIRE_ENGINE").is_ok_and(|value| value == "1");
    assert!(!required, "{what}, and HOTFIX_TESTS_REQUIRE_ENGINE=1 says that there must be");
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    // Around libtest's capture: a skipped test must be seen.
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {what}");
}

/// The engine; `None`, and the test is skipped, where there is none.
pub fn engine() -> Option<Engine> {
    Engine::find().map_err(|error| skip(&format!("{error:#}"))).ok()
}

/// Folders for inputs and for `hotfix`.
pub struct World {
    folder: TempDir,
    pub hotfix: Hotfix,
}

impl World {
    pub fn new(docker_host: Option<String>) -> Self {
        // Without what strace escapes in paths.
        let folder = tempfile::Builder::new().prefix("counts-").tempdir().expect("a folder");
        let hotfix = Hotfix::new(Path::new(EXECUTABLE), folder.path(), docker_host).expect("folders");
        Self { folder, hotfix }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}
