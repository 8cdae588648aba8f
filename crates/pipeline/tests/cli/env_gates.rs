//! What keeps an image out of an environment: gates and rejections.

use crate::support::estate::Estate;
use crate::support::http::Server;

#[test]
fn a_gate_stays_closed_until_everything_holds() {
    let Some(estate) = Estate::with(None, "gate = { verified = true, approvals = 2 }") else { return };
    estate.deploy(2, &["preprod"]);
    let promote = "promote --from preprod --to prod";
    let closed = |words: &str| {
        estate.env(promote).fails_with(11).says(words);
        assert!(!estate.registry.has("team/am", "prod"));
    };
    closed("may not get into prod: it was not verified in preprod; 0 of 2 approvals are there");
    estate.env("verify --env preprod --result fail").succeeds();
    closed("its tests in preprod failed");
    estate.env("verify --env preprod --result pass").succeeds();
    estate.env("approve --env preprod --reason ok --actor ann").succeeds();
    closed("prod: 1 of 2 approvals are there");
    estate.env("reject --env preprod --reason slow --actor eve").succeeds();
    closed("eve rejected it: slow");
    estate.env("approve --env preprod --reason ok --actor ann").succeeds();
    estate.env("approve --env preprod --reason ok --actor bob").succeeds();
    estate.env(promote).succeeds();
    assert_eq!(estate.digest("prod"), estate.digest("preprod"));
    // Of another image nobody said anything.
    estate.deploy(3, &["preprod"]);
    estate.env(promote).fails_with(11).says("it was not verified in preprod");
}

/// What runs somewhere without having passed its gate gets no tag that says it has.
#[test]
fn what_came_by_itself_is_not_let_in_afterwards() {
    let Some(estate) = Estate::with(None, "gate = { verified = true }") else { return };
    estate.deploy(1, &["preprod", "prod"]);
    let version = "4.1.0.10-hf1";
    let is_tagged = || estate.registry.has("team/am", version);
    let before = is_tagged();
    let promote = "promote --from preprod --to prod --tag release-1";
    estate.env(promote).fails_with(11).says("it was not verified in preprod");
    assert!(!estate.registry.has("team/am", "release-1") && is_tagged() == before);
    estate.env("reject --env preprod --reason slow").succeeds();
    estate.env("promote --from preprod --to qa --tag release-1").fails_with(11).says("rejected it: slow");
    estate.env("verify --env preprod --result pass").succeeds();
    estate.env("approve --env preprod --reason fine").succeeds();
    estate.env(promote).succeeds();
    assert!(estate.registry.has("team/am", "release-1"));
}

#[test]
fn time_in_the_environment_before_is_a_gate() {
    let Some(estate) = Estate::with(None, "gate = { soak = \"1h\" }") else { return };
    estate.deploy(1, &["qa"]);
    estate.env("promote --from qa --to prod").fails_with(11).says("since when it has been in qa is not known");
    estate.env("promote --from qa --to preprod").succeeds();
    estate.env("promote --from preprod --to prod").fails_with(11).says("and 1h are asked for");
    // What came there otherwise has been there since it was looked at.
    estate.env("verify --env qa --result pass").succeeds();
    estate.env("promote --from qa --to prod").fails_with(11).says("it has been in qa for 0s, and 1h are asked for");
    let soon = estate.scenario.text("environments.toml").replace("1h", "1s");
    std::fs::write(estate.scenario.path("environments.toml"), soon).expect("written");
    std::thread::sleep(std::time::Duration::from_millis(1100));
    estate.env("promote --from qa --to prod").succeeds();
}

#[test]
fn tests_that_failed_elsewhere_close_the_gate() {
    let Some(estate) = Estate::with(None, "gate = { verified = true }") else { return };
    estate.deploy(1, &["dev", "qa"]);
    estate.env("verify --env dev --result pass").succeeds();
    estate.env("verify --env qa --result fail").succeeds();
    estate.env("promote --from dev --to prod").fails_with(11).says("its tests in qa failed");
    let by_name = format!("promote --image {} --to prod", estate.tag("qa"));
    estate.env(&by_name).fails_with(11).says("of qa may not get into prod").says("its tests in qa failed");
    estate.env("verify --env qa --result pass").succeeds();
    estate.env(&by_name).succeeds();
}

