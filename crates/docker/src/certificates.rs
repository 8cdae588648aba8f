//! Certificates for registries, by the rules of the engines: a folder a registry, `<folder>/<host:port>/`, with `*.crt`
//! for authorities that are trusted beside the system's, and `*.cert` with `*.key` for who we are.

use std::fs;
use std::path::{Path, PathBuf};

use reqwest::{Certificate, ClientBuilder, Identity};

use crate::{Error, Result, auth, files};

/// Where the engine looks.
const OF_THE_ENGINE: &str = "/etc/docker";
/// The folder of registries in each of the places.
const CERTIFICATES: &str = "certs.d";

/// Adds to `client` what the folders of `registry` (host and, where given, port) hold.
///
/// # Errors
/// [`Error::Certificate`] where a file cannot be read, is none, or the other half of a pair is missing.
pub(crate) fn add_to(client: ClientBuilder, registry: &str) -> Result<ClientBuilder> {
    folders().into_iter().try_fold(client, |client, folder| add_folder(client, &folder.join(registry)))
}

/// The engine's own, a rootless engine's, and that of the configuration of `docker`.
fn folders() -> Vec<PathBuf> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let of_the_user = std::env::var_os("XDG_CONFIG_HOME").filter(|folder| !folder.is_empty()).map(PathBuf::from);
    let rootless = of_the_user.or_else(|| Some(home?.join(".config"))).map(|folder| folder.join("docker"));
    let all = [Some(PathBuf::from(OF_THE_ENGINE)), rootless, auth::config_folder()];
    all.into_iter().flatten().map(|folder| folder.join(CERTIFICATES)).collect()
}

fn add_folder(mut client: ClientBuilder, folder: &Path) -> Result<ClientBuilder> {
    // A folder that is not there, or not for us, is as one without certificates: the connection will tell.
    let Ok(entries) = fs::read_dir(folder) else { return Ok(client) };
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    for file in files {
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("crt") => client = client.tls_certs_merge(authorities(&file)?),
            Some("cert") => client = client.identity(identity(&file)?),
            Some("key") => drop(other_half(&file, "cert")?),
            _ => {}
        }
    }
    Ok(client)
}

fn authorities(file: &Path) -> Result<Vec<Certificate>> {
    let found = Certificate::from_pem_bundle(&read(file)?).unwrap_or_default();
    if found.is_empty() { Err(unusable(file, "it holds no certificate in PEM")) } else { Ok(found) }
}

fn identity(certificate: &Path) -> Result<Identity> {
    let key = other_half(certificate, "key")?;
    let pem = [read(certificate)?, b"\n".to_vec(), read(&key)?].concat();
    Identity::from_pem(&pem)
        .map_err(|_| unusable(certificate, format!("with {} it is no certificate and key in PEM", key.display())))
}

/// The file of the same name with another ending.
fn other_half(file: &Path, extension: &str) -> Result<PathBuf> {
    let other = file.with_extension(extension);
    if other.exists() { Ok(other) } else { Err(unusable(file, format!("{} is missing", other.display()))) }
}

fn read(file: &Path) -> Result<Vec<u8>> {
    files::read(file, files::SMALL).map_err(|error| unusable(file, error.to_string()))
}

fn unusable(file: &Path, reason: impl Into<String>) -> Error {
    Error::Certificate { path: file.to_owned(), reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_no_certificates_are_named() {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, reason) in [
            ("a.crt", "it holds no certificate in PEM"),
            ("b.cert", "b.key is missing"),
            ("c.key", "c.cert is missing"),
        ] {
            let file = folder.path().join(name);
            fs::write(&file, "x").expect("writable");
            let error = add_folder(reqwest::Client::builder(), folder.path()).expect_err(name).to_string();
            assert!(error.contains(name) && error.contains(reason), "{error}");
            fs::remove_file(file).expect("there");
        }
        fs::write(folder.path().join("readme.txt"), "x").expect("writable");
        assert!(add_folder(reqwest::Client::builder(), folder.path()).is_ok(), "others do not matter");
    }
}
