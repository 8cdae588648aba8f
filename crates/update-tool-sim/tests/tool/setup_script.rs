//! Packs that fetch their tool.

use std::process::{Command, Stdio};

use update_tool_sim::{PackBuilder, SetupScript, executable};

use crate::product::{Product, code, pack, spawn};

fn set_up(product: &Product) -> i32 {
    let output = Command::new("sh")
        .arg("./update_tool_setup.sh")
        .current_dir(product.home.join("bin"))
        .stdin(Stdio::null())
        .output();
    code(&output.expect("sh runs"))
}

#[test]
fn one_that_works_brings_the_tool() {
    let product = Product::unpack(pack().setup_script(SetupScript::Works).file_name("it's $a.zip"));
    assert!(!product.tool().exists());
    assert_eq!(set_up(&product), 0);
    assert_eq!(product.run_bits(), 0, "the run bit is not its business");
    product.set_run_bit();
    assert_eq!(product.run(&["current-state"]), 0);
    assert_eq!(product.config()["update-level"], "10");
}

#[test]
fn ones_that_do_not() {
    let failing = Product::unpack(pack().setup_script(SetupScript::Fails));
    assert_eq!(set_up(&failing), 1);
    let idle = Product::unpack(pack().setup_script(SetupScript::LeavesNothing));
    assert_eq!(set_up(&idle), 0);
    assert!(!failing.tool().exists() && !idle.tool().exists());
}

#[test]
fn neither_script_nor_tool() {
    let product = Product::unpack(pack().without_tool());
    assert!(!product.tool().exists());
    assert!(!product.home.join("bin/update_tool_setup.sh").exists());
}

#[test]
fn the_executable_is_built_on_demand() {
    let mut command = Command::new(executable());
    command.arg("help").stdout(Stdio::null());
    assert!(spawn(command).wait().expect("it ends").success());
    let product = Product::unpack(PackBuilder::new("wso2am", "4.1.0").level(10));
    assert_eq!(product.run(&["current-state"]), 0);
}

#[test]
fn what_carries_no_behaviour_is_no_tool() {
    assert!(!update_tool_sim::tool::is_tool());
}
