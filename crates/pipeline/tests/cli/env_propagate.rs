//! Hotfixes from production back to where the next release is.

use serde_json::Value;

use crate::support::Scenario;
use crate::support::estate::{Estate, REGISTRY_PASSWORD, USER};
use crate::support::registry::Registry;

fn configuration(registry: &Registry, digest: &str) -> Value {
    let manifest = registry.manifest(digest);
    registry.manifest(manifest["config"]["digest"].as_str().expect("a digest"))
}

fn layers(registry: &Registry, digest: &str) -> Vec<Value> {
    registry.manifest(digest)["layers"].as_array().expect("a list").clone()
}

#[test]
fn the_same_image_below_gets_the_very_same_image() {
    let Some(estate) = Estate::new() else { return };
    estate.deploy(0, &["dev"]);
    estate.deploy(1, &["qa"]);
    estate.deploy(2, &["preprod"]);
    let before = estate.digest("dev");
    let run = estate.env("propagate --from preprod --dry-run").succeeds();
    run.prints("dev: would get wso2am-4.1.0.10/hf-1, wso2am-4.1.0.10/hf-2\nqa: would get wso2am-4.1.0.10/hf-2\n");
    assert_eq!(estate.digest("dev"), before);
    estate.env("propagate --from preprod --actor jo").succeeds();
    assert_eq!(estate.digest("dev"), estate.digest("preprod"));
    assert_eq!(estate.digest("qa"), estate.digest("preprod"));
    let run = estate.env("propagate --from preprod").succeeds();
    assert_eq!(run.stdout.matches("has them all").count(), 2, "{}", run.stdout);
    let history = estate.json("history");
    let acts: Vec<_> = history.as_array().expect("a list").iter().map(|record| record["act"].clone()).collect();
    assert_eq!(acts, ["propagated", "propagated"]);
    assert_eq!(history[0]["replaced"], before.as_str());
}

#[test]
fn on_another_base_only_the_layer_of_hotfixes_is_taken() {
    let Some(estate) = Estate::new() else { return };
    // Development has a label and a variable of its own, and one hotfix already.
    estate.deploy_with(&["--label", "team=dev", "--env", "DEBUG=1"], 1, &["dev"]);
    estate.deploy(2, &["preprod"]);
    let (old, source) = (estate.digest("dev"), estate.digest("preprod"));
    let sent = estate.registry.blobs_sent("team/am");
    estate.env("propagate --from preprod --to dev").succeeds();
    let made = estate.digest("dev");
    assert!(made != old && made != source);
    let (made_layers, source_layers) = (layers(&estate.registry, &made), layers(&estate.registry, &source));
    assert_eq!(made_layers[0], layers(&estate.registry, &old)[0]);
    assert_eq!(made_layers[1..], source_layers[1..]);
    let (made, source) = (configuration(&estate.registry, &made), configuration(&estate.registry, &source));
    assert_eq!(made["rootfs"], source["rootfs"]);
    assert_eq!(made["history"], source["history"]);
    assert_eq!(made["config"]["Env"], serde_json::json!(["DEBUG=1"]));
    let labels = |configuration: &Value, name: &str| configuration["config"]["Labels"][name].clone();
    assert_eq!(labels(&made, "team"), "dev");
    for name in ["hotfix.applied", "org.opencontainers.image.version", "hotfix.pack-sha256"] {
        assert_eq!(labels(&made, name), labels(&source, name), "{name}");
    }
    assert_ne!(labels(&made, "hotfix.fingerprint"), labels(&source, "hotfix.fingerprint"));
    // A configuration; of the ledger two records, the list of both, and what artifacts have for a configuration.
    assert_eq!(estate.registry.blobs_sent("team/am") - sent, 1 + 4, "no layer was sent");
    let status = estate.json("status");
    assert_eq!(status["environments"][0]["version"], "4.1.0.10-hf2");
}

#[test]
fn what_was_propagated_can_be_pulled_and_run() {
    use crate::support::engine::{self, docker};
    let Some(estate) = Estate::new() else { return };
    if !engine::is_there() {
        return;
    }
    estate.deploy_with(&["--label", "team=dev"], 0, &["dev"]);
    estate.deploy(3, &["preprod"]);
    estate.env("propagate --from preprod --to dev").succeeds();
    let tag = estate.tag("dev");
    docker(&["pull", &tag]);
    let container = docker(&["create", &tag, "/nothing"]);
    let file = "/home/wso2carbon/wso2am-4.1.0/bin/README.txt";
    let copied = estate.scenario.path("README.txt");
    docker(&["cp", &format!("{container}:{file}"), copied.to_str().expect("UTF-8")]);
    docker(&["rm", &container]);
    docker(&["rmi", &tag]);
    assert_eq!(estate.scenario.text("README.txt"), "How to start the server, corrected.\n");
}

#[test]
fn into_another_registry() {
    let Some(production) = Registry::start_with_password(USER, REGISTRY_PASSWORD) else { return };
    let Some(estate) = Estate::with(Some(production), "") else { return };
    estate.deploy(2, &["prod"]);
    estate.deploy_with(&["--label", "team=qa"], 1, &["qa"]);
    estate.env("propagate --from prod --to qa").succeeds();
    let (made, source) = (estate.digest("qa"), estate.digest("prod"));
    let taken = layers(&estate.registry, &made);
    assert_eq!(taken, layers(estate.registry_of("prod"), &source));
    assert!(estate.registry.has_blob(taken[1]["digest"].as_str().expect("a digest")));
}

