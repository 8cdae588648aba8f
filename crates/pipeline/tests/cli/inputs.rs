//! Steps 1, 2 and 4: pack, folder, names, disk.

use update_tool_sim::PackBuilder;

use crate::support::Scenario;

#[test]
fn no_pack() {
    let scenario = Scenario::new().with_pack_path("packs/missing.zip");
    scenario.apply().fails(4, "validate-inputs").says("there is no pack packs/missing.zip");
}

#[test]
fn a_folder_for_a_pack() {
    let scenario = Scenario::new().with_pack_path("packs");
    scenario.apply().fails(4, "validate-inputs").says("the pack packs is a folder").says("give the zip");
}

#[test]
fn a_pack_that_is_no_zip() {
    let scenario = Scenario::new().with_file("packs/wso2am-4.1.0.10.zip", "not a zip");
    scenario.apply().fails(4, "validate-inputs").says("packs/wso2am-4.1.0.10.zip is no zip, or is damaged");
}

#[test]
fn a_pack_cut_short() {
    let scenario = Scenario::new();
    let bytes = std::fs::read(scenario.pack()).expect("there");
    let scenario = scenario.with_file("packs/wso2am-4.1.0.10.zip", &bytes[..bytes.len() - 1000]);
    scenario.apply().fails(4, "validate-inputs").says("is no zip, or is damaged").says("download the pack again");
}

#[test]
fn a_pack_with_a_damaged_file_is_noticed_while_unpacking() {
    let scenario = Scenario::new().with_pack(|pack| pack.file("big.txt", "text ".repeat(100_000)));
    let mut bytes = std::fs::read(scenario.pack()).expect("there");
    let name = bytes.windows(7).position(|window| window == b"big.txt").expect("the name is in the zip");
    bytes[name + 40] ^= 0xff;
    let scenario = scenario.with_file("packs/wso2am-4.1.0.10.zip", bytes);
    scenario
        .apply()
        .fails(4, "extract-pack")
        .says("big.txt in packs/wso2am-4.1.0.10.zip cannot be unpacked")
        .says("it is damaged");
}

#[test]
fn a_pack_without_a_product() {
    let scenario = Scenario::new().with_pack(|pack| pack.top_folder("documentation"));
    scenario.apply().fails(4, "validate-inputs").says("holds no product: its folder is 'documentation'");
}

#[test]
fn a_pack_with_two_products() {
    let scenario = Scenario::new().with_pack(|pack| pack.second_top_folder("wso2is-5.11.0"));
    scenario.apply().fails(4, "validate-inputs").says("more than one folder: wso2am-4.1.0, wso2is-5.11.0");
}

#[test]
fn a_pack_without_product_txt() {
    let scenario = Scenario::new().with_pack(|pack| pack.product_txt(None));
    scenario.apply().fails(4, "validate-inputs").says("there is no wso2am-4.1.0/updates/product.txt in it");
}

#[test]
fn a_pack_with_another_product_txt() {
    let scenario = Scenario::new().with_pack(|pack| pack.product_txt(Some("wso2am-4.2.0\u{1b}[2J")));
    scenario
        .apply()
        .fails(4, "validate-inputs")
        .says("product.txt says 'wso2am-4.2.0\\u{1b}[2J'")
        .does_not_say("\u{1b}");
}

#[test]
fn a_pack_whose_level_is_not_known() {
    let scenario = Scenario::new().with_pack(|pack| pack.file_name("wso2am.zip"));
    scenario
        .apply()
        .fails(4, "validate-inputs")
        .says("the update level of packs/wso2am.zip is not known")
        .says("wso2am-4.1.0.10.zip");
}

#[test]
fn a_renamed_pack_that_contradicts_itself() {
    let config = r#"{ "update-level": "12", "hotfixes": null }"#;
    let scenario = Scenario::new().with_pack(|pack| pack.config_json(config));
    scenario.apply().fails(4, "validate-inputs").says("its name says level 10, its updates/config.json level 12");
}

