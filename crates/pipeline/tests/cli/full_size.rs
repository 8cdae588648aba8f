//! The whole job at full size: a pack of the shape of a real one, through a real engine to a real registry and back.

use update_tool_sim::{Listing, PackBuilder, samples};

use crate::support::Scenario;
use crate::support::engine::{self, Base, docker, try_docker};
use crate::support::registry::Registry;
use crate::support::scenario::{PASSWORD, USERNAME};

const PACKS: &str = "packs and #1 ~x";

#[test]
fn a_full_size_pack_becomes_an_image_that_runs_after_a_pull() {
    if !engine::is_there() {
        return;
    }
    let Some(registry) = Registry::start_with_password("ci", "pa~ss w0rd?") else { return };
    let scenario = Scenario::empty().with_file("home/config.json", registry.docker_config("ci", "pa~ss w0rd?"));
    // A relative path with a space, `#` and `~`, for both folders.
    std::fs::create_dir(scenario.path(PACKS)).expect("new");
    let pack = PackBuilder::new("wso2am", "4.1.0").listing(Listing::Wso2am410).level(10).tool(scenario.tool());
    let pack = pack.write_to(scenario.path(PACKS));
    let hotfixes = format!("{PACKS}/hot fixes #2 ~");
    let changed = samples::sample_hotfixes_for(Listing::Wso2am410, make(&scenario, &hotfixes), 10, 2_000_000);
    let base = Base::new("full-size");
    let tag = format!("{}/team/wso2am:t1", registry.host);
    let pack = format!("{PACKS}/{}", pack.file_name().expect("a name").to_string_lossy());
    let arguments =
        ["apply", &pack, &hotfixes, "--base-image", &base.name, "-t", &tag, "--push", "--report", "report", "-v"];
    scenario.run(&arguments).succeeds().prints(&format!("{tag}\n")).does_not_say(PASSWORD);
    let report = scenario.report();
    assert_eq!(report["hotfixes"].as_array().map(Vec::len), Some(changed.len()));
    let layer = report["image"]["hotfix_layer_bytes"].as_u64().expect("a number");
    assert!((2_000_000..20_000_000).contains(&layer), "{layer} bytes for three hotfixes of 2 MB");
    docker(&["rmi", &tag]);
    let digest = report["image"]["digest"].as_str().expect("a digest").to_owned();
    let home = scenario.path("home");
    assert!(docker(&["--config", home.to_str().expect("UTF-8"), "pull", &tag]).contains(&digest));
    let files = "find /home/wso2carbon/wso2am-4.1.0 -type f | wc -l";
    let count: usize =
        docker(&["run", "--rm", "--network", "none", "--entrypoint", "/bin/busybox", &tag, "sh", "-c", files])
            .parse()
            .expect("a number");
    assert!(count > 4700, "{count} files");
    for secret in [PASSWORD, USERNAME, scenario.path("tmp").to_str().expect("UTF-8")] {
        assert!(!is_in_saved(&scenario, &tag, secret), "{secret} is in the image");
    }
    try_docker(&["rmi", "--force", &tag]);
}

fn make(scenario: &Scenario, folder: &str) -> std::path::PathBuf {
    std::fs::create_dir(scenario.path(folder)).expect("new");
    scenario.path(folder)
}

/// Looked for as it is read: the archive has more bytes than a test should hold.
fn is_in_saved(scenario: &Scenario, tag: &str, secret: &str) -> bool {
    let archive = scenario.path("saved.tar");
    if !archive.exists() {
        docker(&["save", "--output", archive.to_str().expect("UTF-8"), tag]);
    }
    let mut grep = std::process::Command::new("grep");
    grep.args(["--fixed-strings", "--quiet", "--binary", "--", secret]).arg(&archive);
    grep.status().expect("grep starts").success()
}
