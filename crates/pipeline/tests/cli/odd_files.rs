//! Pipes, devices and files without end where a file is read, and a limit on the length of those that are written.

use std::fs;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::support::Scenario;

fn pipe(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).expect("a pipe");
}

fn layout_with_a_pipe() -> Scenario {
    let scenario = Scenario::new().without_engine().with_file("odd/oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#);
    fs::create_dir_all(scenario.path("odd/blobs/sha256")).expect("a folder");
    pipe(&scenario.path("odd/index.json"));
    scenario
}

/// The pipe is there before and after; what it holds nobody reads.
#[track_caller]
fn refused(scenario: &Scenario, arguments: &[&str], code: i32) {
    let run = scenario.run_without_reading_files(arguments).fails_with(code);
    assert!(run.stderr.contains("it is no regular file"), "{}", run.stderr);
}

#[test]
fn pipes_are_not_waited_for() {
    const INPUTS: [&str; 3] = ["apply", "packs/wso2am-4.1.0.10.zip", "hotfixes"];
    let with = |more: &[&'static str]| [&INPUTS[..], more].concat();
    let layout = layout_with_a_pipe();
    refused(&layout, &with(&["--output", "oci:odd", "--base-image", "scratch"]), 4);
    refused(&layout, &with(&["--output", "oci:image", "--base-image", "oci:odd"]), 8);
    refused(&layout, &["inspect", "oci:odd"], 4);
    let settings = Scenario::new();
    pipe(&settings.path("environments.toml"));
    refused(&settings, &["env", "status"], 4);
    refused(&settings, &["env", "status", "--environments", "/dev/zero"], 4);
    refused(&settings, &["--config", "/dev/zero", "inspect", "oci:image"], 2);
}

#[test]
fn settings_without_end() {
    let scenario = Scenario::new();
    for name in ["environments.toml", "large.toml"] {
        fs::File::create(scenario.path(name)).and_then(|file| file.set_len(1 << 40)).expect("sparse");
    }
    let too_large = |arguments: &[&str], code| {
        let run = scenario.run_without_reading_files(arguments).fails_with(code);
        assert!(run.stderr.contains("it is larger than 16 MiB"), "{}", run.stderr);
    };
    too_large(&["env", "status"], 4);
    too_large(&["--config", "large.toml", "inspect", "oci:image"], 2);
}

/// `ulimit -f`, in blocks of 1,024 bytes for this shell.
#[test]
fn a_limit_on_the_length_of_files() {
    let limited = |blocks: &str| {
        let scenario = Scenario::new().without_engine().args(["--no-cache", "--base-image", "scratch"]);
        let scenario = scenario.with_pack(|pack| pack.file("lib/large.jar", vec![7; 300_000]));
        scenario.under(["bash", "-c", &format!("ulimit -f {blocks}; exec \"$0\" \"$@\"")])
    };
    limited("100").apply().fails(4, "extract-pack").says("File too large");
    limited("100000").apply().succeeds();
}

#[test]
fn folders_that_are_each_others() {
    let refused = |arguments: &[&str], words: &str| {
        let scenario = Scenario::new().without_engine().args(arguments.iter().copied());
        scenario.apply().fails(4, "validate-inputs").says(words).does_not_say("extract-pack");
    };
    let workspace = ["--output", "oci:image", "--workspace", "./image/"];
    refused(&workspace, "--output image is in the workspace, which has content of its own");
    refused(&["--report", "home/.cache/hotfix"], "--report home/.cache/hotfix is in the cache");
    refused(&["--output", "oci:cache/a", "--cache-dir", "cache"], "--output cache/a is in the cache");
    // Beside each other they do no harm.
    let scenario = Scenario::new().without_engine().args(["--base-image", "scratch", "--workspace", "."]);
    scenario.args(["--report", "report"]).apply().succeeds();
}

#[test]
fn a_cache_whose_mark_is_a_pipe() {
    let scenario = Scenario::new().without_engine().with_file("cache/packs/x", "");
    pipe(&scenario.path("cache/CACHEDIR.TAG"));
    let arguments = ["apply", "packs/wso2am-4.1.0.10.zip", "hotfixes", "--output", "oci:image", "--cache-dir", "cache"];
    refused(&scenario, &arguments, 4);
}