#[test]
fn what_is_rejected_while_it_is_copied_does_not_get_in() {
    let Some(estate) = Estate::with(None, "gate = { verified = true }") else { return };
    estate.deploy(1, &["preprod"]);
    estate.env("verify --env preprod --result pass").succeeds();
    // Its manifest is asked for once it was copied: by then somebody has looked closer.
    let (host, ledger) = (estate.registry.host.clone(), format!("{}/team/am:hotfix-ledger", estate.registry.host));
    let rejected = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (path, config) = (estate.scenario.path("environments.toml"), estate.scenario.path("home"));
    let environments = path.to_str().expect("UTF-8").to_owned();
    let proxy = Server::in_front_of(&host, move |request| {
        let is_copy = request.method == "PUT" && request.address.ends_with("/manifests/4.1.0.10-hf1");
        if is_copy && !rejected.swap(true, std::sync::atomic::Ordering::SeqCst) {
            let reject = std::process::Command::new(env!("CARGO_BIN_EXE_hotfix"))
                .args(["env", "reject", "--env", "preprod", "--reason", "burns", "--actor", "eve"])
                .args(["--environments", &environments, "--ledger", &ledger])
                .env("HOME", &config)
                .stdout(std::process::Stdio::null())
                .status();
            assert!(reject.expect("it starts").success());
        }
        None
    });
    let text = estate.scenario.text("environments.toml");
    let slow = text.replace(&estate.tag("prod"), &format!("{}/live/am:prod", proxy.host));
    std::fs::write(estate.scenario.path("slow.toml"), slow).expect("written");
    let ledger = format!("{}/team/am:hotfix-ledger", estate.registry.host);
    let words = format!("promote --from preprod --to prod --environments slow.toml --ledger {ledger}");
    estate.env(&words).fails_with(11).says("eve rejected it: burns");
    assert!(!estate.registry.has("live/am", "prod"));
}

#[test]
fn what_was_tested_is_what_is_verified() {
    let Some(estate) = Estate::new() else { return };
    estate.deploy(1, &["preprod"]);
    let tested = estate.digest("preprod");
    estate.env(&format!("verify --env preprod --result pass --digest {tested}")).succeeds();
    estate.deploy(2, &["preprod"]);
    let run = estate.env(&format!("verify --env preprod --result pass --digest {tested}")).fails_with(11);
    run.says(&format!("preprod runs {} now, not {tested}", estate.digest("preprod")));
    let short = &tested[..19];
    estate.env(&format!("approve --env preprod --reason x --digest {short}")).fails_with(11).says("preprod runs");
    assert_eq!(estate.json("history").as_array().expect("a list").len(), 1);
    estate
        .scenario
        .run(&["env", "approve", "--env", "preprod", "--reason", " "])
        .fails_with(2)
        .says("expected a reason");
}

#[test]
fn what_was_rejected_does_not_come_back() {
    let Some(estate) = Estate::new() else { return };
    for through in 1..=2 {
        estate.deploy(through, &["preprod"]);
        estate.env("verify --env preprod --result pass").succeeds();
        estate.env("promote --from preprod --to prod").succeeds();
    }
    estate.deploy(0, &["dev"]);
    let bad = estate.digest("prod");
    estate.env("reject --env prod --reason burns").succeeds();
    estate.env("propagate --from prod --to dev").fails_with(11).says("may not go anywhere").says("rejected it: burns");
    estate.env("rollback --env prod").succeeds();
    let good = estate.digest("prod");
    estate.env("rollback --env prod").fails_with(11).says("prod ran no other image that was verified");
    estate.env(&format!("rollback --env prod --to {bad}")).fails_with(11).says("may not come back").says("burns");
    assert_eq!(estate.digest("prod"), good);
}
