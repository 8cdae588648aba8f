//! However the product gets into the workspace: the layers are the same bytes, and nothing is left.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::Scenario;
use crate::support::engine::{skip, skip_even_in_ci};
use crate::support::layout::{Files, Layout};

/// Does with files and folders what can be done with them.
const SCRIPT: &str = r#"#!/bin/sh
set -e
[ "$1" = apply-hotfix ] || exit 0
cd ..
mv many moved
echo new >moved/a/1
rm moved/b/3
rm -r opaque; mkdir opaque; echo z >opaque/z
rm -r becomes-file; echo f >becomes-file
rm becomes-folder; mkdir becomes-folder; echo i >becomes-folder/inner
touch touched; chmod 755 moded; mv renamed-from renamed-to
rm link; ln -s moded link
rm -r gone/deep
cp same same.tmp; mv same.tmp same
mkdir new; echo n >new/n; ln new/n new/hard
mv opaque/z opaque/zz
echo '{"update-level":"10","hotfixes":["one"]}' >updates/config.json
"#;

fn scenario() -> Scenario {
    let tool = format!("bin/{}", update_tool_sim::tool_file_name());
    let files = [
        "many/a/1",
        "many/a/2",
        "many/b/3",
        "opaque/x",
        "opaque/y/deep",
        "becomes-file/inner",
        "becomes-folder",
        "touched",
        "moded",
        "renamed-from",
        "gone/deep/file",
        "gone/stays",
        "same",
    ];
    let scenario = Scenario::empty().with_pack(|pack| {
        let pack = pack.without_tool().file_with_mode(&tool, SCRIPT, 0o644).symlink("link", "touched");
        files.into_iter().fold(pack, |pack, path| pack.file(path, format!("{path}\n")))
    });
    scenario.with_hotfix(1, |hotfix| hotfix.add("x", "y"))
}

/// Whether an overlay can be had here: neither in all containers nor on all file systems.
fn overlays_work() -> bool {
    let scenario = scenario().args(["--workspace-mode", "overlay"]);
    let run = scenario.apply();
    let refused = run.code == Some(4) && run.stderr.contains("cannot be laid over the unpacked pack");
    !refused || !skip("no overlay file system can be mounted here")
}

/// The image, and how the report says that the product got into the workspace.
fn image(scenario: &Scenario, name: &str, options: &[&str]) -> (Layout, String) {
    let output = format!("oci:{name}");
    let arguments = ["apply", "packs/wso2am-4.1.0.10.zip", "hotfixes", "--output", &output, "--report", "report"];
    scenario.run(&[&arguments[..], options].concat()).succeeds();
    let workspace = &scenario.report()["workspace"];
    let word = |key: &str| workspace[key].as_str().expect("text").to_owned();
    (Layout::open(&scenario.path(name), "4.1.0.10-hf1"), format!("{} {}", word("mode"), word("cache")))
}

fn names(files: &Files) -> Vec<&str> {
    let home = "home/wso2carbon/wso2am-4.1.0/";
    let inner = files.iter().filter(|(_, file)| file.kind != tar::EntryType::Directory);
    inner.filter_map(|(path, _)| path.strip_prefix(home)).collect()
}

const CHANGED: [&str; 16] = [
    ".wh.many",
    ".wh.renamed-from",
    "becomes-file",
    "becomes-folder/inner",
    "gone/.wh.deep",
    "link",
    "moded",
    "moved/a/1",
    "moved/a/2",
    "new/hard",
    "new/n",
    "opaque/.wh.x",
    "opaque/.wh.y",
    "opaque/zz",
    "renamed-to",
    "updates/config.json",
];

