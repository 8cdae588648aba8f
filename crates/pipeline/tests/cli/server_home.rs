//! Where an image says that its product is, and that it is that product which gets the hotfixes.

use crate::dockerfile::SIMPLE;
use crate::from_image::{Tag, on};
use crate::support::Scenario;
use crate::support::engine;
use crate::support::recipe::Recipe;
use crate::support::vendor::{DOCKERFILE, VendorImage};

const CORRECTED: &str = "How to start the server, corrected.";

/// The product in two places, a link to one of them, and `WSO2_SERVER_HOME`.
fn twice(scenario: &Scenario, server_home: &str) -> VendorImage {
    let more = "COPY home /srv\nRUN [\"/bin/busybox\", \"ln\", \"-s\", \"./srv\", \"/link\"]\nENV WSO2_SERVER_HOME=";
    let dockerfile = DOCKERFILE
        .replace("ENV WSO2_SERVER_HOME=/home/wso2carbon/wso2am-4.1.0 LANG=C.UTF-8", &format!("{more}{server_home}"));
    VendorImage::by(scenario, "4.1.0.10", &dockerfile, |_| {})
}

#[test]
fn server_home_is_followed_as_the_kernel_would() {
    if !engine::is_there() {
        return;
    }
    let scenario = Scenario::new();
    for path in ["../../srv//wso2am-4.1.0/.", "/link/../srv/wso2am-4.1.0", "/link/wso2am-4.1.0"] {
        let vendor = twice(&scenario, path);
        let run = scenario.run(&["inspect", "--format", "json", &vendor.name]);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        assert!(run.stdout.contains(r#""product_home": "/srv/wso2am-4.1.0""#), "{path}: {}", run.stdout);
    }
    let tag = Tag::new("followed");
    let vendor = twice(&scenario, "/link/wso2am-4.1.0");
    on(&vendor, &tag, scenario).apply().succeeds();
    assert_eq!(tag.run(&["cat", "/link/wso2am-4.1.0/bin/README.txt"]), CORRECTED);
}

#[test]
fn a_server_home_without_a_product_is_no_matter_of_chance() {
    if !engine::is_there() {
        return;
    }
    let tag = Tag::new("contradicted");
    let scenario = Scenario::new();
    let wrong = DOCKERFILE.replace("=/home/wso2carbon/wso2am-4.1.0", "=/nowhere");
    let wrong = wrong.replace("USER", "RUN [\"/bin/busybox\", \"ln\", \"-s\", \"home/wso2carbon\", \"/link\"]\nUSER");
    let vendor = VendorImage::by(&scenario, "4.1.0.10", &wrong, |_| {});
    let zip = on(&vendor, &tag, Scenario::like(&scenario));
    let own = Scenario::like(&scenario).with_image(&vendor.name).args(["--output", "docker", "-t", &tag.0]);
    for scenario in [&zip, &own] {
        scenario
            .apply()
            .fails(4, "validate-inputs")
            .says("WSO2_SERVER_HOME of the image")
            .says("says /nowhere, where no product is; one is in /home/wso2carbon/wso2am-4.1.0")
            .says("give --product-home '/home/wso2carbon/wso2am-4.1.0'");
        tag.is_not_there();
    }
    scenario.run(&["inspect", &vendor.name]).says("says /nowhere, where no product is");
    let link = zip.args(["--product-home", "/link/wso2am-4.1.0"]);
    link.apply()
        .fails(4, "validate-inputs")
        .says("in /link/wso2am-4.1.0: it is a link, or below one, and leads to /home/wso2carbon/wso2am-4.1.0");
    own.args(["--product-home", "/home/wso2carbon/wso2am-4.1.0"]).apply().succeeds();
}

#[test]
fn a_dockerfile_has_one_product_and_says_where() {
    if !engine::is_there() {
        return;
    }
    let vendor = VendorImage::of(&Scenario::new());
    let beside = SIMPLE.replace("BASE", &vendor.name);
    let wrong = SIMPLE.to_owned() + "ENV WSO2_SERVER_HOME=/opt/am\n";
    for (test, dockerfile, words) in [
        ("beside", &beside, "holds wso2am-4.1.0 more than once: in /home/wso2carbon/wso2am-4.1.0 and /product"),
        ("wrong", &wrong, "says /opt/am, but wso2am-4.1.0 is in /product"),
    ] {
        let recipe = Recipe::new(&format!("recipe-home-{test}"), dockerfile);
        recipe.apply().fails(8, "build-image").says(words);
        recipe.is_not_there();
    }
    let link = SIMPLE.to_owned() + "RUN busybox ln -s product /am\nWORKDIR /tmp\nENV WSO2_SERVER_HOME=../am\n";
    let recipe = Recipe::new("recipe-home-link", &link);
    recipe.apply().succeeds();
    assert_eq!(recipe.run(&["cat", "/am/bin/README.txt"]), CORRECTED);
}

/// What the user sets is what the image starts.
#[test]
fn a_variable_that_leads_elsewhere_is_refused() {
    let scenario = Scenario::new().without_engine();
    let apply = |more: &str| {
        let words = format!("apply packs/wso2am-4.1.0.10.zip hotfixes --tag b:1 {more}");
        scenario.run(&words.split_whitespace().collect::<Vec<_>>())
    };
    apply("--through 0 --base-image scratch --product-home /opt/old --output oci:base").succeeds();
    let run = apply("--base-image oci:base --output oci:image --env WSO2_SERVER_HOME=/opt/old/");
    let run =
        run.fails(8, "build-image").says("--env WSO2_SERVER_HOME says /opt/old/, where the image has another product");
    run.says("next: leave it away, or give --env WSO2_SERVER_HOME=/home/wso2carbon/wso2am-4.1.0");
    assert!(!scenario.path("image").exists());
    for home in ["/nowhere", ""] {
        let run = apply(&format!("--base-image oci:base --output oci:image --env WSO2_SERVER_HOME={home}")).succeeds();
        run.says(&format!("--env WSO2_SERVER_HOME says {home}, but the product goes to /home/wso2carbon/wso2am-4.1.0"));
    }
    // The last one counts.
    let words = "--base-image scratch --output oci:image --product-home /opt/am --env WSO2_SERVER_HOME=/x --env WSO2_SERVER_HOME=/opt/am/";
    apply(words).succeeds().does_not_say("WARN");
    apply("--from-image oci:base --output oci:image --env WSO2_SERVER_HOME=/opt/old").succeeds().does_not_say("WARN");
    let twice =
        "apply packs/wso2am-4.1.0.10.zip hotfixes --through 0 --base-image oci:base --output oci:twice --tag b:1";
    scenario.run(&twice.split(' ').collect::<Vec<_>>()).succeeds();
    let words = "--from-image oci:twice --product-home /home/wso2carbon/wso2am-4.1.0 --output oci:image --env WSO2_SERVER_HOME=/opt/old";
    apply(words).fails(4, "validate-inputs").says("where the image has another product");
}
