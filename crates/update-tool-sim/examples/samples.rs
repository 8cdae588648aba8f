//! Writes samples into a folder: the pack `wso2am-4.1.0.10.zip`, whose tool knows of updates to 15 and 20, three hotfixes for it in
//! `hotfixes`, and a later update level that needs none, `wso2am-4.1.0.20.zip` with the empty folder `hotfixes-20`.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use update_tool_sim::samples::{sample_hotfixes, sample_updates};
use update_tool_sim::{PackBuilder, ToolBehaviour};

fn main() -> Result<()> {
    let folder = std::env::args_os().nth(1).context("usage: samples FOLDER")?;
    let folder = PathBuf::from(folder);
    for name in ["hotfixes", "hotfixes-20"] {
        fs::create_dir_all(folder.join(name))?;
    }
    sample_hotfixes(folder.join("hotfixes"), "wso2am", "4.1.0", 10);
    for level in [10, 20] {
        let tool = ToolBehaviour { updates: sample_updates(), ..ToolBehaviour::default() };
        PackBuilder::new("wso2am", "4.1.0").level(level).tool(tool).tool_run_bit(true).write_to(&folder);
    }
    Ok(())
}
