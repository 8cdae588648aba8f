//! `--if-changed`: whether the names of an image have one already that was made from the same inputs, found without unpacking
//! anything.

use std::collections::BTreeMap;

use hotfix_docker::auth::credentials_for;
use hotfix_docker::base::Identity;
use hotfix_docker::oci_layout::{self, Labelled};
use hotfix_docker::reference::ImageRef;
use hotfix_docker::registry;

use tokio_util::sync::CancellationToken;

use crate::cache::Cache;
use crate::checksums::{InputDigests, digests_of};
use crate::delivery::{Destination, not_to_be_had};
use crate::dockerfile::DockerfileRecipe;
use crate::engine_problem::{base_problem, engine_problem};
use crate::fingerprint::{BASE, Change, DOCKERFILE, Fingerprint, HOTFIXES, PACK, PLATFORM, TOOL, WAYS};
use crate::identity;
use crate::inspect::{Applied, Contents, Labels, More};
use crate::layers::MADE_BY;
use crate::plan::{BasePlan, Method, Plan};
use crate::recorder::Recorder;
use crate::registry_hint::hint;
use crate::report::ImageReport;
use crate::source::Source;
use crate::step::{Failure, Problem, Step};
use crate::vendor_image;

/// What a comparison gives.
#[derive(Debug)]
pub enum Comparison {
    /// Every name has the image that would be made.
    Unchanged(ImageReport),
    /// What is not as in the images that are there, in words.
    Changed(Vec<String>),
}

/// What would go in.
struct Expected {
    fingerprint: Fingerprint,
    digests: InputDigests,
    base_digest: Option<String>,
}

impl Comparison {
    /// Of what `plan` would make with what its names have.
    ///
    /// # Errors
    /// Where the base image, the engine or a registry cannot be asked.
    pub async fn of(plan: &Plan, recorder: &mut Recorder) -> Result<Self, Failure> {
        let destination = recorder.look_ahead(Step::BuildImage, async |_| Destination::connect(plan).await).await?;
        let cache = recorder.check(Step::ValidateInputs, || Cache::for_request(plan.request.cache.as_ref()))?;
        let digests =
            recorder.look_ahead(Step::ValidateInputs, async |_| digests_of(plan, cache.as_ref()).await).await?;
        let expect = async |cancel| Expected::of(plan, &destination, digests, &cancel).await;
        let expected = recorder.look_ahead(Step::BuildImage, expect).await?;
        recorder.inputs(plan.hotfixes.as_slice(), &expected.digests);
        let (mut found, mut changes) = (None, Vec::new());
        for tag in &plan.tags {
            let look = async |_| look(plan, tag, &destination).await;
            let step = if plan.push { Step::PushImage } else { Step::BuildImage };
            let (labelled, place) = recorder.look_ahead(step, look).await?;
            let contents = labelled.as_ref().and_then(|labelled| Contents::labelled(tag.as_str(), labelled, place));
            match contents.as_ref().map(|contents| &contents.more) {
                Some(More::Labels(_)) if labelled.as_ref().is_some_and(|image| is_derived(plan, image)) => {
                    changes.push(format!("{tag} was built by somebody else, on an image of hotfix"));
                }
                Some(More::Labels(labels)) => changes.extend(expected.differences(plan, tag, labels)),
                _ if labelled.is_some() => changes.push(format!("{tag} is no image of hotfix")),
                _ => changes.push(format!("there is no {tag} in the {place} yet")),
            }
            found = contents.or(found);
        }
        Ok(match found {
            Some(contents) if changes.is_empty() => Self::Unchanged(report(plan, &contents)),
            _ => Self::Changed(changes),
        })
    }
}

