//! Many runs at once: with the same cache, the same pack, and the same name.

use std::process::Child;

use crate::support::Scenario;
use crate::support::layout::Layout;

const RUNS: usize = 8;
const PACK: &str = "packs/wso2am-4.1.0.10.zip";

fn start(scenario: &Scenario, number: usize, pack: &str, more: &[&str]) -> Child {
    let output = format!("oci:image{number}");
    let words = ["apply", pack, "hotfixes", "--base-image", "scratch", "--output", &output];
    scenario.spawn(&[&words[..], more].concat())
}

fn all_succeed(children: Vec<Child>) {
    for child in children {
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

fn digests(scenario: &Scenario, folder: &str, tag: &str) -> Vec<String> {
    Layout::open(&scenario.path(folder), tag).layer_digests()
}

#[test]
fn with_one_cache_and_one_pack() {
    let scenario = Scenario::new().without_engine();
    all_succeed((0..RUNS).map(|number| start(&scenario, number, PACK, &[])).collect());
    let first = digests(&scenario, "image0", "4.1.0.10-hf3");
    for number in 1..RUNS {
        assert_eq!(digests(&scenario, &format!("image{number}"), "4.1.0.10-hf3"), first, "{number}");
    }
    let packs = std::fs::read_dir(scenario.path("home/.cache/hotfix/packs")).expect("there").count();
    assert_eq!(packs, 1);
    assert_eq!(std::fs::read_dir(scenario.path("tmp")).expect("there").count(), 0);
}

#[test]
fn with_another_pack_and_a_prune_in_the_middle() {
    let scenario = Scenario::new().without_engine();
    let other = update_tool_sim::PackBuilder::new("wso2is", "7.1.0").level(10).tool(scenario.tool());
    let other = other.write_to(scenario.path("packs")).file_name().expect("a name").to_str().expect("UTF-8").to_owned();
    let other = format!("packs/{other}");
    let mut children = Vec::new();
    for number in 0..RUNS {
        let pack = if number % 2 == 0 { PACK } else { &other };
        let more: &[&str] = if number % 2 == 0 { &[] } else { &["--through", "0"] };
        // Those of the one product are no hotfixes of the other.
        let hotfixes = if number % 2 == 0 { "hotfixes" } else { "none" };
        std::fs::create_dir_all(scenario.path("none")).expect("made");
        let output = format!("oci:image{number}");
        let words = ["apply", pack, hotfixes, "--base-image", "scratch", "--output", &output];
        children.push(scenario.spawn(&[&words[..], more].concat()));
        children.push(scenario.spawn(&["cache", "prune", "--keep-size", "0"]));
    }
    all_succeed(children);
    let (one, another) = (digests(&scenario, "image0", "4.1.0.10-hf3"), digests(&scenario, "image1", "7.1.0.10"));
    for number in 2..RUNS {
        let (tag, expected) = if number % 2 == 0 { ("4.1.0.10-hf3", &one) } else { ("7.1.0.10", &another) };
        assert_eq!(&digests(&scenario, &format!("image{number}"), tag), expected, "{number}");
    }
}

#[test]
fn with_one_name_in_one_folder() {
    let scenario = Scenario::new().without_engine();
    let start = |through: &str| {
        let words =
            ["apply", PACK, "hotfixes", "--base-image", "scratch", "--output", "oci:image", "--tag", "team/am:x"];
        scenario.spawn(&[&words[..], &["--through", through]].concat())
    };
    all_succeed((0..RUNS).map(|number| start(["1", "2", "3"][number % 3])).collect());
    // It is one of them, whole.
    let layout = Layout::open(&scenario.path("image"), "x");
    assert!(["1", "2", "3"].contains(&layout.labels()["hotfix.applied"].as_str().map_or("", |applied| {
        let count = applied.matches("\"number\"").count();
        ["0", "1", "2", "3"][count]
    })));
    assert!(!layout.files().is_empty());
}

#[test]
fn with_one_name_in_one_engine() {
    use crate::support::engine;
    if !engine::is_there() {
        return;
    }
    let scenario = Scenario::new();
    let name = format!("hotfix-test/at-once-{}:x", std::process::id());
    let start = || {
        let words = ["apply", PACK, "hotfixes", "--base-image", "scratch", "--tag", &name];
        scenario.spawn(&words)
    };
    all_succeed((0..RUNS).map(|_| start()).collect());
    let id = engine::docker(&["image", "inspect", "--format", "{{.Id}}", &name]);
    assert!(id.starts_with("sha256:"), "{id}");
    engine::docker(&["image", "rm", &name]);
    let left = engine::docker(&["image", "ls", "--quiet", "--no-trunc", "--filter", "dangling=true"]);
    assert!(!left.contains(&id), "{left}");
}
