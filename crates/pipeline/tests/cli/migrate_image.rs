//! The image of `hotfix migrate`: what stands in its way is told before the product is moved.

use std::fs;

use crate::support::installed::Installed;

const IMAGE: &str = "--base-image scratch --output oci:image --tag x:1";

fn is_untouched(installed: &Installed) {
    assert!(!installed.path("updates/config.json").exists() || installed.standing().0 == "10");
    assert!(installed.scenario.calls().is_empty(), "{:?}", installed.calls_since(0));
    assert_eq!(installed.backups(), Vec::<String>::new());
}

#[test]
fn the_plan_names_it() {
    let installed = Installed::new();
    let shown = |words: &str| installed.run(&format!("migrate HOME --to-level {words} --dry-run")).succeeds().stdout;
    assert!(shown(&format!("20 {IMAGE}")).ends_with("image     x:1\n"));
    assert!(shown("20 --repository r.example.org/am").ends_with("image     r.example.org/am:4.1.0.20\n"));
    assert!(shown("latest --repository r.example.org/am").ends_with("image     named by its level then\n"));
    let plan = installed.json(&format!("migrate HOME --to-level 20 {IMAGE} --dry-run"));
    assert_eq!(plan["images"], serde_json::json!(["x:1"]));
    assert_eq!(installed.json("migrate HOME --to-level 20 --dry-run")["images"], serde_json::Value::Null);
    is_untouched(&installed);
}

#[test]
fn what_is_wrong_with_it_is_told_first() {
    let installed = Installed::new();
    fs::create_dir(installed.scenario.path("full")).expect("made");
    fs::write(installed.scenario.path("full/file"), "x").expect("written");
    let cases = [
        ("--output oci:image --tag A:b", 4, "error: validate-inputs: "),
        ("--output oci:full --tag a:b", 4, "the image cannot be written to full"),
        ("--base-image oci:nowhere --output oci:image --tag a:b", 8, "oci:nowhere"),
        ("--dockerfile nowhere/Dockerfile --tag a:b", 4, "nowhere/Dockerfile"),
    ];
    for (options, code, said) in cases {
        for dry in ["", " --dry-run"] {
            // What a base image is, a plan does not look at.
            if code == 8 && !dry.is_empty() {
                continue;
            }
            installed.run(&format!("migrate HOME --to-level 20 {options}{dry}")).fails_with(code).says(said);
            is_untouched(&installed);
        }
    }
}

#[test]
fn what_no_image_can_hold_is_told() {
    let installed = Installed::new();
    std::os::unix::fs::symlink(installed.scenario.path("packs"), installed.path("repository/tenants")).expect("a link");
    let run = installed.run(&format!("migrate HOME --to-level 20 {IMAGE}")).fails_with(8);
    run.says("repository/tenants cannot be in an image: it leads out of the product, to /");
    is_untouched(&installed);
    fs::remove_file(installed.path("repository/tenants")).expect("there");
    installed.put("repository/a\nb", "x");
    let run = installed.run(&format!("migrate HOME --to-level 20 {IMAGE}")).fails_with(8);
    run.says("repository/a\\nb cannot be in an image: its name has control characters");
    fs::remove_file(installed.path("repository/a\nb")).expect("there");
    rustix::fs::mknodat(rustix::fs::CWD, installed.path("pipe"), rustix::fs::FileType::Fifo, 0o600.into(), 0)
        .expect("made");
    let words = format!("migrate {} --to-level 20 {IMAGE}", installed.home);
    let run = installed.scenario.run_without_reading_files(&words.split(' ').collect::<Vec<_>>());
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    run.says("pipe is no file, folder or link, and is in no image");
}

#[test]
fn nothing_is_written_into_the_product() {
    let installed = Installed::new();
    let inside = [
        ("--output oci:INSIDE --tag a:b", "--output"),
        ("--output oci:image --tag a:b --workspace INSIDE", "--workspace"),
        ("--output oci:image --tag a:b --report INSIDE", "--report"),
    ];
    for (options, option) in inside {
        let options = options.replace("INSIDE", &format!("{}/new/folder", installed.home));
        let run = installed.run(&format!("migrate HOME --to-level 20 --base-image scratch {options}")).fails_with(4);
        run.says(&format!("{option} ")).says("is in the product itself, and would be part of the image");
    }
    is_untouched(&installed);
}

#[test]
fn a_file_is_no_folder() {
    let installed = Installed::new();
    fs::write(installed.scenario.path("file"), "x").expect("written");
    let words = "migrate HOME --to-level 20 --base-image scratch --tag a:b --output oci:file/image";
    installed.run(words).fails_with(4).says("--output file/image cannot be written to: file is no folder");
    is_untouched(&installed);
}
