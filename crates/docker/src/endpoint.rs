//! Where the engine is: found as the `docker` command finds it, and then at the sockets of rootless engines and Podman.

use std::path::{Path, PathBuf};

use crate::context;
use crate::{Error, Result};

const DEFAULT_SOCKET: &str = "/var/run/docker.sock";
const PLAIN_PORT: u16 = 2375;
const TLS_PORT: u16 = 2376;

/// An engine's address, as far as it is known without asking it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// As in `DOCKER_HOST`.
    pub address: String,
    /// How to get there.
    pub route: Route,
}

/// The way to an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    /// A socket of this machine.
    Unix(PathBuf),
    /// A port, with TLS or without.
    Tcp { host: String, port: u16, tls: Option<TlsFiles> },
    /// `docker system dial-stdio` on another machine.
    Ssh(SshTarget),
}

/// What TLS is made with. Files that are not there are left out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct TlsFiles {
    /// Whether the engine has to show that it is the one.
    pub verify: bool,
    /// The authority of the engine's certificate, and the only one that is trusted; without it those of the system.
    pub ca: Option<PathBuf>,
    /// Our own certificate and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// What `ssh` is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SshTarget {
    pub user: Option<String>,
    pub host: String,
    pub port: Option<u16>,
    /// The engine's socket over there, where it is not the usual one.
    pub socket: Option<String>,
}

/// What an engine is looked for with: given, so that it can be tested.
pub(crate) struct Surroundings<'a> {
    /// The value of an environment variable.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// Whether there is such a file.
    pub exists: &'a dyn Fn(&Path) -> bool,
}

impl Surroundings<'_> {
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        (self.variable)(name).filter(|value| !value.is_empty())
    }

    /// Where the `docker` command keeps what it knows: `DOCKER_CONFIG`, else `~/.docker`.
    pub(crate) fn config_folder(&self) -> Option<PathBuf> {
        let folder = self.get("DOCKER_CONFIG").map(PathBuf::from);
        folder.or_else(|| Some(Path::new(&self.get("HOME")?).join(".docker")))
    }

    /// TLS as the environment wants it, for engines that are not in a context.
    fn tls(&self) -> Option<TlsFiles> {
        let verify = self.get("DOCKER_TLS_VERIFY").is_some();
        if !verify && self.get("DOCKER_TLS").is_none() {
            return None;
        }
        let folder =
            self.get("DOCKER_CERT_PATH").map(PathBuf::from).or_else(|| self.config_folder()).unwrap_or_default();
        let mut files = TlsFiles::in_folder(&folder, verify, self.exists);
        if verify {
            // As with `docker`: whoever wants the engine verified says by whom.
            files.ca.get_or_insert_with(|| folder.join("ca.pem"));
        }
        Some(files)
    }

    /// The first socket that exists; where none does, the one that everybody expects.
    fn socket(&self) -> PathBuf {
        let below = |variable: &str, rest: &str| self.get(variable).map(|folder| Path::new(&folder).join(rest));
        let candidates = [
            Some(PathBuf::from(DEFAULT_SOCKET)),
            below("XDG_RUNTIME_DIR", "docker.sock"),
            below("HOME", ".docker/run/docker.sock"),
            below("HOME", ".docker/desktop/docker.sock"),
            below("XDG_RUNTIME_DIR", "podman/podman.sock"),
            Some(PathBuf::from("/run/podman/podman.sock")),
        ];
        let found = candidates.into_iter().flatten().find(|socket| (self.exists)(socket));
        found.unwrap_or_else(|| DEFAULT_SOCKET.into())
    }
}

impl TlsFiles {
    /// From the three files that both `DOCKER_CERT_PATH` and contexts consist of.
    pub(crate) fn in_folder(folder: &Path, verify: bool, exists: &dyn Fn(&Path) -> bool) -> Self {
        let file = |name: &str| Some(folder.join(name)).filter(|path| exists(path));
        Self { verify, ca: file("ca.pem"), identity: file("cert.pem").zip(file("key.pem")) }
    }
}

impl Endpoint {
    /// The engine that this process is to use.
    ///
    /// # Errors
    /// [`Error::NoSuchContext`], [`Error::Context`] or [`Error::Endpoint`].
    pub(crate) fn find() -> Result<Self> {
        Self::find_in(&Surroundings { variable: &|name| std::env::var(name).ok(), exists: &|path| path.exists() })
    }

