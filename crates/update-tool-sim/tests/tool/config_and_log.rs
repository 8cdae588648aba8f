//! `updates/config.json`, the log, and `updates/product.txt`.

use std::fs;

use serde_json::Value;
use update_tool_sim::{ConfigGeneration, ToolBehaviour};

use crate::product::{Product, USER, code, pack, spawn, with};

#[test]
fn first_run_writes_the_newer_generation() {
    let product = with(ToolBehaviour::default());
    assert_eq!(product.run(&["current-state"]), 0);
    let config = product.config();
    let backup_dir = product.user_home.join(".wso2-updates/backup");
    assert_eq!(config["username"], USER);
    assert_eq!(config["update-level"], "10");
    assert_eq!(config["backup-dir"], backup_dir.to_str().expect("UTF-8"));
    assert_eq!(config["product"]["backup"], backup_dir.join("wso2am-4.1.0").to_str().expect("UTF-8"));
    assert_eq!(config["product"]["backup-size"], 0);
    assert_eq!(config["hotfixes"], Value::Null);
    assert!(config.get("services").is_none());
    assert!(!backup_dir.exists(), "current-state backs nothing up");
}

#[test]
fn tokens_are_new_at_each_run_in_either_generation() {
    for (generation, pointer) in
        [(ConfigGeneration::Service, "/service"), (ConfigGeneration::Services, "/services/wso2")]
    {
        let product = with(ToolBehaviour { config: generation, ..ToolBehaviour::default() });
        let tokens = || {
            assert_eq!(product.run(&["current-state"]), 0);
            let config = product.config();
            let holder = config.pointer(pointer).expect("tokens").clone();
            [holder["access-token"].clone(), holder["refresh-token"].clone()]
        };
        let (first, second) = (tokens(), tokens());
        assert_eq!(first[0].as_str().map(str::len), Some(64));
        for token in &first {
            assert!(!second.contains(token));
        }
        assert_ne!(first[0], first[1]);
    }
}

#[test]
fn an_existing_configuration_is_changed_in_place() {
    let text = r#"{ "update-level": "7", "of-the-future": true, "username": "",
        "product": {}, "services": { "wso2": { "enabled": true } } }"#;
    let product = Product::unpack(pack().config_json(text));
    assert_eq!(product.run(&["current-state"]), 0);
    let config = product.config();
    assert_eq!(config["update-level"], "7");
    assert_eq!(config["of-the-future"], true);
    assert!(config["services"]["wso2"]["access-token"].is_string());
    assert!(config.get("service").is_none());
    let keys: Vec<_> = config.as_object().expect("an object").keys().collect();
    assert_eq!(keys[..2], ["update-level", "of-the-future"], "in the same order");
}

#[test]
fn a_pack_may_have_a_fresh_one() {
    let product = Product::unpack(pack().config(ConfigGeneration::Services));
    let config = product.config();
    assert_eq!(config["update-level"], "10");
    assert_eq!(config["username"], "");
    assert!(config.get("trial-subscription-id").is_some());
}

#[test]
fn without_a_level_no_update_was_ever_taken() {
    let pack =
        update_tool_sim::PackBuilder::new("wso2am", "4.1.0").tool_executable(env!("CARGO_BIN_EXE_update-tool-sim"));
    let product = Product::unpack(pack);
    assert_eq!(product.run(&["current-state"]), 0);
    assert_eq!(product.config()["update-level"], "-1");
}

#[test]
fn the_level_reported_can_be_another() {
    let product = with(ToolBehaviour { level_reported: Some("11".to_owned()), ..ToolBehaviour::default() });
    assert_eq!(product.run(&["current-state"]), 0);
    assert_eq!(product.config()["update-level"], "11");
}

#[test]
fn the_log_names_user_and_paths() {
    let product = with(ToolBehaviour::default());
    product.run(&["current-state"]);
    product.run(&["check"]);
    let logs: Vec<_> = fs::read_dir(product.home.join("updates/logs"))
        .expect("logs")
        .map(|entry| entry.expect("readable").path())
        .collect();
    let name = logs[0].file_name().expect("a name").to_string_lossy().into_owned();
    let date = name.strip_prefix("wso2update-").and_then(|rest| rest.strip_suffix(".log"));
    let parts: Vec<_> = date.expect("the vendor's name").split('-').map(str::len).collect();
    assert_eq!(parts, [2, 2, 4]);

    let text: String = logs.iter().map(|log| fs::read_to_string(log).expect("text")).collect();
    assert_eq!(text.lines().count(), 2);
    for line in text.lines() {
        assert!(line.contains(USER));
        assert!(line.contains(product.home.to_str().expect("UTF-8")));
        assert!(line.contains(".wso2-updates/backup"));
    }
}

#[test]
fn a_product_that_cannot_be_identified() {
    for text in [None, Some("wso2am"), Some("wso2am-4.1"), Some("")] {
        let product = Product::unpack(pack().product_txt(text));
        let output = product.output(&["current-state"]);
        assert_eq!(code(&output), 1, "{text:?}");
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(message.contains("cannot identify the product"), "{message}");
    }
    let with_newline = Product::unpack(pack().product_txt(Some("wso2am-4.1.0\n")));
    assert_eq!(with_newline.run(&["current-state"]), 0);
}

#[test]
fn it_is_run_from_bin() {
    let product = with(ToolBehaviour::default());
    let mut command = product.logged_in(&["current-state"]);
    command.current_dir(&product.home);
    let output = spawn(command).wait_with_output().expect("it ends");
    assert_eq!(code(&output), 1);
}

#[test]
fn what_is_no_command_is_an_error() {
    let product = with(ToolBehaviour::default());
    assert_eq!(product.run(&["nonsense"]), 1);
}