impl Expected {
    async fn of(
        plan: &Plan,
        destination: &Destination,
        digests: InputDigests,
        cancel: &CancellationToken,
    ) -> Result<Self, Problem> {
        let of_base = |base: Identity| (Fingerprint::of_layers(plan, &base, &digests), base.digest);
        let (fingerprint, base_digest) = match (&plan.method, &plan.source, destination) {
            (Method::FromImage(_), Source::Image(image, _), _) => of_base(image.base.identity()),
            (Method::Base(base), ..) => of_base(identity(plan, "base image", base, destination).await?),
            (Method::FromImage(image), ..) => of_base(identity(plan, "image", image, destination).await?),
            (Method::Dockerfile(file), _, Destination::Engine(engine)) => {
                let context = DockerfileRecipe::check_context(plan, file)?;
                let recipe = DockerfileRecipe::find(plan, file, &context, engine).await?;
                let base_digest = recipe.base_digest().map(str::to_owned);
                (recipe.fingerprint(plan, &digests, &context, cancel).await?, base_digest)
            }
            (Method::Dockerfile(_) | Method::VendorTool, ..) => (vendor_image::fingerprint(plan, &digests), None),
        };
        Ok(Self { fingerprint, digests, base_digest })
    }

    /// What is not as in the image `tag`, which has `labels`.
    fn differences(&self, plan: &Plan, tag: &ImageRef, labels: &Labels) -> Vec<String> {
        if labels.fingerprint == self.fingerprint.whole() {
            return Vec::new();
        }
        let mut differences = self.fingerprint.differences(&labels.inputs).unwrap_or_default();
        // One way to make an image always has a platform, the other only where one is given.
        let is_other_way =
            |(input, change): &(String, Change)| WAYS.contains(&input.as_str()) && *change != Change::Another;
        if differences.iter().any(is_other_way) {
            differences.retain(|(input, change)| input != PLATFORM || *change == Change::Another);
        }
        let mut told: Vec<String> = differences
            .iter()
            .flat_map(|(input, change)| match input.as_str() {
                HOTFIXES => self.hotfixes(plan, &labels.hotfixes),
                _ => vec![self.difference(input, *change, labels)],
            })
            .collect();
        if told.is_empty() {
            told.push("it does not tell what it was made from".to_owned());
        }
        told.into_iter().map(|difference| format!("{tag}: {difference}")).collect()
    }

    fn difference(&self, input: &str, change: Change, labels: &Labels) -> String {
        let from_to = |what: &str, then: &str, now: &str| match short(then) == short(now) {
            true => format!("{what} is another"),
            false => format!("{what}: {} then, {} now", short(then), short(now)),
        };
        let base = |digest: &Option<String>| digest.clone().unwrap_or_else(|| "none".to_owned());
        match (input, change) {
            (PACK, _) => from_to("the pack", &labels.pack_sha256, &self.digests.pack),
            (BASE, _) => from_to("the base image", &base(&labels.base_digest), &base(&self.base_digest)),
            (TOOL, _) => from_to("hotfix itself", &labels.tool_version, env!("CARGO_PKG_VERSION")),
            ("images", _) => "an image that the Dockerfile names is another".to_owned(),
            (PLATFORM, _) => "the platform is another".to_owned(),
            (DOCKERFILE, Change::Another) => "the Dockerfile, its folder or --build-arg is another".to_owned(),
            (option, Change::New) => format!("--{option} is new"),
            (option, Change::Gone) => format!("--{option} is not given any more"),
            (option, Change::Another) => format!("--{option} has another value"),
        }
    }

    fn hotfixes(&self, plan: &Plan, then: &[Applied]) -> Vec<String> {
        let now = plan.hotfixes.as_slice().iter().zip(&self.digests.hotfixes);
        let now: BTreeMap<u32, &str> = now.map(|(hotfix, sha256)| (hotfix.number, sha256.as_str())).collect();
        let then: BTreeMap<u32, &str> = then.iter().map(|applied| (applied.number, applied.sha256.as_str())).collect();
        let numbers: std::collections::BTreeSet<u32> = now.keys().chain(then.keys()).copied().collect();
        let change = |number: u32| match (then.get(&number), now.get(&number)) {
            (None, Some(_)) => Some(format!("hotfix {number} is new")),
            (Some(_), None) => Some(format!("hotfix {number} is not to be in it any more")),
            (Some(then), Some(now)) if then != now => Some(format!("hotfix {number} has another content")),
            _ => None,
        };
        numbers.into_iter().filter_map(change).collect()
    }
}

