//! Certificates of the test's own, and a name under which they can be tried.

use std::fs;
use std::net::IpAddr;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};

use super::engine;

/// A certificate and its key, in PEM.
pub struct Signed {
    pub certificate: String,
    pub key: String,
}

/// An authority that nobody knows.
pub struct Authority {
    pub certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "authority of the tests");
        let certificate = params.self_signed(&key).expect("a certificate").pem();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    pub fn sign(&self, name: &str) -> Signed {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Signed { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    /// Lines of a registry's configuration for TLS as `name`; with `clients`, of those alone that we signed.
    pub fn tls(&self, name: &str, folder: &Path, clients: bool) -> String {
        let signed = self.sign(name);
        let file = |name: &str, text: &str| {
            let path = folder.join(name);
            fs::write(&path, text).expect("writable");
            path.display().to_string()
        };
        let certificate = file("server.crt", &signed.certificate);
        let key = file("server.key", &signed.key);
        let mut lines = format!("  tls:\n    certificate: '{certificate}'\n    key: '{key}'\n");
        if clients {
            lines.push_str(&format!("    clientcas: ['{}']\n", file("clients.crt", &self.certificate)));
        }
        lines
    }
}

/// A name of this machine that does not say so: the rules for `localhost` and `127.…` do not hold for it. It stands in the
/// machine's own table, so nobody outside is asked.
pub fn other_name() -> Option<String> {
    let hosts = fs::read_to_string("/etc/hosts").unwrap_or_default();
    let names = hosts.lines().filter_map(|line| {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let here = words.next()?.parse::<IpAddr>().is_ok_and(|address| address == IpAddr::from([127, 0, 0, 1]));
        words.find(|name| here && *name != "localhost").map(str::to_owned)
    });
    let found = names.into_iter().next();
    if found.is_none() {
        engine::skip("/etc/hosts has no name for 127.0.0.1 but localhost");
    }
    found
}
