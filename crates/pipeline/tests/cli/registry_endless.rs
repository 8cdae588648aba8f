//! Registries whose answers have no end, or swell: the memory that they cost has one.

use std::io::Write;

use serde_json::json;

use crate::support::Scenario;
use crate::support::http::{Answer, Request, Server};
use crate::support::shelf::{OCI, Shelf, digest};

/// What hotfix may take of the address space; most of it is for the threads' stacks, and little of that is used.
const MEMORY: &str = "--as=1500000000";
const MIB: usize = 1 << 20;

fn bounded() -> Scenario {
    Scenario::new().without_engine().under(["prlimit", MEMORY])
}

fn with_base(server: &Server) -> Scenario {
    bounded().args(["--base-image", &format!("{}/base/java:amd64", server.host)])
}

/// A registry with an image, in which `own` comes before what it has.
fn registry(own: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static) -> Server {
    let mut shelf = Shelf::default();
    shelf.image("amd64", &format!("{OCI}.layer.v1.tar"), "");
    Server::start(move |request| own(request).unwrap_or_else(|| shelf.answer(request)))
}

fn endless(beginning: &str) -> Answer {
    Answer::new(200).header("content-type", "application/json").body(beginning).endless(vec![b' '; MIB])
}

#[test]
fn manifests_and_configurations() {
    let manifest = registry(|request| request.address.contains("/manifests/").then(|| endless("{")));
    with_base(&manifest).apply().fails(8, "build-image").says("it is larger than 4 MiB, so it is none");
    let configuration = registry(|request| request.address.contains("/blobs/").then(|| endless("{")));
    with_base(&configuration).apply().fails(8, "build-image").says("it has more than the ");
    for server in [manifest, configuration] {
        let scenario = bounded();
        let run = scenario.run(&["inspect", &format!("{}/base/java:amd64", server.host)]);
        assert_eq!(run.code, Some(9), "{}", run.stderr);
        assert!(run.stderr.contains("could not give the "), "{}", run.stderr);
    }
    // What it says of itself is believed at once where it is too much.
    let large = registry(|request| {
        let manifest = json!({
            "schemaVersion": 2, "mediaType": format!("{OCI}.manifest.v1+json"), "layers": [],
            "config": { "mediaType": "x", "digest": digest(b"x"), "size": 5_000_000_000_u64 },
        });
        let is_manifest = request.address.contains("/manifests/");
        is_manifest.then(|| Answer::new(200).header("content-type", "x").body(manifest.to_string()))
    });
    with_base(&large).apply().fails(8, "build-image").says("it has 5000000000 bytes, so it is none");
    assert!(!large.requests().iter().any(|request| request.contains("/blobs/")));
}

#[test]
fn greetings_tokens_and_refusals() {
    let greeting = Server::start(|_| endless("{"));
    with_base(&greeting).apply().fails(8, "build-image").says("it is larger than 4 MiB");
    let refusal = registry(|request| {
        let answer = Answer { status: 403, ..endless("no") };
        request.address.contains("/manifests/").then_some(answer)
    });
    with_base(&refusal).apply().fails(8, "build-image").says("does not allow a pull from base/java");
    let tokens = Server::start(|_| endless("{\"token\":\""));
    let realm = format!("Bearer realm=\"http://{}/token\"", tokens.host);
    let wants_token = Server::start(move |_| Answer::new(401).header("www-authenticate", realm.clone()));
    with_base(&wants_token).apply().fails(8, "build-image").says("could not get a token from its token server");
    // 300 kB are taken by HTTP itself for one head.
    let heads = Server::start(|_| Answer::new(200).header("x", "y".repeat(50 * MIB)));
    with_base(&heads).apply().fails(8, "build-image").says("does not answer");
}

#[test]
fn what_is_said_is_a_line() {
    for (os, digest) in [("x".repeat(3 << 20), digest(b"")), ("linux".to_owned(), "sha256:\n\u{1b}[2J".to_owned())] {
        let index = registry(move |request| {
            let platform = json!({ "os": os, "architecture": "amd64" });
            let index = json!({
                "schemaVersion": 2, "mediaType": format!("{OCI}.index.v1+json"),
                "manifests": [{ "mediaType": "x", "digest": digest, "size": 1, "platform": platform }],
            });
            request.address.contains("/manifests/").then(|| Answer::new(200).body(index.to_string()))
        });
        let scenario = with_base(&index).args(["--platform", "linux/amd64"]);
        let run = scenario.apply().fails(8, "build-image");
        assert!(run.stderr.len() < 4000 && !run.stderr.contains('\u{1b}'), "{}", run.stderr.len());
        assert_eq!(run.stderr.lines().filter(|line| line.contains("cause: ")).count(), 2, "{}", run.stderr);
        assert!(run.stderr.lines().all(|line| line.starts_with(' ') || line.starts_with("error: ")), "{}", run.stderr);
    }
}

