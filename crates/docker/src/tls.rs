//! TLS to engines and registries: one cryptography for the process, and the certificates of an engine's users.

use std::path::Path;
use std::sync::{Arc, Once};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::endpoint::TlsFiles;

/// One process, one choice of cryptography; the crates that speak TLS here leave it open.
pub(crate) fn install() {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| {
        // An error means that somebody has chosen already.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

/// What a connection to an engine is made with.
///
/// # Errors
/// Which file cannot be used, and why.
pub(crate) fn client_config(files: &TlsFiles) -> Result<ClientConfig, String> {
    install();
    let builder = ClientConfig::builder();
    let builder = if files.verify {
        let verifier = WebPkiServerVerifier::builder(Arc::new(roots(files)?)).build();
        builder.with_webpki_verifier(verifier.map_err(|error| error.to_string())?)
    } else {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyEngine))
    };
    let Some((certificate, key)) = &files.identity else { return Ok(builder.with_no_client_auth()) };
    let key_of_ours = PrivateKeyDer::from_pem_file(key).map_err(unusable(key))?;
    let chain = certificates(certificate)?;
    builder.with_client_auth_cert(chain, key_of_ours).map_err(unusable(key))
}

/// The authority that is given and no other, as with `docker`; where none is, those of the system.
fn roots(files: &TlsFiles) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    match &files.ca {
        Some(ca) => {
            for certificate in certificates(ca)? {
                roots.add(certificate).map_err(unusable(ca))?;
            }
        }
        None => drop(roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs)),
    }
    if roots.is_empty() {
        return Err("there is no ca.pem to know its certificate by".to_owned());
    }
    Ok(roots)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let all = CertificateDer::pem_file_iter(file).map_err(unusable(file))?;
    let all = all.collect::<Result<Vec<_>, _>>().map_err(unusable(file))?;
    if all.is_empty() { Err(format!("{} holds no certificate", file.display())) } else { Ok(all) }
}

fn unusable<E: std::fmt::Display>(file: &Path) -> impl FnOnce(E) -> String {
    move |error| format!("{} cannot be used: {error}", file.display())
}

/// Believes every engine, for contexts with `SkipTLSVerify`.
#[derive(Debug)]
struct AnyEngine;

impl ServerCertVerifier for AnyEngine {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &algorithms())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &algorithms())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        algorithms().supported_schemes()
    }
}

fn algorithms() -> WebPkiSupportedAlgorithms {
    rustls::crypto::ring::default_provider().signature_verification_algorithms
}
