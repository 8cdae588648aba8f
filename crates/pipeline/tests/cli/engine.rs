//! Step 7 with a real Docker engine, looked at with the real `docker`.

use serde_json::Value;

use crate::support::Scenario;
use crate::support::engine::{self, Base, docker, try_docker};
use crate::support::layout::{Layout, strings};
use crate::support::scenario::{PASSWORD, Run, USERNAME};
use hotfix_docker::layer::{Entry, Metadata, Node};

const HOME: &str = "/home/wso2carbon/wso2am-4.1.0";

/// A scenario whose image goes to the engine, on a base of busybox, under a name of its own.
struct Built {
    scenario: Scenario,
    base: Base,
    tag: String,
}

impl Built {
    fn new(test: &str, scenario: Scenario) -> Self {
        Self::on(Base::new(test), test, scenario)
    }

    fn on(base: Base, test: &str, scenario: Scenario) -> Self {
        let tag = format!("hotfix-test/{test}:{}", std::process::id());
        let scenario = scenario.args(["--output", "docker", "--base-image", &base.name, "-t", &tag]);
        Self { scenario, base, tag }
    }

    fn apply(&self) -> Run<'_> {
        self.scenario.apply()
    }

    fn inspect(&self) -> Value {
        serde_json::from_str::<Value>(&docker(&["inspect", &self.tag])).expect("JSON")[0].clone()
    }

    /// What a command of busybox says in a container of the image.
    fn run(&self, command: &[&str]) -> String {
        docker(&[&["run", "--rm", "--network", "none", &self.tag], command].concat())
    }

    /// Neither a tag nor an image nor a container of the failed run is there.
    fn is_not_there(&self) {
        assert!(!try_docker(&["inspect", &self.tag]).status.success(), "{} exists", self.tag);
        let of_base = format!("org.opencontainers.image.base.name={}", self.base.name);
        assert_eq!(engine::images_with(&of_base), [""; 0]);
        assert_eq!(docker(&["ps", "--all", "--quiet", "--filter", &format!("ancestor={}", self.base.name)]), "");
    }
}

impl Drop for Built {
    fn drop(&mut self) {
        try_docker(&["rmi", "--force", &self.tag]);
    }
}

#[test]
fn the_image_runs_and_has_the_hotfixes() {
    if !engine::is_there() {
        return;
    }
    let built = Built::new("runs", Scenario::new());
    built.apply().succeeds().prints(&format!("{}\n", built.tag));
    assert_eq!(built.run(&["cat", &format!("{HOME}/bin/README.txt")]), "How to start the server, corrected.");
    assert_eq!(
        built
            .run(&["ls", &format!("{HOME}/repository/components/plugins")])
            .lines()
            .filter(|name| name.contains("example.a"))
            .collect::<Vec<_>>(),
        ["org.example.a_1.0.0.2.jar"]
    );
    assert_eq!(
        built.run(&["stat", "-c", "%u:%g %a", &format!("{HOME}/bin/api-manager.sh"), HOME, "/home"]),
        "10001:10001 755\n10001:10001 755\n0:0 755"
    );
    assert_eq!(built.run(&["ls", &format!("{HOME}/repository/deployment/server/jaggeryapps/legacy")]), "");
    assert_eq!(
        docker(&["ps", "--all", "--quiet", "--filter", &format!("ancestor={}", built.base.name)]),
        "",
        "no container is left"
    );
}

#[test]
fn base_settings_are_kept_and_labels_added() {
    if !engine::is_there() {
        return;
    }
    let base = Base::with(
        "settings",
        |_| {},
        |settings| {
            settings.env.push(("LANG".to_owned(), "C.UTF-8".to_owned()));
            settings.labels.insert("of".to_owned(), "base".to_owned());
        },
    );
    let built = Built::on(base, "settings", Scenario::new().args(["--env", "MORE=1"]));
    built.apply().succeeds();
    let image = built.inspect();
    assert_eq!(strings(&image["Config"]["Env"]), ["PATH=/bin", "LANG=C.UTF-8", "MORE=1"]);
    assert_eq!(strings(&image["Config"]["Entrypoint"]), ["/bin/busybox"]);
    let labels = &image["Config"]["Labels"];
    assert_eq!((labels["of"].as_str(), labels["hotfix.product"].as_str()), (Some("base"), Some("wso2am")));
    assert_eq!(labels["org.opencontainers.image.base.name"], built.base.name.as_str());
    assert!(
        labels["org.opencontainers.image.base.digest"].as_str().is_some_and(|digest| digest.starts_with("sha256:"))
    );
    assert!(docker(&["history", "--no-trunc", &built.tag]).contains("hotfix: wso2am-4.1.0.10-hf-1.zip"));
    let inspect = built.scenario.run(&["inspect", &built.tag]);
    assert!(
        inspect.stdout.contains("(in the engine)") && inspect.stdout.contains("version      4.1.0.10-hf3"),
        "{}{}",
        inspect.stdout,
        inspect.stderr
    );
}

