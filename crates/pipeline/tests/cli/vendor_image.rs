//! `--vendor-image`: the update tool builds the image, and we clean it.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use update_tool_sim::Fault;

use crate::support::Scenario;
use crate::support::engine::{self, Base, docker, try_docker};
use crate::support::layout::{Files, read_tar, strings};
use crate::support::registry::Registry;
use crate::support::scenario::{PASSWORD, Run, USERNAME};
use crate::support::tcp_engine::{self, Authority};

const HOME: &str = "/home/wso2carbon/wso2am-4.1.0";

/// A scenario whose image the stand-in builds on a base of busybox.
struct Vendor {
    scenario: Scenario,
    base: Base,
    tag: String,
}

impl Vendor {
    fn new(test: &str, scenario: Scenario) -> Self {
        Self::tagged(format!("hotfix-test/vendor-{test}:{}", std::process::id()), test, scenario)
    }

    fn tagged(tag: String, test: &str, scenario: Scenario) -> Self {
        let base = Base::new(&format!("vendor-{test}"));
        let scenario = scenario.args(["--output", "docker", "--vendor-image", "-t", &tag, "--report", "report"]);
        Self { scenario: scenario.env("SIM_BASE_IMAGE", &base.name), base, tag }
    }

    fn apply(&self) -> Run<'_> {
        self.scenario.apply()
    }

    fn inspect(&self) -> Value {
        serde_json::from_str::<Value>(&docker(&["inspect", &self.tag])).expect("JSON")[0].clone()
    }

    fn run(&self, command: &[&str]) -> String {
        docker(&[&["run", "--rm", "--network", "none", &self.tag], command].concat())
    }

    /// The name that the tool was told to give, of which nothing may be left.
    fn temporary_tag(&self) -> String {
        let calls = self.scenario.calls();
        let call = calls.iter().rev().find(|call| call.arguments[0] == "create-docker").expect("it was called");
        assert_eq!(call.arguments[1], "-t");
        call.arguments[2].clone()
    }

    /// Of everything that was built on the base, the engine has exactly `images`.
    fn left_in_engine(&self, images: &[&str]) {
        let of_base = engine::images_with(&format!("test={}", self.base.name));
        let ids: Vec<String> = images.iter().map(|image| docker(&["inspect", "--format", "{{.Id}}", image])).collect();
        let more: Vec<_> = of_base.iter().filter(|id| !ids.contains(id)).collect();
        assert!(more.is_empty(), "left in the engine: {more:?}");
        assert_eq!(docker(&["ps", "--all", "--quiet", "--filter", &format!("ancestor={}", self.base.name)]), "");
    }

    fn is_not_there(&self) {
        assert!(!try_docker(&["inspect", &self.tag]).status.success(), "{} exists", self.tag);
        self.left_in_engine(&[&self.base.name]);
    }

    /// Stops a run by INT once `ready`.
    fn interrupted(&self, ready: impl Fn(&Self) -> bool) -> Run<'_> {
        let before = self.scenario.snapshot();
        let child = self.scenario.start_apply_until(|_| ready(self));
        kill_process(Pid::from_raw(child.id().cast_signed()).expect("not 0"), Signal::INT).expect("it is there");
        self.scenario.ended(child, &before)
    }

    fn builds(&self) -> bool {
        // Read while it is written, so not as whole lines.
        std::fs::read_to_string(self.scenario.path("journal")).is_ok_and(|text| text.contains("\"create-docker\""))
    }
}

impl Drop for Vendor {
    fn drop(&mut self) {
        try_docker(&["rmi", "--force", &self.tag]);
    }
}

/// All files of all layers of an image, as `docker save` gives them, and the raw archive.
fn saved(scenario: &Scenario, tag: &str) -> (Vec<Files>, Vec<u8>) {
    let path = scenario.path("saved.tar");
    docker(&["save", "--output", path.to_str().expect("UTF-8"), tag]);
    let bytes = std::fs::read(&path).expect("there");
    let outer = read_tar(&bytes);
    let manifest: Value = serde_json::from_slice(&outer["manifest.json"].content).expect("JSON");
    let layers = strings(&manifest[0]["Layers"]);
    (layers.iter().map(|name| read_tar(&outer[name].content)).collect(), bytes)
}

