//! Base images by reference with no engine anywhere near: fetched from a registry, checked, and put into the layout.

use serde_json::json;

use crate::layout::build;
use crate::registries::to_registry;
use crate::support::Scenario;
use crate::support::http::{Answer, Server};
use crate::support::layout::Layout;
use crate::support::registry::Registry;
use crate::support::shelf::{DOCKER, OCI, Shelf, digest};

#[test]
fn a_base_image_of_a_registry_needs_no_engine() {
    let Some(registry) = Registry::start() else { return };
    let base = format!("{}/base/java:1", registry.host);
    let first = to_registry(&base).args(["--product-home", "/opt/other", "--env", "JAVA_HOME=/opt/java"]);
    first.apply().succeeds();
    let of_base = Layout::open(&first.path("image"), "1");
    for reference in [base.clone(), format!("{}/base/java@{}", registry.host, of_base.manifest_digest)] {
        let scenario = Scenario::new().without_engine().args(["--base-image", &reference]);
        let image = build(&scenario);
        assert_eq!(image.layer_digests()[..2], of_base.layer_digests()[..], "stored as they were");
        assert_eq!(image.labels()["org.opencontainers.image.base.name"], reference.as_str());
        assert_eq!(image.labels()["org.opencontainers.image.base.digest"], of_base.manifest_digest.as_str());
        assert_eq!(image.config["config"]["Env"], json!(["JAVA_HOME=/opt/java"]));
        assert!(image.files().contains_key("home/wso2carbon/wso2am-4.1.0/bin/README.txt"));
    }
    // Pushed to the same registry, the base's layers are taken from where they are.
    let scenario = to_registry(&format!("{}/team/wso2am:t1", registry.host)).args(["--base-image", &base]);
    scenario.apply().succeeds();
    assert_eq!((registry.blobs_mounted("team/wso2am"), registry.blobs_sent("team/wso2am")), (2, 3));
    let elsewhere = Scenario::new().without_engine().args(["--base-image", &base, "--platform", "linux/s390x"]);
    elsewhere.apply().fails(8, "build-image").says("is for linux/").says("and linux/s390x is wanted").says(PLATFORM);
}

/// What to do about an image for another platform.
const PLATFORM: &str = "next: name an image for that platform, or another --platform";

fn with_base(server: &Server, tag: &str) -> Scenario {
    Scenario::new().without_engine().args(["--base-image", &format!("{}/base/java:{tag}", server.host)])
}

#[test]
fn of_an_index_the_platform_is_chosen_that_is_wanted() {
    for (index_type, layer_type) in [
        (format!("{OCI}.index.v1+json"), format!("{OCI}.layer.v1.tar+gzip")),
        (format!("{DOCKER}.distribution.manifest.list.v2+json"), format!("{DOCKER}.image.rootfs.diff.tar.gzip")),
    ] {
        let mut shelf = Shelf::default();
        let images = ["arm64", "amd64", "riscv64"].map(|name| (name, shelf.image(name, &layer_type, "gzip")));
        let named = shelf.index("multi", &index_type, &images);
        let server = shelf.serve();
        for architecture in ["arm64", "amd64"] {
            let scenario = with_base(&server, "multi").args(["--platform", &format!("linux/{architecture}")]);
            let image = build(&scenario);
            assert_eq!(image.config["architecture"], architecture);
            assert!(image.files().contains_key(&format!("etc/{architecture}")));
            assert_eq!(image.labels()["org.opencontainers.image.base.digest"], named.as_str());
            assert!(image.manifest["layers"][0]["mediaType"] == format!("{OCI}.layer.v1.tar+gzip"));
        }
        let here = if std::env::consts::ARCH == "aarch64" { "arm64" } else { "amd64" };
        assert_eq!(build(&with_base(&server, "multi")).config["architecture"], here);
        let scenario = with_base(&server, "multi").args(["--platform", "linux/s390x"]);
        let run = scenario.apply().fails(8, "build-image").says("it is not for linux/s390x");
        run.says("only for linux/arm64, linux/amd64, linux/riscv64").says(PLATFORM);
    }
}

#[test]
fn layers_are_compressed_in_any_way_or_not_at_all() {
    for (ending, compression) in [("tar+zstd", "zstd"), ("tar", ""), ("tar+gzip", "gzip")] {
        let mut shelf = Shelf::default();
        shelf.image("amd64", &format!("{OCI}.layer.v1.{ending}"), compression);
        let scenario = with_base(&shelf.serve(), "amd64");
        scenario.apply().succeeds();
        let image = Layout::open(&scenario.path("image"), "4.1.0.10-hf3");
        assert_eq!(image.manifest["layers"][0]["mediaType"], format!("{OCI}.layer.v1.{ending}"));
        assert!(shelf.blobs.contains_key(&image.layer_digests()[0]));
    }
}

