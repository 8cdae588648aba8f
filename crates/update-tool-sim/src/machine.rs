//! Which update tool a machine needs.

use std::env::consts::{ARCH, OS};

/// The file name, in `<product>/bin`, of the vendor's update tool for this machine.
///
/// # Panics
/// On a machine that the vendor has no tool for.
#[must_use]
pub fn tool_file_name() -> &'static str {
    match (OS, ARCH) {
        ("linux", "x86_64") => "wso2update_linux",
        ("linux", "aarch64") => "wso2update_linux_arm64",
        ("macos", "x86_64") => "wso2update_darwin",
        ("macos", "aarch64") => "wso2update_darwin_arm64",
        _ => panic!("the vendor has no update tool for {OS} on {ARCH}"),
    }
}
