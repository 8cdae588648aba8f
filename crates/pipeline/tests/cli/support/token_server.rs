//! A token server as big registries have one: it gives tokens for passwords and identity tokens.

use std::fs;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{CertificateParams, KeyPair, SigningKey};
use serde_json::{Value, json};

use super::http::{Answer, Request, Server};
use super::registry::Registry;

pub const USER: &str = "ci-bot";
pub const PASSWORD: &str = "p:a%ss w+r&d";
pub const IDENTITY_TOKEN: &str = "identity+token/&=";
const SERVICE: &str = "the registry";

/// A registry that takes tokens only, and the server that gives them.
pub struct TokenRegistry {
    pub registry: Registry,
    server: Server,
    signer: Arc<Signer>,
    given_for: Arc<Mutex<Vec<Vec<String>>>>,
}

impl TokenRegistry {
    pub fn start() -> Option<Self> {
        let signer = Arc::new(Signer::new());
        let given_for = Arc::new(Mutex::new(Vec::new()));
        let (with, log) = (Arc::clone(&signer), Arc::clone(&given_for));
        let server = Server::start(move |request| answer(request, &with, &log));
        let realm = format!("http://{}/token", server.host);
        let registry = Registry::start_with("127.0.0.1", |folder| {
            let bundle = folder.join("signer.crt");
            fs::write(&bundle, &signer.certificate).expect("writable");
            let bundle = bundle.display();
            format!(
                "auth:\n  token: {{ realm: '{realm}', service: '{SERVICE}', issuer: tests, rootcertbundle: '{bundle}' }}\n"
            )
        })?;
        Some(Self { registry, server, signer, given_for })
    }

    /// A token as the server would give it.
    pub fn token(&self, scopes: &[&str]) -> String {
        self.signer.token(&scopes.iter().map(|scope| (*scope).to_owned()).collect::<Vec<_>>())
    }

    /// The scopes of each token that was given.
    pub fn given_for(&self) -> Vec<Vec<String>> {
        self.given_for.lock().expect("nobody panicked").clone()
    }

    pub fn requests(&self) -> Vec<String> {
        self.server.requests()
    }
}

fn answer(request: &Request, signer: &Signer, log: &Mutex<Vec<Vec<String>>>) -> Answer {
    let (_, query) = request.address.split_once('?').unwrap_or_default();
    let parameters = fields(if request.method == "POST" { &request.body } else { query });
    let of = |name: &str| -> Vec<&str> {
        parameters.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect()
    };
    let password = format!("Basic {}", STANDARD.encode(format!("{USER}:{PASSWORD}")));
    let known = match request.method.as_str() {
        "POST" => of("refresh_token") == [IDENTITY_TOKEN] && of("grant_type") == ["refresh_token"],
        _ => request.authorization == password,
    };
    if !known || of("service") != [SERVICE] {
        return Answer::new(401).body(r#"{"errors":[{"code":"UNAUTHORIZED","message":"who are you?"}]}"#);
    }
    let scopes: Vec<String> = of("scope").iter().flat_map(|scope| scope.split(' ')).map(str::to_owned).collect();
    log.lock().expect("nobody panicked").push(scopes.clone());
    // The older name of the field for the older way to ask, as real servers do.
    let field = if request.method == "POST" { "access_token" } else { "token" };
    Answer::new(200).body(json!({ field: signer.token(&scopes), "expires_in": 300 }).to_string())
}

/// A form or a query, decoded.
fn fields(text: &str) -> Vec<(String, String)> {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(key, value)| (decoded(key), decoded(value))).collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits: Vec<u8> = rest.by_ref().take(2).collect();
                u8::from_str_radix(&String::from_utf8_lossy(&digits), 16).expect("two digits")
            }
            other => other,
        });
    }
    String::from_utf8(bytes).expect("UTF-8")
}

struct Signer {
    key: KeyPair,
    certificate: String,
    chain: String,
}

impl Signer {
    fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let certificate = CertificateParams::new(Vec::new()).expect("no names").self_signed(&key).expect("signed");
        Self { key, certificate: certificate.pem(), chain: STANDARD.encode(certificate.der()) }
    }

    fn token(&self, scopes: &[String]) -> String {
        let access = |scope: &String| -> Option<Value> {
            let (rest, actions) = scope.rsplit_once(':')?;
            let (kind, name) = rest.split_once(':')?;
            Some(json!({ "type": kind, "name": name, "actions": actions.split(',').collect::<Vec<_>>() }))
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        let claims = json!({
            "iss": "tests", "sub": USER, "aud": SERVICE, "exp": now + 300, "nbf": now - 10, "iat": now, "jti": "1",
            "access": scopes.iter().filter_map(access).collect::<Vec<_>>(),
        });
        let header = json!({ "typ": "JWT", "alg": "ES256", "x5c": [self.chain] });
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", encode(&header), encode(&claims));
        let signature = raw_signature(&self.key.sign(text.as_bytes()).expect("signed"));
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// Certificates have the two numbers of a signature in ASN.1, tokens one after the other in 32 bytes each.
fn raw_signature(der: &[u8]) -> Vec<u8> {
    let mut numbers = Vec::new();
    let mut rest = &der[2..];
    for _ in 0..2 {
        let length = usize::from(rest[1]);
        let number = &rest[2..2 + length];
        let number = &number[length.saturating_sub(32)..];
        numbers.extend(std::iter::repeat_n(0, 32 - number.len()).chain(number.iter().copied()));
        rest = &rest[2 + length..];
    }
    numbers
}
