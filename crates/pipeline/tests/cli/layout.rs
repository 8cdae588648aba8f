//! Steps 7 without an engine: the image as an OCI layout, looked at with another reader.

use std::fs;

use serde_json::{Value, json};
use tar::EntryType;
use update_tool_sim::{Behave, ConfigGeneration, PackBuilder};

use crate::support::Scenario;
use crate::support::layout::{Layout, read_tar};
use crate::support::scenario::{PASSWORD, USERNAME};

const HOME: &str = "home/wso2carbon/wso2am-4.1.0";

/// The image of a run that succeeds.
pub fn build(scenario: &Scenario) -> Layout {
    scenario.apply().succeeds();
    Layout::open(&scenario.path("image"), "4.1.0.10-hf3")
}

#[test]
fn it_is_the_product_and_one_layer_with_exactly_what_the_hotfixes_changed() {
    let scenario = Scenario::new();
    let image = build(&scenario);
    assert_eq!(image.diff_ids().len(), 2);
    let layer = image.layer(1);
    let below = |path: &str| format!("{HOME}/{path}");
    let files: Vec<String> =
        layer.iter().filter(|(_, file)| file.kind != EntryType::Directory).map(|(path, _)| path.clone()).collect();
    assert_eq!(
        files,
        [
            "bin/README.txt",
            "repository/components/plugins/.wh.org.example.a_1.0.0.jar",
            "repository/components/plugins/org.example.a_1.0.0.2.jar",
            "repository/conf/deployment.toml",
            "repository/deployment/server/jaggeryapps/legacy/.wh.legacy.jag",
            "repository/deployment/server/webapps/publisher/fix#1.js",
            "updates/config.json",
        ]
        .map(below)
    );
    // Folders on the way are as they are in the layer below, or engines would make up an owner and a mode.
    let product = image.layer(0);
    for (path, folder) in layer.iter().filter(|(_, file)| file.kind == EntryType::Directory) {
        assert_eq!(Some(folder), product.get(path), "{path}");
    }
}

#[test]
fn the_product_layer_is_the_pack() {
    let scenario = Scenario::new().with_pack(|pack| pack.symlink("lib/current", "../bin").tool_run_bit(false));
    let image = build(&scenario);
    let layer = image.layer(0);
    let mut zip = zip::ZipArchive::new(fs::File::open(scenario.pack()).expect("there")).expect("a zip");
    for index in 0..zip.len() {
        let mut entry = zip.by_index(index).expect("an entry");
        let name = entry.name().expect("UTF-8").into_owned();
        let path = format!("home/wso2carbon/{}", name.trim_end_matches('/'));
        let file = layer.get(&path).unwrap_or_else(|| panic!("{path} is not in the layer"));
        assert_eq!(file.owner, (10001, 10001), "{path}");
        assert_eq!(file.mode, entry.unix_mode().expect("made on Unix") & 0o777, "{path}");
        if file.kind == EntryType::Regular {
            let mut content = Vec::new();
            std::io::Read::read_to_end(&mut entry, &mut content).expect("content");
            assert!(content == file.content, "{path}");
            assert_eq!(file.mtime, 1_648_462_830, "{path}");
        }
    }
    assert_eq!(layer[&format!("{HOME}/lib/current")].kind, EntryType::Symlink);
    assert_eq!((layer["home"].owner, layer["home/wso2carbon"].mode), ((0, 0), 0o755));
}

#[test]
fn a_container_would_see_the_hotfixed_files() {
    let scenario = Scenario::new();
    let files = build(&scenario).files();
    let text = |path: &str| String::from_utf8_lossy(&files[&format!("{HOME}/{path}")].content).into_owned();
    assert_eq!(text("bin/README.txt"), "How to start the server, corrected.\n");
    assert!(text("repository/conf/deployment.toml").contains("am.example.com"));
    assert_eq!(text("repository/deployment/server/webapps/publisher/fix#1.js"), "export const fix = 1;\n");
    for gone in [
        "repository/deployment/server/jaggeryapps/legacy/legacy.jag",
        "repository/components/plugins/org.example.a_1.0.0.jar",
        "repository/components/plugins/org.example.a_1.0.0.1.jar",
    ] {
        assert!(!files.contains_key(&format!("{HOME}/{gone}")), "{gone}");
    }
}

#[test]
fn what_the_tool_does_to_itself_is_not_in_it() {
    let scenario = Scenario::new().with_tool(|tool| tool.self_updates = 2);
    let image = build(&scenario);
    let tool = format!("{HOME}/bin/{}", update_tool_sim::tool_file_name());
    assert!(!image.layer(1).contains_key(&tool));
    let twin = Scenario::new();
    assert_eq!(
        image.diff_ids()[1],
        build(&twin).diff_ids()[1],
        "the hotfix layer depends on how often the tool updated itself"
    );
}

