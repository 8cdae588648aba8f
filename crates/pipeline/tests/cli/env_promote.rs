//! Images from one environment to the next, and back.

use update_tool_sim::PackBuilder;

use crate::support::Scenario;
use crate::support::estate::{Estate, REGISTRY_PASSWORD, USER};
use crate::support::registry::Registry;

fn two_registries(gate: &str) -> Option<Estate> {
    Estate::with(Some(Registry::start_with_password(USER, REGISTRY_PASSWORD)?), gate)
}

#[test]
fn the_very_image_that_was_tested_gets_into_production() {
    let Some(estate) = two_registries("") else { return };
    estate.deploy(1, &["prod"]);
    estate.deploy(2, &["preprod"]);
    let (tested, before) = (estate.digest("preprod"), estate.digest("prod"));
    assert_ne!(tested, before);
    let run = estate.env("promote --from preprod --to prod --dry-run").succeeds();
    assert!(run.stdout.starts_with("prod would run 4.1.0.10-hf2 ("), "{}", run.stdout);
    assert!(run.stdout.contains("in place of 4.1.0.10-hf1 ("), "{}", run.stdout);
    assert_eq!(estate.digest("prod"), before);
    estate.env("promote --from preprod --to prod --actor jo").succeeds();
    let production = estate.registry_of("prod");
    assert_eq!(estate.digest("prod"), tested);
    assert_eq!(production.digest_of("team/am", "4.1.0.10-hf2"), tested);
    // The product's layer was there: configuration and the layer of the hotfixes were sent.
    let sent_before = production.blobs_sent("team/am");
    let again = estate.env("promote --from preprod --to prod").succeeds().stdout;
    assert!(again.starts_with("prod runs 4.1.0.10-hf2 (") && again.ends_with(") already\n"), "{again}");
    assert_eq!(production.blobs_sent("team/am"), sent_before);
    let history = estate.json("history --env prod");
    assert_eq!(history.as_array().expect("a list").len(), 1, "a promotion that is done is not done again: {history}");
    assert_eq!(history[0]["act"], "promoted");
    assert_eq!((&history[0]["from"], &history[0]["version-tag"]), (&"preprod".into(), &"4.1.0.10-hf2".into()));
    assert_eq!((&history[0]["digest"], &history[0]["replaced"]), (&tested.into(), &before.into()));
    let status = estate.json("status");
    assert_eq!(status["environments"][3]["by"], "jo");
    assert_eq!(estate.env("status --check").code, Some(11), "quality assurance and development lack them");
}

#[test]
fn blobs_stay_in_their_registry() {
    let Some(estate) = Estate::new() else { return };
    estate.deploy(1, &["dev"]);
    let sent = estate.registry.blobs_sent("team/am");
    let text = estate.scenario.text("environments.toml").replace("/team/am:prod", "/live/am:prod");
    std::fs::write(estate.scenario.path("environments.toml"), text).expect("written");
    estate.env("promote --from dev --to prod").succeeds();
    assert_eq!(estate.registry.digest_of("live/am", "prod"), estate.digest("dev"));
    assert_eq!(estate.registry.blobs_sent("team/am"), sent);
    // Two layers and the configuration; what was sent is the ledger's.
    assert_eq!(estate.registry.blobs_mounted("live/am"), 3);
}

#[test]
fn hotfixes_of_production_are_not_lost() {
    let Some(estate) = Estate::new() else { return };
    estate.deploy(2, &["prod"]);
    estate.deploy(1, &["preprod"]);
    let before = estate.digest("prod");
    let run = estate.env("promote --from preprod --to prod").fails_with(11);
    run.says("error: prod would lose wso2am-4.1.0.10/hf-2").says("--allow-removal");
    assert_eq!(estate.digest("prod"), before);
    estate.env("promote --from preprod --to prod --allow-removal").succeeds();
    assert_eq!(estate.digest("prod"), estate.digest("preprod"));
}

#[test]
fn a_level_that_holds_the_fixes_needs_no_hotfixes() {
    let Some(estate) = Estate::new() else { return };
    estate.deploy(1, &["preprod", "prod"]);
    let later = Scenario::empty().without_engine().with_pack(|pack| pack.level(20));
    estate.deploy_from(&later, 0, &["outside"]);
    let promote = format!("promote --image {} --to preprod", estate.tag("outside"));
    estate.env(&promote).fails_with(11).says("preprod would lose wso2am-4.1.0.10/hf-1").says("fixed-in");
    estate.env("fixed-in wso2am-4.1.0.10/hf-1 20").succeeds();
    estate.env(&promote).succeeds();
    assert_eq!(estate.digest("preprod"), estate.digest("outside"));
    assert_eq!(estate.registry.digest_of("team/am", "4.1.0.20"), estate.digest("outside"));
}