#[test]
fn the_image_runs_and_has_hotfixes_labels_and_names() {
    if !engine::is_there() {
        return;
    }
    let second = format!("hotfix-test/vendor-second:{}", std::process::id());
    let vendor = Vendor::new("runs", Scenario::new().args(["-t", &second, "--label", "team=blue"]));
    vendor.apply().succeeds().prints(&format!("{second}\n{}\n", vendor.tag));
    assert_eq!(vendor.run(&["cat", &format!("{HOME}/bin/README.txt")]), "How to start the server, corrected.");
    let image = vendor.inspect();
    let config = &image["Config"];
    assert_eq!(config["User"], "10001:10001", "what the tool set stays");
    let labels = &config["Labels"];
    assert_eq!(labels["org.opencontainers.image.version"], "4.1.0.10-hf3");
    assert_eq!((&labels["hotfix.product"], &labels["team"]), (&"wso2am".into(), &"blue".into()));
    assert_eq!(labels["test"], vendor.base.name.as_str(), "labels of the tool's image stay");
    assert!(labels["org.opencontainers.image.base.name"].is_null());
    assert_eq!(docker(&["inspect", "--format", "{{.Id}}", &second]), image["Id"].as_str().expect("text"));
    let base_layers: Value =
        serde_json::from_str(&docker(&["inspect", "--format", "{{json .RootFS.Layers}}", &vendor.base.name]))
            .expect("JSON");
    assert_eq!(image["RootFS"]["Layers"][0], base_layers[0], "a layer with nothing to clean keeps its diff id");
    let report = vendor.scenario.report();
    assert_eq!((&report["image"]["base"], &report["image"]["id"]), (&"create-docker".into(), &image["Id"]));
    assert_eq!(report["image"]["hotfix_layer_bytes"], 0);
    vendor.left_in_engine(&[&vendor.base.name, &vendor.tag]);
    docker(&["rmi", &second]);
}

#[test]
fn log_tokens_name_and_password_are_in_no_layer() {
    if !engine::is_there() {
        return;
    }
    let vendor = Vendor::new("clean", Scenario::new().with_tool(|tool| tool.loud = true).args(["-vv"]));
    let run = vendor.apply().succeeds().does_not_say(PASSWORD);
    assert!(run.stderr.contains("access-token=***"), "{}", run.stderr);
    let (layers, bytes) = saved(&vendor.scenario, &vendor.tag);
    let workspace = vendor.scenario.path("tmp");
    for secret in [PASSWORD, USERNAME, workspace.to_str().expect("UTF-8")] {
        assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret} is in the image");
    }
    assert!(!layers.iter().flat_map(|layer| layer.keys()).any(|path| path.contains("updates/logs")));
    let config = layers.iter().find_map(|layer| layer.get(&format!("{}/updates/config.json", &HOME[1..])));
    let config = config.expect("the records are there");
    assert_eq!(config.owner, (10001, 10001));
    let config: Value = serde_json::from_slice(&config.content).expect("JSON");
    let service = &config["service"];
    assert_eq!(
        (&config["username"], &service["access-token"], &service["refresh-token"]),
        (&"".into(), &"".into(), &"".into())
    );
    assert_eq!(config["update-level"], "10");
    assert!(config["hotfixes"].as_array().is_some_and(|all| all.len() == 3), "{config}");
}

#[test]
fn it_is_pushed() {
    if !engine::is_there() {
        return;
    }
    let Some(registry) = Registry::start() else { return };
    let tag = format!("{}/team/wso2am:vendor", registry.host);
    let vendor = Vendor::tagged(tag, "push", Scenario::new().args(["--push"]));
    vendor.apply().succeeds().says("pushed ");
    assert_eq!(vendor.scenario.report()["image"]["digest"], registry.digest_of("team/wso2am", "vendor"));
}

