//! What `inspect` says of images that something else made. Of our own: where they are made.

use serde_json::Value;

use crate::support::Scenario;
use crate::support::engine::{self, Base, docker, try_docker};
use crate::support::registry::Registry;
use crate::support::vendor::{DOCKERFILE, VendorImage};

fn json(scenario: &Scenario, image: &str) -> Value {
    let run = scenario.run(&["inspect", "--format", "json", image]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    serde_json::from_str(&run.stdout).expect("JSON")
}

#[test]
fn an_image_of_the_vendors_is_told_by_its_files() {
    if !engine::is_there() {
        return;
    }
    let scenario = Scenario::new();
    let vendor = VendorImage::of(&scenario);
    let run = scenario.run(&["inspect", &vendor.name]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    for line in [
        &format!("image        {} (in the engine)", vendor.name),
        "product      wso2am 4.1.0 at update level 10",
        "hotfixes     none recorded",
        "found at     /home/wso2carbon/wso2am-4.1.0; made by something else than hotfix, so this is all it tells",
    ] {
        assert!(run.stdout.lines().any(|l| l == line), "{line} is not in:\n{}", run.stdout);
    }
    let id = docker(&["inspect", "--format", "{{.Id}}", &vendor.name]);
    let short = id.strip_prefix("sha256:").expect("an id").get(..12).expect("64 digits");
    assert_eq!(json(&scenario, short)["product_home"], "/home/wso2carbon/wso2am-4.1.0");
    let told = json(&scenario, &vendor.name);
    assert_eq!((&told["product"], &told["version"]), (&"wso2am".into(), &"4.1.0".into()));
    assert_eq!((&told["update_level"], &told["hotfixes_recorded"]), (&10.into(), &0.into()));
    assert_eq!(docker(&["ps", "--all", "--quiet", "--filter", &format!("ancestor={}", vendor.name)]), "");
}

#[test]
fn what_the_image_does_not_say_is_unknown() {
    if !engine::is_there() {
        return;
    }
    let scenario = Scenario::new();
    let floating = VendorImage::by(&scenario, "4.1.0.0", DOCKERFILE, |_| {});
    assert!(json(&scenario, &floating.name)["update_level"].is_null());
    let run = scenario.run(&["inspect", &floating.name]);
    assert!(run.stdout.contains("wso2am 4.1.0 at an unknown update level"), "{}", run.stdout);
    let patched = VendorImage::by(&scenario, "latest", DOCKERFILE, |context| {
        let config = r#"{ "update-level": "11", "hotfixes": [{}, {}] }"#;
        std::fs::write(context.join("home/wso2am-4.1.0/updates/config.json"), config).expect("writable");
    });
    let told = json(&scenario, &patched.name);
    assert_eq!((&told["update_level"], &told["hotfixes_recorded"]), (&11.into(), &2.into()));
}

#[test]
fn straight_from_a_registry_too() {
    if !engine::is_there() {
        return;
    }
    let Some(registry) = Registry::start() else { return };
    let scenario = Scenario::new();
    let vendor = VendorImage::of(&scenario);
    let pushed = format!("{}/vendor/am:4.1.0.10", registry.host);
    docker(&["tag", &vendor.name, &pushed]);
    docker(&["push", "--quiet", &pushed]);
    try_docker(&["rmi", &pushed]);
    let run = scenario.run(&["inspect", &pushed]).leaves_nothing();
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stdout.contains("(in the registry)"), "{}", run.stdout);
    assert!(run.stdout.contains("wso2am 4.1.0 at update level 10"), "{}", run.stdout);
}

#[test]
fn an_engine_that_cannot_be_asked_is_said() {
    let scenario = Scenario::new().env("DOCKER_HOST", "unix:///nowhere.sock");
    let run = scenario.run(&["inspect", "127.0.0.1:1/x:y"]);
    assert_eq!(run.code, Some(9));
    run.says("no Docker engine answers at unix:///nowhere.sock")
        .says("127.0.0.1:1/x:y was not looked for in the engine");
    let scenario = Scenario::new().env("DOCKER_HOST", "").env("DOCKER_CONTEXT", "nope");
    let run = scenario.run(&["inspect", "127.0.0.1:1/x:y"]);
    assert_eq!(run.code, Some(8), "{}", run.stderr);
    run.says("nope").says("  next: ");
}

#[test]
fn the_vendors_place_goes_before_others() {
    if !engine::is_there() {
        return;
    }
    let scenario = Scenario::new();
    let twice =
        DOCKERFILE.replace("ENV WSO2", "COPY home /opt\nENV X").replace("=/home/wso2carbon/wso2am-4.1.0 ", "=x ");
    let twice = VendorImage::by(&scenario, "4.1.0.10", &twice, |_| {});
    assert_eq!(json(&scenario, &twice.name)["product_home"], "/home/wso2carbon/wso2am-4.1.0");
}

#[test]
fn no_product_at_all() {
    if !engine::is_there() {
        return;
    }
    let base = Base::new("inspect-nothing");
    let scenario = Scenario::new();
    let run = scenario.run(&["inspect", &base.name]).leaves_nothing();
    assert_eq!(run.code, Some(4));
    run.says("error: the image ")
        .says("holds no product: there is no updates/product.txt in it")
        .says("  next: check the image's name")
        .does_not_say("--base-image");
    assert_eq!(docker(&["ps", "--all", "--quiet", "--filter", &format!("ancestor={}", base.name)]), "");
}
