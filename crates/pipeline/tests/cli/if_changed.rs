//! `--if-changed`: what makes a difference to the image, and what does not.

use std::fs;

use serde_json::{Value, json};
use update_tool_sim::HotfixBuilder;

use crate::support::engine::{Base, docker, is_there};
use crate::support::layout::Layout;
use crate::support::recipe::Recipe;
use crate::support::registry::Registry;
use crate::support::scenario::Run;
use crate::support::{Scenario, engine};

const PACK: &str = "packs/wso2am-4.1.0.10.zip";

/// With an image in the layout `image`.
fn built() -> Scenario {
    let scenario = Scenario::new().without_engine();
    run(&scenario, "").succeeds();
    scenario
}

/// `apply` with what every run here has, and the words of `more`.
fn run<'a>(scenario: &'a Scenario, more: &str) -> Run<'a> {
    run_with(scenario, &format!("{PACK} hotfixes --base-image scratch --output oci:image --tag team/am:x {more}"))
}

fn run_with<'a>(scenario: &'a Scenario, words: &str) -> Run<'a> {
    let words: Vec<&str> = ["apply"].into_iter().chain(words.split_whitespace()).collect();
    scenario.run(&words)
}

#[track_caller]
fn is_unchanged(scenario: &Scenario, more: &str) {
    let (calls, index) = (scenario.calls().len(), scenario.text("image/index.json"));
    let run = run(scenario, &format!("--if-changed --report report {more}")).succeeds();
    let run = run.says("unchanged: team/am:x was made from the same pack, hotfixes, base image and options");
    assert_eq!(run.stdout, "team/am:x\n");
    assert_eq!((scenario.calls().len(), scenario.text("image/index.json")), (calls, index));
    let report = scenario.report();
    assert_eq!(
        (&report["outcome"], &report["exit_code"], &report["changes"]),
        (&json!("unchanged"), &json!(0), &json!([]))
    );
    assert_eq!(report["image"]["tags"], json!(["team/am:x"]));
    assert!(report["image"]["digest"].as_str().expect("text").starts_with("sha256:"), "{report}");
    let skipped = |step: &&Value| step["status"] == "skipped";
    let steps = report["steps"].as_array().expect("a list").iter().filter(skipped);
    let steps: Vec<&str> = steps.map(|step| step["name"].as_str().expect("text")).collect();
    assert_eq!(steps, ["extract-pack", "initialize-update-tool", "apply-hotfixes", "build-image", "push-image"]);
}

/// What is said to be changed; the image is made, and is unchanged then.
#[track_caller]
fn is_changed(scenario: &Scenario, more: &str, said: &[&str]) {
    let told = run(scenario, &format!("--report-only-changes {more}"));
    let expected: String = said.iter().map(|line| format!("team/am:x{line}\n")).collect();
    assert_eq!((told.code, told.stdout.as_str()), (Some(0), expected.as_str()), "{}", told.stderr);
    let fingerprint =
        |scenario: &Scenario| Layout::open(&scenario.path("image"), "x").labels()["hotfix.fingerprint"].clone();
    let before = fingerprint(scenario);
    let run = run(scenario, &format!("--if-changed --report report {more}")).succeeds();
    said.iter().fold(run, |run, line| run.says(&format!("changed: team/am:x{line}")));
    assert_ne!(fingerprint(scenario), before);
    assert_eq!(scenario.report()["outcome"], "success");
    assert_eq!(scenario.report()["changes"].as_array().expect("a list").len(), said.len());
    is_unchanged(scenario, more);
}

#[test]
fn the_same_again_is_unchanged() {
    let scenario = built();
    is_unchanged(&scenario, "");
    let run = run(&scenario, "--report-only-changes").succeeds();
    assert_eq!(run.stdout, "");
}

#[test]
fn what_must_not_matter_does_not() {
    let scenario = built();
    for more in [
        "--no-cache",
        "--cache-dir cache",
        "--workspace work",
        "--workspace-mode copy",
        "--step-timeout 5m",
        "--max-unpacked-size 1GB",
        "--no-disk-check",
        "--offline",
        "--retries 1",
        "-v",
        "--username somebody@example.org",
        "--tool-credentials flags",
    ] {
        is_unchanged(&scenario, more);
    }
    // Times and places of what goes in.
    let now = std::time::SystemTime::now();
    for file in [scenario.pack().to_owned(), scenario.hotfixes().join("wso2am-4.1.0.10-hf-1.zip")] {
        fs::File::options().append(true).open(file).and_then(|file| file.set_modified(now)).expect("set");
    }
    is_unchanged(&scenario, "");
    fs::create_dir(scenario.path("elsewhere")).expect("made");
    fs::rename(scenario.path("hotfixes"), scenario.path("elsewhere/fixes")).expect("moved");
    fs::copy(scenario.pack(), scenario.path("elsewhere/wso2am-4.1.0.10.zip")).expect("copied");
    let words = "elsewhere/wso2am-4.1.0.10.zip elsewhere/fixes --if-changed --base-image scratch --output oci:image --tag team/am:x";
    run_with(&scenario, words).succeeds().says("unchanged: ");
    fs::rename(scenario.path("elsewhere/fixes"), scenario.path("hotfixes")).expect("moved");
    fs::write(scenario.hotfixes().join("notes.txt"), "ours").expect("written");
    is_unchanged(&scenario, "");
}

