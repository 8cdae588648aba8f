//! Hotfixes on an image that holds the product already: the vendor's, or one of the user's.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::Value;

use crate::support::Scenario;
use crate::support::engine::{self, docker, try_docker};
use crate::support::layout::Layout;
use crate::support::registry::Registry;
use crate::support::vendor::{DOCKERFILE, VendorImage, layers_of};

const HOME: &str = "/home/wso2carbon/wso2am-4.1.0";

/// A name for the image of a test, removed on drop.
pub struct Tag(pub String);

impl Tag {
    pub fn new(test: &str) -> Self {
        Self(format!("hotfix-test/from-image-{test}:{}", std::process::id()))
    }

    /// What a command of busybox says in a container of the image, without its entry point.
    pub fn run(&self, command: &[&str]) -> String {
        let run = ["run", "--rm", "--network", "none", "--entrypoint", "/bin/busybox", &self.0];
        docker(&[&run, command].concat())
    }

    fn inspect(&self) -> Value {
        serde_json::from_str::<Value>(&docker(&["inspect", &self.0])).expect("JSON")[0].clone()
    }

    pub fn is_not_there(&self) {
        assert!(!try_docker(&["inspect", &self.0]).status.success(), "{} exists", self.0);
    }
}

impl Drop for Tag {
    fn drop(&mut self) {
        try_docker(&["rmi", "--force", &self.0]);
    }
}

pub fn on(vendor: &VendorImage, tag: &Tag, scenario: Scenario) -> Scenario {
    scenario.args(["--output", "docker", "--from-image", &vendor.name, "-t", &tag.0])
}

/// No container was left that was made to look into the image.
fn no_container_of(vendor: &VendorImage) {
    assert_eq!(docker(&["ps", "--all", "--quiet", "--filter", &format!("ancestor={}", vendor.name)]), "");
}

#[test]
fn the_vendors_image_gets_exactly_one_layer_more() {
    if !engine::is_there() {
        return;
    }
    let tag = Tag::new("one");
    let scenario = Scenario::new();
    let vendor = VendorImage::of(&scenario);
    let scenario = on(&vendor, &tag, scenario);
    scenario.apply().succeeds().prints(&format!("{}\n", tag.0)).does_not_say("warning");
    let (before, after) = (vendor.layers(), layers_of(&tag.0));
    assert_eq!((after.len(), &after[..before.len()]), (before.len() + 1, &before[..]));

    let container = docker(&["run", "--rm", "--network", "none", &tag.0, "/bin/busybox", "id", "-u"]);
    assert_eq!(container, "started by the vendor\n10001", "entry point and user are the vendor's");
    assert_eq!(tag.run(&["cat", &format!("{HOME}/bin/README.txt")]), "How to start the server, corrected.");
    let plugins = tag.run(&["ls", &format!("{HOME}/repository/components/plugins")]);
    let plugins: Vec<&str> = plugins.lines().filter(|name| name.contains("example.a")).collect();
    assert_eq!(plugins, ["org.example.a_1.0.0.2.jar"], "the old jar is gone, the new one there");
    assert_eq!(tag.run(&["ls", &format!("{HOME}/repository/deployment/server/jaggeryapps/legacy")]), "");
    let jar = format!("{HOME}/repository/components/plugins/org.example.a_1.0.0.2.jar");
    let folder = format!("{HOME}/repository/components/plugins");
    let of = |name: &str, path: &str| {
        docker(&[
            "run",
            "--rm",
            "--network",
            "none",
            "--entrypoint",
            "/bin/busybox",
            name,
            "stat",
            "-c",
            "%u:%g %a %Y",
            path,
        ])
    };
    assert!(of(&tag.0, &jar).starts_with("10001:10001 644 "));
    for path in [folder.as_str(), HOME, "/home/wso2carbon", "/home"] {
        assert_eq!(of(&tag.0, path), of(&vendor.name, path), "{path} is as it was");
    }

    let image = tag.inspect();
    let original: Value = serde_json::from_str(&docker(&["inspect", &vendor.name])).expect("JSON");
    for key in ["Env", "Entrypoint", "Cmd", "User", "WorkingDir", "ExposedPorts"] {
        assert_eq!(image["Config"][key], original[0]["Config"][key], "{key}");
    }
    let labels = &image["Config"]["Labels"];
    assert_eq!(labels["org.opencontainers.image.base.name"], vendor.name.as_str());
    assert_eq!(labels["org.opencontainers.image.base.digest"], original[0]["Id"]);
    assert_eq!(labels["org.opencontainers.image.version"], "4.1.0.10-hf3");
    no_container_of(&vendor);
}

