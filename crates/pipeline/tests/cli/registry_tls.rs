//! Registries that speak TLS under an authority of the test's own.

use crate::registries::to_registry;
use crate::support::Scenario;
use crate::support::authority::{Authority, other_name};
use crate::support::engine::{self, Base, try_docker};
use crate::support::registry::Registry;

struct Tls {
    authority: Authority,
    registry: Registry,
    tag: String,
}

/// A registry under a name for which certificates are checked.
fn registry(clients: bool) -> Option<Tls> {
    let name = other_name()?;
    let authority = Authority::new();
    let registry = Registry::start_with(&name, |folder| authority.tls(&name, folder, clients))?;
    let tag = format!("{}/team/wso2am:t1", registry.host);
    Some(Tls { authority, registry, tag })
}

impl Tls {
    /// A file in the folder of this registry's certificates.
    fn with(&self, scenario: Scenario, file: &str, text: &str) -> Scenario {
        scenario.with_file(&format!("home/certs.d/{}/{file}", self.registry.host), text)
    }
}

#[test]
fn an_authority_that_nobody_knows_is_refused_and_a_known_one_is_not() {
    let Some(tls) = registry(false) else { return };
    let unknowing = to_registry(&tls.tag);
    let refused = unknowing.apply().fails(9, "push-image");
    let refused = refused.says(&format!("the certificate of the registry {} is not trusted", tls.registry.host));
    let refused = refused.does_not_say("ERROR");
    refused.says("UnknownIssuer").says(&format!("certs.d/{}/ca.crt", tls.registry.host)).does_not_say("extract-pack");
    let scenario = tls.with(to_registry(&tls.tag), "ca.crt", &tls.authority.certificate);
    scenario.apply().succeeds();
    assert!(tls.registry.has("team/wso2am", "t1"));
    let inspect = scenario.run(&["inspect", &tls.tag]);
    assert!(inspect.stdout.contains("(in the registry)"), "{}{}", inspect.stdout, inspect.stderr);
    let inspect = Scenario::new().without_engine();
    let inspect = inspect.run(&["inspect", &tls.tag]);
    assert_eq!(inspect.code, Some(9));
    inspect.says("is not trusted").says("ca.crt");
}

#[test]
fn authorities_of_the_system_can_be_named() {
    let Some(tls) = registry(false) else { return };
    let scenario = to_registry(&tls.tag).with_file("ca.pem", &tls.authority.certificate);
    let file = scenario.path("ca.pem").display().to_string();
    scenario.env("SSL_CERT_FILE", &file).apply().succeeds();
}

#[test]
fn a_base_image_is_fetched_by_tls_too() {
    let Some(tls) = registry(false) else { return };
    let scenario = || tls.with(Scenario::new().without_engine(), "ca.crt", &tls.authority.certificate);
    let base = format!("{}/base/java:1", tls.registry.host);
    let first = scenario().args(["--push", "-t", &base, "--product-home", "/opt/other"]);
    first.apply().succeeds();
    scenario().args(["--base-image", &base]).apply().succeeds();
    let unknown = Scenario::new().without_engine().args(["--base-image", &base]);
    unknown.apply().fails(8, "build-image").says("is not to be had").says("is not trusted").says("ca.crt");
}

#[test]
fn a_registry_can_want_a_certificate_of_ours() {
    let Some(tls) = registry(true) else { return };
    let trusting = || tls.with(to_registry(&tls.tag), "ca.crt", &tls.authority.certificate);
    trusting().apply().fails(9, "push-image").says("does not answer").says("received fatal alert");
    let ours = tls.authority.sign("ci");
    let scenario = tls.with(trusting(), "ci.cert", &ours.certificate);
    let scenario = tls.with(scenario, "ci.key", &ours.key);
    scenario.apply().succeeds();
}

#[test]
fn certificates_that_cannot_be_used() {
    let Some(tls) = registry(false) else { return };
    let scenario = tls.with(to_registry(&tls.tag), "ca.crt", "no certificate");
    scenario.apply().fails(9, "push-image").says("ca.crt cannot be used: it holds no certificate in PEM");
    let ours = tls.authority.sign("ci");
    let scenario = tls.with(to_registry(&tls.tag), "ci.cert", &ours.certificate);
    scenario.apply().fails(9, "push-image").says("ci.key is missing").says("repair the file, or take it away");
}

#[test]
fn on_this_machine_any_certificate_will_do() {
    if !engine::is_there() {
        return;
    }
    let authority = Authority::new();
    let registry = Registry::start_with("127.0.0.1", |folder| authority.tls("127.0.0.1", folder, false));
    let Some(registry) = registry else { return };
    to_registry(&format!("{}/team/wso2am:layout", registry.host)).apply().succeeds();
    let base = Base::new("tls");
    let tag = format!("{}/team/wso2am:engine", registry.host);
    let scenario = Scenario::new().args(["--output", "docker", "--base-image", &base.name, "--push", "-t", &tag]);
    scenario.apply().succeeds();
    try_docker(&["rmi", "--force", &tag]);
    assert!(registry.has("team/wso2am", "layout") && registry.has("team/wso2am", "engine"));
}