#[test]
fn a_pack_that_has_hotfixes_already() {
    let config = r#"{ "update-level": "10", "hotfixes": [{ "number": 1 }] }"#;
    let scenario = Scenario::new().with_pack(|pack| pack.config_json(config));
    scenario.apply().fails(4, "validate-inputs").says("already has hotfixes applied").says("give the clean pack");
}

#[test]
fn a_pack_with_unsafe_names_is_refused_before_anything_is_written() {
    for (name, reason) in [
        ("wso2am-4.1.0/../../evil", "'..'"),
        ("/etc/evil", "absolute"),
        ("wso2am-4.1.0\\evil", "backslash"),
        ("wso2am-4.1.0/a\u{7}b", "control characters"),
        ("wso2am-4.1.0/.wh.bin", "deletion in an image"),
        ("wso2am-4.1.0/bin", "wso2am-4.1.0/bin: is there twice"),
        ("wso2am-4.1.0/LICENSE.txt/x", "is a file or a link, and a folder to others"),
        ("stray.txt", "more than one folder"),
    ] {
        let scenario = Scenario::new().with_pack(|pack| pack.raw_entry(name, "evil"));
        scenario.apply().fails(4, "validate-inputs").says(reason).does_not_say("\u{7}");
    }
}

#[test]
fn a_link_that_leaves_the_product() {
    let scenario = Scenario::new().with_pack(|pack| pack.symlink("lib/out", "../../../etc/passwd"));
    scenario
        .apply()
        .fails(4, "validate-inputs")
        .says("lib/out: is a link that leaves the product, to '../../../etc/passwd'");
}

#[test]
fn a_pack_larger_than_allowed() {
    let scenario = Scenario::new().args(["--max-unpacked-size", "1MB"]);
    scenario.apply().fails(4, "validate-inputs").says("more than the limit of").says("raise --max-unpacked-size");
}

#[test]
fn no_hotfix_folder_and_a_file_for_one() {
    let scenario = Scenario::new().with_file("file", "x");
    let pack = "packs/wso2am-4.1.0.10.zip";
    scenario.run(&["apply", pack, "missing"]).fails(4, "validate-inputs").says("there is no hotfix folder missing");
    scenario.run(&["apply", pack, "file"]).fails(4, "validate-inputs").says("the hotfix folder file is a file");
}

#[test]
fn names_of_images_that_docker_would_refuse() {
    let scenario = Scenario::new();
    let run = |arguments: &[&str]| {
        let all = [&["apply", "packs/wso2am-4.1.0.10.zip", "hotfixes"], arguments].concat();
        scenario.run(&all).fails(4, "validate-inputs")
    };
    run(&["-t", "team/UPPER:1"]).says("'team/UPPER:1' is not an image reference");
    run(&["-t", "x@sha256:1"]).says("x@sha256:1");
    run(&["--base-image", "no good"]).says("the name of the base image cannot be used");
    run(&["--label", "hotfix.applied=[]"]).says("the label hotfix.applied is given by hotfix itself");
    run(&["--product-home", "relative"]).says("--product-home relative is no place in an image");
    run(&["--output", "oci:packs"]).says("cannot be written to packs").says("no file oci-layout in it");
}

#[test]
fn a_base_layout_that_is_missing_or_damaged() {
    let scenario = Scenario::new().args(["--base-image", "oci:missing"]);
    scenario
        .apply()
        .fails(8, "build-image")
        .says("the base image oci:missing cannot be used")
        .says("no file oci-layout in it");
    let scenario = Scenario::new().args(["--base-image", "oci:packs"]);
    scenario.apply().fails(8, "build-image").says("no file oci-layout in it");
}

