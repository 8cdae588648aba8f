//! `apply-hotfix` and `revert-hotfix`.

use std::fs;

use serde_json::json;
use update_tool_sim::{Behave, HotfixBuilder, ToolBehaviour};

use crate::product::{Product, code, pack, with};

const README: &str = "bin/README.txt";

fn hotfix(number: u32) -> HotfixBuilder {
    HotfixBuilder::new("wso2am", "4.1.0", 10, number)
}

#[test]
fn files_are_replaced_added_deleted_and_patched() {
    let product = with(ToolBehaviour::default());
    let zip = hotfix(1)
        .replace(README, "replaced")
        .add("repository/new/deep/new.sh", "#!/bin/sh\n")
        .file_with_mode("repository/new/private.pem", "key", 0o600)
        .delete("dbscripts/h2.sql")
        .patch_text("repository/conf/deployment.toml", "localhost", "am.example.com")
        .write_to(product.hotfixes());
    assert_eq!(product.apply(&zip), 0);

    assert_eq!(product.read(README), "replaced");
    assert!(product.read("repository/conf/deployment.toml").contains("\"am.example.com\""));
    assert!(!product.home.join("dbscripts/h2.sql").exists());
    let snapshot = product.snapshot();
    let mode = |path: &str| snapshot[&product.home.join(path)].0 & 0o777;
    assert_eq!(mode("repository/new/deep/new.sh"), 0o755);
    assert_eq!(mode("repository/new/private.pem"), 0o600);
    assert_eq!(product.config()["hotfixes"], json!([{ "number": 1, "file": "wso2am-4.1.0.10-hf-1.zip" }]));
}

#[test]
fn reverting_restores_every_byte_and_mode() {
    let product = with(ToolBehaviour::default());
    product.run(&["current-state"]);
    let pristine = product.snapshot();
    let folder = product.hotfixes();
    let first = hotfix(1)
        .file_with_mode("bin/api-manager.sh", "#!/bin/sh\n", 0o600)
        .rename_jar("bin/bootstrap.jar", "bin/bootstrap.1.jar", "jar")
        .add("new/folder/file", "new")
        .write_to(&folder);
    let second = hotfix(2)
        .replace("new/folder/file", "newer")
        .delete("bin/bootstrap.1.jar")
        .patch_text(README, "server", "product")
        .write_to(&folder);
    assert_eq!(product.apply(&first), 0);
    let with_first = product.snapshot();
    assert_eq!(product.apply(&second), 0);
    assert_ne!(product.snapshot(), with_first);

    assert_eq!(product.run(&["revert-hotfix"]), 0);
    assert_eq!(product.snapshot(), with_first);
    assert_eq!(product.run(&["revert-hotfix"]), 0);
    assert_eq!(product.snapshot(), pristine);
    assert_eq!(product.config()["hotfixes"], json!(null));
    assert_eq!(product.run(&["revert-hotfix"]), 1, "there is none left");
    assert_eq!(product.apply(&first), 0, "it can be applied anew");
}

#[test]
fn reverting_takes_configuration_back_too() {
    let product = with(ToolBehaviour::default());
    let path = "repository/conf/log4j2.properties";
    let before = product.read(path);
    let zip = hotfix(1).replace(README, "replaced").write_to(product.hotfixes());
    assert_eq!(product.apply(&zip), 0);
    fs::write(product.home.join(path), "mine").expect("writable");
    assert_eq!(product.run(&["revert-hotfix"]), 0);
    assert_eq!(product.read(path), before);
}

#[test]
fn another_home_has_nothing_to_revert_from() {
    let mut product = with(ToolBehaviour::default());
    let zip = hotfix(1).replace(README, "replaced").write_to(product.hotfixes());
    assert_eq!(product.apply(&zip), 0);
    product.user_home = product.folder.path().join("another");
    fs::create_dir(&product.user_home).expect("a home");
    assert_eq!(product.run(&["revert-hotfix"]), 1);
}

#[test]
fn refused_are_wrong_products_versions_levels_and_numbers() {
    let product = with(ToolBehaviour::default());
    let pristine = product.snapshot();
    for wrong in [
        HotfixBuilder::new("wso2is", "4.1.0", 10, 1),
        HotfixBuilder::new("wso2am", "4.2.0", 10, 1),
        HotfixBuilder::new("wso2am", "4.1.0", 11, 1),
        hotfix(2),
        hotfix(0),
        hotfix(1).without_hotfix_json(),
    ] {
        let zip = wrong.replace(README, "wrong").write_to(product.hotfixes());
        assert_eq!(product.apply(&zip), 1, "{}", zip.display());
    }
    assert_eq!(product.snapshot(), pristine);
    assert_eq!(product.apply(&product.home.join(README)), 1, "no zip");
    assert_eq!(product.apply(&product.home.join("missing.zip")), 1);
}

