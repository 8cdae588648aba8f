//! The real engine behind a port of this machine, with TLS or without.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::RootCertStore;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio_rustls::TlsAcceptor;

use super::engine;

/// A certificate authority of the test's own.
pub struct Authority {
    pem: String,
    certificate: rcgen::Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new([]).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("signed");
        Self { pem: certificate.pem(), certificate, issuer: Issuer::new(params, key) }
    }

    fn sign(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new([name.to_owned()]).expect("a name");
        (params.signed_by(&key, &self.issuer).expect("signed"), key)
    }

    /// What `DOCKER_CERT_PATH` names: this authority, and a certificate that `signer` gave to its user.
    pub fn write_to(&self, folder: &Path, signer: &Self) {
        let (certificate, key) = signer.sign("client");
        std::fs::create_dir_all(folder).expect("a folder");
        let files = [("ca.pem", self.pem.clone()), ("cert.pem", certificate.pem()), ("key.pem", key.serialize_pem())];
        for (name, pem) in files {
            std::fs::write(folder.join(name), pem).expect("writable");
        }
    }

    /// Wants a certificate of this authority of everybody, as a Docker engine with `--tlsverify`.
    fn acceptor(&self) -> TlsAcceptor {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone()).expect("a certificate");
        let clients = WebPkiClientVerifier::builder(Arc::new(roots)).build().expect("roots");
        let (certificate, key) = self.sign("127.0.0.1");
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let config = rustls::ServerConfig::builder().with_client_cert_verifier(clients);
        let config = config.with_single_cert(vec![certificate.der().clone()], key).expect("a pair");
        TlsAcceptor::from(Arc::new(config))
    }
}

/// The engine's port; it is open until the tests end.
pub fn start(authority: Option<&Authority>) -> SocketAddr {
    let acceptor = authority.map(Authority::acceptor);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    listener.set_nonblocking(true).expect("a socket");
    std::thread::spawn(move || {
        engine::block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a socket");
            while let Ok((client, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    match acceptor {
                        None => forward(client).await,
                        // A client that is refused sees it by itself.
                        Some(acceptor) => {
                            if let Ok(client) = acceptor.accept(client).await {
                                forward(client).await;
                            }
                        }
                    }
                });
            }
        });
    });
    address
}

async fn forward(mut client: impl AsyncRead + AsyncWrite + Unpin) {
    let mut engine = tokio::net::UnixStream::connect(engine::socket()).await.expect("the engine is there");
    let _ = copy_bidirectional(&mut client, &mut engine).await;
}