/// What a manifest declares is not fetched until the disk is full.
#[test]
fn layers_without_end() {
    let mut shelf = Shelf::default();
    let config = shelf.blob(&format!("{OCI}.config.v1+json"), br#"{"rootfs":{"diff_ids":["x"]}}"#.to_vec());
    let manifest = json!({
        "schemaVersion": 2, "mediaType": format!("{OCI}.manifest.v1+json"), "config": config,
        "layers": [{ "mediaType": format!("{OCI}.layer.v1.tar"), "digest": digest(b"x"), "size": 1_u64 << 62 }],
    });
    shelf.manifest("amd64", &format!("{OCI}.manifest.v1+json"), &manifest);
    let server = shelf.serve();
    let run = with_base(&server);
    let run = run.apply().fails(8, "build-image").says("4611686018427387904 bytes are to be fetched, and ");
    run.says("make room there, or set TMPDIR, or --workspace, to a folder on a larger disk");
    assert!(!server.requests().iter().any(|request| request.contains(&digest(b"x"))));
}

/// However much is found, and however much more there is.
#[test]
fn an_image_of_many_files() {
    let mut tar = Vec::new();
    let mut add = |path: String| {
        let mut header = tar::Header::new_gnu();
        header.set_path(path).expect("short");
        header.set_size(0);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1);
        header.set_cksum();
        tar.extend_from_slice(header.as_bytes());
    };
    (0..50_000).for_each(|number| add(format!("o/{number}/updates/product.txt")));
    (0..100_000).for_each(|number| add(format!("z/{number}")));
    let mut shelf = Shelf::default();
    shelf.image_of("amd64", &format!("{OCI}.layer.v1.tar"), &[tar]);
    let scenario = bounded();
    let start = std::time::Instant::now();
    let run = scenario.run(&["state", &format!("image:{}/base/java:amd64", shelf.serve().host)]);
    assert!(run.code == Some(4) && start.elapsed().as_secs() < 30, "{:?}: {}", start.elapsed(), run.stderr);
}

#[test]
fn a_way_that_leads_on_and_on() {
    let around = Server::start(|request| Answer::new(307).header("location", format!("{}x", request.address)));
    with_base(&around).apply().fails(8, "build-image").says("too many redirects");
    assert!(around.requests().len() < 100, "{}", around.requests().len());
}

/// `tar` compressed, and after it `count` times 16 MiB of `byte`: gzip can be in several pieces, which are all the same here.
fn swelling(tar: &[u8], byte: u8, count: usize) -> Vec<u8> {
    let gzip = |bytes: &[u8]| {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(bytes).expect("in memory");
        gzip.finish().expect("in memory")
    };
    let piece = gzip(&vec![byte; 16 * MIB]);
    [gzip(tar), piece.repeat(count)].concat()
}

#[test]
fn layers_that_swell() {
    const PIECES: usize = 256;
    for (kind, place) in [(tar::EntryType::GNULongName, "a long name"), (tar::EntryType::XHeader, "attributes")] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size((PIECES * 16 * MIB) as u64);
        header.set_cksum();
        let mut shelf = Shelf::default();
        let stored = swelling(header.as_bytes(), b'a', PIECES);
        shelf.image_of("amd64", &format!("{OCI}.layer.v1.tar+gzip"), &[stored]);
        let scenario = with_base(&shelf.serve());
        let said = scenario.apply().fails(8, "build-image").stderr.clone();
        assert!(said.contains("an entry's name and attributes take more than 1 MiB"), "{place}: {said}");
    }
}

/// The product is looked for everywhere in such an image, and its records are kept in memory.
#[test]
fn more_products_than_can_be_kept_in_mind() {
    let product = |number: u32| {
        let mut header = tar::Header::new_gnu();
        header.set_size(MIB as u64);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1);
        let mut tar = tar::Builder::new(Vec::new());
        let path = format!("opt/{number}/updates/product.txt");
        tar.append_data(&mut header, path, vec![b'x'; MIB].as_slice()).expect("in memory");
        tar.into_inner().expect("in memory")
    };
    // Each in a layer of its own, and all in one.
    let apart: Vec<_> = (0..100).map(product).collect();
    let together = vec![apart.iter().flat_map(|tar| &tar[..MIB + 512]).copied().collect::<Vec<u8>>()];
    for layers in [apart, together] {
        let mut shelf = Shelf::default();
        shelf.image_of("amd64", &format!("{OCI}.layer.v1.tar"), &layers);
        let scenario = bounded();
        let run = scenario.run(&["state", &format!("image:{}/base/java:amd64", shelf.serve().host)]);
        assert!(run.stderr.contains("it has more entries than can be kept in mind"), "{}", run.stderr);
    }
}

/// What is said to be an engine can be anything, too.
#[test]
fn engines() {
    for (path, base) in [("/_ping", "scratch"), ("/images/java:1/json", "java:1"), ("/images/json", "scratch")] {
        for status in [200, 500] {
            let engine = Server::start(move |request| match request.address.split('?').next().unwrap_or_default() {
                asked if asked.ends_with(path) => Answer { status, ..endless("{\"message\":\"") },
                "/_ping" => Answer::new(200).header("api-version", "1.41").body("OK"),
                _ => Answer::new(404).body("{\"message\":\"there is none\"}"),
            });
            let scenario =
                Scenario::new().under(["prlimit", MEMORY]).args(["--base-image", base, "--output", "docker"]);
            let scenario = scenario.env("DOCKER_HOST", &format!("tcp://{}", engine.host));
            let run = scenario.apply().fails(8, "build-image");
            assert!(run.stderr.contains("the answer has no end"), "{path} {status}: {}", run.stderr);
        }
    }
}