#[test]
fn another_product_is_refused() {
    let Some(estate) = Estate::new() else { return };
    estate.deploy(1, &["prod"]);
    let other = Scenario::empty().without_engine().with_pack(|_| PackBuilder::new("wso2is", "7.1.0").level(3));
    estate.deploy_from(&other, 0, &["preprod"]);
    estate
        .env("promote --from preprod --to prod")
        .fails_with(11)
        .says("prod runs wso2am, and sha256:")
        .says("is wso2is");
}

#[test]
fn a_version_keeps_its_image() {
    let Some(estate) = Estate::new() else { return };
    estate.deploy(1, &["dev", "4.1.0.10-hf2"]);
    estate.deploy(2, &["preprod"]);
    let run = estate.env("promote --from preprod --to prod").fails_with(11);
    run.says(":4.1.0.10-hf2 names another image already, sha256:").says("give --tag with another name");
    assert!(!estate.registry.has("team/am", "prod"));
    estate.env("promote --from preprod --to prod --tag 4.1.0.10-hf2.1").succeeds();
    assert_eq!(estate.registry.digest_of("team/am", "4.1.0.10-hf2.1"), estate.digest("prod"));
    estate.env("promote --from preprod --to qa --tag qa").fails_with(11).says(":qa is the tag of qa");
    estate.env("promote --from preprod --to qa --tag a:b").fails_with(2).says("expected a tag alone");
    estate.env("promote --to qa").fails_with(2).says("--from");
    estate.env("promote --from dev --to dev").fails_with(11).says("give two environments");
}

#[test]
fn what_runs_there_already_gets_its_tag() {
    let Some(estate) = Estate::new() else { return };
    estate.deploy(1, &["preprod", "prod"]);
    let promote = "promote --from preprod --to prod";
    let shown = |words: &str| estate.env(words).succeeds().stdout;
    assert!(shown(&format!("{promote} --dry-run")).contains("already; its tag would be 4.1.0.10-hf1"));
    assert!(!estate.registry.has("team/am", "4.1.0.10-hf1"));
    assert!(shown(promote).contains("already; its tag is 4.1.0.10-hf1"));
    assert_eq!(estate.registry.digest_of("team/am", "4.1.0.10-hf1"), estate.digest("prod"));
    assert!(shown(promote).ends_with("already\n"));
    assert!(shown(&format!("{promote} --tag release-7")).contains("its tag is release-7"));
    assert_eq!(estate.registry.digest_of("team/am", "release-7"), estate.digest("prod"));
}

#[test]
fn an_image_for_several_platforms_holds_the_same_for_each() {
    let Some(estate) = Estate::new() else { return };
    estate.deploy(1, &["amd64"]);
    estate.deploy_with(&["--label", "x=y"], 1, &["arm64"]);
    estate.deploy_with(&["--label", "x=y"], 2, &["other"]);
    estate.put_index(&["amd64", "other"], "preprod");
    let run = estate.env("promote --from preprod --to prod").fails_with(11);
    run.says("does not hold the same for each platform: linux/amd64 has 4.1.0.10-hf1, linux/other has 4.1.0.10-hf2");
    estate.put_index(&["amd64", "arm64"], "preprod");
    estate.env("promote --from preprod --to prod").succeeds();
    assert_eq!(estate.digest("prod"), estate.digest("preprod"));
}

#[test]
fn back_to_what_was_verified() {
    let Some(estate) = Estate::new() else { return };
    for through in 1..=3 {
        estate.deploy(through, &["preprod"]);
        if through != 2 {
            estate.env("verify --env preprod --result pass").succeeds();
        }
        estate.env("promote --from preprod --to prod").succeeds();
    }
    let version = |tag: &str| estate.registry.digest_of("team/am", tag);
    let (first, second, third) = (version("4.1.0.10-hf1"), version("4.1.0.10-hf2"), version("4.1.0.10-hf3"));
    estate.env(&format!("rollback --env prod --to {second}")).fails_with(11).says("was never verified");
    estate.env(&format!("rollback --env prod --to {third}")).fails_with(11).says("already");
    estate.env("rollback --env prod --to sha256:0000000").fails_with(11).says("prod never ran sha256:0000000");
    estate.env("rollback --env prod --to garbage").fails_with(2).says("expected a digest");
    let short = &second["sha256:".len()..][..12];
    estate.env(&format!("rollback --env prod --to {short}")).fails_with(11).says("was never verified");
    estate.env("rollback --env qa").fails_with(4).says("the environment qa runs nothing");
    let run = estate.env("rollback --env prod --dry-run").succeeds();
    let lost = "prod would run 4.1.0.10-hf1 (";
    assert!(run.stdout.starts_with(lost), "{}", run.stdout);
    assert!(run.stdout.ends_with(", without wso2am-4.1.0.10/hf-2, wso2am-4.1.0.10/hf-3\n"), "{}", run.stdout);
    assert_eq!(estate.digest("prod"), third);
    estate.env("rollback --env prod --actor jo").succeeds();
    assert_eq!(estate.digest("prod"), first, "the second was not verified");
    let history = estate.json("history --env prod");
    let last = history.as_array().and_then(|all| all.last()).expect("records");
    assert_eq!(
        (&last["act"], &last["digest"], &last["replaced"]),
        (&"rolled-back".into(), &first.into(), &third.into())
    );
}