#[test]
fn the_order_of_labels_does_not_matter() {
    let scenario = built();
    is_changed(&scenario, "--label a=1 --label b=2", &[": --label is new"]);
    is_unchanged(&scenario, "--label b=2 --label a=1");
}

#[test]
fn all_that_differs_is_told() {
    let scenario = built();
    is_changed(
        &scenario,
        "--label a=1 --env A=1 --through 2",
        &[": --env is new", ": hotfix 3 is not to be in it any more", ": --label is new"],
    );
    is_changed(&scenario, "--label a=2 --through 2", &[": --env is not given any more", ": --label has another value"]);
}

#[test]
fn every_option_of_the_image_matters() {
    for (more, said) in [
        ("--label a=1", "--label is new"),
        ("--env A=1", "--env is new"),
        ("--entrypoint [\"/x\"]", "--entrypoint is new"),
        ("--chown 5:5", "--chown is new"),
        ("--product-home /opt/product", "--product-home is new"),
        ("--platform linux/arm64", "the platform is another"),
    ] {
        is_changed(&built(), more, &[&format!(": {said}")]);
    }
    // None at all is not the base's.
    let scenario = built();
    is_changed(&scenario, "--entrypoint []", &[": --entrypoint is new"]);
    // The same place.
    is_changed(&scenario, "--product-home /opt/product --entrypoint []", &[": --product-home is new"]);
    is_unchanged(&scenario, "--product-home /opt/product/ --entrypoint []");
}

/// On the same image, the product is put in one way, and the hotfixes alone in the other.
#[test]
fn the_way_matters() {
    let scenario = built();
    let holding = format!(
        "{PACK} hotfixes --through 0 --base-image scratch --product-home /opt/wso2am-4.1.0 --output oci:holding --tag h:x"
    );
    run_with(&scenario, &holding).succeeds();
    let words = |way: &str| format!("{PACK} hotfixes --output oci:two --tag t:x --if-changed {way}");
    run_with(&scenario, &words("--base-image oci:holding")).succeeds();
    let run = run_with(&scenario, &words("--from-image oci:holding")).succeeds();
    run.says("changed: t:x: --from-image is new");
    run_with(&scenario, &words("--from-image oci:holding")).succeeds().says("unchanged: ");
}

#[test]
fn hotfixes_matter() {
    is_changed(&built(), "--through 2", &[": hotfix 3 is not to be in it any more"]);
    let scenario = built();
    HotfixBuilder::new("wso2am", "4.1.0", 10, 4).add("x", "y").write_to(scenario.hotfixes());
    is_changed(&scenario, "", &[": hotfix 4 is new"]);
    HotfixBuilder::new("wso2am", "4.1.0", 10, 4).add("x", "z").write_to(scenario.hotfixes());
    is_changed(&scenario, "", &[": hotfix 4 has another content"]);
}

#[test]
fn the_pack_matters() {
    let scenario = built();
    let other = Scenario::new().without_engine().with_pack(|pack| pack.file("more.txt", "more"));
    fs::copy(other.pack(), scenario.pack()).expect("copied");
    let told = run(&scenario, "--report-only-changes").succeeds().stdout;
    assert!(told.starts_with("team/am:x: the pack: ") && told.lines().count() == 1, "{told}");
    run(&scenario, "--if-changed").succeeds().says("changed: team/am:x: the pack: ");
    is_unchanged(&scenario, "");
}

