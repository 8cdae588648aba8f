//! What to do about a registry that cannot be asked.

use hotfix_docker::Error;
use hotfix_docker::auth::config_folder;

use crate::inputs::hint_for;

/// Where there is an image, but for another platform.
pub(crate) const OTHER_PLATFORM: &str = "name an image for that platform, or another --platform";

/// What to do next after `error`, where the registry is `registry`.
pub(crate) fn hint(registry: &str, error: &Error) -> String {
    match error {
        Error::Denied { .. } => {
            format!("log in with rights to do that (docker login {registry}), and check the name of the repository")
        }
        Error::Untrusted { registry, .. } => format!(
            "put the certificate of its authority into /etc/docker/certs.d/{registry}/ca.crt, which is the engine's place \
             too, or into ~/.docker/certs.d/{registry}/ca.crt"
        ),
        Error::Certificate { .. } => "repair the file, or take it away".to_owned(),
        Error::RegistryUnreachable { .. } => {
            "check the name of the registry and the network; without TLS a registry is asked on this machine only"
                .to_owned()
        }
        Error::Credentials { .. } => {
            let file = config_folder().map(|folder| folder.join("config.json").display().to_string());
            let file = file.unwrap_or_else(|| "~/.docker/config.json".to_owned());
            format!("repair {file} or the credential helper that it names (docker login does)")
        }
        Error::NotInRegistry { .. } => "check the name and the tag".to_owned(),
        Error::Io { path, source, .. } => {
            hint_for(source, path, "set TMPDIR, or --workspace, to a folder on a larger disk")
        }
        error if error.is_of_platform() => OTHER_PLATFORM.to_owned(),
        _ => "see what the registry said, and try again".to_owned(),
    }
}
