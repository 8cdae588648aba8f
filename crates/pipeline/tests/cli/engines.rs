//! Which engine is used, how it is reached, and what is said where it is not.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::Scenario;
use crate::support::engine::{self, docker, try_docker};
use crate::support::scenario::Run;
use crate::support::sshd::{Sshd, command};
use crate::support::tcp_engine::{self, Authority};

/// A scenario for the engine, of which the environment says nothing yet.
fn to_engine() -> Scenario {
    let arguments = ["--output", "docker", "--base-image", "scratch", "--through", "0"];
    ["DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_TLS", "DOCKER_CERT_PATH"]
        .into_iter()
        .fold(Scenario::new().args(arguments), |scenario, name| scenario.env(name, ""))
}

fn at(endpoint: &str) -> Scenario {
    to_engine().env("DOCKER_HOST", endpoint)
}

/// The run makes an image in the real engine, wherever that was found.
#[track_caller]
fn reaches_the_engine(scenario: Scenario, test: &str) {
    let tag = format!("hotfix-test/{test}:{}", std::process::id());
    let scenario = scenario.args(["-t", &tag]);
    scenario.apply().succeeds();
    assert!(!docker(&["images", "--quiet", &tag]).is_empty(), "the image is not in the engine of the tests");
    try_docker(&["rmi", "--force", &tag]);
}