#[test]
fn too_little_disk() {
    // A pack that claims a petabyte costs nothing to make and fits no disk.
    let scenario = Scenario::new().args(["--max-unpacked-size", "4EB"]);
    let mut bytes = std::fs::read(scenario.pack()).expect("there");
    let entry = central_entry(&bytes, b"wso2am-4.1.0/LICENSE.txt");
    let local = u32::from_le_bytes(bytes[entry + 42..entry + 46].try_into().expect("four")) as usize;
    for place in [entry + 24, local + 22] {
        bytes[place..place + 4].copy_from_slice(&0xffff_fff0_u32.to_le_bytes());
    }
    let scenario = scenario.with_file("packs/wso2am-4.1.0.10.zip", bytes);
    let free = rustix::fs::statvfs(scenario.path("tmp")).expect("a disk");
    if free.f_bavail * free.f_frsize > 12_000_000_000 {
        // Three times four gigabytes fit here: then the lie is found when the file is unpacked.
        scenario.apply().fails(4, "extract-pack").says("LICENSE.txt");
    } else {
        scenario.apply().fails(4, "validate-inputs").says("are needed").says("--no-disk-check");
    }
}

/// Where the directory entry of that name begins.
fn central_entry(zip: &[u8], name: &[u8]) -> usize {
    let headers = (0..zip.len() - 4).filter(|at| zip[*at..].starts_with(b"PK\x01\x02"));
    headers.into_iter().find(|at| zip[at + 46..].starts_with(name)).expect("the entry is there")
}

#[test]
fn a_workspace_or_report_folder_that_cannot_be_made() {
    let scenario = Scenario::new().with_file("file", "x").args(["--workspace", "file/below"]);
    scenario.apply().fails(4, "validate-inputs").says("--workspace file/below cannot be written to: file is no folder");
    let scenario = Scenario::new().with_file("file", "x").args(["--report", "file/below"]);
    scenario.apply().fails(4, "validate-inputs").says("--report file/below cannot be written to");
}

#[test]
fn packs_made_on_dos_and_with_links_are_unpacked() {
    let scenario = Scenario::new().with_pack(|pack| pack.symlink("lib/current", "../bin").made_on_dos());
    scenario.apply().succeeds();
}

#[test]
fn packs_of_either_generation_that_the_tool_has_run_in() {
    use update_tool_sim::ConfigGeneration::{Service, Services};
    for generation in [Service, Services] {
        Scenario::new().with_pack(|pack: PackBuilder| pack.config(generation)).apply().succeeds();
    }
}

#[test]
fn a_pack_of_the_first_level_has_none_in_its_name() {
    let scenario = Scenario::empty();
    PackBuilder::new("wso2is-km", "5.10.0").tool(scenario.tool()).write_to(scenario.path("packs"));
    update_tool_sim::HotfixBuilder::new("wso2is-km", "5.10.0", 0, 1)
        .add("new.txt", "new")
        .write_to(scenario.hotfixes());
    let scenario = scenario.with_pack_path("packs/wso2is-km-5.10.0.zip");
    scenario.apply().succeeds().prints("wso2is-km:5.10.0.0-hf1\n");
}

#[test]
fn a_pack_that_is_no_file_does_not_hold_us() {
    let scenario = Scenario::new().with_pack_path("packs/fifo.zip");
    let made = std::process::Command::new("mkfifo").arg(scenario.pack()).status().expect("mkfifo starts");
    assert!(made.success());
    let run = scenario.run_without_reading_files(&["apply", "packs/fifo.zip", "hotfixes"]);
    assert_eq!(run.code, Some(4), "{}", run.stderr);
    run.says("the pack packs/fifo.zip is no regular file");
}

#[test]
fn nothing_is_ever_written_to_the_hotfix_folder() {
    for arguments in [["--report", "hotfixes/report"], ["--workspace", "hotfixes"], ["--output", "oci:hotfixes/a/b"]] {
        let scenario = Scenario::new().args(arguments);
        scenario.apply().fails(4, "validate-inputs").says("is in the hotfix folder, which is never written to");
    }
}

#[test]
fn a_pack_of_another_product_than_its_name_says() {
    let scenario = Scenario::new().with_pack(|pack| pack.file_name("wso2is-5.11.0.10.zip"));
    scenario.apply().fails(4, "validate-inputs").says("holds another product than its name says: wso2am-4.1.0");
}