#[test]
fn an_image_is_its_own_pack() {
    if !engine::is_there() {
        return;
    }
    let (tag, other) = (Tag::new("pack"), Tag::new("zip"));
    let scenario = Scenario::new();
    let vendor = VendorImage::of(&scenario);
    let with_zip = on(&vendor, &other, Scenario::like(&scenario));
    with_zip.apply().succeeds();
    let scenario = scenario.with_image(&vendor.name).args(["--output", "docker", "-t", &tag.0, "--report", "report"]);
    let plan = scenario.plan();
    assert!(plan.stdout.contains(&format!("pack      image:{}", vendor.name)), "{}{}", plan.stdout, plan.stderr);
    scenario.apply().succeeds().prints(&format!("{}\n", tag.0));
    let (before, after) = (vendor.layers(), layers_of(&tag.0));
    assert_eq!((after.len(), &after[..before.len()]), (before.len() + 1, &before[..]));
    assert_eq!(after, layers_of(&other.0), "the same layer as with the zip");
    assert_eq!(tag.run(&["cat", &format!("{HOME}/bin/README.txt")]), "How to start the server, corrected.");
    let report = scenario.report();
    assert_eq!(report["pack"]["file"], format!("image:{}", vendor.name));
    assert_eq!(report["product"]["update_level"], 10);
    no_container_of(&vendor);
}

#[test]
fn without_hotfixes_the_layers_are_those_of_the_image() {
    if !engine::is_there() {
        return;
    }
    let tag = Tag::new("none");
    let scenario = Scenario::new();
    let vendor = VendorImage::of(&scenario);
    let scenario = on(&vendor, &tag, scenario).args(["--through", "0"]);
    scenario.apply().succeeds();
    assert_eq!(layers_of(&tag.0), vendor.layers());
    assert_eq!(tag.inspect()["Config"]["Labels"]["hotfix.applied"], "[]");
}

#[test]
fn the_product_is_found_wherever_it_is() {
    if !engine::is_there() {
        return;
    }
    let without_variable = DOCKERFILE.replace("WSO2_SERVER_HOME=/home/wso2carbon/wso2am-4.1.0 ", "");
    let elsewhere = without_variable.replace("home /home/wso2carbon\n", "home /opt/our products\n");
    let elsewhere = elsewhere.replace(
        "COPY --chown=10001:10001 home /opt/our products",
        "COPY --chown=10001:10001 [\"home\", \"/opt/our products\"]",
    );
    for (test, dockerfile, home) in [
        ("documented", without_variable.as_str(), HOME),
        ("elsewhere", elsewhere.as_str(), "/opt/our products/wso2am-4.1.0"),
    ] {
        let tag = Tag::new(test);
        let scenario = Scenario::new();
        let vendor = VendorImage::by(&scenario, "4.1.0.10", dockerfile, |_| {});
        on(&vendor, &tag, scenario).apply().succeeds();
        assert_eq!(tag.run(&["cat", &format!("{home}/bin/README.txt")]), "How to start the server, corrected.");
        assert_eq!(layers_of(&tag.0).len(), vendor.layers().len() + 1);
    }
}

#[test]
fn owners_and_modes_are_those_of_the_image() {
    if !engine::is_there() {
        return;
    }
    let tag = Tag::new("owners");
    let scenario = Scenario::new();
    let dockerfile = DOCKERFILE.replace("10001:10001", "802:803");
    let vendor = VendorImage::by(&scenario, "4.1.0.10", &dockerfile, |context| {
        use std::os::unix::fs::PermissionsExt;
        let file = context.join("home/wso2am-4.1.0/bin/README.txt");
        fs::set_permissions(file, fs::Permissions::from_mode(0o440)).expect("chmod");
    });
    on(&vendor, &tag, scenario).apply().succeeds();
    let readme = format!("{HOME}/bin/README.txt");
    assert_eq!(tag.run(&["stat", "-c", "%u:%g %a", &readme]), "802:803 440");
}