#[test]
fn logs_names_tokens_and_paths_stay_out_of_it() {
    for generation in [ConfigGeneration::Service, ConfigGeneration::Services] {
        let scenario = Scenario::new().with_tool(|tool| tool.config = generation);
        let image = build(&scenario);
        let files = image.files();
        assert!(!files.keys().any(|path| path.starts_with(&format!("{HOME}/updates/logs/"))));
        let config: Value =
            serde_json::from_slice(&files[&format!("{HOME}/updates/config.json")].content).expect("JSON");
        assert_eq!(
            (&config["username"], &config["backup-dir"], &config["product"]["backup"]),
            (&json!(""), &json!(""), &json!(""))
        );
        assert_eq!(config["update-level"], "10");
        assert_eq!(config["hotfixes"].as_array().map(Vec::len), Some(3), "the record of the hotfixes is kept");
        let bytes = [image.layer_bytes(0), image.layer_bytes(1), image.config.to_string().into_bytes()].concat();
        let workspace = scenario.path("tmp");
        for secret in [USERNAME, PASSWORD, workspace.to_str().expect("UTF-8")] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret} is in the image");
        }
    }
}

#[test]
fn a_pack_that_the_tool_has_run_in_is_cleaned_too() {
    let config = r#"{ "username": "old@example.org", "update-level": "10", "channel": "full", "product": { "backup": "/old/path" }, "service": { "access-token": "old-token", "refresh-token": "" }, "hotfixes": null }"#;
    let scenario = Scenario::new()
        .with_pack(|pack| pack.config_json(config).file("updates/logs/wso2update-01-02-2026.log", "old@example.org"));
    let image = build(&scenario);
    let product = image.layer(0);
    let cleaned: Value =
        serde_json::from_slice(&product[&format!("{HOME}/updates/config.json")].content).expect("JSON");
    assert_eq!(
        cleaned,
        json!({ "username": "", "update-level": "10", "channel": "full", "product": { "backup": "" }, "service": { "access-token": "", "refresh-token": "" }, "hotfixes": null })
    );
    assert!(!product.keys().any(|path| path.contains("updates/logs")));
}

#[test]
fn the_same_inputs_give_the_same_image() {
    let first = Scenario::new();
    let second = Scenario::like(&first).env("UPDATE_TOOL_USERNAME", "another.user@example.com").env("TZ", "Asia/Tokyo");
    let second = second.env("LC_ALL", "tr_TR.UTF-8").args(["--workspace", "elsewhere"]);
    let images = [&first, &second].map(|scenario| {
        let image = build(scenario);
        (image.manifest_digest.clone(), image.diff_ids(), image.layer_digests())
    });
    assert_eq!(images[0], images[1]);
}

#[test]
fn the_product_layer_is_the_same_whatever_the_hotfixes() {
    let scenario = Scenario::new().args(["--through", "1", "-t", "x:one"]);
    scenario.apply().succeeds();
    let one = Layout::open(&scenario.path("image"), "one");
    assert_eq!(one.layer_digests()[0], build(&Scenario::like(&scenario)).layer_digests()[0]);
}

#[test]
fn through_applies_the_first_only_and_0_none() {
    let scenario = Scenario::new().args(["--through", "1"]);
    scenario.apply().succeeds().prints("wso2am:4.1.0.10-hf1\n");
    let image = Layout::open(&scenario.path("image"), "4.1.0.10-hf1");
    assert_eq!(
        serde_json::from_str::<Value>(image.labels()["hotfix.applied"].as_str().expect("text"))
            .expect("JSON")
            .as_array()
            .map(Vec::len),
        Some(1)
    );
    let scenario = Scenario::new().args(["--through", "0"]);
    scenario.apply().succeeds().prints("wso2am:4.1.0.10\n");
    let image = Layout::open(&scenario.path("image"), "4.1.0.10");
    assert_eq!((image.diff_ids().len(), image.labels()["hotfix.applied"].as_str()), (1, Some("[]")));
    Scenario::new().without_hotfixes().args(["--through", "0"]).apply().succeeds();
}