#[test]
fn the_layers_are_the_same_bytes_in_every_mode_with_and_without_a_cache() {
    if !overlays_work() {
        return;
    }
    let scenario = scenario();
    let (first, how) = image(&scenario, "cold", &[]);
    assert_eq!(how, "overlay made");
    let layer = first.layer(1);
    assert_eq!(names(&layer), CHANGED);
    for (name, options, expected) in [
        ("warm", &[][..], "overlay hit"),
        ("overlay", &["--workspace-mode", "overlay"], "overlay hit"),
        ("copy", &["--workspace-mode", "copy"], "copy hit"),
        ("without", &["--no-cache"], "copy off"),
        ("over", &["--no-cache", "--workspace-mode", "overlay"], "overlay off"),
        ("copied", &["--no-cache", "--workspace-mode", "copy"], "copy off"),
        ("elsewhere", &["--cache-dir", "elsewhere-cache", "--workspace-mode", "copy"], "copy made"),
    ] {
        let (image, how) = image(&scenario, name, options);
        assert_eq!(how, expected, "{name}");
        assert_eq!(image.diff_ids(), first.diff_ids(), "{name}");
        assert_eq!(image.layer_digests(), first.layer_digests(), "{name}");
        assert_eq!(image.manifest_digest, first.manifest_digest, "{name}");
    }
}

#[test]
fn a_copy_by_reference_is_the_same_or_says_that_it_cannot_be() {
    let scenario = scenario();
    let (first, _) = image(&scenario, "first", &[]);
    let arguments =
        ["apply", "packs/wso2am-4.1.0.10.zip", "hotfixes", "--output", "oci:image", "--workspace-mode", "reflink"];
    let run = scenario.run(&arguments);
    match run.code {
        Some(0) => assert_eq!(Layout::open(&scenario.path("image"), "4.1.0.10-hf1").diff_ids(), first.diff_ids()),
        _ => {
            drop(run.fails(4, "extract-pack").says("cannot be copied by reference").says("leave --workspace-mode away"))
        }
    }
}

#[test]
fn another_user_than_root_lays_one_over_as_well() {
    if !rustix::process::geteuid().is_root() || !overlays_work() {
        return;
    }
    let scenario = scenario();
    let (first, _) = image(&scenario, "first", &["--no-cache"]);
    let everybody = std::process::Command::new("chown").args(["-R", "10001:10001"]).arg(scenario.path("")).status();
    assert!(everybody.expect("chown starts").success());
    let scenario = scenario.under(["setpriv", "--reuid", "10001", "--regid", "10001", "--clear-groups", "--"]);
    let (image, how) = image(&scenario, "image", &[]);
    assert_eq!(how, "overlay made");
    assert_eq!(image.diff_ids(), first.diff_ids());
}

#[test]
fn where_no_overlay_can_be_had_a_copy_is_taken() {
    if !rustix::process::geteuid().is_root() || !overlays_work() {
        return;
    }
    // An overlay cannot be laid over with one of the same kind: the workspace is in one.
    let script = r#"mkdir l u w && mount -t overlay o -o lowerdir=l,upperdir=u,workdir=w tmp && exec "$0" "$@""#;
    let under = || scenario().under(["unshare", "--mount", "sh", "-c", script]);
    let scenario = under();
    let (image, how) = image(&scenario, "image", &[]);
    assert_eq!(how, "copy made");
    assert_eq!(names(&image.layer(1)), CHANGED);
    assert_eq!(std::fs::read_dir(scenario.path("u")).expect("there").count(), 0, "something is left");
    let refused = under().args(["--workspace-mode", "overlay"]);
    let run = refused.apply();
    assert_eq!(run.code, Some(4), "{}", run.stderr);
    run.says("error: extract-pack: the product cannot be laid over the unpacked pack in ")
        .says("leave --workspace-mode away");
}

