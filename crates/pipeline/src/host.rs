//! Operating system and processor, and the name that the update tool has there.

use serde::Serialize;

use crate::step::Problem;

/// The file that the vendor's pack names its update tool by, in `bin`. From the vendor's documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Host {
    /// File name of the update tool.
    pub update_tool: &'static str,
}

/// Every name that the update tool has on some machine. A pack can hold several.
pub const UPDATE_TOOLS: [&str; 4] =
    ["wso2update_linux", "wso2update_linux_arm64", "wso2update_darwin", "wso2update_darwin_arm64"];

impl Host {
    /// This machine.
    ///
    /// # Errors
    /// Where the vendor has no update tool for it.
    pub fn detect() -> Result<Self, Problem> {
        Self::of(std::env::consts::OS, std::env::consts::ARCH)
    }

    fn of(os: &str, processor: &str) -> Result<Self, Problem> {
        let [linux, linux_arm64, darwin, darwin_arm64] = UPDATE_TOOLS;
        let update_tool = match (os, processor) {
            ("linux", "x86_64") => linux,
            ("linux", "aarch64") => linux_arm64,
            ("macos", "x86_64") => darwin,
            ("macos", "aarch64") => darwin_arm64,
            _ => {
                return Err(Problem::new(
                    format!("the vendor's update tool does not run on {os} with {processor}"),
                    "run hotfix on Linux or macOS, on an x86-64 or arm64 processor",
                ));
            }
        };
        Ok(Self { update_tool })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tool_is_named_after_the_machine() {
        for (os, processor, tool) in [
            ("linux", "x86_64", "wso2update_linux"),
            ("linux", "aarch64", "wso2update_linux_arm64"),
            ("macos", "x86_64", "wso2update_darwin"),
            ("macos", "aarch64", "wso2update_darwin_arm64"),
        ] {
            assert_eq!(Host::of(os, processor).expect("supported").update_tool, tool);
        }
    }

    #[test]
    fn other_machines_are_refused_by_name() {
        for (os, processor) in [("windows", "x86_64"), ("linux", "riscv64"), ("freebsd", "x86_64")] {
            let problem = Host::of(os, processor).expect_err("not supported");
            assert!(problem.to_string().contains(os) && problem.to_string().contains(processor), "{problem}");
        }
    }
}