#[test]
fn labels_tell_what_is_in_it_and_inspect_reads_them() {
    let scenario = Scenario::new().args(["--label", "team=a b", "--report", "report"]);
    let image = build(&scenario);
    let labels = image.labels();
    assert_eq!(labels["org.opencontainers.image.version"], "4.1.0.10-hf3");
    assert_eq!((&labels["org.opencontainers.image.base.name"], &labels["team"]), (&json!("scratch"), &json!("a b")));
    assert_eq!(
        (&labels["hotfix.product"], &labels["hotfix.version"], &labels["hotfix.update-level"]),
        (&json!("wso2am"), &json!("4.1.0"), &json!("10"))
    );
    assert_eq!(labels["hotfix.pack-sha256"], scenario.report()["pack"]["sha256"]);
    assert_eq!(labels["hotfix.fingerprint"].as_str().map(str::len), Some(64));
    let applied: Value = serde_json::from_str(labels["hotfix.applied"].as_str().expect("text")).expect("JSON");
    let reported = scenario.report()["hotfixes"].clone();
    for (label, report) in applied.as_array().expect("a list").iter().zip(reported.as_array().expect("a list")) {
        assert_eq!(
            (&label["number"], &label["file"], &label["sha256"]),
            (&report["number"], &report["file"], &report["sha256"])
        );
    }
    let text = scenario.run(&["inspect", "oci:image"]);
    assert_eq!(text.code, Some(0), "{}", text.stderr);
    assert!(
        text.stdout.contains("product      wso2am 4.1.0 at update level 10")
            && text.stdout.contains("3 wso2am-4.1.0.10-hf-3.zip"),
        "{}",
        text.stdout
    );
    let json_run = scenario.run(&["inspect", "--format", "json", "oci:image:4.1.0.10-hf3"]);
    let contents: Value = serde_json::from_str(&json_run.stdout).expect("JSON");
    assert_eq!(
        (&contents["id"], &contents["hotfixes"], &contents["found_in"]),
        (&json!(image.manifest_digest), &applied, &json!("layout"))
    );
}

#[test]
fn home_owner_entry_point_and_environment_are_as_asked() {
    let arguments = [
        "--product-home",
        "/opt/wso2/",
        "--chown",
        "7:8",
        "--entrypoint",
        r#"["/opt/wso2/bin/api-manager.sh", "a b"]"#,
        "--env",
        "A=1=2",
        "--env",
        "B=",
    ];
    let scenario = Scenario::new().args(arguments);
    let image = build(&scenario);
    assert_eq!(image.config["config"]["Entrypoint"], json!(["/opt/wso2/bin/api-manager.sh", "a b"]));
    assert_eq!(image.config["config"]["Env"], json!(["A=1=2", "B="]));
    let files = image.files();
    assert_eq!(
        (files["opt"].owner, files["opt/wso2"].owner, files["opt/wso2/bin/api-manager.sh"].owner),
        ((0, 0), (7, 8), (7, 8))
    );
    assert_eq!(files["opt/wso2/bin/api-manager.sh"].mode & 0o111, 0o111);
}

#[test]
fn modes_folders_and_links_are_changes_too() {
    let scenario = Scenario::new()
        .without_hotfixes()
        .with_pack(|pack| pack.file("old/deep/a.txt", "a").file("old/b.txt", "b").file("touched.txt", "same"));
    let scenario = scenario
        .with_hotfix(1, |hotfix| {
            hotfix
                .file_with_mode("bin/README.txt", "x", 0o755)
                .add("new/deep/er.txt", "n")
                .replace("touched.txt", "same")
        })
        .with_hotfix(2, |hotfix| hotfix.delete("old/deep/a.txt").delete("old/b.txt").replace("bin/README.txt", "y"))
        .with_hotfix(3, |hotfix| hotfix.delete("new/deep/er.txt").add("later.txt", "l"));
    let layer = build(&scenario).layer(1);
    let has = |path: &str| layer.contains_key(&format!("{HOME}/{path}"));
    assert!(!has("touched.txt"), "a file that was written again with the same bytes is no change");
    assert!(!has("new/deep/er.txt") && !has("new/deep/.wh.er.txt"), "added and deleted again is no change");
    assert!(has("later.txt") && has("bin/README.txt"));
    assert!(
        has(".wh.old") || (has("old/.wh.b.txt") && (has("old/.wh.deep") || has("old/deep/.wh.a.txt"))),
        "{:?}",
        layer.keys()
    );
}

#[test]
fn a_change_that_a_later_hotfix_takes_back_is_none() {
    let scenario = Scenario::new().without_hotfixes().with_pack(|pack| pack.file("a.txt", "one"));
    let scenario = scenario
        .with_hotfix(1, |hotfix| hotfix.replace("a.txt", "two"))
        .with_hotfix(2, |hotfix| hotfix.replace("a.txt", "one"))
        .with_hotfix(3, |hotfix| hotfix.delete("a.txt"));
    assert!(build(&scenario).layer(1).contains_key(&format!("{HOME}/.wh.a.txt")));
    fs::remove_file(scenario.path("hotfixes/wso2am-4.1.0.10-hf-3.zip")).expect("there");
    scenario.apply().succeeds();
    let layer = Layout::open(&scenario.path("image"), "4.1.0.10-hf2").layer(1);
    assert!(!layer.keys().any(|path| path.ends_with("a.txt")), "{:?}", layer.keys());
}

