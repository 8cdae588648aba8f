//! Credentials of registries: helpers, stores, tokens, and passwords with every character.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use crate::registries::to_registry;
use crate::support::Scenario;
use crate::support::engine::{self, Base, try_docker};
use crate::support::http::{Answer, Server};
use crate::support::registry::Registry;
use crate::support::token_server::{IDENTITY_TOKEN, PASSWORD, TokenRegistry, USER};

/// With `docker-credential-<name>` first in `PATH`, a shell script.
fn with_helper(scenario: Scenario, name: &str, script: &str) -> Scenario {
    let file = format!("bin/docker-credential-{name}");
    let scenario = scenario.with_file(&file, format!("#!/bin/sh\n{script}\n"));
    fs::set_permissions(scenario.path(&file), fs::Permissions::from_mode(0o755)).expect("ours");
    let path = format!("{}:{}", scenario.path("bin").display(), std::env::var("PATH").unwrap_or_default());
    scenario.env("PATH", &path)
}

/// A helper that knows one registry, as the protocol of helpers has it.
fn knowing(registry: &str, user: &str, secret: &str) -> String {
    let known = serde_json::json!({ "ServerURL": registry, "Username": user, "Secret": secret });
    format!(
        "test \"$1\" = get || exit 3\nif test \"$(cat)\" = '{registry}'; then cat <<'END'\n{known}\nEND\n\
         else echo 'credentials not found in native keychain'; exit 1; fi"
    )
}

fn locked() -> Option<(Registry, String)> {
    let registry = Registry::start_with_password("ci~bot", "pa~ss>word?")?;
    let tag = format!("{}/team/wso2am:t1", registry.host);
    Some((registry, tag))
}

#[test]
fn a_helper_and_a_store_are_asked() {
    let Some((registry, tag)) = locked() else { return };
    let of_this = serde_json::json!({ "credHelpers": { &registry.host: "test" }, "credsStore": "other" });
    let of_all = serde_json::json!({ "auths": { &registry.host: {} }, "credsStore": "test" });
    for config in [of_this, of_all] {
        let scenario = to_registry(&tag).with_file("home/config.json", config.to_string()).args(["-vv"]);
        let scenario = with_helper(scenario, "test", &knowing(&registry.host, "ci~bot", "pa~ss>word?"));
        scenario.apply().succeeds().does_not_say("pa~ss>word?");
    }
}

#[test]
fn a_store_without_it_leaves_it_to_the_file_and_then_to_nobody() {
    let Some((registry, tag)) = locked() else { return };
    let mut config: serde_json::Value =
        serde_json::from_str(&registry.docker_config("ci~bot", "pa~ss>word?")).expect("JSON");
    config["credsStore"] = "test".into();
    let run = |config: &serde_json::Value| {
        let scenario = to_registry(&tag).with_file("home/config.json", config.to_string());
        with_helper(scenario, "test", &knowing("elsewhere.example.org", "a", "b"))
    };
    run(&config).apply().succeeds();
    config["auths"] = serde_json::json!({});
    run(&config).apply().fails(9, "push-image").says("does not allow a push");
}

#[test]
fn helpers_that_are_missing_fail_or_talk_nonsense() {
    let Some((registry, tag)) = locked() else { return };
    let config = serde_json::json!({ "credHelpers": { &registry.host: "test" } }).to_string();
    let scenario = || to_registry(&tag).with_file("home/config.json", &config);
    let fails = |scenario: Scenario| {
        let run = scenario.apply().fails(9, "push-image");
        assert!(
            run.stderr.contains(&format!("the credentials for {} cannot be read", registry.host)),
            "{}",
            run.stderr
        );
        let file = scenario.path("home/config.json");
        let hint = format!("repair {} or the credential helper that it names", file.display());
        assert!(run.stderr.contains(&hint), "{}", run.stderr);
        run.stderr.clone()
    };
    let said = fails(scenario());
    assert!(said.contains("there is no credential helper docker-credential-test in PATH"), "{said}");
    let said = fails(with_helper(scenario(), "test", "echo s3cret; echo the keychain is locked >&2; exit 7"));
    assert!(said.contains("docker-credential-test failed (exit status: 7): the keychain is locked"), "{said}");
    assert!(!said.contains("s3cret"), "{said}");
    let said = fails(with_helper(scenario(), "test", "echo s3cret"));
    assert!(said.contains("docker-credential-test answered with something that is no credential"), "{said}");
    assert!(!said.contains("s3cret"), "{said}");
}

#[test]
fn a_helper_that_hangs_is_cut_off_with_what_it_started() {
    let Some((registry, tag)) = locked() else { return };
    let config = serde_json::json!({ "credHelpers": { &registry.host: "test" } }).to_string();
    let scenario = with_helper(to_registry(&tag).with_file("home/config.json", config), "test", "sleep 300 & wait");
    let start = Instant::now();
    // That nothing is left running in the scenario's folder is part of every failure.
    scenario.apply().fails(9, "push-image").says("docker-credential-test did not answer in 20 s");
    assert!(start.elapsed() < Duration::from_secs(40), "{:?}", start.elapsed());
}

#[test]
fn a_helper_that_says_without_end_is_cut_off() {
    let Some((registry, tag)) = locked() else { return };
    let config = serde_json::json!({ "credHelpers": { &registry.host: "test" } }).to_string();
    for script in ["exec yes s3cret", "yes s3cret >&2"] {
        let scenario = with_helper(to_registry(&tag).with_file("home/config.json", &config), "test", script);
        let start = Instant::now();
        let run = scenario.apply().fails(9, "push-image").does_not_say("s3cret");
        run.says("docker-credential-test answered with something that is no credential");
        assert!(start.elapsed() < Duration::from_secs(15), "not by the limit in time: {:?}", start.elapsed());
    }
}