#[track_caller]
fn is_unreachable(run: Run<'_>) -> Run<'_> {
    let run = run.fails(8, "build-image").says("error: build-image: the Docker engine cannot be reached");
    assert!(!run.stderr.contains("extract-pack"), "{}", run.stderr);
    run
}

fn path_with(folder: &Path) -> String {
    format!("{}:{}", folder.display(), std::env::var("PATH").expect("a path"))
}

#[test]
fn another_output_is_named_only_where_it_would_do() {
    let without = |arguments: &[&str]| Scenario::new().without_engine().args(arguments.iter().copied());
    is_unreachable(without(&["--output", "docker"]).apply()).says("without an engine, --output oci:DIR");
    is_unreachable(without(&["--output", "docker", "--vendor-image"]).apply())
        .says("next: start it, or set DOCKER_HOST")
        .does_not_say("oci:DIR");
    let recipe = Scenario::new().without_engine().with_file("recipe/Dockerfile", "FROM scratch\n");
    is_unreachable(recipe.args(["--output", "docker", "--dockerfile", "recipe/Dockerfile"]).apply())
        .does_not_say("oci:DIR");
    let scenario = Scenario::new().without_engine();
    let run = scenario.run(&["apply", "image:wso2am:4.1.0.10", "hotfixes"]);
    run.fails(8, "build-image").says("next: start it, or set DOCKER_HOST").does_not_say("oci:DIR");
    let run = scenario.run(&["apply", "image:oci:nope", "hotfixes", "--output", "oci:image"]);
    run.fails(4, "validate-inputs").says("the image oci:nope is not to be had").says("next: give the folder of an OCI");
}

#[test]
fn an_address_that_is_none() {
    for (address, words) in [
        ("bluetooth://x", "'bluetooth://x' is no address of a Docker engine: its scheme is none of unix, tcp, ssh"),
        ("fd://", "'fd://' is no address of a Docker engine"),
        ("npipe:////./pipe/docker_engine", "named pipes are for Windows"),
        ("ssh://jo:s3cret@127.0.0.1", "use a key and ssh-agent"),
    ] {
        let scenario = at(address);
        let run =
            scenario.apply().fails(8, "build-image").says("error: build-image: the Docker engine cannot be looked for");
        run.says(words).says("next: give DOCKER_HOST").does_not_say("s3cret");
    }
}

#[test]
fn a_context_that_does_not_exist() {
    let scenario = to_engine().env("DOCKER_CONTEXT", "prod");
    let run = scenario.apply().fails(8, "build-image");
    run.says("there is no Docker context 'prod' (there are: default), and DOCKER_CONTEXT names it")
        .says("docker context use");
    let scenario = to_engine().with_file("home/config.json", r#"{ "currentContext": "stage" }"#);
    scenario.apply().fails(8, "build-image").says("no Docker context 'stage'").says("home/config.json names it");
}

#[test]
fn contexts_are_those_of_docker() {
    if !engine::is_there() {
        return;
    }
    let scenario = to_engine();
    let home = scenario.path("home");
    let in_home = |arguments: &[&str]| docker(&[&["--config", home.to_str().expect("UTF-8")], arguments].concat());
    in_home(&["context", "create", "real", "--docker", &format!("host=unix://{}", engine::socket().display())]);
    in_home(&["context", "create", "dead", "--docker", "host=unix:///nowhere/dead.sock"]);
    let scenario = scenario.env("DOCKER_CONTEXT", "dead");
    is_unreachable(scenario.apply()).says("no Docker engine answers at unix:///nowhere/dead.sock");
    let scenario = scenario.env("DOCKER_CONTEXT", "other");
    scenario.apply().fails(8, "build-image").says("(there are: dead, default, real)");
    let scenario = scenario.env("DOCKER_HOST", "unix:///nowhere/host.sock");
    is_unreachable(scenario.apply()).says("unix:///nowhere/host.sock");
    let scenario = scenario.env("DOCKER_HOST", "").env("DOCKER_CONTEXT", "");
    // `docker` itself does not let this be set while DOCKER_HOST is, which it is in CI.
    let scenario = scenario.with_file("home/config.json", r#"{ "currentContext": "real" }"#);
    reaches_the_engine(scenario, "context");
}

#[test]
fn a_context_that_is_damaged() {
    let scenario = to_engine().env("DOCKER_CONTEXT", "a");
    // The folder's name is the SHA-256 of "a".
    let hash = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb";
    let folder = scenario.path("home/contexts/meta").join(hash);
    std::fs::create_dir_all(&folder).expect("a folder");
    for meta in ["{", "{ \"Name\": \"a\" }"] {
        std::fs::write(folder.join("meta.json"), meta).expect("writable");
        let run = scenario.apply().fails(8, "build-image").says("the Docker context 'a' cannot be used: ");
        run.says("meta.json: ");
    }
}

#[test]
fn nothing_listens() {
    let scenario = at("unix:///nowhere/docker.sock");
    is_unreachable(scenario.apply()).says("no Docker engine answers at unix:///nowhere/docker.sock").says("oci:DIR");
    let closed = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port");
    let scenario = at(&format!("tcp://{closed}"));
    is_unreachable(scenario.apply()).says(&format!("no Docker engine answers at tcp://{closed}")).says("refused");
}

#[test]
fn a_socket_without_rights() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("docker.sock");
    let _listener = UnixListener::bind(&socket).expect("a socket");
    std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o000)).expect("ours");
    // Root may do everything, unless that right is taken away.
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    let without_rights: &[&str] = if is_root { &["setpriv", "--bounding-set=-dac_override"] } else { &[] };
    let scenario = at(&format!("unix://{}", socket.display())).under(without_rights.iter().copied());
    let run = is_unreachable(scenario.apply()).says("we have no rights to the socket of the Docker engine at unix://");
    run.says("join the group that owns the socket").says("rootless");
}

