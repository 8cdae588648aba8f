//! An image built as the vendor's are: user 10001, the product under `/home/wso2carbon`, an entry point script, and
//! `WSO2_SERVER_HOME`; by the real `docker build`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use super::Scenario;
use super::engine::{Base, docker, try_docker};

/// The vendor's recipe, as far as it matters here.
pub const DOCKERFILE: &str = "\
COPY passwd /etc/passwd
COPY --chown=10001:10001 home /home/wso2carbon
ENV WSO2_SERVER_HOME=/home/wso2carbon/wso2am-4.1.0 LANG=C.UTF-8
USER 10001
WORKDIR /home/wso2carbon
EXPOSE 9443
ENTRYPOINT [\"/home/wso2carbon/docker-entrypoint.sh\"]
";

pub struct VendorImage {
    pub name: String,
    _base: Base,
}

impl VendorImage {
    /// With the product of the scenario's pack, tagged as the vendor does.
    pub fn of(scenario: &Scenario) -> Self {
        Self::by(scenario, "4.1.0.10", DOCKERFILE, |_| {})
    }

    /// By another Dockerfile, with another tag, and with a look at the folder before it is sent: the product is in
    /// `home/wso2am-4.1.0`.
    pub fn by(scenario: &Scenario, tag: &str, dockerfile: &str, prepare: impl FnOnce(&Path)) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("hotfix-test-vendor/am-{}-{number}:{tag}", std::process::id());
        let base = Base::new("vendor");
        let context = tempfile::tempdir().expect("a folder");
        let path = |inner: &str| context.path().join(inner);
        fs::create_dir(path("home")).expect("a folder");
        let unzip = Command::new("busybox").args(["unzip", "-q", "-d"]).arg(path("home")).arg(scenario.pack()).status();
        assert!(unzip.expect("busybox starts").success());
        fs::write(path("passwd"), "wso2carbon:x:10001:10001::/home/wso2carbon:/bin/busybox\n").expect("writable");
        let script = path("home/docker-entrypoint.sh");
        fs::write(&script, "#!/bin/busybox sh\necho started by the vendor\nexec \"$@\"\n").expect("writable");
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("chmod");
        prepare(context.path());
        fs::write(path("Dockerfile"), format!("FROM {}\n{dockerfile}", base.name)).expect("writable");
        let folder = context.path().to_str().expect("UTF-8");
        docker(&["build", "--quiet", "--tag", &name, folder]);
        Self { name, _base: base }
    }

    pub fn layers(&self) -> Vec<String> {
        layers_of(&self.name)
    }
}

impl Drop for VendorImage {
    fn drop(&mut self) {
        let of_this = format!("label=org.opencontainers.image.base.name={}", self.name);
        let built = try_docker(&["images", "--all", "--quiet", "--filter", &of_this]);
        let built = String::from_utf8_lossy(&built.stdout).into_owned();
        for image in built.split_whitespace().chain([self.name.as_str()]) {
            try_docker(&["rmi", "--force", image]);
        }
    }
}

/// The diff ids of an image of the engine, lowest first.
pub fn layers_of(image: &str) -> Vec<String> {
    serde_json::from_str(&docker(&["inspect", "--format", "{{json .RootFS.Layers}}", image])).expect("JSON")
}