#[test]
fn a_push_that_fails_leaves_nothing() {
    if !engine::is_there() {
        return;
    }
    let Some(mut registry) = Registry::start() else { return };
    let tag = format!("{}/team/wso2am:vendor", registry.host);
    let scenario = Scenario::new().with_tool(|tool| tool.slow_ms = 500);
    let vendor = Vendor::tagged(tag, "unpushed", scenario.args(["--push"]));
    let before = vendor.scenario.snapshot();
    let child = vendor.scenario.start_apply_until(|scenario| !scenario.calls().is_empty());
    registry.stop();
    vendor.scenario.ended(child, &before).fails(9, "push-image");
    vendor.is_not_there();
}

#[test]
fn without_hotfixes_the_tool_is_still_needed() {
    if !engine::is_there() {
        return;
    }
    let vendor = Vendor::new("through", Scenario::new().args(["--through", "0"]));
    vendor.apply().succeeds();
    assert_eq!(vendor.run(&["cat", &format!("{HOME}/bin/README.txt")]), "How to start the server.");
    let commands: Vec<String> = vendor.scenario.calls().iter().map(|call| call.arguments[0].clone()).collect();
    assert_eq!(commands, ["current-state", "create-docker"]);
    assert_eq!(vendor.inspect()["Config"]["Labels"]["org.opencontainers.image.version"], "4.1.0.10");
    let steps = vendor.scenario.report()["steps"].clone();
    let applied = steps.as_array().expect("a list").iter().find(|step| step["name"] == "apply-hotfixes");
    assert_eq!(applied.expect("a step")["status"], "skipped");

    let scenario = Scenario::new().without_credentials().args(["--through", "0", "--vendor-image"]);
    scenario
        .args(["--output", "docker"])
        .apply()
        .fails(4, "validate-inputs")
        .says("no credentials for the update tool");
}

#[test]
fn the_tool_gets_the_engine_and_nothing_secret_in_its_arguments() {
    if !engine::is_there() {
        return;
    }
    let vendor = Vendor::new(
        "environment",
        Scenario::new().with_tool(|tool| {
            tool.self_updates = 1;
            tool.self_update_on_create_docker = true;
        }),
    );
    vendor.apply().succeeds().says("the update tool updated itself, running it again");
    let calls = vendor.scenario.calls();
    let builds: Vec<_> = calls.iter().filter(|call| call.arguments[0] == "create-docker").collect();
    assert_eq!(builds.len(), 2);
    for build in builds {
        assert!(build.environment["DOCKER_HOST"].starts_with("unix://"), "{:?}", build.environment["DOCKER_HOST"]);
        assert_eq!(build.environment["DOCKER_BUILDKIT"], "0");
        assert!(!build.arguments.iter().any(|argument| argument.contains(PASSWORD)));
    }
    assert!(
        calls
            .iter()
            .all(|call| call.arguments[0] == "create-docker" || !call.environment.contains_key("DOCKER_BUILDKIT"))
    );
    vendor.left_in_engine(&[&vendor.base.name, &vendor.tag]);
}

#[test]
fn the_tools_docker_finds_the_users_configuration_and_nothing_else_does() {
    if !engine::is_there() {
        return;
    }
    let scenario = Scenario::new().env("DOCKER_CONFIG", "");
    let folder = scenario.path("home/.docker");
    std::fs::create_dir(&folder).expect("a folder");
    let vendor = Vendor::new("config", scenario);
    vendor.apply().succeeds();
    for call in vendor.scenario.calls() {
        let found = std::path::Path::new(&call.environment["DOCKER_CONFIG"]) == folder;
        assert_eq!(found, call.arguments[0] == "create-docker", "{:?}", call.arguments);
    }
}