/// Whether somebody has put something on an image of ours, and with it on our labels. By a Dockerfile it is always somebody else who
/// makes the topmost layer, and without hotfixes there is none on an image that holds the product.
fn is_derived(plan: &Plan, image: &Labelled) -> bool {
    let has_own_layer = match plan.method {
        Method::Base(_) => true,
        Method::FromImage(_) => !plan.hotfixes.as_slice().is_empty(),
        Method::Dockerfile(_) | Method::VendorTool => false,
    };
    has_own_layer && image.made_by.as_ref().is_some_and(|made_by| !made_by.starts_with(MADE_BY))
}

/// Of a digest, enough to tell it from others.
fn short(text: &str) -> &str {
    let digits = text.trim_start_matches("sha256:");
    digits.get(..12).filter(|_| digits.len() == 64).unwrap_or(text)
}

/// What is known of the base, `called` so by the user, without fetching it.
async fn identity(plan: &Plan, called: &str, base: &BasePlan, destination: &Destination) -> Result<Identity, Problem> {
    let wanted = plan.request.wanted();
    match (destination.elsewhere(base), base, destination) {
        (Some(reference), ..) => identity::in_registry(reference, wanted.platform)
            .await
            .map_err(|error| not_to_be_had(called, reference, error)),
        (None, BasePlan::Engine(reference), Destination::Engine(engine)) => {
            let hint = "check its name, and the engine's way to the registry (docker pull)";
            let identity = identity::in_engine(engine, reference, wanted).await;
            identity.map_err(|error| base_problem(called, base, "is not to be had", hint, error))
        }
        _ => destination.base_here((called, base), wanted).await.map(|base| base.identity()),
    }
}

/// The labels of what `tag` names where the image would go, if it names anything; and what that place is called.
async fn look(
    plan: &Plan,
    tag: &ImageRef,
    destination: &Destination,
) -> Result<(Option<Labelled>, &'static str), Problem> {
    match destination {
        _ if plan.push => {
            let labelled = async {
                let credentials = credentials_for(tag.registry()).await?;
                registry::read_labels(tag, &credentials).await
            };
            let not_known = |error| {
                let hint = hint(tag.registry(), &error);
                Problem::new(format!("what {tag} is made from cannot be looked up in its registry"), hint)
                    .because(error)
            };
            Ok((labelled.await.map_err(not_known)?, "registry"))
        }
        Destination::Engine(engine) => {
            let found = engine.inspect(tag.as_str()).await.map_err(engine_problem)?;
            let Some(found) = found else { return Ok((None, "engine")) };
            let id = found.id.unwrap_or_default();
            let made_by = engine.made_by(&id).await;
            let labels = found.config.and_then(|config| config.labels).unwrap_or_default().into_iter().collect();
            Ok((Some(Labelled { id, labels, made_by }), "engine"))
        }
        // Whatever is wrong with it is told when it is written to.
        Destination::Layout(folder) => {
            let labelled = oci_layout::read_labels(folder, tag.tag()).ok();
            Ok((labelled.filter(|_| oci_layout::is_whole(folder, tag.tag())), "layout"))
        }
    }
}

fn report(plan: &Plan, contents: &Contents) -> ImageReport {
    let base = match &contents.more {
        More::Labels(labels) => labels.base.clone(),
        More::Files { .. } => String::new(),
    };
    ImageReport {
        tags: plan.tags.iter().map(ToString::to_string).collect(),
        id: contents.id.clone(),
        digest: (contents.found_in != "engine").then(|| contents.id.clone()),
        base,
        hotfix_layer_bytes: None,
    }
}