#[test]
fn a_password_that_is_wrong_changes_nothing() {
    let Some(estate) = two_registries("") else { return };
    estate.deploy(1, &["preprod"]);
    let config = estate.registry_of("prod").docker_config(USER, "wrong");
    std::fs::write(estate.scenario.path("home/config.json"), config).expect("written");
    let run = estate.env("promote --from preprod --to prod").fails_with(9);
    run.says("does not allow a pull from team/am: authentication required").says("docker login").does_not_say("wrong");
    assert!(!estate.registry_of("prod").has("team/am", "prod"));
}

#[test]
fn a_version_is_no_environment_and_no_ledger() {
    let Some(estate) = Estate::with(None, "gate = { verified = true }") else { return };
    estate.deploy(1, &["dev"]);
    estate.env("promote --from dev --to qa --tag prod").fails_with(11).says(":prod is the tag of prod");
    estate.env("promote --from dev --to qa --tag hotfix-ledger").fails_with(11).says("is the tag of the ledger");
    assert!(!estate.registry.has("team/am", "prod") && !estate.registry.has("team/am", "hotfix-ledger"));
    let run = estate.env(&format!("history --ledger {}", estate.tag("x")));
    assert_eq!(run.code, Some(0));
    let text = estate.scenario.text("environments.toml");
    let same = format!("ledger = \"{}\"\n{text}", estate.tag("prod"));
    std::fs::write(estate.scenario.path("environments.toml"), same).expect("written");
    estate.env("status").fails_with(2).says("environments.toml:1:").says("would be what 'prod' runs");
}

#[test]
fn fixes_of_the_update_level_are_not_lost_either() {
    let Some(estate) = Estate::new() else { return };
    let later = Scenario::empty().without_engine().with_pack(|pack| pack.level(20));
    estate.deploy_from(&later, 0, &["prod"]);
    estate.deploy(0, &["preprod"]);
    estate.env("fixed-in wso2am-4.1.0.10/hf-1 15").succeeds();
    estate.env("promote --from preprod --to prod").fails_with(11).says("prod would lose wso2am-4.1.0.10/hf-1");
}

#[test]
fn of_an_image_that_says_nothing_nothing_is_taken_to_be_so() {
    let Some(estate) = Estate::new() else { return };
    estate.deploy(1, &["preprod"]);
    estate.put_image_with(&["-4.1.0", "A=b"], "prod");
    let before = estate.digest("prod");
    estate.env("promote --from preprod --to prod").fails_with(11).says("which hotfixes prod has is not known");
    assert_eq!(estate.digest("prod"), before);
    let run = estate.env("status --check");
    assert_eq!(run.code, Some(11), "{}", run.stdout);
    assert!(run.stdout.contains("what prod runs is not known"), "{}", run.stdout);
    estate.env("promote --from preprod --to prod --allow-removal").succeeds();
}

#[test]
fn the_vendors_image_goes_from_environment_to_environment() {
    let Some(estate) = Estate::new() else { return };
    estate.deploy(1, &["preprod", "prod"]);
    estate.put_image_with(&["WSO2_SERVER_HOME=/home/wso2carbon/wso2am-4.1.0"], "4.1.0.20");
    let image = estate.tag("4.1.0.20");
    estate.env(&format!("promote --image {image} --to preprod")).fails_with(11).says("would lose wso2am-4.1.0.10/hf-1");
    estate.env("fixed-in wso2am-4.1.0.10/hf-1 15").succeeds();
    estate.env(&format!("promote --image {image} --to preprod")).succeeds();
    estate.env("promote --from preprod --to prod").succeeds();
    assert_eq!(estate.digest("prod"), estate.digest("4.1.0.20"));
    let status = estate.json("status");
    assert_eq!(status["environments"][3]["version"], "4.1.0.20");
    estate.deploy(0, &["qa"]);
    estate.env("promote --from qa --to prod").fails_with(11).says("prod would lose wso2am-4.1.0.10/hf-1");
}