#[test]
fn files_get_the_time_of_the_hotfix_that_changed_them() {
    let scenario = Scenario::new();
    let image = build(&scenario);
    let layer = image.layer(1);
    let changed = &layer[&format!("{HOME}/bin/README.txt")];
    assert_eq!(changed.mtime, 1_718_179_750, "2024-06-12T08:09:10Z");
    assert_eq!(image.config["created"], "2024-06-12T08:09:10Z");
}

#[test]
fn a_failure_leaves_a_layout_as_it_was() {
    let scenario = Scenario::new();
    scenario.apply().succeeds();
    let scenario = scenario.with_hotfix(3, |hotfix| hotfix.add("x", "y").behave(Behave::Conflict));
    scenario.apply().fails(7, "apply-hotfixes");
}

#[test]
fn a_layout_that_cannot_be_written_is_a_failure_of_the_image() {
    let scenario = Scenario::new().with_file("file", "x").args(["--output", "oci:file/image"]);
    let run = scenario.apply();
    assert!(matches!(run.code, Some(4 | 8)), "{:?}: {}", run.code, run.stderr);
    run.says("file/image").leaves_nothing();
}

#[test]
fn a_kept_workspace_holds_the_product_and_no_secret() {
    let scenario = Scenario::new().args(["--keep-workspace", "--workspace", "work"]).with_tool(|tool| tool.loud = true);
    let run = scenario.apply();
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let folders: Vec<_> = fs::read_dir(scenario.path("work")).expect("kept").filter_map(Result::ok).collect();
    assert_eq!(folders.len(), 1);
    assert!(folders[0].path().join("wso2am-4.1.0/updates/product.txt").exists());
    let config: Value =
        serde_json::from_slice(&fs::read(folders[0].path().join("wso2am-4.1.0/updates/config.json")).expect("there"))
            .expect("JSON");
    assert_eq!((&config["username"], &config["service"]["access-token"]), (&json!(""), &json!("")));
    for (path, content) in scenario.snapshot().iter().filter(|(path, _)| path.starts_with("work/")) {
        for secret in [USERNAME, PASSWORD] {
            assert!(!content.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret} is in {path}");
        }
    }
    // It stays after a failure too, or there would be nothing to look at.
    let scenario = Scenario::new()
        .args(["--keep-workspace", "--workspace", "work"])
        .with_hotfix(3, |hotfix| hotfix.add("x", "y").behave(Behave::Error));
    assert_eq!(scenario.apply().code, Some(6));
    assert_eq!(fs::read_dir(scenario.path("work")).expect("kept").count(), 1);
}

#[test]
fn names_with_every_character_that_vendors_use_survive() {
    let names =
        ["web/#1 ~$a@b (x) [y] {z} &;'\"!.js", "ünï/cödé.txt", "long/".repeat(30).as_str().trim_end_matches('/')]
            .map(|name| format!("{name}/f.txt"));
    let scenario =
        Scenario::new().with_pack(|pack: PackBuilder| names.iter().fold(pack, |pack, name| pack.file(name, "old")));
    let scenario = scenario.without_hotfixes();
    let scenario = [1, 2, 3]
        .iter()
        .zip(&names)
        .fold(scenario, |scenario, (number, name)| scenario.with_hotfix(*number, |hotfix| hotfix.replace(name, "new")));
    let image = build(&scenario);
    let (product, layer) = (image.layer(0), read_tar(&image.layer_bytes(1)));
    for name in &names {
        let path = format!("{HOME}/{name}");
        assert_eq!(
            (product[&path].content.as_slice(), layer[&path].content.as_slice()),
            (b"old".as_slice(), b"new".as_slice())
        );
    }
}

#[test]
fn a_file_that_nobody_may_write_to_keeps_its_mode() {
    let scenario = Scenario::new().with_pack(|pack| pack.file_with_mode("ro.txt", "old", 0o444)).without_hotfixes();
    let scenario = [1, 2, 3].iter().fold(scenario, |scenario, number| {
        let script = |hotfix: update_tool_sim::HotfixBuilder| hotfix.patch_text("ro.txt", "old", "old and new");
        scenario.with_hotfix(*number, script)
    });
    let image = build(&scenario);
    let path = format!("{HOME}/ro.txt");
    assert_eq!((image.layer(0)[&path].mode, image.layer(1)[&path].mode), (0o444, 0o444));
}