#[test]
fn the_base_image_matters() {
    let scenario = built();
    let of_base =
        format!("{PACK} hotfixes --through 0 --base-image scratch --product-home /base --output oci:base --tag b:x");
    run_with(&scenario, &of_base).succeeds();
    let inputs = format!("{PACK} hotfixes --base-image oci:base --product-home /opt/product");
    let words = format!("{inputs} --output oci:image --tag team/am:x");
    let told = run_with(&scenario, &format!("{words} --report-only-changes")).succeeds().stdout;
    assert!(told.starts_with("team/am:x: the base image: none then, ") && told.lines().count() == 2, "{told}");
    assert!(told.ends_with("team/am:x: --product-home is new\n"), "{told}");
    run_with(&scenario, &format!("{words} --if-changed")).succeeds().says("changed: ");
    run_with(&scenario, &format!("{words} --if-changed")).succeeds().says("unchanged: ");
    // Made again otherwise, under the same name.
    run_with(&scenario, &format!("{of_base} --label newer=1")).succeeds();
    run_with(&scenario, &format!("{words} --if-changed")).succeeds().says("the base image: ");
}

#[test]
fn every_name_matters_and_what_is_there_must_be_ours() {
    let scenario = built();
    run(&scenario, "--tag team/am:y --if-changed").succeeds().says("changed: there is no team/am:y in the layout yet");
    run(&scenario, "--tag team/am:y --if-changed").succeeds().says("unchanged: team/am:x, team/am:y was made");
    let folder = Scenario::new().without_engine();
    run(&folder, "--if-changed").succeeds().says("changed: there is no team/am:x in the layout yet");
}

#[test]
fn without_credentials_changes_are_told_all_the_same() {
    let scenario = built().without_credentials();
    run(&scenario, "--report-only-changes --through 2").succeeds();
    run(&scenario, "--if-changed --through 2").fails(4, "validate-inputs");
}

#[test]
fn in_a_registry_nothing_is_fetched_or_sent() {
    let Some(registry) = Registry::start() else { return };
    let scenario = Scenario::new().without_engine();
    let base = Scenario::new().without_engine();
    let base_name = format!("{}/base:x", registry.host);
    let of_base = format!(
        "{PACK} hotfixes --through 0 --base-image scratch --product-home /base --output oci:image --push --tag {base_name}"
    );
    run_with(&base, &of_base).succeeds();
    let tag = format!("{}/team/am:x", registry.host);
    let words =
        format!("{PACK} hotfixes --base-image {base_name} --product-home /opt/am --push --tag {tag} --if-changed");
    let run = run_with(&scenario, &format!("{words} --output oci:image")).succeeds();
    run.says("in the registry yet");
    let before = registry.requests().len();
    // On another machine: without the layout.
    run_with(&scenario, &format!("{words} --output oci:another"))
        .succeeds()
        .says(&format!("unchanged: {tag} was made"));
    assert!(!scenario.path("another").exists());
    let requests = registry.requests();
    let layers = |request: &&String| request.contains("/blobs/") && !request.contains("GET /v2/base/blobs");
    let sent: Vec<&String> =
        requests[before..].iter().filter(|request| request.contains("POST") || request.contains("PUT")).collect();
    assert!(sent.is_empty(), "{sent:?}");
    // Configurations only: of the base, and of the image.
    assert!(requests[before..].iter().filter(layers).count() <= 1, "{:?}", &requests[before..]);
    // The base gets a newer image under its name.
    run_with(&base, &format!("{of_base} --label newer=1")).succeeds();
    run_with(&scenario, &format!("{words} --output oci:image")).succeeds().says(": the base image: ");
}

#[test]
fn a_registry_that_cannot_be_asked_is_no_answer() {
    let scenario = Scenario::new().without_engine();
    let words = format!(
        "{PACK} hotfixes --base-image scratch --output oci:image --push --tag 127.0.0.1:1/am:x --if-changed --retries 1"
    );
    let run = run_with(&scenario, &words).fails(9, "push-image");
    let run = run.says("what 127.0.0.1:1/am:x is made from cannot be looked up in its registry");
    run.says("Connection refused").does_not_say("pushed");
}