#[test]
fn what_others_look_at_is_whole() {
    let scenario = scenario().args(["--workspace-mode", "overlay", "--keep-workspace"]);
    scenario.apply().fails(4, "validate-inputs").says("--workspace-mode overlay does not go with --keep-workspace");
    let scenario = self::scenario().args(["--workspace-mode", "overlay", "--vendor-image", "--output", "docker"]);
    scenario.plan().fails(4, "validate-inputs").says("--workspace-mode overlay does not go with --vendor-image");
    let scenario = self::scenario();
    let arguments =
        ["apply", "packs/wso2am-4.1.0.10.zip", "hotfixes", "--output", "oci:i", "--keep-workspace", "--workspace", "w"];
    assert_eq!(scenario.run(&arguments).code, Some(0));
    let kept = std::fs::read_dir(scenario.path("w")).expect("kept").next().expect("one").expect("readable").path();
    assert_eq!(std::fs::read_to_string(kept.join("wso2am-4.1.0/moved/a/1")).expect("it is there"), "new\n");
    assert!(kept.join("wso2am-4.1.0/gone/stays").exists());
}

#[test]
fn nobody_else_sees_the_overlay_and_it_goes_with_a_killed_run() {
    if !overlays_work() {
        return;
    }
    let tool = "#!/bin/sh\n[ \"$1\" = apply-hotfix ] || exit 0\ngrep -c ' /.*wso2am-4.1.0 overlay' /proc/self/mounts >$HOME/../../../seen\nexec sleep 1000\n";
    let name = format!("bin/{}", update_tool_sim::tool_file_name());
    let scenario = Scenario::empty()
        .with_pack(|pack| pack.without_tool().file_with_mode(&name, tool, 0o755))
        .with_hotfix(1, |hotfix| hotfix.add("x", "y"))
        .args(["--output", "oci:image"]);
    let mut child = scenario.start_apply_until(|scenario| {
        std::fs::read_to_string(scenario.path("seen")).is_ok_and(|text| !text.trim().is_empty())
    });
    assert_eq!(scenario.text("seen").trim(), "1", "the tool sees it");
    let mounts = || std::fs::read_to_string("/proc/self/mounts").expect("there");
    let folder = scenario.path("tmp").to_string_lossy().replace(' ', "\\040");
    assert!(!mounts().contains(&folder), "others see it");
    kill_process(Pid::from_raw(child.id().cast_signed()).expect("not 0"), Signal::KILL).expect("it is there");
    child.wait().expect("it ends");
    // The tool ends with us, and so does what only it could see.
    for _ in 0..100 {
        if all_mounts().iter().all(|mounts| !mounts.contains(&folder)) {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(all_mounts().iter().all(|mounts| !mounts.contains(&folder)), "it is still mounted somewhere");
}

/// What every process sees.
fn all_mounts() -> Vec<String> {
    let processes = std::fs::read_dir("/proc").expect("there").filter_map(Result::ok);
    processes.filter_map(|process| std::fs::read_to_string(process.path().join("mounts")).ok()).collect()
}

/// Runs what follows with a file system of its own, on which files can share blocks, in the folder for temporary files; it
/// is gone with the process.
const ON_BTRFS: &str =
    "truncate -s 1G disk && mkfs.btrfs --quiet --force disk && mount -o loop disk tmp && exec \"$0\" \"$@\"";

#[test]
fn where_files_can_share_their_blocks_a_copy_by_reference_is_the_same() {
    let scenario = scenario();
    let (first, _) = image(&scenario, "first", &[]);
    let on_btrfs = |command: &str| ["unshare", "--mount", "sh", "-c", command].map(str::to_owned);
    let probe = std::process::Command::new("unshare")
        .args(["--mount", "sh", "-c", ON_BTRFS, "true"])
        .current_dir(scenario.path(""))
        .output();
    if !probe.is_ok_and(|output| output.status.success()) {
        skip_even_in_ci("no Btrfs can be mounted here (by root, with Debian's btrfs-progs)");
        return;
    }
    let scenario = scenario.under(on_btrfs(ON_BTRFS));
    for (name, mode, options) in
        [("cached", "reflink made", &["--cache-dir", "tmp/cache"][..]), ("without", "reflink off", &["--no-cache"])]
    {
        let (image, how) = image(&scenario, name, &[&["--workspace-mode", "reflink"], options].concat());
        assert_eq!(how, mode, "{name}");
        assert_eq!(image.manifest_digest, first.manifest_digest, "{name}");
    }
}
