//! Four environments of one product in a registry, in which images are put as `hotfix apply` makes them.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use hotfix_docker::auth::Credentials;
use hotfix_docker::hashing::digest_of;
use hotfix_docker::oci_layout::{INDEX_TYPE, MANIFEST_TYPE};
use hotfix_docker::repository::{Access, Repository};

use super::registry::Registry;
use super::scenario::{Run, Scenario};

pub struct Estate {
    pub registry: Registry,
    /// Where production is, if not there too; it wants a password.
    pub production: Option<Registry>,
    /// A pack and three hotfixes; `environments.toml` is in its folder, where commands are run.
    pub scenario: Scenario,
    layouts: AtomicU32,
}

pub const USER: &str = "ci";
pub const REGISTRY_PASSWORD: &str = "s3cret-of-production";
/// From where work begins to where customers are.
pub const ENVIRONMENTS: [&str; 4] = ["dev", "qa", "preprod", "prod"];

impl Estate {
    /// None, and the test is skipped, where no registry can be started.
    pub fn new() -> Option<Self> {
        Self::with(None, "")
    }

    /// Production in a registry of its own, with more of its own in the file, such as a gate.
    pub fn with(production: Option<Registry>, more: &str) -> Option<Self> {
        let registry = Registry::start()?;
        let mut scenario = Scenario::new().without_engine();
        if let Some(production) = &production {
            scenario = scenario.with_file("home/config.json", production.docker_config(USER, REGISTRY_PASSWORD));
        }
        let estate = Self { registry, production, scenario, layouts: AtomicU32::new(0) };
        let tables = ENVIRONMENTS.map(|name| {
            let more = match name {
                "preprod" => "synchronized-with = \"prod\"\n".to_owned(),
                "prod" => format!("production = true\n{more}\n"),
                _ => String::new(),
            };
            format!("[[environments]]\nname = \"{name}\"\nimage = \"{}\"\n{more}\n", estate.tag(name))
        });
        std::fs::write(estate.scenario.path("environments.toml"), tables.concat()).expect("written");
        Some(estate)
    }

    /// The registry in which an environment is.
    pub fn registry_of(&self, environment: &str) -> &Registry {
        self.production.as_ref().filter(|_| environment == "prod").unwrap_or(&self.registry)
    }

    /// The tag of an environment.
    pub fn tag(&self, environment: &str) -> String {
        format!("{}/team/am:{environment}", self.registry_of(environment).host)
    }

    /// Makes an image with the first hotfixes and lets these environments run it.
    pub fn deploy(&self, through: u32, environments: &[&str]) {
        self.deploy_from_with(&self.scenario, &[], through, environments);
    }

    /// The same with more options of `apply`.
    pub fn deploy_with(&self, options: &[&str], through: u32, environments: &[&str]) {
        self.deploy_from_with(&self.scenario, options, through, environments);
    }

    /// The same with the pack and the hotfixes of another scenario.
    pub fn deploy_from(&self, scenario: &Scenario, through: u32, environments: &[&str]) {
        self.deploy_from_with(scenario, &[], through, environments);
    }

    /// Both.
    pub fn deploy_from_with(&self, scenario: &Scenario, options: &[&str], through: u32, environments: &[&str]) {
        let number = self.layouts.fetch_add(1, Ordering::Relaxed);
        let (output, through) = (format!("oci:layout-{number}"), through.to_string());
        let pack = scenario.pack().file_name().expect("a name").to_str().expect("UTF-8");
        let mut arguments = vec!["apply".to_owned(), format!("packs/{pack}"), "hotfixes".to_owned()];
        let scratch: &[&str] = if options.contains(&"--base-image") { &[] } else { &["--base-image", "scratch"] };
        let usual = [&["--output", &output, "--push", "--through", &through], scratch].concat();
        arguments.extend(usual.iter().chain(options).map(|word| (*word).to_owned()));
        arguments.extend(environments.iter().flat_map(|name| ["--tag".to_owned(), self.tag(name)]));
        scenario.run(&arguments).succeeds();
    }

    /// Puts an image of somebody else's there, with these variables in its environment.
    pub fn put_image_with(&self, variables: &[&str], tag: &str) {
        self.put(tag, async |repository| {
            let configuration = serde_json::json!({
                "os": "linux", "architecture": "amd64", "config": { "Env": variables },
                "rootfs": { "type": "layers", "diff_ids": [] },
            });
            let configuration = configuration.to_string();
            let (digest, size) = (digest_of(configuration.as_bytes()), configuration.len());
            repository.put_small_blob(configuration.into()).await?;
            let manifest = serde_json::json!({
                "schemaVersion": 2, "mediaType": MANIFEST_TYPE, "layers": [],
                "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest, "size": size },
            });
            repository.put_manifest(tag, MANIFEST_TYPE, manifest.to_string().into()).await
        });
    }

    /// Puts an index of the images of these tags there, each for the platform that it is named after.
    pub fn put_index(&self, tags: &[&str], tag: &str) {
        self.put(tag, async |repository| {
            let mut manifests = Vec::new();
            for platform in tags {
                let manifest = repository.manifest(platform).await?.expect("it is there");
                manifests.push(serde_json::json!({
                    "mediaType": MANIFEST_TYPE, "digest": manifest.digest, "size": manifest.bytes.len(),
                    "platform": { "os": "linux", "architecture": platform },
                }));
            }
            let index = serde_json::json!({ "schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": manifests });
            repository.put_manifest(tag, INDEX_TYPE, index.to_string().into()).await
        });
    }

    fn put(&self, tag: &str, put: impl AsyncFnOnce(&Repository) -> hotfix_docker::Result<String>) {
        let reference = self.tag(tag).parse().expect("a reference");
        let put = async {
            let repository = Repository::open(&reference, &Credentials::Anonymous, Access::Push, &[]).await?;
            put(&repository).await
        };
        super::engine::block_on(put).expect("it is taken");
    }

    /// `hotfix env …`
    pub fn env(&self, words: &str) -> Run<'_> {
        let words: Vec<&str> = ["env"].into_iter().chain(words.split(' ')).collect();
        self.scenario.run(&words)
    }

    /// The answer in JSON.
    pub fn json(&self, words: &str) -> serde_json::Value {
        let run = self.env(&format!("{words} --format json"));
        serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {}{}", run.stdout, run.stderr))
    }

    /// The digest of what an environment runs.
    pub fn digest(&self, environment: &str) -> String {
        // The registry empties the file before it writes the new digest there.
        let digest =
            || Some(self.registry_of(environment).digest_of("team/am", environment)).filter(|text| !text.is_empty());
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            match digest() {
                Some(digest) => return digest,
                None => assert!(Instant::now() < deadline, "{environment} has no digest"),
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