#[test]
fn in_an_engine_and_by_a_dockerfile() {
    if !is_there() {
        return;
    }
    let base = Base::new("if-changed");
    let tag = base.name.replacen("base", "image", 1);
    let scenario = Scenario::new();
    let words = format!("{PACK} hotfixes --base-image {} --tag {tag} --if-changed", base.name);
    run_with(&scenario, &words).succeeds().says("in the engine yet");
    run_with(&scenario, &words).succeeds().says("unchanged: ");
    docker(&["tag", &base.name, &tag]);
    run_with(&scenario, &words).succeeds().says("is no image of hotfix");
    engine::try_docker(&["rmi", "--force", &tag]);

    let recipe = Recipe::new("if-changed", "FROM BASE\nCOPY wso2am-4.1.0 /home/wso2am-4.1.0\n");
    recipe.apply().succeeds();
    let recipe = recipe.args(["--if-changed"]);
    recipe.apply().succeeds().says("unchanged: ");
    // As somebody does who labels images on his own.
    let derived = format!("FROM {}\nLABEL hotfix.inputs=none hotfix.fingerprint=0\n", recipe.tag);
    fs::create_dir(scenario.path("derived")).expect("made");
    fs::write(scenario.path("derived/Dockerfile"), derived).expect("written");
    docker(&["build", "--quiet", "--tag", &recipe.tag, scenario.path("derived").to_str().expect("text")]);
    recipe.apply().succeeds().says(": it does not tell what it was made from");
    let here = if cfg!(target_arch = "aarch64") { "linux/arm64" } else { "linux/amd64" };
    let run =
        recipe.scenario.run(&[recipe.scenario.apply_arguments(), vec!["--platform".into(), here.into()]].concat());
    run.succeeds().says("unchanged: ");
    let recipe = recipe.file("more.txt", "more");
    recipe.apply().succeeds().says(": the Dockerfile, its folder or --build-arg is another");
    let other = Base::with("if-stage", |_| {}, |settings| drop(settings.labels.insert("newer".into(), "1".into())));
    let stage = base.name.replacen("base", "stage", 1);
    docker(&["tag", &base.name, &stage]);
    let text =
        format!("FROM {stage} AS t\nFROM BASE\nCOPY --from=t /bin/busybox /x\nCOPY wso2am-4.1.0 /home/wso2am-4.1.0\n");
    let staged = Recipe::new("if-stages", &text);
    staged.apply().succeeds();
    let staged = staged.args(["--if-changed"]);
    staged.apply().succeeds().says("unchanged: ");
    docker(&["tag", &other.name, &stage]);
    staged.apply().succeeds().says(": an image that the Dockerfile names is another");
    engine::try_docker(&["rmi", "--force", &stage]);
    recipe.args(["--build-arg", "A=1"]).apply().succeeds().says("--build-arg is another");
}

/// What matters of a base is what the image takes over of it, not where it is and what it is called.
#[test]
fn a_base_may_be_pushed_and_named_and_fetched() {
    if !is_there() {
        return;
    }
    let Some(registry) = Registry::start() else { return };
    let base = Base::new("if-pushed");
    let tag = base.name.replacen("base", "image", 1);
    let scenario = Scenario::new();
    let on =
        |base: &str| format!("{PACK} hotfixes --base-image {base} --product-home /opt/am --tag {tag} --if-changed");
    let recipe = Recipe::new("if-pushed", &format!("FROM {}\nCOPY wso2am-4.1.0 /home/wso2am-4.1.0\n", base.name));
    let recipe = recipe.args(["--if-changed"]);
    run_with(&scenario, &on(&base.name)).succeeds().says("in the engine yet");
    recipe.apply().succeeds();

    let pushed = format!("{}/base:x", registry.host);
    docker(&["tag", &base.name, &pushed]);
    docker(&["push", "--quiet", &pushed]);
    run_with(&scenario, &on(&base.name)).succeeds().says("unchanged: ");
    run_with(&scenario, &on(&pushed)).succeeds().says("unchanged: ");
    recipe.apply().succeeds().says("unchanged: ");
    let from_registry = format!("{} --output oci:image", on(&pushed));
    run_with(&scenario, &from_registry).succeeds();
    let inspected = docker(&["image", "inspect", "--format", "{{index .Config.Labels \"hotfix.fingerprint\"}}", &tag]);
    let image = Layout::open(&scenario.path("image"), tag.rsplit(':').next().expect("a tag"));
    assert_eq!(image.labels()["hotfix.fingerprint"], inspected.trim());
    engine::try_docker(&["rmi", "--force", &tag, &pushed]);
}