#[test]
fn the_same_hotfix_twice_is_refused() {
    let product = with(ToolBehaviour::default());
    let zip = hotfix(1).replace(README, "replaced").write_to(product.hotfixes());
    assert_eq!(product.apply(&zip), 0);
    assert_eq!(product.apply(&zip), 1);
}

#[test]
fn names_can_be_spelled_otherwise() {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let name = |builder: HotfixBuilder| {
        let path = builder.write_to(folder.path());
        path.file_name().expect("a name").to_string_lossy().into_owned()
    };
    assert_eq!(name(hotfix(8)), "wso2am-4.1.0.10-hf-8.zip");
    assert_eq!(name(hotfix(8).spelling_without_dash()), "wso2am-4.1.0.10-hf8.zip");
    assert_eq!(name(hotfix(8).name("any-HF-08.ZIP")), "any-HF-08.ZIP");
}

#[test]
fn failures_leave_changed_files_and_no_record() {
    for (behave, expected) in [(Behave::Error, 1), (Behave::Conflict, 3)] {
        let product = with(ToolBehaviour::default());
        let zip = hotfix(1).replace(README, "half").behave(behave).write_to(product.hotfixes());
        assert_eq!(product.apply(&zip), expected);
        assert_eq!(product.read(README), "half");
        assert_eq!(product.config()["hotfixes"], json!(null));
    }
}

#[test]
fn a_patch_or_delete_that_does_not_fit_is_a_conflict() {
    for zip in [hotfix(1).patch_text(README, "not there", "x"), hotfix(1).delete("not/there.txt")] {
        let product = with(ToolBehaviour::default());
        assert_eq!(product.apply(&zip.write_to(product.hotfixes())), 3);
    }
}

#[test]
fn reverted_leaves_the_files_as_they_were() {
    let product = with(ToolBehaviour::default());
    product.run(&["current-state"]);
    let pristine = product.snapshot();
    let zip = hotfix(1).replace(README, "half").add("a/b/c", "c").behave(Behave::Reverted).write_to(product.hotfixes());
    assert_eq!(product.apply(&zip), 4);
    assert_eq!(product.snapshot(), pristine);
}

#[test]
fn success_that_changes_nothing() {
    let product = with(ToolBehaviour::default());
    product.run(&["current-state"]);
    let (pristine, config) = (product.snapshot(), product.read("updates/config.json"));

    let folder = product.hotfixes();
    let at_all = hotfix(1).add("x", "x").behave(Behave::NothingAtAll).write_to(&folder);
    assert_eq!(product.apply(&at_all), 0);
    assert_eq!(product.read("updates/config.json"), config);

    let nothing = hotfix(1).add("x", "x").behave(Behave::Nothing).write_to(&folder);
    assert_eq!(product.apply(&nothing), 0);
    assert_ne!(product.read("updates/config.json"), config, "the tokens are new");
    assert_eq!(product.config()["hotfixes"], json!(null));
    assert_eq!(product.snapshot(), pristine);
}

#[test]
fn a_backup_of_the_whole_product_is_kept() {
    let product = with(ToolBehaviour::default());
    let before = product.read(README);
    let zip = hotfix(1).replace(README, "replaced").write_to(product.hotfixes());
    assert_eq!(product.apply(&zip), 0);
    let backup = product.user_home.join(".wso2-updates/backup/wso2am-4.1.0");
    assert_eq!(fs::read_to_string(backup.join(README)).expect("a copy"), before);
    assert!(product.config()["product"]["backup-size"].as_u64() > Some(10_000));
}

#[test]
fn no_backup_where_told_so_and_reverting_works_all_the_same() {
    let product = with(ToolBehaviour { backup: false, ..ToolBehaviour::default() });
    let before = product.read(README);
    let zip = hotfix(1).replace(README, "replaced").write_to(product.hotfixes());
    assert_eq!(product.run(&["apply-hotfix", "--offline", zip.to_str().expect("UTF-8")]), 0);
    assert!(!product.user_home.join(".wso2-updates/backup").exists());
    assert_eq!(product.run(&["revert-hotfix"]), 0);
    assert_eq!(product.read(README), before);
}

#[test]
fn without_unix_modes_files_get_the_usual_one() {
    let product = Product::unpack(pack().tool_run_bit(true));
    let zip = hotfix(1).file_with_mode("bin/tool.sh", "#!/bin/sh\n", 0o755).made_on_dos().write_to(product.hotfixes());
    let output = product.output(&["apply-hotfix", zip.to_str().expect("UTF-8")]);
    assert_eq!(code(&output), 0);
    let snapshot = product.snapshot();
    assert_eq!(snapshot[&product.home.join("bin/tool.sh")].0 & 0o777, 0o644);
}
