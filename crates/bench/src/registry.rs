//! Debian's `docker-registry` on a free port of this machine.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// A registry that lets everybody in; ended on drop.
#[derive(Debug)]
pub struct Registry {
    process: Child,
    data: PathBuf,
    /// Where it is.
    pub address: SocketAddr,
}

impl Registry {
    /// Starts one that keeps its data in `folder`.
    ///
    /// # Errors
    /// Where there is none, or it does not answer.
    pub fn start(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|socket| socket.local_addr());
        let address = free.context("there is no free port")?;
        let data = folder.join("data");
        let config = format!(
            "version: 0.1\nlog: {{ level: error }}\nstorage:\n  filesystem: {{ rootdirectory: '{}' }}\nhttp:\n  addr: '{address}'\n",
            data.display()
        );
        let config_file = folder.join("config.yml");
        fs::write(&config_file, config)?;
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(&config_file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().context("there is no docker-registry (Debian: docker-registry)")?;
        let registry = Self { process, data, address };
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(address).is_err() {
            ensure!(Instant::now() < deadline, "docker-registry did not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(registry)
    }

    /// Bytes of the topmost layer, compressed, of an image that was pushed; seen in the registry's own files.
    ///
    /// # Errors
    /// Where it has no such image.
    pub fn top_layer_bytes(&self, digest: &str) -> Result<u64> {
        let hash = digest.strip_prefix("sha256:").context("no digest")?;
        let path = self.data.join("docker/registry/v2/blobs/sha256").join(&hash[..2]).join(hash).join("data");
        let manifest = fs::read(path).with_context(|| format!("the registry has no manifest {digest}"))?;
        let manifest: Value = serde_json::from_slice(&manifest).context("a manifest is JSON")?;
        let top = manifest["layers"].as_array().and_then(|layers| layers.last()).context("an image without layers")?;
        top["size"].as_u64().context("a layer without a size")
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
