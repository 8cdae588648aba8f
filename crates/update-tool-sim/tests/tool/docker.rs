//! `create-docker`, with a `docker` that only writes down what it was asked.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use update_tool_sim::ToolBehaviour;

use crate::product::{Product, code, spawn, with};

/// Puts a `docker` into a folder that writes its arguments and stdin beside itself.
fn fake_docker(folder: &Path, exit_code: u8) {
    fs::create_dir_all(folder).expect("a folder");
    let script = format!(
        "#!/bin/sh\necho \"$@\" > {0}/arguments\n/bin/cat > {0}/dockerfile\nexit {exit_code}\n",
        folder.display()
    );
    let path = folder.join("docker");
    fs::write(&path, script).expect("writable");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("chmod");
}

fn create(product: &Product, path: &Path, arguments: &[&str]) -> i32 {
    let mut command: Command = product.logged_in(&["create-docker"]);
    command.args(arguments).env("PATH", path).env("SIM_BASE_IMAGE", "base:1");
    code(&spawn(command).wait_with_output().expect("it ends"))
}

#[test]
fn builds_with_the_tag_asked_for() {
    let product = with(ToolBehaviour::default());
    let bin = product.folder.path().join("docker-bin");
    fake_docker(&bin, 0);
    assert_eq!(create(&product, &bin, &["-t", "repo/am:1"]), 0);
    let read = |name: &str| fs::read_to_string(bin.join(name)).expect("it was called");
    assert!(read("arguments").starts_with("build -t repo/am:1 "));
    assert!(read("dockerfile").starts_with("FROM base:1\nCOPY "));

    assert_eq!(create(&product, &bin, &["--os", "alpine"]), 0);
    assert!(read("arguments").starts_with("build -t wso2am:4.1.0.10-alpine "));
}

#[test]
fn fails_with_docker_or_without_one() {
    let product = with(ToolBehaviour::default());
    let bin = product.folder.path().join("docker-bin");
    assert_eq!(create(&product, &bin, &[]), 1);
    fake_docker(&bin, 125);
    assert_eq!(create(&product, &bin, &[]), 1);
}

#[test]
fn updates_itself_first_where_it_is_told_to() {
    let behaviour = ToolBehaviour { self_updates: 1, self_update_on_create_docker: true, ..ToolBehaviour::default() };
    let product = with(behaviour);
    let bin = product.folder.path().join("docker-bin");
    fake_docker(&bin, 0);
    assert_eq!(product.run(&["current-state"]), 0);
    assert_eq!(create(&product, &bin, &[]), 2);
    assert!(!bin.join("arguments").exists(), "nothing is built");
    assert_eq!(create(&product, &bin, &[]), 0);
}
