//! The image as the vendor's script made it: built by the update tool, and cleaned by us.
//!
//! Nothing is known of what `create-docker` makes. So its image counts as raw material: every layer is read, the tool's
//! log is left out, its records are cleaned, and everything else is searched for secrets. Only the outcome gets a name.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Read;
use std::path::PathBuf;
use std::time::SystemTime;

use hotfix_docker::Error;
use hotfix_docker::engine::Engine;
use hotfix_docker::error::BoxError;
use hotfix_docker::image::BuiltImage;
use hotfix_docker::rewrite::{Rewrite, rewrite};
use hotfix_docker::watch::{Made, Watch};
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::checksums::InputDigests;
use crate::delivery::{Guard, TagGuard};
use crate::engine_problem::engine_problem;
use crate::fingerprint::{Fingerprint, VENDOR_IMAGE};
use crate::image::{BaseLabels, labels};
use crate::leaks::{Secrets, found_in};
use crate::pack::{CONFIG_JSON, LOGS};
use crate::patching::Work;
use crate::plan::Plan;
use crate::scrub::{LARGEST_RECORDS, Private, scrub};
use crate::step::Problem;

/// What the image is said to be put on.
pub const BASE_NAME: &str = "create-docker";

/// What a run says where the image is to go to a layout.
pub(crate) fn needs_engine() -> Problem {
    Problem::new(
        "--vendor-image needs --output docker: the update tool builds the image in an engine",
        "leave --output away, or leave --vendor-image away and give --base-image oci:DIR",
    )
}

/// Has the update tool build the image from the product in the workspace, cleans it, and gives it its names. Whatever the
/// tool left in the engine is removed again, however this ends.
///
/// # Errors
/// Where tool, engine or disk fail, or a file of the image holds a secret.
pub async fn build(
    work: &Work<'_>,
    engine: &Engine,
    digests: &InputDigests,
    cancel: &CancellationToken,
) -> Result<(BuiltImage, Guard), Problem> {
    if !rustix::process::geteuid().is_root() {
        warn!("the update tool's create-docker is documented as needing root, and this is another user");
    }
    work.clean_records().map_err(|error| {
        Problem::new("the update tool's records cannot be cleaned", "check the workspace's disk").because(error)
    })?;
    let guard = TagGuard::note(engine, &work.plan.tags).await?;
    let raw = RawImage { engine, tag: temporary_tag(work), guard: &guard };
    let (created, made) = raw.create(work, cancel).await;
    let cleaned = match created {
        Ok(()) => raw.clean(work, digests, cancel).await,
        Err(problem) => Err(problem),
    };
    raw.remove(&made).await;
    let built = cleaned?;
    guard.tag_unless_cancelled(&built, cancel).await?;
    Ok((built, guard.into()))
}

/// No other run, on whatever machine, shall have the same.
fn temporary_tag(work: &Work<'_>) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let unique = format!("{} {} {}", work.workspace.path().display(), std::process::id(), now.as_nanos());
    format!("hotfix-vendor-{}:latest", &hex::encode(Sha256::digest(unique))[..16])
}

/// The image as the tool builds it, under a name for the time being.
struct RawImage<'a> {
    engine: &'a Engine,
    tag: String,
    guard: &'a TagGuard,
}

impl RawImage<'_> {
    /// Runs the tool; tells what the engine was seen to make for it as well.
    async fn create(&self, work: &Work<'_>, cancel: &CancellationToken) -> (Result<(), Problem>, Made) {
        let watch = Watch::open(self.engine, work.workspace.path());
        let watch = watch.inspect_err(|error| warn!("what the update tool builds cannot be watched: {error}")).ok();
        let endpoint = watch.as_ref().map_or_else(|| self.engine.endpoint().to_owned(), Watch::endpoint);
        let created = work.tool.create_docker(&self.tag, &docker_environment(endpoint), cancel).await;
        let made = match watch {
            Some(watch) => watch.close().await,
            None => Made::default(),
        };
        (created, made)
    }

    /// A clean copy, without any name.
    async fn clean(
        &self,
        work: &Work<'_>,
        digests: &InputDigests,
        cancel: &CancellationToken,
    ) -> Result<BuiltImage, Problem> {
        let found = self.engine.inspect(&self.tag).await.map_err(engine_problem)?;
        let Some(id) = found.and_then(|image| image.id) else {
            return Err(Problem::new(
                format!("the update tool said that it built an image, but the engine has none called {}", self.tag),
                format!("see whether its docker talks to another engine than {}", self.engine.endpoint()),
            ));
        };
        let cleaning = Cleaning { private: work.private.clone(), secrets: work.secrets() };
        let labels = image_labels(work.plan, digests);
        rewrite(self.engine, &id, cleaning, labels, work.workspace.path(), cancel).await.map_err(cleaning_problem)
    }

    /// Takes the image, and what was made on the way to it, out of the engine.
    async fn remove(&self, made: &Made) {
        let removed = match self.engine.inspect(&self.tag).await {
            Ok(Some(image)) => match image.id.filter(|id| !self.guard.images_before().contains(id)) {
                Some(id) => self.engine.remove_with_names(&id).await,
                None => self.engine.remove(&self.tag).await,
            },
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = removed {
            warn!(
                error = &error as &dyn std::error::Error,
                "the image as the update tool built it, with its tokens and its log, could not be removed: docker rmi {}",
                self.tag
            );
        }
        self.engine.discard(made, self.guard.images_before()).await;
    }
}