#[test]
fn an_engine_that_says_nothing_is_not_waited_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("docker.sock");
    let _unix = UnixListener::bind(&socket).expect("a socket");
    let tcp = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = tcp.local_addr().expect("bound");
    command(&folder.path().join("bin"), "ssh", "exec sleep 600");
    let path = path_with(&folder.path().join("bin"));
    let certificates = folder.path().join("certs");
    let authority = Authority::new();
    authority.write_to(&certificates, &authority);
    let tls = at(&format!("tcp://{port}")).env("DOCKER_TLS_VERIFY", "1");
    let tls = tls.env("DOCKER_CERT_PATH", certificates.to_str().expect("UTF-8"));
    let scenarios = [
        at(&format!("unix://{}", socket.display())),
        at(&format!("tcp://{port}")),
        at("ssh://127.0.0.1").env("PATH", &path),
        tls,
    ];
    std::thread::scope(|scope| {
        for scenario in &scenarios {
            scope.spawn(|| {
                let started = Instant::now();
                is_unreachable(scenario.apply()).says("does not answer within 5 s").says("docker version");
                assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
            });
        }
    });
}

#[test]
fn an_engine_at_a_port() {
    if !engine::is_there() {
        return;
    }
    reaches_the_engine(at(&format!("tcp://{}", tcp_engine::start(None))), "tcp");
}

#[test]
fn an_engine_behind_tls() {
    if !engine::is_there() {
        return;
    }
    let authority = Authority::new();
    let address = format!("tcp://{}", tcp_engine::start(Some(&authority)));
    let folder = tempfile::tempdir().expect("a folder");
    let certificates = |name: &str, ca: &Authority, signer: &Authority| {
        ca.write_to(&folder.path().join(name), signer);
        folder.path().join(name).display().to_string()
    };
    let with = |path: &str| at(&address).env("DOCKER_TLS_VERIFY", "1").env("DOCKER_CERT_PATH", path);
    let right = certificates("right", &authority, &authority);
    reaches_the_engine(with(&right), "tls");
    reaches_the_engine(with(&right).env("DOCKER_TLS_VERIFY", "").env("DOCKER_TLS", "1"), "tls-unverified");
    let stranger = Authority::new();
    let scenario = with(&certificates("other-engine", &stranger, &authority));
    let run = is_unreachable(scenario.apply()).says("no TLS connection to the Docker engine at tcp://");
    run.says("its certificate is not believed").says("DOCKER_CERT_PATH");
    // What the system trusts does not count beside the authority that is named, or anybody's certificate would do.
    let system = with(&certificates("system", &stranger, &authority)).env("SSL_CERT_FILE", &format!("{right}/ca.pem"));
    is_unreachable(system.apply()).says("its certificate is not believed");
    let nothing = with("/nowhere").env("SSL_CERT_FILE", &format!("{right}/ca.pem"));
    is_unreachable(nothing.apply()).says("/nowhere/ca.pem cannot be used");
    let scenario = with(&certificates("other-client", &authority, &stranger));
    let run = is_unreachable(scenario.apply()).says("no TLS connection to the Docker engine at tcp://");
    // Which of the two is seen is a matter of microseconds.
    let words = ["the engine refused our certificate", "the engine cut the connection"];
    assert!(words.iter().any(|words| run.stderr.contains(words)), "{}", run.stderr);
    let nobody = certificates("nobody", &authority, &authority);
    std::fs::remove_file(Path::new(&nobody).join("cert.pem")).expect("there");
    let scenario = with(&nobody);
    is_unreachable(scenario.apply()).says("no TLS connection to the Docker engine at tcp://");
    let broken = certificates("broken", &authority, &authority);
    std::fs::write(Path::new(&broken).join("key.pem"), "no key").expect("writable");
    let scenario = with(&broken);
    is_unreachable(scenario.apply()).says("broken/key.pem cannot be used");
}

