use std::collections::HashMap;
use std::fs;

use super::*;

struct World {
    home: tempfile::TempDir,
    variables: HashMap<&'static str, String>,
    sockets: Vec<PathBuf>,
}

impl World {
    fn new() -> Self {
        let home = tempfile::tempdir().expect("a folder");
        let variables = HashMap::from([("HOME", home.path().display().to_string())]);
        Self { home, variables, sockets: Vec::new() }
    }

    fn with(mut self, variable: &'static str, value: &str) -> Self {
        self.variables.insert(variable, value.to_owned());
        self
    }

    fn with_socket(mut self, path: impl Into<PathBuf>) -> Self {
        self.sockets.push(path.into());
        self
    }

    fn with_file(self, path: &str, text: &str) -> Self {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("inside")).expect("a folder");
        fs::write(path, text).expect("writable");
        self
    }

    fn with_context(self, name: &str, endpoint: &str, tls: &[&str]) -> Self {
        let digest = crate::hashing::digest_of(name.as_bytes());
        let hash = digest.trim_start_matches("sha256:");
        let meta = format!(r#"{{ "Name": "{name}", "Metadata": {{}}, "Endpoints": {{ "docker": {endpoint} }} }}"#);
        let world = self.with_file(&format!(".docker/contexts/meta/{hash}/meta.json"), &meta);
        tls.iter()
            .fold(world, |world, file| world.with_file(&format!(".docker/contexts/tls/{hash}/docker/{file}"), "PEM"))
    }

    fn path(&self, below: &str) -> PathBuf {
        self.home.path().join(below)
    }

    fn find(&self) -> Result<Endpoint> {
        Endpoint::find_in(&Surroundings {
            variable: &|name| self.variables.get(name).cloned(),
            exists: &|path| {
                self.sockets.iter().any(|socket| socket == path) || path.starts_with(&self.home) && path.exists()
            },
        })
    }

    fn address(&self) -> String {
        self.find().expect("an engine").address
    }

    fn error(&self) -> String {
        self.find().expect_err("no engine").to_string()
    }
}

impl AsRef<Path> for World {
    fn as_ref(&self) -> &Path {
        self.home.path()
    }
}

fn host(address: &str) -> World {
    World::new().with("DOCKER_HOST", address)
}

fn tcp_to(host: &str, port: u16, tls: Option<TlsFiles>) -> Route {
    Route::Tcp { host: host.to_owned(), port, tls }
}

