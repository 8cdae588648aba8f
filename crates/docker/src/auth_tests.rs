use super::*;

async fn found(config: &str, registry: &str) -> Result<Credentials, String> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("config.json");
    std::fs::write(&file, config).expect("writable");
    look_up(&file, registry).await
}

fn password(username: &str, password: &str) -> Result<Credentials, String> {
    Ok(Credentials::Password { username: username.to_owned(), password: password.to_owned() })
}

#[tokio::test]
async fn keys_are_hosts_or_addresses() {
    for (key, registry, expected) in [
        ("host:5000", "host:5000", true),
        ("https://host:5000/v1/", "host:5000", true),
        ("http://host:5000", "host:5000", true),
        ("https://host/v2/", "host", true),
        ("host", "host:5000", false),
        ("https://index.docker.io/v1/", "docker.io", true),
        ("docker.io", "docker.io", true),
        ("index.docker.io", "docker.io", true),
        ("index.docker.io.example.org", "docker.io", false),
    ] {
        let config = serde_json::json!({ "auths": { key: { "auth": "dTpw" } } }).to_string();
        let expected = if expected { password("u", "p") } else { Ok(Credentials::Anonymous) };
        assert_eq!(found(&config, registry).await, expected, "{key} for {registry}");
    }
}

#[tokio::test]
async fn entries_hold_passwords_or_tokens() {
    for (entry, expected) in [
        (r#"{ "auth": "dTpwOnE=" }"#, password("u", "p:q")),
        (r#"{ "auth": "dTpwOnE" }"#, password("u", "p:q")),
        (r#"{ "username": "u", "password": "p" }"#, password("u", "p")),
        (r#"{ "auth": "dTo=", "identitytoken": "t" }"#, Ok(Credentials::IdentityToken("t".to_owned()))),
        (r#"{ "registrytoken": "t" }"#, Ok(Credentials::RegistryToken("t".to_owned()))),
        ("{}", Ok(Credentials::Anonymous)),
    ] {
        assert_eq!(found(&format!(r#"{{ "auths": {{ "host": {entry} }} }}"#), "host").await, expected, "{entry}");
    }
    let damaged = found(r#"{ "auths": { "host": { "auth": "c2VjcmV0" } } }"#, "host").await.expect_err("no colon");
    assert!(damaged.contains("the entry of host in") && !damaged.contains("c2VjcmV0"), "{damaged}");
}

#[tokio::test]
async fn no_file_is_no_failure_and_a_damaged_one_is() {
    assert_eq!(look_up(Path::new("/no/such/config.json"), "host").await, Ok(Credentials::Anonymous));
    let damaged = found(r#"{ "auths": { "host": "s3cret" } }"#, "host").await.expect_err("damaged");
    assert!(damaged.contains("line 1") && !damaged.contains("s3cret"), "{damaged}");
}

#[tokio::test]
async fn a_store_that_is_missing_is_a_failure() {
    let config = r#"{ "auths": { "host": { "auth": "dTpw" } }, "credsStore": "hotfix-no-such-helper" }"#;
    let missing = found(config, "host").await.expect_err("missing");
    assert!(missing.contains("docker-credential-hotfix-no-such-helper"), "{missing}");
}

#[test]
fn debug_shows_no_secret() {
    let all = [
        password("u", "s3cret").expect("ok"),
        Credentials::IdentityToken("s3cret".to_owned()),
        Credentials::RegistryToken("s3cret".to_owned()),
    ];
    assert!(!format!("{all:?}").contains("s3cret"));
}