#[test]
fn the_engine_and_a_layout_hold_the_same_layers_every_time() {
    if !engine::is_there() {
        return;
    }
    let built = Built::new("same", Scenario::new());
    built.apply().succeeds();
    let first = built.inspect();
    built.apply().succeeds();
    let second = built.inspect();
    assert_eq!((&first["Id"], &first["RootFS"]), (&second["Id"], &second["RootFS"]));
    let layout = Scenario::like(&built.scenario);
    layout.apply().succeeds();
    let diff_ids = Layout::open(&layout.path("image"), "4.1.0.10-hf3").diff_ids();
    assert_eq!(strings(&first["RootFS"]["Layers"])[1..], diff_ids[..]);
}

#[test]
fn a_layout_can_be_the_base_of_an_image_in_the_engine() {
    if !engine::is_there() {
        return;
    }
    let other = Scenario::new().args(["-t", "base:1", "--product-home", "/opt/other"]);
    other.apply().succeeds();
    let tag = format!("hotfix-test/layout-base:{}", std::process::id());
    let base = format!("oci:{}:1", other.path("image").display());
    let scenario = Scenario::new().args(["--output", "docker", "--base-image", &base, "-t", &tag]);
    scenario.apply().succeeds();
    let image: Value = serde_json::from_str(&docker(&["inspect", &tag])).expect("JSON");
    try_docker(&["rmi", &tag]);
    assert_eq!(strings(&image[0]["RootFS"]["Layers"])[..2], Layout::open(&other.path("image"), "1").diff_ids()[..]);
}

#[test]
fn an_engine_that_wants_every_layer_gets_the_base_too() {
    use hotfix_docker::image::{Image, Settings};
    use hotfix_docker::load::{Sent, load_with};
    if !engine::is_there() {
        return;
    }
    let base = Base::new("every-layer");
    let built = engine::block_on(async {
        let engine = hotfix_docker::engine::Engine::connect().await.expect("it answers");
        let on = engine
            .base(&base.name.parse().expect("a name"), hotfix_docker::base::Wanted::default())
            .await
            .expect("it is there");
        let mut layer = hotfix_docker::layer::Layer::new("one more");
        let metadata = Metadata { mode: 0o644, uid: 0, gid: 0, mtime: 0 };
        let content = std::sync::Arc::new(base.name.clone().into_bytes());
        layer.insert("file", Entry { node: Node::File(content), metadata });
        let settings = Settings { created: "2026-01-01T00:00:00Z".to_owned(), ..Settings::default() };
        let image = Image { base: on, layers: vec![layer], settings };
        let cancel = tokio_util::sync::CancellationToken::new();
        let thin = load_with(&engine, &image, Sent::Own, &cancel).await.expect("it loads");
        try_docker(&["rmi", &thin.id]);
        let whole = load_with(&engine, &image, Sent::All, &cancel).await.expect("it loads");
        assert_eq!(thin, whole);
        whole
    });
    let file = docker(&["run", "--rm", "--network", "none", &built.id, "cat", "/file"]);
    try_docker(&["rmi", &built.id]);
    assert_eq!(file, base.name);
}

#[test]
fn home_and_owner_are_taken_from_the_base() {
    if !engine::is_there() {
        return;
    }
    let folder = |uid, mode| Entry { node: Node::Directory, metadata: Metadata { mode, uid, gid: uid, mtime: 7 } };
    let base = Base::with(
        "owner",
        |layer| {
            layer.insert("srv", folder(3, 0o711));
            layer.insert("srv/product", folder(802, 0o750));
        },
        |settings| settings.env.push(("WSO2_SERVER_HOME".to_owned(), "/srv/product".to_owned())),
    );
    let built = Built::on(base, "owner", Scenario::new());
    built.apply().succeeds();
    assert_eq!(built.run(&["stat", "-c", "%u:%g %a %Y", "/srv", "/srv/product"]), "3:3 711 7\n802:802 750 7");
    assert_eq!(built.run(&["stat", "-c", "%u:%g", "/srv/product/bin/README.txt"]), "802:802");
}