/// An engine keeps what it has once pulled, until it is told to ask.
#[test]
fn a_newer_base_in_its_registry_is_seen_with_pull() {
    if !is_there() {
        return;
    }
    let Some(registry) = Registry::start() else { return };
    let base = Base::new("if-pulled");
    let newer = Base::with("if-newer", |_| {}, |settings| drop(settings.labels.insert("newer".into(), "1".into())));
    let (name, tag) = (format!("{}/base:x", registry.host), base.name.replacen("base", "image", 1));
    let push = |image: &str| {
        docker(&["tag", image, &name]);
        docker(&["push", "--quiet", &name]);
    };
    let scenario = Scenario::new();
    let words = format!("{PACK} hotfixes --base-image {name} --product-home /opt/am --tag {tag} --if-changed");
    let only_told = format!("{words} --report-only-changes");
    push(&base.name);
    run_with(&scenario, &words).succeeds();
    push(&newer.name);
    docker(&["tag", &base.name, &name]);
    run_with(&scenario, &words).succeeds().says("unchanged: ");
    let told = run_with(&scenario, &format!("{only_told} --pull")).succeeds().stdout;
    assert!(told.starts_with(&format!("{tag}: the base image: ")) && told.lines().count() == 1, "{told}");
    let id = |name: &str| docker(&["image", "inspect", "--format", "{{.Id}}", name]);
    assert_eq!(id(&name), id(&base.name), "nothing is pulled to tell");
    run_with(&scenario, &format!("{words} --pull")).succeeds();
    assert_eq!(id(&name), id(&newer.name));
    run_with(&scenario, &format!("{words} --pull")).succeeds().says("unchanged: ");
    // An engine without it is not given it to tell.
    docker(&["rmi", &name]);
    run_with(&scenario, &only_told).succeeds().says("unchanged: ").does_not_say("pulling");
    assert!(!engine::try_docker(&["image", "inspect", &name]).status.success());
    run_with(&scenario, &format!("{words} --pull").replace(&registry.host, "127.0.0.1:1"))
        .fails(8, "build-image")
        .says("is not to be had");
    engine::try_docker(&["rmi", "--force", &tag, &name]);
}

/// Labels are inherited, whatever somebody has put on the image.
#[test]
fn what_somebody_has_built_on_an_image_is_another() {
    if !is_there() {
        return;
    }
    let base = Base::new("if-derived");
    let tag = base.name.replacen("base", "image", 1);
    let scenario = Scenario::new();
    let words = format!("{PACK} hotfixes --base-image {} --tag {tag} --if-changed", base.name);
    run_with(&scenario, &words).succeeds();
    let said = format!("changed: {tag} was built by somebody else, on an image of hotfix");
    for derived in ["RUN [\"/bin/busybox\", \"rm\", \"-r\", \"/home/wso2carbon\"]", "ENV A=1"] {
        fs::create_dir_all(scenario.path("derived")).expect("made");
        fs::write(scenario.path("derived/Dockerfile"), format!("FROM {tag}\n{derived}\n")).expect("written");
        docker(&[
            "build",
            "--quiet",
            "--network",
            "none",
            "--tag",
            &tag,
            scenario.path("derived").to_str().expect("text"),
        ]);
        run_with(&scenario, &words).succeeds().says(&said);
        run_with(&scenario, &words).succeeds().says("unchanged: ");
    }
    engine::try_docker(&["rmi", "--force", &tag]);
}

/// A layout whose layers are gone holds no image.
#[test]
fn a_layout_without_its_layers_is_made_again() {
    let scenario = built();
    let layer = Layout::open(&scenario.path("image"), "x").layer_digests().pop().expect("one");
    let blob = scenario.path("image/blobs/sha256").join(layer.trim_start_matches("sha256:"));
    fs::remove_file(&blob).expect("there");
    run(&scenario, "--if-changed").succeeds().says("changed: there is no team/am:x in the layout yet");
    assert!(blob.exists());
    is_unchanged(&scenario, "");
}

/// As of a base.
#[test]
fn an_image_that_holds_the_product_may_be_pushed() {
    if !is_there() {
        return;
    }
    let Some(registry) = Registry::start() else { return };
    let base = Base::new("if-product");
    let [holding, tag] = ["holding", "image"].map(|what| base.name.replacen("base", what, 1));
    let scenario = Scenario::new();
    run_with(&scenario, &format!("{PACK} hotfixes --through 0 --base-image {} --tag {holding}", base.name)).succeeds();
    let words = [
        format!("image:{holding} hotfixes --tag {tag} --if-changed"),
        format!("{PACK} hotfixes --from-image {holding} --tag {tag} --if-changed"),
    ];
    let pushed = format!("{}/holding:x", registry.host);
    for words in &words {
        run_with(&scenario, words).succeeds().does_not_say("unchanged: ");
        run_with(&scenario, words).succeeds().says("unchanged: ");
        docker(&["tag", &holding, &pushed]);
        docker(&["push", "--quiet", &pushed]);
        run_with(&scenario, words).succeeds().says("unchanged: ");
        engine::try_docker(&["rmi", &pushed]);
    }
    let run = run_with(&scenario, &words[0].replace("--if-changed", "--report-only-changes")).succeeds();
    assert!(run.stdout.starts_with(&format!("{tag}: the pack: ")), "{}", run.stdout);
    engine::try_docker(&["rmi", "--force", &tag, &holding]);
}