#[test]
fn an_image_of_something_else_is_refused() {
    if !engine::is_there() {
        return;
    }
    let scenario = Scenario::new();
    let tag = Tag::new("refused");
    let level_12 = VendorImage::by(&scenario, "4.1.0.12-alpine", DOCKERFILE, |_| {});
    let product = |text: &'static str| {
        move |context: &std::path::Path| {
            fs::write(context.join("home/wso2am-4.1.0/updates/product.txt"), text).expect("writable");
        }
    };
    let other = VendorImage::by(&scenario, "4.1.0.10", DOCKERFILE, product("wso2is-4.1.0"));
    let version = VendorImage::by(&scenario, "4.1.0.10", DOCKERFILE, product("wso2am-4.2.0\n"));
    let patched = VendorImage::by(&scenario, "4.1.0.10", DOCKERFILE, |context| {
        let config = r#"{ "update-level": "10", "hotfixes": [{}, {}] }"#;
        fs::write(context.join("home/wso2am-4.1.0/updates/config.json"), config).expect("writable");
    });
    let records = VendorImage::by(&scenario, "latest", DOCKERFILE, |context| {
        let config = r#"{ "update-level": "11", "hotfixes": null }"#;
        fs::write(context.join("home/wso2am-4.1.0/updates/config.json"), config).expect("writable");
    });
    for (image, words) in [
        (&level_12, "is at update level 12, the pack at 10"),
        (&other, "holds wso2is-4.1.0, not wso2am-4.1.0"),
        (&version, "holds wso2am-4.2.0, not wso2am-4.1.0"),
        (&patched, "already holds 2 hotfixes"),
        (&records, "is at update level 11, the pack at 10"),
    ] {
        let scenario = on(image, &tag, Scenario::new());
        let run = scenario.apply().fails(4, "validate-inputs").says(words).says(&image.name);
        assert!(!run.stderr.contains("extract-pack"), "before anything is unpacked: {}", run.stderr);
        tag.is_not_there();
        no_container_of(image);
    }
    let scenario = Scenario::new().with_image(&level_12.name).args(["--output", "docker", "-t", &tag.0]);
    scenario.apply().fails(5, "validate-sequence").says("is not for wso2am-4.1.0 at level 12");
    let scenario = Scenario::new().with_image(&patched.name).args(["--output", "docker", "-t", &tag.0]);
    scenario.apply().fails(4, "validate-inputs").says("already holds 2 hotfixes");
    tag.is_not_there();
}

#[test]
fn our_own_images_with_hotfixes_are_refused_by_their_labels() {
    if !engine::is_there() {
        return;
    }
    let (tag, second) = (Tag::new("first"), Tag::new("second"));
    let scenario = Scenario::new();
    let vendor = VendorImage::of(&scenario);
    on(&vendor, &tag, scenario).apply().succeeds();
    let again = Scenario::new().args(["--output", "docker", "--from-image", &tag.0, "-t", &second.0]);
    again.apply().fails(4, "validate-inputs").says("already holds 3 hotfixes").says("the image that it was made from");
    second.is_not_there();
}

#[test]
fn an_image_without_a_product_or_with_two() {
    if !engine::is_there() {
        return;
    }
    let tag = Tag::new("count");
    let base = engine::Base::new("no-product");
    let scenario = Scenario::new().args(["--output", "docker", "--from-image", &base.name, "-t", &tag.0]);
    scenario.apply().fails(4, "validate-inputs").says("holds no product").says("--base-image is for those without");
    let scenario = Scenario::new().with_image(&base.name).args(["--output", "docker", "-t", &tag.0]);
    scenario.apply().fails(4, "validate-inputs").says("holds no product");

    let scenario = Scenario::new();
    let twice = DOCKERFILE.replace("home /home/wso2carbon\n", "home /srv\nCOPY home /opt\n");
    let twice = twice.replace("WSO2_SERVER_HOME=/home/wso2carbon/wso2am-4.1.0 ", "");
    let twice = VendorImage::by(&scenario, "4.1.0.10", &twice, |_| {});
    let image = Scenario::like(&scenario).with_image(&twice.name).args(["--output", "docker", "-t", &tag.0]);
    image.apply().fails(4, "validate-inputs").says("holds more than one product").says("/opt/wso2am-4.1.0");
    let chosen = image.args(["--product-home", "/opt/wso2am-4.1.0"]);
    chosen.apply().succeeds();
    assert_eq!(tag.run(&["cat", "/opt/wso2am-4.1.0/bin/README.txt"]), "How to start the server, corrected.");
    let wrong = on(&twice, &tag, scenario).args(["--product-home", "/var"]);
    wrong.apply().fails(4, "validate-inputs").says("holds no product in /var");
}