#[test]
fn a_link_above_the_product_is_refused() {
    if !engine::is_there() {
        return;
    }
    let link = Entry {
        node: Node::Symlink("/var/home".to_owned()),
        metadata: Metadata { mode: 0o777, uid: 0, gid: 0, mtime: 0 },
    };
    let base = Base::with("link", |layer| layer.insert("home", link), |_| {});
    let built = Built::on(base, "link", Scenario::new());
    built.apply().fails(8, "build-image").says("/home is no folder in the base image");
    built.is_not_there();
}

#[test]
fn without_an_engine_it_says_so_before_anything_is_unpacked() {
    let scenario = Scenario::new().args(["--output", "docker"]).env("DOCKER_HOST", "unix:///nowhere/docker.sock");
    let run = scenario
        .apply()
        .fails(8, "build-image")
        .says("no Docker engine answers at unix:///nowhere/docker.sock")
        .says("--output oci:DIR");
    assert!(!run.stderr.contains("extract-pack"));
}

#[test]
fn a_base_image_that_is_nowhere() {
    if !engine::is_there() {
        return;
    }
    let scenario = Scenario::new().args(["--output", "docker", "--base-image", "127.0.0.1:1/no/such:base"]);
    let run = scenario.apply().fails(8, "build-image").says("the base image 127.0.0.1:1/no/such:base is not to be had");
    assert!(!run.stderr.contains("extract-pack"));
}

#[test]
fn a_failed_run_leaves_the_tag_where_it_was() {
    if !engine::is_there() {
        return;
    }
    let built = Built::new(
        "failed",
        Scenario::new().with_hotfix(3, |hotfix| hotfix.add("x", "y").behave(update_tool_sim::Behave::Conflict)),
    );
    built.apply().fails(7, "apply-hotfixes");
    built.is_not_there();
}

#[test]
fn an_engine_that_goes_away_half_way_is_a_failure_of_the_image() {
    if !engine::is_there() {
        return;
    }
    // After the first answers the engine is cut off, in the middle of the image.
    let proxy = crate::support::proxy::Proxy::start(300_000);
    let base = Base::new("gone");
    let built = Built::on(
        base,
        "gone",
        Scenario::new().env("DOCKER_HOST", &proxy.endpoint()).with_pack(|pack| pack.filler(5_000_000)),
    );
    built.apply().fails(8, "build-image").says("the Docker engine failed");
    built.is_not_there();
}

#[test]
fn what_must_not_be_in_an_image_is_not_in_docker_save() {
    if !engine::is_there() {
        return;
    }
    let built =
        Built::new("save", Scenario::new().with_tool(|tool| tool.loud = true).args(["--report", "report", "-vv"]));
    let run = built.apply().succeeds();
    let archive = built.scenario.path("saved.tar");
    docker(&["save", "--output", archive.to_str().expect("UTF-8"), &built.tag]);
    let image = [
        std::fs::read(archive).expect("there"),
        docker(&["history", "--no-trunc", &built.tag]).into_bytes(),
        built.inspect().to_string().into_bytes(),
    ]
    .concat();
    let said =
        [run.stderr.clone(), built.scenario.text("report/report.json"), built.scenario.text("report/summary.md")]
            .concat();
    let workspace = built.scenario.path("tmp");
    for secret in [PASSWORD, USERNAME, workspace.to_str().expect("UTF-8")] {
        assert!(!image.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret} is in the image");
    }
    assert!(!said.contains(PASSWORD));
}

#[test]
fn an_engine_that_keeps_images_in_containerd_gets_every_layer_at_once() {
    if !engine::is_there() {
        return;
    }
    let info = r#"{"Driver":"overlayfs","DriverStatus":[["driver-type","io.containerd.snapshotter.v1"]]}"#;
    let proxy = crate::support::proxy::Proxy::start_with_info(info);
    let base = Base::new("containerd");
    let tag = format!("hotfix-test-containerd:{}", std::process::id());
    let scenario = Scenario::new().env("DOCKER_HOST", &proxy.endpoint());
    let scenario = scenario.args(["--output", "docker", "--base-image", &base.name, "-t", &tag, "-v"]);
    for _ in 0..2 {
        scenario.apply().succeeds().says("sent=All").does_not_say("wants more layers");
    }
    let layers = docker(&["inspect", "--format", "{{len .RootFS.Layers}}", &tag]);
    assert_eq!(layers, "3");
    try_docker(&["rmi", "--force", &tag]);
}