#[test]
fn only_the_first() {
    let Some(estate) = Estate::new() else { return };
    estate.deploy(0, &["dev"]);
    estate.deploy(3, &["preprod"]);
    estate
        .env("propagate --from preprod --to dev --through 2")
        .fails_with(11)
        .says("there is no image with the first 2 hotfixes");
    estate.env("propagate --from preprod --to dev --through 4").fails_with(11).says("preprod has 3 hotfixes, not 4");
    estate.deploy(2, &["4.1.0.10-hf2"]);
    estate.env("propagate --from preprod --to dev --through 2").succeeds();
    assert_eq!(estate.digest("dev"), estate.digest("4.1.0.10-hf2"));
}

#[test]
fn what_does_not_fit_is_told_and_is_no_failure_of_the_others() {
    let Some(estate) = Estate::new() else { return };
    let later = Scenario::empty().without_engine().with_pack(|pack| pack.level(20));
    estate.deploy_from(&later, 0, &["dev"]);
    estate.deploy(0, &["qa"]);
    estate.deploy(1, &["preprod"]);
    let run = estate.env("propagate --from preprod");
    assert_eq!(run.code, Some(11), "{}", run.stderr);
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert!(
        lines[0].starts_with("dev: wso2am-4.1.0.10/hf-1: not possible: it is at update level 20, "),
        "{}",
        lines[0]
    );
    assert!(lines[0].contains("ask the vendor for hotfixes of that level"), "{}", lines[0]);
    assert!(lines[1].starts_with("qa: has wso2am-4.1.0.10/hf-1 now ("), "{}", lines[1]);
    // Another pack of the same level, another hotfix in the same place, and nothing at all.
    let other = Scenario::empty().without_engine().with_pack(|pack| pack.file("more.txt", "x"));
    estate.deploy_from(&other, 0, &["dev"]);
    let run = estate.env("propagate --from preprod --to dev");
    assert!(run.stdout.contains("it was made from another pack of the same level"), "{}", run.stdout);
    let other = Scenario::like(&estate.scenario).without_engine().without_hotfixes();
    let other = other.with_hotfix(1, |hotfix| hotfix.add("o.txt", "o"));
    estate.deploy_from(&other, 1, &["qa"]);
    let run = estate.env("propagate --from preprod --to qa");
    assert!(run.stdout.contains("it has hotfixes that are not the first of those"), "{}", run.stdout);
    let run = estate.env("propagate --from prod --to preprod").fails_with(4);
    run.says("the environment prod runs nothing");
    estate.env("propagate --from dev").fails_with(11).says("dev has no hotfixes that hotfix applied");
    // Forwards there are gates.
    estate.env("propagate --from preprod --to prod").fails_with(2).says("prod is not before preprod");
}

#[test]
fn the_product_in_another_place_is_another_layer() {
    let Some(estate) = Estate::new() else { return };
    estate.deploy_with(&["--product-home", "/opt/am"], 0, &["dev"]);
    estate.deploy(1, &["preprod"]);
    let before = estate.digest("dev");
    let run = estate.env("propagate --from preprod --to dev");
    assert_eq!(run.code, Some(11));
    assert!(run.stdout.contains("the product in it is not in the same layer"), "{}", run.stdout);
    assert_eq!(estate.digest("dev"), before);
}

#[test]
fn what_was_made_before_and_rejected_is_not_made_again() {
    let Some(estate) = Estate::new() else { return };
    estate.deploy_with(&["--label", "team=dev"], 0, &["dev"]);
    estate.deploy(1, &["preprod"]);
    estate.env("verify --env dev --result pass").succeeds();
    estate.env("propagate --from preprod --to dev").succeeds();
    let made = estate.digest("dev");
    estate.env("reject --env dev --reason broken --actor bob").succeeds();
    estate.env("rollback --env dev").succeeds();
    for dry_run in ["", " --dry-run"] {
        let run = estate.env(&format!("propagate --from preprod --to dev{dry_run}"));
        assert_eq!(run.code, Some(11), "{}", run.stderr);
        assert!(run.stdout.contains("may not come back: bob rejected it: broken"), "{}", run.stdout);
    }
    assert_ne!(estate.digest("dev"), made);
}

#[test]
fn one_registry_that_fails_is_no_failure_of_the_others() {
    let Some(estate) = Estate::new() else { return };
    estate.deploy(0, &["dev"]);
    estate.deploy(1, &["preprod", "prod"]);
    let server = crate::support::http::Server::start(|_| crate::support::http::Answer::new(503));
    let text = estate.scenario.text("environments.toml");
    let text = text.replace(&estate.tag("qa"), &format!("{}/team/am:qa", server.host));
    std::fs::write(estate.scenario.path("environments.toml"), text).expect("written");
    let run = estate.env("propagate --from prod").fails_with(9);
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert!(lines[0].starts_with("dev: has wso2am-4.1.0.10/hf-1 now ("), "{}", run.stdout);
    assert!(lines[1].starts_with("qa: failed: cannot look at "), "{}", run.stdout);
    assert!(lines[2].starts_with("preprod: has them all ("), "{}", run.stdout);
    assert_eq!(estate.digest("dev"), estate.digest("prod"));
}

#[test]
fn production_has_a_gate() {
    let Some(estate) = Estate::new() else { return };
    let text = estate.scenario.text("environments.toml");
    let after = format!("{text}\n[[environments]]\nname = \"dr\"\nimage = \"{}\"\n", estate.tag("dr"));
    std::fs::write(estate.scenario.path("environments.toml"), after).expect("written");
    estate.deploy(0, &["preprod", "prod"]);
    estate.deploy(1, &["dr"]);
    let before = estate.digest("prod");
    estate.env("propagate --from dr --to prod").fails_with(11).says("prod is production").says("hotfix env promote");
    estate.env("propagate --from dr");
    assert_eq!(estate.digest("prod"), before);
    assert_eq!(estate.digest("preprod"), estate.digest("dr"));
}
