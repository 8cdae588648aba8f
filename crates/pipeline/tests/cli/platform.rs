//! `--platform`: for which operating system and processor the image is, whatever it is put on.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::support::Scenario;
use crate::support::engine::{self, docker, try_docker};
use crate::support::layout::Layout;
use crate::support::registry::Registry;

fn for_platform(platform: &str) -> Scenario {
    image_for(platform, Scenario::new())
}

fn image_for(platform: &str, scenario: Scenario) -> Scenario {
    scenario.args(["--platform", platform, "-t", "app:1"])
}

fn platform_of(layout: &Layout) -> [&Value; 3] {
    ["os", "architecture", "variant"].map(|key| &layout.config[key])
}

#[test]
fn without_a_base_it_is_what_was_asked_for() {
    let inputs = Scenario::new();
    let images = ["linux/amd64", "linux/arm64", "linux/arm/v7"].map(|platform| {
        let scenario = image_for(platform, Scenario::like(&inputs));
        scenario.apply().succeeds();
        Layout::open(&scenario.path("image"), "1")
    });
    assert_eq!(platform_of(&images[0]), [&json!("linux"), &json!("amd64"), &Value::Null]);
    assert_eq!(platform_of(&images[1]), [&json!("linux"), &json!("arm64"), &Value::Null]);
    assert_eq!(platform_of(&images[2]), [&json!("linux"), &json!("arm"), &json!("v7")]);
    assert_eq!(images[0].diff_ids(), images[1].diff_ids(), "the product is the same on all");
    let fingerprint = |image: &Layout| image.labels()["hotfix.fingerprint"].clone();
    assert_ne!(fingerprint(&images[0]), fingerprint(&images[1]));
}

/// A layout with an image for each of `platforms`, under the one tag `1`.
fn layout_for(platforms: &[&str]) -> TempDir {
    let layout = tempfile::tempdir().expect("a folder");
    let output = format!("oci:{}", layout.path().display());
    for platform in platforms {
        let tag = format!("app:{}", platform.replace('/', "-"));
        let arguments = ["--output", &output, "--through", "0", "--product-home", "/opt/other", "-t", &tag];
        Scenario::new().args(arguments).args(["--platform", platform]).apply().succeeds();
    }
    let folder = layout.path();
    let index: Value = serde_json::from_slice(&fs::read(folder.join("index.json")).expect("there")).expect("JSON");
    let manifests = index["manifests"].as_array().expect("a list").iter().zip(platforms).map(|(manifest, platform)| {
        let (os, architecture) = platform.split_once('/').expect("two words");
        let platform = json!({ "os": os, "architecture": architecture });
        json!({ "mediaType": manifest["mediaType"], "digest": manifest["digest"], "size": manifest["size"], "platform": platform })
    });
    let inner =
        json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests.collect::<Vec<_>>() }).to_string();
    let hash = hex::encode(Sha256::digest(inner.as_bytes()));
    fs::write(folder.join("blobs/sha256").join(&hash), &inner).expect("writable");
    let name = json!({ "org.opencontainers.image.ref.name": "1" });
    let entry =
        json!({ "mediaType": INDEX, "digest": format!("sha256:{hash}"), "size": inner.len(), "annotations": name });
    let outer = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [entry] });
    fs::write(folder.join("index.json"), outer.to_string()).expect("writable");
    layout
}

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

fn on_layout(base: &Path, platform: &str) -> Scenario {
    let base = format!("oci:{}:1", base.display());
    for_platform(platform).args(["--base-image", &base])
}

#[test]
fn of_a_layout_for_several_the_right_one_is_taken() {
    let base = layout_for(&["linux/amd64", "linux/arm64"]);
    for platform in ["amd64", "arm64"] {
        let scenario = on_layout(base.path(), &format!("linux/{platform}"));
        scenario.apply().succeeds();
        assert_eq!(Layout::open(&scenario.path("image"), "1").config["architecture"], platform);
    }
    let scenario = on_layout(base.path(), "linux/s390x");
    let run = scenario.apply().fails(8, "build-image");
    run.says(" is for linux/amd64, linux/arm64, not linux/s390x").says("another --platform");
}