#[test]
fn an_older_level_is_a_removal() {
    let Some(estate) = Estate::new() else { return };
    let later = Scenario::empty().without_engine().with_pack(|pack| pack.level(20));
    estate.deploy_from(&later, 0, &["dev"]);
    estate.deploy(0, &["qa"]);
    let run = estate.env("promote --from qa --to dev").fails_with(11);
    run.says("dev would go back from 4.1.0.20 to 4.1.0.10").says("--allow-removal");
    estate.env("promote --from qa --to dev --allow-removal").succeeds();
}

#[test]
fn what_was_allowed_to_go_is_in_the_history() {
    let Some(estate) = Estate::new() else { return };
    estate.deploy(2, &["prod"]);
    estate.deploy(1, &["preprod"]);
    let run = estate.env("promote --from preprod --to prod --allow-removal").succeeds();
    assert!(run.stdout.ends_with(", without wso2am-4.1.0.10/hf-2\n"), "{}", run.stdout);
    assert_eq!(estate.json("history")[0]["removed"], serde_json::json!(["wso2am-4.1.0.10/hf-2"]));
    assert!(estate.env("history").stdout.ends_with(", without wso2am-4.1.0.10/hf-2\n"));
}

#[test]
fn a_tag_that_is_gone_takes_no_hotfixes_with_it() {
    let Some(estate) = Estate::new() else { return };
    estate.deploy(2, &["preprod"]);
    estate.env("promote --from preprod --to prod").succeeds();
    estate.registry.forget("team/am", "prod");
    estate.deploy(1, &["preprod"]);
    let promote = "promote --from preprod --to prod";
    estate.env(promote).fails_with(11).says("prod would lose wso2am-4.1.0.10/hf-2");
    estate.registry.forget("team/am", "4.1.0.10-hf2");
    estate.registry.forget_digest("team/am", &estate.json("history")[0]["digest"]);
    estate.env(promote).fails_with(11).says("its tag is gone, and so is what it ran last, sha256:");
    estate.env(&format!("{promote} --allow-removal")).succeeds();
}

#[test]
fn every_platform_counts() {
    let Some(estate) = Estate::new() else { return };
    estate.deploy(2, &["amd64", "prod"]);
    estate.deploy_with(&["--label", "x=y"], 0, &["arm64"]);
    estate.put_index(&["amd64", "arm64"], "dev");
    let run = estate.env("status --check");
    assert_eq!(run.code, Some(11), "{}", run.stderr);
    assert!(run.stdout.contains("dev                (not the same for each platform)"), "{}", run.stdout);
    estate.env("solve wso2am-4.1.0.10/hf-1").fails_with(11).says("what dev runs is not known");
    estate.put_index(&["arm64", "amd64"], "prod");
    let run = estate.env("promote --from preprod --to prod").fails_with(4);
    run.says("the environment preprod runs nothing");
    estate.deploy(2, &["preprod"]);
    let run = estate.env("promote --from preprod --to prod").fails_with(11);
    run.says("which hotfixes prod has is not known: it does not hold the same for each platform");
    estate.deploy_with(&["--label", "x=y"], 2, &["arm64"]);
    estate.deploy_with(&["--label", "x=y", "--platform", "linux/arm64"], 2, &["arm64"]);
    estate.put_index(&["amd64", "arm64"], "prod");
    let run = estate.env("promote --from preprod --to prod").fails_with(11);
    run.says("prod would lose the image for linux/arm64");
}

#[test]
fn the_level_that_the_vendors_tag_says_can_be_corrected() {
    let Some(estate) = Estate::new() else { return };
    estate.put_image_with(&["WSO2_SERVER_HOME=/home/wso2carbon/wso2am-4.1.0"], "4.1.0.30");
    estate.env(&format!("promote --image {} --to dev", estate.tag("4.1.0.30"))).succeeds();
    estate.put_image_with(&["WSO2_SERVER_HOME=/home/wso2carbon/wso2am-4.1.0"], "4.1.0.12");
    let run = estate.env(&format!("promote --image {} --to preprod", estate.tag("4.1.0.12"))).succeeds();
    run.says("the ledger says that this image holds 4.1.0.30; it counts as 4.1.0.12 from now on");
    assert_eq!(estate.json("status")["environments"][0]["version"], "4.1.0.12");
}

#[test]
fn a_password_in_a_name_is_not_shown() {
    let Some(estate) = Estate::new() else { return };
    let run = estate.env("promote --image u:s3cretpw@127.0.0.1:5000/a:b --to prod").fails_with(2);
    run.says("***@127.0.0.1:5000/a:b").does_not_say("s3cretpw");
    estate.env("history --env u:s3cretpw@h").fails_with(2).says("***@h").does_not_say("s3cretpw");
    let run = estate.env("promote --from dev --to prod --tag a:b").fails_with(2);
    run.says("'hotfix env promote --help' describes --tag");
}
