//! Where the built stand-in is, for tests of other crates: cargo hands a test only the executables of its own
//! crate.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

const NAME: &str = "update-tool-sim";

/// The executable of the stand-in: what `UPDATE_TOOL_SIM` names, else built by cargo, once a process, into the
/// target folder and with the profile of the process that asks.
///
/// # Panics
/// Where cargo cannot build it.
pub fn executable() -> &'static Path {
    static EXECUTABLE: OnceLock<PathBuf> = OnceLock::new();
    EXECUTABLE.get_or_init(|| match std::env::var_os("UPDATE_TOOL_SIM") {
        Some(path) => {
            let path = PathBuf::from(path);
            assert!(path.is_file(), "UPDATE_TOOL_SIM names {}, which is no file", path.display());
            path
        }
        None => build(),
    })
}

fn build() -> PathBuf {
    let own = std::env::current_exe().expect("the path of the running executable");
    let Some(Profile { folder, target }) = Profile::of(&own) else {
        panic!("{} is not in a target folder of cargo; set UPDATE_TOOL_SIM", own.display());
    };
    let workspace =
        Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the crate is two folders below the workspace");
    let profile = folder.file_name().and_then(OsStr::to_str).unwrap_or("debug");

    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace).args(["build", "--quiet", "-p", NAME, "--bin", NAME, "--target-dir"]).arg(&target);
    match profile {
        "debug" => {}
        "release" => drop(cargo.arg("--release")),
        other => drop(cargo.args(["--profile", other])),
    }
    let output = cargo.output().unwrap_or_else(|error| panic!("cannot start {cargo:?}: {error}"));
    assert!(
        output.status.success(),
        "{cargo:?} failed: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    let path = folder.join(NAME);
    assert!(path.is_file(), "{cargo:?} did not make {}", path.display());
    path
}

/// Where cargo put an executable.
#[derive(Debug, PartialEq, Eq)]
struct Profile {
    /// `<target>/<profile>`
    folder: PathBuf,
    target: PathBuf,
}

impl Profile {
    /// `<target>/<profile>/x`, `<target>/<profile>/deps/x` or `<target>/<profile>/examples/x`.
    fn of(executable: &Path) -> Option<Self> {
        let parent = executable.parent()?;
        let folder = match parent.file_name()?.to_str()? {
            "deps" | "examples" => parent.parent()?,
            _ => parent,
        };
        Some(Self { folder: folder.to_owned(), target: folder.parent()?.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_folder_follows_from_the_executable() {
        let expected = Some(Profile { folder: "/t/release".into(), target: "/t".into() });
        assert_eq!(Profile::of(Path::new("/t/release/x")), expected);
        assert_eq!(Profile::of(Path::new("/t/release/deps/x-1")), expected);
    }
}