#[test]
fn an_image_that_does_not_say_its_level() {
    if !engine::is_there() {
        return;
    }
    let tag = Tag::new("level");
    let scenario = Scenario::new();
    let vendor = VendorImage::by(&scenario, "4.1.0.0", DOCKERFILE, |_| {});
    let image = Scenario::like(&scenario).with_image(&vendor.name).args(["--output", "docker", "-t", &tag.0]);
    image.apply().fails(4, "validate-inputs").says("is not known").says("such as 4.1.0.10");
    let zip = on(&vendor, &tag, scenario);
    zip.apply().succeeds().says("does not say its update level; it is taken to be 10");
}

#[test]
fn a_file_that_the_images_maker_changed_is_warned_of() {
    if !engine::is_there() {
        return;
    }
    let tag = Tag::new("changed");
    let scenario = Scenario::new();
    let vendor = VendorImage::by(&scenario, "4.1.0.10", DOCKERFILE, |context| {
        fs::write(context.join("home/wso2am-4.1.0/bin/README.txt"), "ours").expect("writable");
    });
    on(&vendor, &tag, scenario).apply().succeeds().says("has another bin/README.txt than the pack");
    assert_eq!(tag.run(&["cat", &format!("{HOME}/bin/README.txt")]), "How to start the server, corrected.");
}

#[test]
fn an_image_that_was_not_made_from_the_pack_is_refused() {
    if !engine::is_there() {
        return;
    }
    let tag = Tag::new("other");
    let scenario = Scenario::new();
    let jar = "home/wso2am-4.1.0/repository/components/plugins/org.example.a_1.0.0.jar";
    let renamed = VendorImage::by(&scenario, "4.1.0.10", DOCKERFILE, |context| {
        fs::rename(context.join(jar), context.join(jar.replace("1.0.0", "0.9.9"))).expect("there");
    });
    let zip = on(&renamed, &tag, Scenario::like(&scenario));
    zip.apply()
        .fails(8, "build-image")
        .says("lacks repository/components/plugins/org.example.a_1.0.0.jar, which a hotfix changes in the pack");
    tag.is_not_there();
    let unknown = VendorImage::by(&scenario, "4.2.0.10", DOCKERFILE, |context| {
        fs::write(context.join("home/wso2am-4.1.0/bin/README.txt"), "ours").expect("writable");
    });
    let zip = on(&unknown, &tag, scenario);
    zip.apply().fails(8, "build-image").says("does not say its update level, and has another bin/README.txt");
    tag.is_not_there();
}

#[test]
fn links_in_an_image_lead_nowhere_else() {
    if !engine::is_there() {
        return;
    }
    let tag = Tag::new("links");
    let scenario = Scenario::new();
    let plugins = "home/wso2am-4.1.0/repository/components/plugins";
    let leaving = VendorImage::by(&scenario, "4.1.0.10", DOCKERFILE, |context| {
        symlink("/etc/passwd", context.join(plugins).join("link")).expect("a link");
    });
    let image = Scenario::like(&scenario).with_image(&leaving.name).args(["--output", "docker", "-t", &tag.0]);
    image.apply().fails(4, "extract-pack").says("plugins/link: is a link that leaves the product, to '/etc/passwd'");
    no_container_of(&leaving);

    let moved = VendorImage::by(&scenario, "4.1.0.10", DOCKERFILE, |context| {
        fs::rename(context.join(plugins), context.join("home/plugins")).expect("moved");
        symlink("/home/wso2carbon/plugins", context.join(plugins)).expect("a link");
    });
    let zip = on(&moved, &tag, scenario);
    zip.apply().fails(8, "build-image").says("repository/components/plugins is no folder in the image");
    tag.is_not_there();
}

#[test]
fn a_product_larger_than_allowed_is_not_taken_out() {
    if !engine::is_there() {
        return;
    }
    let tag = Tag::new("large");
    let scenario = Scenario::new();
    let vendor = VendorImage::of(&scenario);
    let scenario =
        scenario.with_image(&vendor.name).args(["--output", "docker", "-t", &tag.0, "--max-unpacked-size", "2KB"]);
    scenario.apply().fails(4, "extract-pack").says("is more than --max-unpacked-size allows");
    no_container_of(&vendor);
}

