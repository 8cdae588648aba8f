//! OpenSSH's server on a port of 127.0.0.1, with keys and configuration of its own, and an `ssh` that knows only those.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::engine;

pub struct Sshd {
    folder: TempDir,
    process: Child,
    pub port: u16,
}

impl Sshd {
    /// `None`, and the test is skipped, where there is none to start.
    pub fn start() -> Option<Self> {
        let Some(program) =
            ["/usr/sbin/sshd", "/usr/local/sbin/sshd"].into_iter().find(|path| Path::new(path).exists())
        else {
            engine::skip("no sshd is here (Debian: openssh-server)");
            return None;
        };
        // Where it gives up its rights; a service would have made it.
        let _ = fs::create_dir_all("/run/sshd");
        let folder = tempfile::Builder::new().prefix("sshd").tempdir().expect("a folder");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port").port();
        for name in ["host", "user", "stranger"] {
            let key = folder.path().join(name);
            let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status();
            assert!(made.is_ok_and(|status| status.success()), "a key");
        }
        let at = |name: &str| folder.path().join(name).display().to_string();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nStrictModes no\n\
             UsePAM no\nPidFile none\nPermitRootLogin yes\nSetEnv DOCKER_HOST=unix://{} PATH=/usr/local/bin:/usr/bin:/bin\n",
            at("host"),
            at("user.pub"),
            engine::socket().display(),
        );
        fs::write(at("sshd_config"), config).expect("writable");
        let process = Command::new(program).args(["-D", "-f", &at("sshd_config")]).stderr(Stdio::null()).spawn();
        let sshd = Self { process: process.expect("it starts"), folder, port };
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "sshd did not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(sshd)
    }

    /// A folder with an `ssh` that has the key called `key` and knows this server.
    pub fn client(&self, key: &str) -> PathBuf {
        let at = |name: &str| self.folder.path().join(name).display().to_string();
        let host_key = fs::read_to_string(at("host.pub")).expect("there");
        fs::write(at("known_hosts"), format!("[127.0.0.1]:{} {host_key}", self.port)).expect("writable");
        let config =
            format!("IdentityFile {}\nIdentitiesOnly yes\nUserKnownHostsFile {}\n", at(key), at("known_hosts"));
        fs::write(at(&format!("{key}.config")), config).expect("writable");
        let folder = self.folder.path().join(format!("{key}.bin"));
        command(&folder, "ssh", &format!("exec /usr/bin/ssh -F '{}' \"$@\"", at(&format!("{key}.config"))));
        folder
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A command of that name in `folder`, as a shell script.
pub fn command(folder: &Path, name: &str, script: &str) {
    fs::create_dir_all(folder).expect("a folder");
    let path = folder.join(name);
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("writable");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("ours");
}
