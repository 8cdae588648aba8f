//! The whole pipeline in one command: makes a sample pack and three sample hotfixes, runs `hotfix apply` on them with a
//! stand-in for the vendor's update tool, and shows what was done. The image goes to the Docker engine where one
//! answers, else to an OCI layout.

#![allow(clippy::print_stdout)] // It is a demonstration: it shows.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use hotfix_docker::engine::Engine;
use serde_json::Value;
use update_tool_sim::samples::sample_hotfixes;
use update_tool_sim::{PackBuilder, ToolBehaviour};

const TAG: &str = "hotfix-quickstart/wso2am:4.1.0.10-hf3";

fn main() -> Result<ExitCode> {
    ensure!(std::env::args_os().len() == 1, "the quickstart takes no arguments: it makes samples and applies them");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/quickstart");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder)?;
    let folder = folder.canonicalize()?;
    let (pack, hotfixes) = make_samples(&folder)?;
    let (output, where_it_is) = destination(&folder)?;
    let report = folder.join("report");
    // The stand-in takes any account. A real run takes these from the environment or --password-file.
    let password_file = folder.join("password");
    fs::write(&password_file, "sample-password\n")?;
    let arguments = [
        "hotfix".as_ref(),
        "apply".as_ref(),
        pack.as_os_str(),
        hotfixes.as_os_str(),
        "--username".as_ref(),
        "jo@example.org".as_ref(),
        "--password-file".as_ref(),
        password_file.as_os_str(),
        "--base-image".as_ref(),
        "scratch".as_ref(),
        "--output".as_ref(),
        output.as_ref(),
        "--tag".as_ref(),
        TAG.as_ref(),
        "--report".as_ref(),
        report.as_os_str(),
    ];
    let shown: Vec<_> = arguments.iter().map(|argument| argument.to_string_lossy()).collect();
    println!("$ {}\n", shown.join(" "));
    let code = hotfix_pipeline::cli::main(arguments.iter().map(Into::into));
    let report_file = report.join("report.json");
    if report_file.exists() {
        show(&serde_json::from_slice(&fs::read(&report_file)?)?, &where_it_is, &report);
    }
    Ok(code)
}

/// A pack whose update tool updates itself on first use, as real ones do, and three hotfixes for it.
fn make_samples(folder: &Path) -> Result<(PathBuf, PathBuf)> {
    let hotfixes = folder.join("hotfixes");
    fs::create_dir_all(&hotfixes)?;
    let tool = ToolBehaviour { self_updates: 1, ..ToolBehaviour::default() };
    let pack = PackBuilder::new("wso2am", "4.1.0").level(10).tool(tool).write_to(folder);
    sample_hotfixes(&hotfixes, "wso2am", "4.1.0", 10);
    Ok((pack, hotfixes))
}

/// Where the image goes, as an option and in words.
fn destination(folder: &Path) -> Result<(String, String)> {
    let runtime = hotfix_pipeline::cli::runtime().context("starting")?;
    Ok(match runtime.block_on(Engine::connect()) {
        Ok(engine) => ("docker".to_owned(), format!("in the Docker engine at {}", engine.endpoint())),
        Err(_) => {
            let layout = folder.join("image");
            (
                format!("oci:{}", layout.display()),
                format!("an OCI layout in {} (no Docker engine answers)", layout.display()),
            )
        }
    })
}

fn show(report: &Value, where_it_is: &str, folder: &Path) {
    println!("\nSteps");
    for step in report["steps"].as_array().into_iter().flatten() {
        println!(
            "  {:<24} {:<8} {:>6.2} s",
            text(&step["name"]),
            text(&step["status"]),
            step["seconds"].as_f64().unwrap_or_default()
        );
    }
    println!("\nWhat the hotfixes changed");
    for hotfix in report["hotfixes"].as_array().into_iter().flatten() {
        println!("  {} {}", hotfix["number"], text(&hotfix["file"]));
        for (kind, sign) in [("changed", '~'), ("added", '+'), ("removed", '-')] {
            for path in hotfix["files"][kind].as_array().into_iter().flatten() {
                println!("    {sign} {}", text(path));
            }
        }
    }
    if let Some(tags) = report["image"]["tags"].as_array() {
        let tags: Vec<&str> = tags.iter().map(text).collect();
        println!("\nImage   {}, {where_it_is}", tags.join(", "));
        println!(
            "        hotfix layer of {} bytes on {}",
            report["image"]["hotfix_layer_bytes"],
            text(&report["image"]["base"])
        );
    }
    println!("Report  {}", folder.display());
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