#[test]
fn docker_host_goes_before_contexts_and_those_before_sockets() {
    let world = World::new().with_socket("/var/run/docker.sock").with_context("a", r#"{ "Host": "tcp://a:1" }"#, &[]);
    assert_eq!(world.address(), "unix:///var/run/docker.sock");
    let world = world.with("DOCKER_CONTEXT", "a");
    assert_eq!(world.address(), "tcp://a:1");
    let world = world.with("DOCKER_HOST", "tcp://b:2");
    assert_eq!(world.address(), "tcp://b:2");
    let world = world.with("DOCKER_CONTEXT", "missing");
    assert_eq!(world.address(), "tcp://b:2", "as docker has it: the context is not even looked at");
}

#[test]
fn the_context_in_use_is_found_in_the_configuration() {
    let world = World::new().with_context("a", r#"{ "Host": "tcp://a:1" }"#, &[]);
    let world = world.with_file(".docker/config.json", r#"{ "currentContext": "a" }"#);
    assert_eq!(world.address(), "tcp://a:1");
    assert_eq!(world.with("DOCKER_CONTEXT", "default").address(), "unix:///var/run/docker.sock");
    let world = World::new().with_file(".docker/config.json", "{").with_socket("/run/podman/podman.sock");
    assert_eq!(world.address(), "unix:///run/podman/podman.sock");
}

#[test]
fn a_missing_context_is_named_with_those_that_exist() {
    let world = World::new().with_context("b", "{}", &[]).with_context("a", "{}", &[]).with("DOCKER_CONTEXT", "x");
    assert_eq!(world.error(), "there is no Docker context 'x' (there are: a, b, default), and DOCKER_CONTEXT names it");
    let world = World::new().with_file(".docker/config.json", r#"{ "currentContext": "y" }"#);
    assert!(world.error().contains("'y' (there are: default), and currentContext in "), "{}", world.error());
}

#[test]
fn a_context_brings_its_own_tls() {
    let files = ["ca.pem", "cert.pem", "key.pem"];
    let tls = |world: World| match world.with("DOCKER_CONTEXT", "a").find().expect("an engine").route {
        Route::Tcp { tls, port: 2376, .. } => tls.expect("TLS"),
        other => panic!("{other:?}"),
    };
    let all = tls(World::new().with_context("a", r#"{ "Host": "tcp://a:2376" }"#, &files));
    assert!(all.verify && all.ca.is_some() && all.identity.is_some());
    let unseen = tls(World::new().with_context("a", r#"{ "Host": "tcp://a:2376", "SkipTLSVerify": true }"#, &[]));
    assert_eq!(unseen, TlsFiles::default());
    let plain = World::new().with_context("a", r#"{ "Host": "tcp://a:2376" }"#, &[]);
    let plain = plain.with("DOCKER_TLS_VERIFY", "1").with("DOCKER_CONTEXT", "a");
    assert_eq!(
        plain.find().expect("an engine").route,
        tcp_to("a", 2376, None),
        "the environment's is not for contexts"
    );
}

#[test]
fn without_a_word_the_first_socket_that_exists_is_taken() {
    let world = World::new().with("XDG_RUNTIME_DIR", "/run/user/7").with_socket("/run/podman/podman.sock");
    assert_eq!(world.address(), "unix:///run/podman/podman.sock");
    let mut world = world;
    for socket in [
        "/run/user/7/podman/podman.sock".into(),
        world.path(".docker/desktop/docker.sock"),
        world.path(".docker/run/docker.sock"),
        "/run/user/7/docker.sock".into(),
        "/var/run/docker.sock".into(),
    ] {
        world = world.with_socket(socket.clone());
        assert_eq!(world.address(), format!("unix://{}", socket.display()));
    }
    assert_eq!(World::new().address(), "unix:///var/run/docker.sock");
}

#[test]
fn tls_of_the_environment_is_for_ports() {
    let world = host("tcp://h").with("DOCKER_TLS_VERIFY", "1").with_file("certs/ca.pem", "PEM");
    let certs = world.path("certs");
    let world = world.with("DOCKER_CERT_PATH", certs.to_str().expect("UTF-8"));
    let tls = TlsFiles { verify: true, ca: Some(certs.join("ca.pem")), identity: None };
    assert_eq!(world.find().expect("an engine").route, tcp_to("h", 2376, Some(tls)));
    let world =
        host("tcp://h").with("DOCKER_TLS", "1").with_file(".docker/cert.pem", "").with_file(".docker/key.pem", "");
    let identity = Some((world.path(".docker/cert.pem"), world.path(".docker/key.pem")));
    assert_eq!(
        world.find().expect("an engine").route,
        tcp_to("h", 2376, Some(TlsFiles { identity, ..TlsFiles::default() }))
    );
    let unix = host("unix:///a/b.sock").with("DOCKER_TLS_VERIFY", "1");
    assert_eq!(unix.find().expect("an engine").route, Route::Unix("/a/b.sock".into()));
}

#[test]
fn addresses_are_those_of_docker() {
    let ssh = |user: Option<&str>, host: &str, port, socket: Option<&str>| {
        Route::Ssh(SshTarget {
            user: user.map(str::to_owned),
            host: host.to_owned(),
            port,
            socket: socket.map(str::to_owned),
        })
    };
    for (address, route) in [
        ("unix:///a/b.sock", Route::Unix("/a/b.sock".into())),
        ("tcp://h", tcp_to("h", 2375, None)),
        ("tcp://h:1/", tcp_to("h", 1, None)),
        ("h:1", tcp_to("h", 1, None)),
        ("http://h:1", tcp_to("h", 1, None)),
        ("tcp://:1", tcp_to("localhost", 1, None)),
        ("tcp://[::1]:1", tcp_to("::1", 1, None)),
        ("tcp://[::1]", tcp_to("::1", 2375, None)),
        ("https://h", tcp_to("h", 2376, Some(TlsFiles { verify: true, ..TlsFiles::default() }))),
        ("ssh://h", ssh(None, "h", None, None)),
        ("ssh://jo@h:22/run/user/7/docker.sock", ssh(Some("jo"), "h", Some(22), Some("/run/user/7/docker.sock"))),
    ] {
        assert_eq!(host(address).find().expect(address).route, route, "{address}");
    }
}

#[test]
fn other_addresses_are_refused_and_passwords_not_repeated() {
    for (address, words) in [
        ("foo://x", "'foo://x' is no address of a Docker engine: its scheme is none of unix, tcp, ssh"),
        ("fd://", "unix:///var/run/docker.sock"),
        ("npipe:////./pipe/docker_engine", "Windows"),
        ("unix://docker.sock", "must begin with /"),
        ("tcp://h:port", "no port"),
        ("tcp://h:1/below", "below a path"),
        ("tcp://jo:secret@h", "'tcp://***@h' is no address"),
        ("ssh://jo:secret@h/x", "'ssh://***@h/x' is no address"),
        ("ssh://", "no machine"),
        ("ssh://-oProxyCommand=x", "no name of a machine"),
        ("ssh://h/a;b", "letters, digits"),
        ("ssh://jo@", "no machine"),
    ] {
        let error = host(address).error();
        assert!(error.contains(words) && !error.contains("secret"), "{address}: {error}");
    }
}
