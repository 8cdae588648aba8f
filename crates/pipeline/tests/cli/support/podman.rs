//! Podman as an engine, in a folder of its own: its API on a socket, and its own command as an independent witness.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::engine;
use super::registry::Registry;

pub struct Podman {
    folder: TempDir,
    service: Child,
}

impl Podman {
    /// `None`, and the test is skipped, where there is no Podman to start. Other than Docker, it speaks TLS to every
    /// registry that it is not told of; so it is told of `registry`.
    pub fn start(registry: Option<&Registry>) -> Option<Self> {
        let folder = tempfile::Builder::new().prefix("podman").tempdir().expect("a folder");
        let plain = registry.map(|registry| format!("[[registry]]\nlocation = '{}'\ninsecure = true\n", registry.host));
        fs::write(folder.path().join("registries.conf"), plain.unwrap_or_default()).expect("writable");
        let mut command = command(folder.path());
        command.args(["system", "service", "--time", "0"]).arg(format!("unix://{}", socket(folder.path()).display()));
        let Ok(mut service) = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn() else {
            engine::skip("no podman is here (Debian: podman)");
            return None;
        };
        let deadline = Instant::now() + Duration::from_secs(60);
        while UnixStream::connect(socket(folder.path())).is_err() {
            let ended = service.try_wait().expect("our child");
            if ended.is_some() || Instant::now() > deadline {
                let _ = service.kill();
                let _ = service.wait();
                engine::skip("podman does not start here (as root it does)");
                return None;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(Self { folder, service })
    }

    /// What `DOCKER_HOST` is to be.
    pub fn endpoint(&self) -> String {
        format!("unix://{}", socket(self.folder.path()).display())
    }

    pub fn try_run(&self, arguments: &[&str]) -> Output {
        command(self.folder.path()).args(arguments).output().expect("podman starts")
    }

    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> String {
        let output = self.try_run(arguments);
        assert!(output.status.success(), "podman {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned()
    }

    pub fn inspect(&self, image: &str) -> serde_json::Value {
        serde_json::from_str::<serde_json::Value>(&self.run(&["image", "inspect", image])).expect("JSON")[0].clone()
    }

    /// A base image of busybox, with `/etc/release` in it, under the name that Podman gives it.
    pub fn base(&self) -> String {
        let archive = self.folder.path().join("base.tar");
        let mut tar = tar::Builder::new(fs::File::create(&archive).expect("writable"));
        tar.append_path_with_name(engine::busybox_file().expect("looked for before"), "bin/busybox").expect("readable");
        let mut header = tar::Header::new_gnu();
        header.set_size(5);
        header.set_mode(0o644);
        tar.append_data(&mut header, "etc/release", &b"base\n"[..]).expect("writable");
        tar.finish().expect("writable");
        let name = "localhost/hotfix-test-base/podman:1";
        let archive = archive.to_str().expect("UTF-8").to_owned();
        self.run(&["import", "--change", r#"ENTRYPOINT ["/bin/busybox"]"#, "--change", "ENV LANG=C", &archive, name]);
        name.to_owned()
    }

    /// The files of an image, all layers laid over each other, as Podman mounts it.
    pub fn mount(&self, image: &str) -> Mounted<'_> {
        Mounted { podman: self, image: image.to_owned(), root: self.run(&["image", "mount", image]).into() }
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        let _ = self.service.kill();
        let _ = self.service.wait();
    }
}

/// The files of an image, until it is dropped.
pub struct Mounted<'a> {
    podman: &'a Podman,
    image: String,
    pub root: PathBuf,
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        self.podman.try_run(&["image", "umount", &self.image]);
    }
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("podman.sock")
}

/// `podman` that keeps everything in `folder` and knows no other images or settings.
fn command(folder: &Path) -> Command {
    let mut command = Command::new("podman");
    for (option, below) in [("--root", "root"), ("--runroot", "run"), ("--tmpdir", "tmp")] {
        command.arg(option).arg(folder.join(below));
    }
    command.args(["--storage-driver", "vfs"]).env_remove("CONTAINER_HOST").env("HOME", folder).env("TMPDIR", folder);
    command.env("CONTAINERS_REGISTRIES_CONF", folder.join("registries.conf"));
    command
}
