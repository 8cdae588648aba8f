//! The Docker engine, and the images that a run needs in it. All of them have names of this run, and go with it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, ensure};

use crate::child;
use crate::hotfix::unpack;

/// What the vendor's recipe comes to, as far as it matters here.
const VENDOR_DOCKERFILE: &str = "\
COPY passwd /etc/passwd
COPY --chown=10001:10001 home /home/wso2carbon
ENV WSO2_SERVER_HOME=/home/wso2carbon/wso2am-4.1.0
USER 10001
WORKDIR /home/wso2carbon
EXPOSE 9443
ENTRYPOINT [\"/home/wso2carbon/docker-entrypoint.sh\"]
";

/// The engine that `docker` would use.
#[derive(Debug)]
pub struct Engine {
    /// Where it is, as in `DOCKER_HOST`.
    pub host: String,
    /// Part of the name of each image of this run.
    prefix: String,
}

impl Engine {
    /// Looks for the engine, for `docker`, and for what base images are made of.
    ///
    /// # Errors
    /// Where one of them is missing.
    pub fn find() -> Result<Self> {
        let runtime = hotfix_pipeline::cli::runtime().context("cannot start")?;
        let engine = runtime.block_on(hotfix_docker::engine::Engine::connect()).context("no Docker engine answers")?;
        ensure!(child::is_there("docker"), "there is no docker command");
        busybox()?;
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("hotfix-bench-{}-{number}", std::process::id());
        Ok(Self { host: engine.endpoint().to_owned(), prefix })
    }

    /// Its socket on this machine.
    ///
    /// # Errors
    /// Where it has none.
    pub fn socket(&self) -> Result<PathBuf> {
        let path = self.host.strip_prefix("unix://").context("the engine is not at a socket of this machine")?;
        Ok(path.into())
    }

    /// A name for an image of this run.
    pub fn name(&self, name: &str) -> String {
        format!("{}/{name}", self.prefix)
    }

    /// The `docker` command, for this engine.
    pub fn docker<S: AsRef<std::ffi::OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new("docker");
        command.env("DOCKER_HOST", &self.host).args(arguments);
        command
    }

    /// Removes an image's name, and what only it keeps.
    ///
    /// # Errors
    /// Where there is no such image.
    pub fn remove(&self, name: &str) -> Result<()> {
        child::run(&mut self.docker(["rmi", "--force", name])).map(drop)
    }

    /// A base image of busybox alone. It is labelled, and so is what is built on it.
    ///
    /// # Errors
    /// Where the engine does not build it.
    pub fn base(&self, folder: &Path) -> Result<String> {
        let name = self.name("base:1");
        let folder = folder.join("base");
        fs::create_dir_all(&folder)?;
        fs::copy(busybox()?, folder.join("busybox")).context("cannot copy busybox")?;
        let dockerfile =
            format!("FROM scratch\nCOPY busybox /bin/busybox\nENV PATH=/bin\nLABEL hotfix-bench={}\n", self.prefix);
        fs::write(folder.join("Dockerfile"), dockerfile)?;
        self.build(&name, &folder)?;
        Ok(name)
    }

    /// An image that holds the product of a pack, as the vendor's do.
    ///
    /// # Errors
    /// Where the pack cannot be unpacked, or the engine does not build the image.
    pub fn vendor_image(&self, base: &str, pack: &Path, folder: &Path) -> Result<String> {
        // The tag says the update level.
        let name = self.name("vendor:4.1.0.10");
        let context = tempfile::tempdir_in(folder).context("cannot make a folder")?;
        let path = |inner: &str| context.path().join(inner);
        fs::create_dir(path("home"))?;
        unpack(pack, &path("home/wso2am-4.1.0"))?;
        fs::write(path("passwd"), "wso2carbon:x:10001:10001::/home/wso2carbon:/bin/busybox\n")?;
        let script = path("home/docker-entrypoint.sh");
        fs::write(&script, "#!/bin/busybox sh\nexec \"$@\"\n")?;
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
        fs::write(path("Dockerfile"), format!("FROM {base}\n{VENDOR_DOCKERFILE}"))?;
        self.build(&name, context.path())?;
        Ok(name)
    }

    fn build(&self, name: &str, folder: &Path) -> Result<()> {
        let mut command = self.docker(["build", "--quiet", "--tag", name]);
        child::run(command.arg(folder)).with_context(|| format!("cannot build {name}")).map(drop)
    }

    /// Sees to it that no image of somebody else's holds what `image` has above `base`: a run that found it there would not have
    /// been a cold one.
    ///
    /// # Errors
    /// Where one does, naming it; and where the engine does not answer.
    pub fn only_ours_holds(&self, image: &str, base: &str) -> Result<()> {
        let below = self.layers(base)?;
        let own: Vec<String> = self.layers(image)?.into_iter().filter(|layer| !below.contains(layer)).collect();
        let ours = self.images();
        let all = child::run(&mut self.docker(["images", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}"]))?.output;
        for (name, id) in all.lines().filter_map(|line| line.split_once(' ')) {
            // Somebody else may remove it at any moment.
            let layers =
                if ours.iter().any(|our| our == name) { Vec::new() } else { self.layers(id).unwrap_or_default() };
            ensure!(
                !layers.iter().any(|layer| own.contains(layer)),
                "the image {name} ({id}) in the engine has the product's layer already, so no run is a cold one: remove it first"
            );
        }
        Ok(())
    }

    fn layers(&self, image: &str) -> Result<Vec<String>> {
        let layers = child::run(&mut self.docker(["inspect", "--format", "{{json .RootFS.Layers}}", image]))?.output;
        serde_json::from_str(&layers).context("layers are JSON")
    }

    /// `20.10.24 with overlay2, driven by docker 28.2.2`.
    ///
    /// # Errors
    /// Where it does not answer.
    pub fn description(&self) -> Result<String> {
        let info = child::run(&mut self.docker(["info", "--format", "{{.ServerVersion}} with {{.Driver}}"]))?.output;
        let client = child::run(&mut self.docker(["version", "--format", "{{.Client.Version}}"]))?.output;
        Ok(format!("Docker {}, driven by docker {}", info.trim(), client.trim()))
    }

    /// Everything of this run, by name or by label.
    fn images(&self) -> Vec<String> {
        let named = self.docker(["images", "--format", "{{.Repository}}:{{.Tag}}"]);
        let label = format!("label=hotfix-bench={}", self.prefix);
        let labelled = self.docker(["images", "--all", "--quiet", "--no-trunc", "--filter", &label]);
        let lines = |mut command: Command| {
            let output = command.output().map(|output| output.stdout).unwrap_or_default();
            String::from_utf8_lossy(&output).lines().map(str::to_owned).collect::<Vec<_>>()
        };
        let start = format!("{}/", self.prefix);
        let named = lines(named).into_iter().filter(|name| name.contains(&start));
        named.chain(lines(labelled)).collect()
    }
}

impl Drop for Engine {
    /// Also when asked to stop: so not by way of [`child::run`], which would refuse then.
    fn drop(&mut self) {
        for image in self.images() {
            // Gone already, where it had another name as well.
            let _ = self.docker(["rmi", "--force", &image]).output();
        }
    }
}

fn busybox() -> Result<&'static Path> {
    let places = ["/bin/busybox", "/usr/bin/busybox"].map(Path::new);
    places
        .into_iter()
        .find(|path| path.exists())
        .context("there is no busybox to make a base image of (Debian: busybox-static)")
}