#[test]
fn a_layout_for_another_is_refused() {
    let base = Scenario::new().args(["--through", "0", "--platform", "linux/amd64", "-t", "base:1"]);
    base.apply().succeeds();
    let scenario = on_layout(&base.path("image"), "linux/arm64");
    let run =
        scenario.apply().fails(8, "build-image").says("the image oci:image:1 is for linux/amd64, not linux/arm64");
    assert!(!run.stderr.contains("extract-pack"), "{}", run.stderr);
}

/// An image of the engine for `platform`, with a product of its own in `/opt/other`.
fn put_into_engine(name: &str, platform: &str) {
    let arguments = ["--output", "docker", "--base-image", "scratch", "--through", "0", "--product-home", "/opt/other"];
    let scenario = Scenario::new().args(arguments).args(["--entrypoint", "[\"/run\"]"]);
    scenario.args(["--platform", platform, "-t", name]).apply().succeeds();
}

fn on_engine(base: &str, platform: &str, tag: &str) -> Scenario {
    Scenario::new().args(["--output", "docker", "--base-image", base, "--platform", platform, "-t", tag])
}

fn architecture(image: &str) -> String {
    docker(&["image", "inspect", "--format", "{{.Architecture}}", image])
}

#[test]
fn an_image_of_the_engine_for_another_is_refused_where_the_right_one_is_not_to_be_had() {
    if !engine::is_there() {
        return;
    }
    // A registry that is not there, so that nothing can be pulled.
    let base = format!("127.0.0.1:1/hotfix-test-base/platform:{}", std::process::id());
    let tag = format!("hotfix-test/platform:{}", std::process::id());
    put_into_engine(&base, "linux/arm64");
    let right = on_engine(&base, "linux/arm64", &tag);
    right.apply().succeeds();
    assert_eq!(architecture(&tag), "arm64");
    try_docker(&["rmi", "--force", &tag]);
    let other = on_engine(&base, "linux/amd64", &tag);
    let run = other.apply().fails(8, "build-image").says(&format!("the base image {base} is not to be had"));
    run.says(&format!("the image {base} is for linux/arm64, not linux/amd64"))
        .says("could not pull it for linux/amd64")
        .does_not_say("has none of that name");
    assert_eq!(architecture(&base), "arm64", "what was there is there");
    try_docker(&["rmi", "--force", &base]);
}

#[test]
fn an_image_of_the_engine_for_another_is_pulled_for_the_right_one() {
    if !engine::is_there() {
        return;
    }
    let Some(registry) = Registry::start() else { return };
    let name = |tag: &str| format!("{}/hotfix-test-base/several:{tag}", registry.host);
    let config = tempfile::tempdir().expect("a folder");
    let in_config =
        |arguments: &[&str]| docker(&[&["--config", config.path().to_str().expect("UTF-8")], arguments].concat());
    for architecture in ["amd64", "arm64"] {
        put_into_engine(&name(architecture), &format!("linux/{architecture}"));
        docker(&["push", "--quiet", &name(architecture)]);
    }
    in_config(&["manifest", "create", "--insecure", &name("all"), &name("amd64"), &name("arm64")]);
    in_config(&["manifest", "push", &name("all")]);
    docker(&["pull", "--quiet", "--platform", "linux/amd64", &name("all")]);
    let tag = format!("hotfix-test/several:{}", std::process::id());
    let scenario = on_engine(&name("all"), "linux/arm64", &tag);
    scenario.apply().succeeds().says("pulling ");
    assert_eq!(architecture(&tag), "arm64");
    // Of an image for one platform the registry has no other.
    for there in [true, false] {
        if !there {
            try_docker(&["rmi", "--force", &name("amd64")]);
        }
        let scenario = on_engine(&name("amd64"), "linux/arm64", &tag);
        let run = scenario.apply().fails(8, "build-image");
        run.says("is not to be had").says(if there { "is for linux/amd64, not linux/arm64" } else { "linux/amd64" });
    }
    for image in [tag, name("all"), name("amd64"), name("arm64")] {
        try_docker(&["rmi", "--force", &image]);
    }
}

#[test]
fn only_linux_has_a_product() {
    let scenario = for_platform("windows/amd64");
    let run = scenario.apply();
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    run.says("expected a platform of Linux, such as linux/amd64").leaves_nothing();
    let scenario = Scenario::new().env("HOTFIX_PLATFORM", "darwin/arm64");
    let run = scenario.apply();
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    run.says("HOTFIX_PLATFORM: invalid value 'darwin/arm64' for 'platform'");
}