#[test]
fn a_tool_that_fails_fails_the_image() {
    if !engine::is_there() {
        return;
    }
    for (fault, words) in [
        (Fault::Error, "exit code 1"),
        (Fault::Conflict, "exit code 3"),
        (Fault::Reverted, "exit code 4"),
        (Fault::SelfUpdateClaimed, "updated itself 4 times in a row"),
    ] {
        let vendor = Vendor::new("fails", Scenario::new().with_tool(|tool| tool.on_create_docker = fault));
        let run = vendor.apply().fails(8, "build-image").says("build the image (create-docker)").says(words);
        run.says("it runs docker, mostly as root");
        vendor.is_not_there();
    }
}

#[test]
fn a_build_that_fails_in_the_engine_fails_the_image() {
    if !engine::is_there() {
        return;
    }
    let vendor = Vendor::new("no-base", Scenario::new());
    let scenario = Scenario::like(&vendor.scenario).env("SIM_BASE_IMAGE", "127.0.0.1:1/no/such:base");
    let scenario = scenario.args(["--output", "docker", "--vendor-image", "-t", &vendor.tag]);
    scenario.apply().fails(8, "build-image").says("docker build failed");
    vendor.is_not_there();
}

#[test]
fn an_engine_behind_tls_is_reached_by_the_tool_too_and_a_failed_build_leaves_nothing_there() {
    if !engine::is_there() {
        return;
    }
    let authority = Authority::new();
    let folder = tempfile::tempdir().expect("a folder");
    authority.write_to(folder.path(), &authority);
    let address = format!("tcp://{}", tcp_engine::start(Some(&authority)));
    let behind = |scenario: Scenario| {
        let path = folder.path().to_str().expect("UTF-8");
        scenario.env("DOCKER_HOST", &address).env("DOCKER_TLS_VERIFY", "1").env("DOCKER_CERT_PATH", path)
    };
    let vendor = Vendor::new("tls", behind(Scenario::new()));
    vendor.apply().succeeds();
    vendor.left_in_engine(&[&vendor.base.name, &vendor.tag]);
    let stopped = Vendor::new("tls-stopped", behind(Scenario::new()));
    let run = stopped.interrupted(Vendor::builds);
    assert_eq!(run.code, Some(130), "{}", run.stderr);
    stopped.is_not_there();
}

#[test]
fn success_without_an_image_is_a_failure() {
    if !engine::is_there() {
        return;
    }
    let vendor = Vendor::new("none", Scenario::new().with_tool(|tool| tool.on_create_docker = Fault::ExitCode(0)));
    let run =
        vendor.apply().fails(8, "build-image").says("said that it built an image, but the engine has none called");
    run.says(&vendor.temporary_tag()).says("talks to another engine");
    vendor.is_not_there();
}

#[test]
fn a_secret_elsewhere_in_the_image_stops_the_run_and_names_the_file() {
    if !engine::is_there() {
        return;
    }
    // A tool that copies its records while it builds.
    let script = r#"mkdir -p $home/updates
echo "{ \"n\": \"$2\", \"service\": { \"access-token\": \"live-token-$$\" } }" > $home/updates/config.json
case $1 in
current-state) ;;
apply-hotfix) echo x > $home/$(basename "$2").txt ;;
create-docker) cp $home/updates/config.json $home/copy.json
  printf "FROM $SIM_BASE_IMAGE\nCOPY . /am\n" | docker build -t $3 -f - $home ;;
esac"#;
    let vendor = Vendor::new("leak", Scenario::new().with_script(script));
    let run = vendor.apply().fails(8, "build-image").says("am/copy.json holds the password, the user name or a token");
    run.does_not_say("live-token");
    vendor.is_not_there();
}

