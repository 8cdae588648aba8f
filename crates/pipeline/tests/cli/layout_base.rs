//! Layouts that are there before: as the base of an image, or with other images in them.

use std::fs;
use std::path::Path;

use crate::layout::build;
use crate::support::Scenario;
use crate::support::layout::Layout;

#[test]
fn a_layout_can_be_the_base_of_another() {
    let base = Scenario::new().args([
        "-t",
        "base:1",
        "--product-home",
        "/opt/other",
        "--env",
        "WSO2_SERVER_HOME=/opt/home",
        "--label",
        "x=y",
    ]);
    base.apply().succeeds();
    let scenario = Scenario::new();
    copy(&base.path("image"), &scenario.path("base"));
    let scenario = scenario.args(["--base-image", "oci:base:1"]);
    let image = build(&scenario);
    let base_image = Layout::open(&base.path("image"), "1");
    assert_eq!(image.layer_digests()[..2], base_image.layer_digests()[..], "the base's layers are stored as they were");
    assert_eq!(image.diff_ids().len(), 4);
    assert_eq!(image.labels()["org.opencontainers.image.base.digest"], base_image.manifest_digest);
    assert_eq!(image.labels()["x"], "y");
    assert!(
        image.files().contains_key("opt/home/bin/README.txt"),
        "WSO2_SERVER_HOME of the base is where the product goes"
    );
}

#[test]
fn a_base_with_a_product_in_that_place_is_refused() {
    let base = Scenario::new().args(["-t", "base:1"]);
    base.apply().succeeds();
    let scenario = Scenario::new();
    copy(&base.path("image"), &scenario.path("base"));
    let scenario = scenario.args(["--base-image", "oci:base"]);
    scenario.apply().fails(8, "build-image").says("already has a product in /home/wso2carbon/wso2am-4.1.0");
}

#[test]
fn a_base_with_a_product_where_it_would_be_started_is_refused() {
    let with_base = |arguments: &[&str]| {
        let base = Scenario::new().args(["-t", "base:1", "--through", "0"]).args(arguments.iter().copied());
        base.apply().succeeds();
        let scenario = Scenario::new();
        copy(&base.path("image"), &scenario.path("base"));
        scenario.args(["--base-image", "oci:base", "--product-home", "/opt/am"])
    };
    let at_vendors = with_base(&[]);
    let older = with_base(&["--product-home", "/home/wso2carbon/wso2am-4.0.0"]);
    let said = with_base(&["--product-home", "/srv/p", "--env", "WSO2_SERVER_HOME=/srv/x/../p"]);
    for (scenario, place) in
        [(at_vendors, "home/wso2carbon/wso2am-4.1.0"), (older, "home/wso2carbon/wso2am-4.0.0"), (said, "srv/p")]
    {
        scenario
            .apply()
            .fails(8, "build-image")
            .says(&format!("already has a product in /{place}"))
            .says("--from-image is for images that hold the product")
            .does_not_say("another --product-home");
    }
    let nowhere = with_base(&["--product-home", "/srv/p", "--env", "WSO2_SERVER_HOME=/nowhere"]);
    nowhere.apply().succeeds().says("says /nowhere, but the product goes to /opt/am");
    let corrected = nowhere.args(["--env", "WSO2_SERVER_HOME=/opt/am"]);
    corrected.apply().succeeds().does_not_say("warning").does_not_say("WARN");
}

#[test]
fn folders_of_the_base_keep_their_owner_mode_and_time() {
    let base = Scenario::new().args(["-t", "base:1", "--product-home", "/home/wso2carbon", "--chown", "500:600"]);
    base.apply().succeeds();
    let scenario = Scenario::new();
    copy(&base.path("image"), &scenario.path("base"));
    let scenario = scenario.args(["--base-image", "oci:base", "--product-home", "/home/wso2carbon/bin/inner"]);
    let image = build(&scenario);
    let there = Layout::open(&base.path("image"), "1").files();
    let files = image.files();
    for path in ["home", "home/wso2carbon", "home/wso2carbon/bin"] {
        assert_eq!(files[path], there[path], "{path}");
    }
    assert_eq!(files["home/wso2carbon/bin/inner"].owner, (10001, 10001));
}

#[test]
fn an_existing_layout_gets_the_image_beside_the_others() {
    let scenario = Scenario::new();
    scenario.apply().succeeds();
    let scenario = scenario.args(["--through", "1"]);
    scenario.apply().succeeds();
    let scenario = scenario.args(["-t", "a:x", "-t", "b:y"]);
    scenario.apply().succeeds();
    let digests: Vec<String> = ["4.1.0.10-hf3", "4.1.0.10-hf1", "x", "y"]
        .map(|tag| Layout::open(&scenario.path("image"), tag).manifest_digest)
        .into();
    assert_ne!(digests[0], digests[1]);
    assert_eq!(digests[2], digests[3]);
    let inspect = scenario.run(&["inspect", "oci:image"]);
    assert_eq!(inspect.code, Some(4));
    inspect.says("it has several images");
}

fn copy(from: &Path, to: &Path) {
    for entry in walkdir::WalkDir::new(from).into_iter().filter_map(Result::ok) {
        let target = to.join(entry.path().strip_prefix(from).expect("inside"));
        if entry.file_type().is_dir() {
            fs::create_dir(target).expect("new")
        } else {
            fs::copy(entry.path(), target).map(drop).expect("copied")
        }
    }
}
