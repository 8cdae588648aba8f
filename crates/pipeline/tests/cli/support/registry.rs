//! Debian's `docker-registry` on a free port of this machine, with or without a password, TLS and a token server.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;

use super::engine;

pub struct Registry {
    process: Child,
    folder: TempDir,
    pub host: String,
}

impl Registry {
    /// A registry that lets everybody in; `None`, and the test is skipped, where there is none to start.
    pub fn start() -> Option<Self> {
        Self::start_with("127.0.0.1", |_| String::new())
    }

    /// A registry that wants a user name and a password.
    pub fn start_with_password(user: &str, password: &str) -> Option<Self> {
        Self::start_with("127.0.0.1", |folder| {
            let file = folder.join("htpasswd");
            let hash = bcrypt::hash(password, 4).expect("a hash").replace("$2b$", "$2y$");
            fs::write(&file, format!("{user}:{hash}\n")).expect("writable");
            format!("auth:\n  htpasswd: {{ realm: test, path: '{}' }}\n", file.display())
        })
    }

    /// A registry known as `name`, which is this machine, with more lines for the part `http` of its configuration and
    /// for what follows; `more` can put files into the folder that it gets.
    pub fn start_with(name: &str, more: impl FnOnce(&Path) -> String) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port").port();
        let host = format!("{name}:{port}");
        let config = format!(
            "version: 0.1\nlog: {{ level: error }}\nstorage:\n  filesystem: {{ rootdirectory: '{}' }}\nhttp:\n  addr: '127.0.0.1:{port}'\n{}",
            folder.path().join("data").display(),
            more(folder.path())
        );
        let config_file = folder.path().join("config.yml");
        fs::write(&config_file, config).expect("writable");
        let process = Command::new("docker-registry")
            .arg("serve")
            .arg(&config_file)
            .stdout(fs::File::create(folder.path().join("access.log")).expect("writable"))
            .stderr(Stdio::null())
            .spawn();
        let Ok(process) = process else {
            engine::skip("no docker-registry is here (Debian: docker-registry)");
            return None;
        };
        let registry = Self { process, folder, host };
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "the registry did not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(registry)
    }

    /// What `docker login` would have left in `config.json`.
    pub fn docker_config(&self, user: &str, password: &str) -> String {
        let auth = STANDARD.encode(format!("{user}:{password}"));
        serde_json::json!({ "auths": { &self.host: { "auth": auth } } }).to_string()
    }

    /// Requests that it answered, oldest first: `METHOD address status`.
    pub fn requests(&self) -> Vec<String> {
        // It writes them down after it has answered.
        std::thread::sleep(Duration::from_millis(100));
        let log = fs::read_to_string(self.folder.path().join("access.log")).expect("it writes one");
        let request = |line: &str| {
            let mut parts = line.split('"');
            let (asked, answered) = (parts.nth(1)?, parts.next()?);
            Some(format!("{} {}", asked.rsplit_once(' ')?.0, answered.split_whitespace().next()?))
        };
        log.lines().filter_map(request).collect()
    }

    /// How many blobs were sent to a repository.
    pub fn blobs_sent(&self, repository: &str) -> usize {
        let start = format!("PUT /v2/{repository}/blobs/uploads/");
        self.requests().iter().filter(|request| request.starts_with(&start) && request.ends_with(" 201")).count()
    }

    /// How many blobs a repository took from another one.
    pub fn blobs_mounted(&self, repository: &str) -> usize {
        let start = format!("POST /v2/{repository}/blobs/uploads/?");
        let is_mount = |request: &&String| request.starts_with(&start) && request.contains("mount=");
        self.requests().iter().filter(|request| is_mount(request) && request.ends_with(" 201")).count()
    }

    /// Whether a tag exists, seen in the registry's own files.
    pub fn has(&self, repository: &str, tag: &str) -> bool {
        self.folder
            .path()
            .join("data/docker/registry/v2/repositories")
            .join(repository)
            .join("_manifests/tags")
            .join(tag)
            .exists()
    }

    /// Takes a tag away, as whoever tidies up a registry.
    pub fn forget(&self, repository: &str, tag: &str) {
        let tags = self.folder.path().join("data/docker/registry/v2/repositories").join(repository);
        fs::remove_dir_all(tags.join("_manifests/tags").join(tag)).expect("the tag is there");
    }

    /// Takes an image away that no tag names.
    pub fn forget_digest(&self, repository: &str, digest: &serde_json::Value) {
        let hash = digest.as_str().and_then(|digest| digest.strip_prefix("sha256:")).expect("a digest");
        let repository = self.folder.path().join("data/docker/registry/v2/repositories").join(repository);
        fs::remove_dir_all(repository.join("_manifests/revisions/sha256").join(hash)).expect("it is there");
    }

    /// The digest that a tag names, seen in the registry's own files.
    pub fn digest_of(&self, repository: &str, tag: &str) -> String {
        let tags =
            self.folder.path().join("data/docker/registry/v2/repositories").join(repository).join("_manifests/tags");
        fs::read_to_string(tags.join(tag).join("current/link")).expect("the tag is there")
    }

    /// A manifest by its digest, as it is stored.
    pub fn manifest(&self, digest: &str) -> serde_json::Value {
        let hash = digest.strip_prefix("sha256:").expect("a digest");
        let path =
            self.folder.path().join("data/docker/registry/v2/blobs/sha256").join(&hash[..2]).join(hash).join("data");
        serde_json::from_slice(&fs::read(path).expect("it is there")).expect("JSON")
    }

    /// Makes `name` name a manifest of which everything is there.
    pub fn put_manifest(&self, repository: &str, name: &str, media_type: &str, manifest: &str) {
        let mut stream = TcpStream::connect(&self.host).expect("it answers");
        let head =
            format!("PUT /v2/{repository}/manifests/{name} HTTP/1.1\r\nhost: {}\r\nconnection: close", self.host);
        let length = manifest.len();
        write!(stream, "{head}\r\ncontent-type: {media_type}\r\ncontent-length: {length}\r\n\r\n{manifest}")
            .expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    }

    /// Whether a blob is stored.
    pub fn has_blob(&self, digest: &str) -> bool {
        let hash = digest.strip_prefix("sha256:").expect("a digest");
        self.folder.path().join("data/docker/registry/v2/blobs/sha256").join(&hash[..2]).join(hash).exists()
    }

    /// The content of an artifact that a tag names.
    pub fn artifact(&self, repository: &str, tag: &str) -> String {
        let manifest = self.manifest(&self.digest_of(repository, tag));
        let digest = manifest["layers"][0]["digest"].as_str().expect("a digest");
        let hash = digest.strip_prefix("sha256:").expect("a digest");
        let blobs = self.folder.path().join("data/docker/registry/v2/blobs/sha256");
        fs::read_to_string(blobs.join(&hash[..2]).join(hash).join("data")).expect("it is there")
    }

    /// Loses the content of an artifact that a tag names, as a disk does.
    pub fn lose_artifact(&self, repository: &str, tag: &str) {
        let manifest = self.manifest(&self.digest_of(repository, tag));
        let hash = manifest["layers"][0]["digest"].as_str().and_then(|d| d.strip_prefix("sha256:")).expect("a digest");
        let blobs = self.folder.path().join("data/docker/registry/v2/blobs/sha256");
        fs::remove_file(blobs.join(&hash[..2]).join(hash).join("data")).expect("it is there");
    }

    /// Uploads that were begun and neither finished nor called off.
    pub fn open_uploads(&self, repository: &str) -> usize {
        let uploads = self.folder.path().join("data/docker/registry/v2/repositories").join(repository).join("_uploads");
        // Called off, an upload loses this file; its empty folders this registry forgets to remove.
        let is_open = |upload: &fs::DirEntry| upload.path().join("startedat").exists();
        fs::read_dir(uploads).map(|all| all.filter_map(Result::ok).filter(is_open).count()).unwrap_or_default()
    }

    /// Ends it, as a machine that goes away.
    pub fn stop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.stop();
    }
}