#[test]
fn a_secret_in_the_images_configuration_stops_the_run() {
    if !engine::is_there() {
        return;
    }
    let script = r#"case $1 in
current-state) ;;
apply-hotfix) echo x > $home/$(basename "$2").txt ;;
create-docker) printf "FROM $SIM_BASE_IMAGE\nENV BY=$UPDATE_TOOL_USERNAME\nCOPY . /am\n" | docker build -t $3 -f - $home ;;
esac"#;
    let vendor = Vendor::new("env", Scenario::new().with_script(script));
    vendor.apply().fails(8, "build-image").says("the image's configuration holds the password");
    vendor.is_not_there();
}

#[test]
fn stopped_while_the_tool_hangs() {
    if !engine::is_there() {
        return;
    }
    for fault in [Fault::Hang, Fault::HangIgnoringTerm] {
        let vendor = Vendor::new("hangs", Scenario::new().with_tool(|tool| tool.on_create_docker = fault));
        vendor.interrupted(Vendor::builds).fails(130, "build-image").says("stopped by INT");
        vendor.is_not_there();
    }
}

#[test]
fn stopped_in_the_middle_of_a_build_nothing_of_it_is_left() {
    if !engine::is_there() {
        return;
    }
    // Its first instruction leaves an image with the tokens, its second never ends.
    let script = r#"mkdir -p $home/updates; echo "{ \"service\": { \"access-token\": \"t-$$\" } }" > $home/updates/config.json
case $1 in
current-state) ;;
apply-hotfix) echo x > $home/$(basename "$2").txt ;;
create-docker) printf "FROM $SIM_BASE_IMAGE\nCOPY . /am\nRUN [\"/bin/busybox\",\"sleep\",\"1000\"]\n" | docker build -t $3 -f - $home ;;
esac"#;
    let vendor = Vendor::new("middle", Scenario::new().with_script(script));
    let running = |vendor: &Vendor| {
        let label = format!("label=test={}", vendor.base.name);
        !docker(&["ps", "--quiet", "--filter", &label]).is_empty()
    };
    vendor.interrupted(running).fails(130, "build-image");
    vendor.is_not_there();
}

#[test]
fn stopped_at_any_moment_nothing_is_left() {
    if !engine::is_there() {
        return;
    }
    let mut stopped = 0;
    for moment in 0..6_u64 {
        let vendor = Vendor::new("moment", Scenario::new());
        let run = vendor.interrupted(|vendor| {
            let builds = vendor.builds();
            if builds {
                std::thread::sleep(std::time::Duration::from_millis(moment * 250));
            }
            builds
        });
        if run.code == Some(0) {
            run.succeeds();
            vendor.left_in_engine(&[&vendor.base.name, &vendor.tag]);
        } else {
            run.fails(130, "build-image");
            vendor.is_not_there();
            stopped += 1;
        }
    }
    assert!(stopped > 0, "no run was stopped, so nothing was tested");
}

#[test]
fn a_layout_is_refused() {
    let scenario = Scenario::new().args(["--vendor-image", "--output", "oci:image"]);
    scenario
        .apply()
        .fails(4, "validate-inputs")
        .says("--vendor-image needs --output docker")
        .says("--base-image oci:DIR");
    assert!(scenario.calls().is_empty());
}

#[test]
fn the_plan_says_so() {
    let scenario = Scenario::new().args(["--vendor-image", "--through", "0"]);
    let run = scenario.plan();
    assert!(run.stdout.contains("image     by the update tool's create-docker"), "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("tool      bin/"), "{}", run.stdout);
}

#[test]
fn options_for_images_of_ours_are_refused() {
    for option in [
        "--base-image=scratch",
        "--from-image=a",
        "--dockerfile=D",
        "--entrypoint=[\"/x\"]",
        "--env=A=1",
        "--product-home=/x",
        "--chown=1:1",
        "--platform=linux/arm64",
    ] {
        let scenario = Scenario::new().args(["--vendor-image", option]);
        let run = scenario.apply();
        assert_eq!(run.code, Some(2), "{option}: {}", run.stderr);
        assert!(run.stderr.contains("cannot be used with"), "{option}: {}", run.stderr);
    }
}