#[test]
fn keys_of_older_logins_count() {
    let Some((registry, tag)) = locked() else { return };
    for key in [format!("https://{}/v1/", registry.host), format!("http://{}", registry.host)] {
        let config = registry.docker_config("ci~bot", "pa~ss>word?").replace(&registry.host, &key);
        to_registry(&tag).with_file("home/config.json", config).apply().succeeds();
    }
}

#[test]
fn passwords_with_every_printable_character() {
    if !engine::is_there() {
        return;
    }
    let every: Vec<char> = (b' '..=b'~').map(char::from).collect();
    // The registry's hashes are of 72 bytes at most.
    for password in every.chunks(50).map(|part| part.iter().collect::<String>()) {
        let user = "ci!#$%&'()*+,-./;<=>?@[\\]^_`{|}~";
        let Some(registry) = Registry::start_with_password(user, &password) else { return };
        let config = registry.docker_config(user, &password);
        let logged_in = |scenario: Scenario| scenario.with_file("home/config.json", &config).args(["-vv"]);
        let base = format!("{}/base/java:1", registry.host);
        let quiet = |run: crate::support::scenario::Run<'_>| {
            run.succeeds().does_not_say(&password);
        };
        quiet(logged_in(to_registry(&base).args(["--product-home", "/opt/other"])).apply());
        let fetched = format!("{}/team/wso2am:fetched", registry.host);
        quiet(logged_in(to_registry(&fetched).args(["--base-image", &base])).apply());
        let of_engine = Base::new("every-character");
        let tag = format!("{}/team/wso2am:engine", registry.host);
        let scenario =
            Scenario::new().args(["--output", "docker", "--base-image", &of_engine.name, "--push", "-t", &tag]);
        quiet(logged_in(scenario).apply());
        try_docker(&["rmi", "--force", &tag]);
        assert!(registry.has("team/wso2am", "engine"));
        let scenario = logged_in(Scenario::new().without_engine());
        quiet(scenario.run(&["inspect", &fetched]));
    }
}

#[test]
fn a_password_gets_a_token_and_another_repository_is_in_it() {
    let Some(tokens) = TokenRegistry::start() else { return };
    let host = &tokens.registry.host;
    let config = tokens.registry.docker_config(USER, PASSWORD);
    let scenario = to_registry(&format!("{host}/team/wso2am:t1")).args(["-t", &format!("{host}/prod/wso2am:t1")]);
    let scenario = scenario.with_file("home/config.json", config).args(["-vv"]);
    scenario.apply().succeeds().does_not_say(PASSWORD);
    assert_eq!(tokens.registry.blobs_mounted("prod/wso2am"), 3, "{:?}", tokens.given_for());
    let both = ["repository:prod/wso2am:pull,push".to_owned(), "repository:team/wso2am:pull".to_owned()];
    assert!(tokens.given_for().contains(&both.to_vec()), "{:?}", tokens.given_for());
    let inspect = scenario.run(&["inspect", &format!("{host}/team/wso2am:t1")]);
    assert_eq!(inspect.code, Some(0), "{}", inspect.stderr);
}

#[test]
fn an_identity_token_gets_others_and_a_registry_token_is_taken_as_it_is() {
    let Some(tokens) = TokenRegistry::start() else { return };
    let host = &tokens.registry.host;
    let token = tokens.token(&["repository:team/wso2am:pull,push"]);
    let entry = |entry: serde_json::Value| serde_json::json!({ "auths": { host: entry } }).to_string();
    let identity = entry(serde_json::json!({ "auth": "MDAwOg==", "identitytoken": IDENTITY_TOKEN }));
    let scenario = to_registry(&format!("{host}/team/wso2am:t1")).args(["-vv"]).with_file("home/config.json", identity);
    scenario.apply().succeeds().does_not_say(IDENTITY_TOKEN);
    assert!(tokens.requests().iter().all(|request| request == "POST /token"), "{:?}", tokens.requests());
    let asked = tokens.requests().len();
    let ready_made = entry(serde_json::json!({ "registrytoken": token }));
    let scenario =
        to_registry(&format!("{host}/team/wso2am:t2")).args(["-vv"]).with_file("home/config.json", ready_made);
    scenario.apply().succeeds().does_not_say(&token);
    assert_eq!(tokens.requests().len(), asked, "nobody is asked for another");
    let helper = serde_json::json!({ "credsStore": "test" }).to_string();
    let scenario = to_registry(&format!("{host}/team/wso2am:t3")).with_file("home/config.json", helper);
    with_helper(scenario, "test", &knowing(host, "<token>", IDENTITY_TOKEN)).apply().succeeds();
}

#[test]
fn a_token_server_that_says_no() {
    let Some(tokens) = TokenRegistry::start() else { return };
    let tag = format!("{}/team/wso2am:t1", tokens.registry.host);
    for config in ["{}".to_owned(), tokens.registry.docker_config(USER, "wrong")] {
        let scenario = to_registry(&tag).with_file("home/config.json", config);
        let run = scenario.apply().fails(9, "push-image");
        run.says("does not allow a push to team/wso2am: who are you?").says("docker login");
    }
}

#[test]
fn no_password_goes_to_a_token_server_without_tls() {
    let server = Server::start(|_| {
        Answer::new(401).header("www-authenticate", "Bearer realm=\"http://tokens.invalid/t\",service=\"x\"")
    });
    let config = serde_json::json!({ "auths": { &server.host: { "auth": "dTpw" } } }).to_string();
    let scenario = to_registry(&format!("{}/team/wso2am:t1", server.host)).with_file("home/config.json", config);
    scenario.apply().fails(9, "push-image").says("its token server tokens.invalid does not use TLS");
}