/// The tool's home is in the workspace, so its `docker` would find neither the engine nor the user's credentials. What
/// `BuildKit` builds stays in its cache, tokens included, and cannot be told there from what others built.
fn docker_environment(endpoint: String) -> Vec<(&'static str, OsString)> {
    let mut environment = vec![("DOCKER_HOST", endpoint.into())];
    let config = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".docker"));
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    match config.filter(|folder| folder.is_dir()) {
        Some(folder) if !is_set("DOCKER_CONFIG") => environment.push(("DOCKER_CONFIG", folder.into())),
        _ => {}
    }
    if !is_set("DOCKER_BUILDKIT") {
        environment.push(("DOCKER_BUILDKIT", "0".into()));
    }
    environment
}

fn image_labels(plan: &Plan, digests: &InputDigests) -> BTreeMap<String, String> {
    labels(plan, BaseLabels { name: None, digest: None }, digests, None, &fingerprint(plan, digests))
}

/// Of everything that goes in and can make a difference to the image.
pub(crate) fn fingerprint(plan: &Plan, digests: &InputDigests) -> Fingerprint {
    Fingerprint::of(plan, digests, [(VENDOR_IMAGE, json!(true))])
}

fn cleaning_problem(error: Error) -> Problem {
    match error {
        Error::Refused { path, source } => match source.downcast::<Problem>() {
            Ok(problem) => *problem,
            Err(source) => Problem::new(
                format!("{path} of the image that the update tool built cannot be cleaned"),
                "build the image without --vendor-image",
            )
            .because(anyhow::Error::from_boxed(source)),
        },
        Error::Io { .. } => Problem::new(
            "the image that the update tool built could not be saved to the workspace",
            "make room: the whole image is written there; or give --workspace on a larger disk",
        )
        .because(error),
        other => engine_problem(other),
    }
}

/// What is left out of the tool's image, what is cleaned, and what must not be in it.
struct Cleaning {
    private: Private,
    secrets: Secrets,
}

impl Cleaning {
    fn check(&self, path: &str, content: impl Read) -> Result<(), BoxError> {
        if self.secrets.are_in(content)? { Err(Box::new(found_in(path))) } else { Ok(()) }
    }
}

impl Rewrite for Cleaning {
    fn keeps(&self, path: &str) -> bool {
        !format!("/{path}/").contains(&format!("/{LOGS}/"))
    }

    fn file(&self, path: &str, content: &mut dyn Read) -> Result<Option<Vec<u8>>, BoxError> {
        if !format!("/{path}").ends_with(&format!("/{CONFIG_JSON}")) {
            return self.check(path, content).map(|()| None);
        }
        let mut config = Vec::new();
        content.take(LARGEST_RECORDS).read_to_end(&mut config)?;
        let clean = scrub(&config, &self.private)?;
        self.check(path, clean.as_slice())?;
        Ok((clean != config).then_some(clean))
    }

    fn text(&self, text: &str) -> Result<(), BoxError> {
        self.check("the image's configuration", text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::Credentials;

    fn cleaning() -> Cleaning {
        let credentials = Credentials { username: "jo@example.org".into(), password: "s3cret!".into() };
        let mut private = Private::default();
        private.add("/build/space");
        Cleaning { private, secrets: Secrets::new(&credentials, &["token-1".to_owned()]) }
    }

    fn file(path: &str, content: &str) -> Result<Option<String>, String> {
        let content = cleaning().file(path, &mut content.as_bytes());
        content.map(|new| new.map(|new| String::from_utf8(new).expect("UTF-8"))).map_err(|error| error.to_string())
    }

    #[test]
    fn the_log_goes_wherever_the_product_is() {
        for path in ["updates/logs", "updates/logs/a.log", "home/am/updates/logs", "home/am/updates/logs/a/b"] {
            assert!(!cleaning().keeps(path), "{path}");
        }
        for path in ["updates", "updates/logs2/a", "home/my-updates/logs/a", "updates/config.json"] {
            assert!(cleaning().keeps(path), "{path}");
        }
    }

    #[test]
    fn records_are_cleaned_and_everything_else_is_searched() {
        let config = r#"{"username":"jo@example.org","service":{"access-token":"token-1"},"x":"/build/space/y","n":1}"#;
        let clean = file("home/am/updates/config.json", config).expect("it can be cleaned").expect("it was not clean");
        let clean: serde_json::Value = serde_json::from_str(&clean).expect("JSON");
        assert_eq!(clean, json!({ "username": "", "service": { "access-token": "" }, "x": "", "n": 1 }));
        assert_eq!(file("updates/config.json", r#"{"n":1}"#), Ok(None));
        assert_eq!(file("home/am/conf/a.txt", "nothing"), Ok(None));
        for secret in ["jo@example.org", "s3cret!", "token-1"] {
            let refused = file("home/am/conf/a.txt", secret).expect_err("it is a secret");
            assert!(refused.starts_with("home/am/conf/a.txt holds the password"), "{refused}");
            assert!(cleaning().text(secret).is_err());
        }
        assert!(file("updates/config.json", "token-1").expect_err("no JSON").contains("as JSON"));
    }
}