    /// `DOCKER_HOST` goes before any context, as with `docker`.
    pub(crate) fn find_in(surroundings: &Surroundings<'_>) -> Result<Self> {
        if let Some(address) = surroundings.get("DOCKER_HOST") {
            return Self::parse(&address, surroundings.tls());
        }
        if let Some(context) = context::current(surroundings)?
            && let Some(address) = &context.host
        {
            return Self::parse(address, context.tls);
        }
        let socket = surroundings.socket();
        Ok(Self { address: format!("unix://{}", socket.display()), route: Route::Unix(socket) })
    }

    fn parse(address: &str, tls: Option<TlsFiles>) -> Result<Self> {
        // As with `docker`, an address without a scheme is one of TCP.
        let (scheme, rest) = address.split_once("://").unwrap_or(("tcp", address));
        let route = match scheme {
            "unix" if rest.starts_with('/') => Ok(Route::Unix(rest.into())),
            "unix" => Err("the path of the socket must begin with /"),
            "tcp" | "http" => tcp(rest, tls),
            "https" => tcp(rest, Some(tls.unwrap_or(TlsFiles { verify: true, ..TlsFiles::default() }))),
            "ssh" => ssh(rest).map(Route::Ssh),
            "fd" => Err("fd:// is for the engine itself; to us, systemd's socket is unix:///var/run/docker.sock"),
            "npipe" => Err("named pipes are for Windows"),
            _ => Err("its scheme is none of unix, tcp, ssh"),
        };
        let address = without_user(address);
        match route {
            Ok(route) => Ok(Self { address, route }),
            Err(reason) => Err(Error::Endpoint { address, reason }),
        }
    }
}

fn tcp(rest: &str, tls: Option<TlsFiles>) -> Result<Route, &'static str> {
    let (user, host, port, path) = authority(rest)?;
    if user.is_some() {
        return Err("an engine knows no users; TLS certificates say who we are");
    }
    if !path.is_empty() {
        return Err("an engine below a path is not supported");
    }
    let port = port.unwrap_or(if tls.is_some() { TLS_PORT } else { PLAIN_PORT });
    let host = if host.is_empty() { "localhost".to_owned() } else { host };
    Ok(Route::Tcp { host, port, tls })
}

fn ssh(rest: &str) -> Result<SshTarget, &'static str> {
    let (user, host, port, path) = authority(rest)?;
    if user.as_deref().is_some_and(|user| user.contains(':')) {
        return Err("a password in it would be seen by everybody; use a key and ssh-agent");
    }
    if host.is_empty() {
        return Err("it names no machine");
    }
    // The other side's shell sees it.
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if !path.chars().all(is_plain) {
        return Err("the path of the socket has characters other than letters, digits and /._-");
    }
    Ok(SshTarget { user, host, port, socket: Some(path).filter(|path| !path.is_empty()) })
}

type Authority = (Option<String>, String, Option<u16>, String);

/// User, host, port and path (without a lone `/`).
fn authority(rest: &str) -> Result<Authority, &'static str> {
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let (user, place) = authority.rsplit_once('@').map_or((None, authority), |(user, place)| (Some(user), place));
    let (host, port) = match place.rsplit_once(':') {
        // Colons of an IPv6 address are in brackets.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (place, None),
    };
    let port = port.map(|port| port.parse().map_err(|_| "what is behind the colon is no port")).transpose()?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let is_plain = |c: char| c.is_ascii_alphanumeric() || ".-_:%".contains(c);
    if !host.chars().all(is_plain) || host.starts_with('-') {
        return Err("what is between scheme and port is no name of a machine");
    }
    Ok((user.map(str::to_owned), host.to_owned(), port, path.trim_end_matches('/').to_owned()))
}

/// What is shown: never a password, which people put there.
fn without_user(address: &str) -> String {
    let (scheme, rest) = address.split_once("://").map_or(("", address), |(scheme, rest)| (scheme, rest));
    let authority_end = rest.find('/').unwrap_or(rest.len());
    match rest[..authority_end].rsplit_once('@') {
        Some((user, _)) if user.contains(':') => format!("{scheme}://***{}", &rest[user.len()..]),
        _ => address.to_owned(),
    }
}

#[cfg(test)]
#[path = "endpoint_tests.rs"]
mod tests;