#[test]
fn a_context_with_tls() {
    if !engine::is_there() {
        return;
    }
    let authority = Authority::new();
    let address = tcp_engine::start(Some(&authority));
    let scenario = to_engine().env("DOCKER_CONTEXT", "remote");
    let folder = tempfile::tempdir().expect("a folder");
    authority.write_to(folder.path(), &authority);
    let (home, files) = (scenario.path("home"), folder.path().display());
    let endpoint = format!("host=tcp://{address},ca={files}/ca.pem,cert={files}/cert.pem,key={files}/key.pem");
    docker(&["--config", home.to_str().expect("UTF-8"), "context", "create", "remote", "--docker", &endpoint]);
    reaches_the_engine(scenario, "tls-context");
    let scenario = to_engine().env("DOCKER_CONTEXT", "unseen");
    let home = scenario.path("home");
    let endpoint = format!("host=tcp://{address},cert={files}/cert.pem,key={files}/key.pem,skip-tls-verify=true");
    docker(&["--config", home.to_str().expect("UTF-8"), "context", "create", "unseen", "--docker", &endpoint]);
    reaches_the_engine(scenario, "tls-skipped");
}

#[test]
fn no_tls_where_there_is_some() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let scenario = at(&format!("tcp://{}", listener.local_addr().expect("bound")));
    // The answer of a Docker engine.
    let answer = "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.expect("a connection");
            let _ = client.read(&mut [0; 1024]);
            let _ = client.write_all(answer.as_bytes());
        }
    });
    is_unreachable(scenario.apply()).says("the engine wants TLS").says("DOCKER_TLS_VERIFY");
}

#[test]
fn tls_where_there_is_none() {
    if !engine::is_there() {
        return;
    }
    let authority = Authority::new();
    let folder = tempfile::tempdir().expect("a folder");
    authority.write_to(folder.path(), &authority);
    let plain = at(&format!("tcp://{}", tcp_engine::start(None))).env("DOCKER_TLS_VERIFY", "1");
    let plain = plain.env("DOCKER_CERT_PATH", folder.path().to_str().expect("UTF-8"));
    is_unreachable(plain.apply()).says("what is there does not speak TLS");
}

#[test]
fn an_engine_behind_ssh() {
    if !engine::is_there() {
        return;
    }
    let Some(sshd) = Sshd::start() else { return };
    let path = path_with(&sshd.client("user"));
    let endpoint = format!("ssh://127.0.0.1:{}", sshd.port);
    reaches_the_engine(at(&endpoint).env("PATH", &path), "ssh");
    let socket = format!("{endpoint}{}", engine::socket().display());
    reaches_the_engine(at(&socket).env("PATH", &path), "ssh-socket");
    let stranger = at(&endpoint).env("PATH", &path_with(&sshd.client("stranger")));
    let run =
        is_unreachable(stranger.apply()).says(&format!("the Docker engine at {endpoint} is not reached; ssh said: "));
    run.says("Permission denied (publickey)").says("ssh HOST docker version");
    let nowhere = at(&format!("{endpoint}/nowhere/docker.sock")).env("PATH", &path);
    is_unreachable(nowhere.apply()).says("ssh said: ").says("/nowhere/docker.sock");
}

#[test]
fn ssh_gets_what_docker_gives_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let said = folder.path().join("said");
    // On stderr the last words count, in one line, without what a terminal would obey.
    let script = format!("echo \"$@\" >'{}'; printf 'first\\n\\033[31mno way\\007\\n' >&2; exit 255", said.display());
    command(&folder.path().join("bin"), "ssh", &script);
    let scenario = at("ssh://jo@127.0.0.1:2200/run/d.sock").env("PATH", &path_with(&folder.path().join("bin")));
    let run = is_unreachable(scenario.apply()).says("ssh said: first; [31mno way\n");
    assert!(!run.stderr.contains('\u{1b}'), "{}", run.stderr);
    let words = "-T -o BatchMode=yes -o ConnectTimeout=5 -l jo -p 2200 -- 127.0.0.1 docker --host unix:///run/d.sock system dial-stdio\n";
    assert_eq!(std::fs::read_to_string(said).expect("it was called"), words);
    let empty = tempfile::tempdir().expect("a folder");
    let scenario = at("ssh://127.0.0.1").env("PATH", empty.path().to_str().expect("UTF-8"));
    is_unreachable(scenario.apply()).says("ssh cannot start: ");
}