#[test]
fn layouts_can_hold_the_product() {
    let original = Scenario::new().without_credentials().args(["--through", "0"]);
    original.apply().succeeds();
    let image = format!("oci:{}", original.path("image").display());
    let zip = Scenario::like(&original).args(["--from-image", &image]);
    zip.apply().succeeds();
    let own = Scenario::like(&original).with_image(&image);
    own.apply().succeeds();
    let before = Layout::open(&original.path("image"), "4.1.0.10");
    let after = [&zip, &own].map(|scenario| Layout::open(&scenario.path("image"), "4.1.0.10-hf3"));
    assert_eq!(after[0].diff_ids(), after[1].diff_ids());
    assert_eq!(after[0].diff_ids().len(), before.diff_ids().len() + 1);
    assert_eq!(after[0].layer_digests()[..1], before.layer_digests()[..], "as it is stored");
    let whole = Scenario::like(&original);
    whole.apply().succeeds();
    let whole = Layout::open(&whole.path("image"), "4.1.0.10-hf3");
    assert_eq!(whole.files(), after[0].files(), "the same image as put together from the pack at once");
}

#[test]
fn from_a_registry_to_a_registry_without_an_engine() {
    let Some(registry) = Registry::start() else { return };
    let vendor = format!("{}/vendor/am:4.1.0.10", registry.host);
    let no_engine = |scenario: Scenario| scenario.env("DOCKER_HOST", "unix:///nowhere.sock");
    let original = no_engine(Scenario::new()).args(["--through", "0", "-t", &vendor, "--push"]);
    original.apply().succeeds();
    let tag = format!("{}/team/am:hf3", registry.host);
    let scenario = no_engine(Scenario::like(&original)).args(["--from-image", &vendor, "-t", &tag, "--push"]);
    scenario.apply().succeeds();
    assert!(registry.has("team/am", "hf3"));
    let (before, after) =
        (Layout::open(&original.path("image"), "4.1.0.10"), Layout::open(&scenario.path("image"), "hf3"));
    assert_eq!(after.layer_digests()[..1], before.layer_digests()[..]);
    assert_eq!(after.labels()["org.opencontainers.image.base.digest"], before.manifest_digest.as_str());
}

#[test]
fn what_does_not_go_with_an_image_that_holds_the_product() {
    for (arguments, words) in [
        (vec!["--from-image", "scratch"], "scratch is no image that holds a product"),
        (vec!["--from-image", "UPPER"], "the name of the image cannot be used"),
        (vec!["--from-image", "oci:nowhere"], "the image oci:nowhere cannot be used"),
        (vec!["--from-image", "127.0.0.1:1/x:1"], "the image 127.0.0.1:1/x:1 is not to be had"),
    ] {
        Scenario::new().args(arguments).apply().fails(4, "validate-inputs").says(words).does_not_say("base image");
    }
    let original = Scenario::new().args(["--through", "0"]);
    original.apply().succeeds();
    let image = format!("oci:{}", original.path("image").display());
    for option in [["--base-image", "scratch"], ["--from-image", "oci:x"], ["--chown", "1:1"]] {
        let scenario = Scenario::like(&original).with_image(&image).args(option);
        scenario.apply().fails(4, "validate-inputs").says(&format!("{} does not go with", option[0]));
    }
    for (name, words) in [
        ("oci:nowhere", "is not to be had"),
        ("", "the name of the image cannot be used"),
        ("127.0.0.1:1/x:1", "needs an engine to read the product with"),
    ] {
        Scenario::new().with_image(name).apply().fails(4, "validate-inputs").says(words);
    }
    let unreachable =
        Scenario::new().with_image("x:1").args(["--output", "docker"]).env("DOCKER_HOST", "unix:///nowhere.sock");
    unreachable.apply().fails(8, "build-image").says("the Docker engine cannot be reached");
}

#[test]
fn an_image_is_looked_into_once() {
    if !engine::is_there() {
        return;
    }
    let scenario = Scenario::new();
    let vendor = VendorImage::of(&scenario);
    let id = docker(&["inspect", "--format", "{{.Id}}", &vendor.name]);
    let containers_made_by = |name: &str| {
        let tag = Tag::new(name);
        let now = || jiff::Timestamp::now().to_string();
        let since = now();
        let output = ["--output", "docker", "--from-image", &vendor.name, "-t", &tag.0];
        scenario.run(&[&["apply", "packs/wso2am-4.1.0.10.zip", "hotfixes"], &output[..]].concat()).succeeds();
        let (image, until) = (format!("image={id}"), now());
        let period = ["--since", &since, "--until", &until, "--filter", "event=create", "--filter", &image];
        (docker(&[&["events"], &period[..]].concat()).lines().count(), layers_of(&tag.0))
    };
    let (first, layers) = containers_made_by("first-look");
    assert!(first > 0, "the engine tells of its containers");
    let (second, same_layers) = containers_made_by("second-look");
    assert_eq!(second, 0);
    assert_eq!(layers, same_layers);
}