#[test]
fn what_a_registry_gives_is_checked() {
    let mut good = Shelf::default();
    good.image("amd64", &format!("{OCI}.layer.v1.tar"), "");
    let largest = good.blobs.iter().max_by_key(|(_, bytes)| bytes.len()).expect("the layer").0.clone();
    let fails = |change: &dyn Fn(&mut Shelf)| {
        let mut shelf = good.clone();
        change(&mut shelf);
        let scenario = with_base(&shelf.serve(), "amd64");
        let run = scenario.apply().fails(8, "build-image").says("is not to be had").does_not_say("extract-pack");
        run.stderr.clone()
    };
    let said = fails(&|shelf| shelf.blobs.get_mut(&largest).expect("there")[0] ^= 1);
    assert!(said.contains("could not give the blob") && said.contains("with the digest sha256:"), "{said}");
    let said = fails(&|shelf| shelf.blobs.get_mut(&largest).expect("there").push(0));
    assert!(said.contains("it has more than the"), "{said}");
    let said = fails(&|shelf| shelf.blobs.get_mut(&largest).expect("there").truncate(100));
    assert!(said.contains("it gave 100 bytes"), "{said}");
    let said = fails(&|shelf| drop(shelf.blobs.remove(&largest)));
    assert!(said.contains("it answered 404"), "{said}");
    let said = fails(&|shelf| shelf.manifests.get_mut("amd64").expect("there").1 = b"{\"schemaVersion\":1}".to_vec());
    assert!(said.contains("is of a kind that is not understood"), "{said}");
    let said = fails(&|shelf| shelf.manifests.clear());
    assert!(said.contains("has no image base/java:amd64") && said.contains("check the name and the tag"), "{said}");
    let said = fails(&|shelf| {
        let index_type = format!("{OCI}.index.v1+json");
        let image = shelf.manifests["amd64"].1.clone();
        let image = json!({ "mediaType": format!("{OCI}.manifest.v1+json"), "digest": digest(&image), "size": 1 });
        shelf.manifests.get_mut(&digest(&shelf.manifests["amd64"].1.clone())).expect("there").1.push(b' ');
        let (name, platform) = ("amd64", image);
        shelf.index(name, &index_type, &[("amd64", platform.clone()), ("arm64", platform)]);
    });
    assert!(said.contains("in place of sha256:"), "{said}");
}

#[test]
fn an_answer_that_ends_in_the_middle() {
    let mut shelf = Shelf::default();
    shelf.image("amd64", &format!("{OCI}.layer.v1.tar"), "");
    let server = Server::start(move |request| {
        let blob = request.address.contains("/blobs/");
        let name = request.address.rsplit('/').next().expect("a path");
        match (blob, shelf.manifests.get(name)) {
            // It promises more than it sends.
            (true, _) => Answer::new(200).header("content-length", "1000000").body("x"),
            (false, Some((media_type, bytes))) => {
                Answer::new(200).header("content-type", media_type.as_str()).body(bytes.clone())
            }
            _ => Answer::new(200),
        }
    });
    with_base(&server, "amd64").apply().fails(8, "build-image").says("does not answer");
}

#[test]
fn what_is_said_to_a_no_is_shown_as_far_as_it_comes() {
    // It promises more than it sends.
    let server = Server::start(|request| match request.address.as_str() {
        "/v2/" => Answer::new(200),
        _ => Answer::new(410).header("content-length", "1000000000").body("moved to another house"),
    });
    let scenario = with_base(&server, "amd64");
    scenario.apply().fails(8, "build-image").says("it answered 410 Gone: moved to another house");
}

#[test]
fn without_rights_or_a_registry_it_says_so() {
    let Some(registry) = Registry::start_with_password("ci", "right") else { return };
    let base = format!("{}/base/java:1", registry.host);
    let scenario = Scenario::new().without_engine().args(["--base-image", &base]);
    let run = scenario.apply().fails(8, "build-image").says("does not allow a pull from base/java");
    run.says(&format!("docker login {}", registry.host));
    let scenario = Scenario::new().without_engine().args(["--base-image", "127.0.0.1:1/base/java:1"]);
    scenario.apply().fails(8, "build-image").says("the registry 127.0.0.1:1 does not answer");
    let helper = r#"{ "credsStore": "hotfix-no-such-helper" }"#;
    let scenario = Scenario::new().without_engine().args(["--base-image", &base]);
    scenario.with_file("home/config.json", helper).apply().fails(8, "build-image").says("cannot be read");
}
