//! What an image contains: from its labels, else from the product's files in it.

mod contents;

use hotfix_docker::auth::credentials_for;
use hotfix_docker::base::{BaseImage, Wanted};
use hotfix_docker::engine::Engine;
use hotfix_docker::oci_layout::{self, Labelled};
use hotfix_docker::reference::ImageRef;
use hotfix_docker::temporary::TemporaryFolder;
use hotfix_docker::{Error, fetch, registry};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::engine_problem::engine_problem;
use crate::host::{Host, UPDATE_TOOLS};
use crate::plan::split_layout;
use crate::product_image::{Clues, NO_PRODUCT_HINT, ProductImage};
use crate::registry_hint::hint;
use crate::step::{Failure, NO_PRODUCT, Problem, Step, USAGE};
use crate::workspace::temporary_folder;

pub use contents::{Applied, Contents, Labels, More};

/// Which tool the image has does not matter here.
const ANY_HOST: Host = Host { update_tool: UPDATE_TOOLS[0] };

/// What to do about an image without a product.
const NOTHING_HINT: &str = "check the image's name: hotfix inspect tells of images that hold a product";

/// A failure with its exit code.
type Failed = (u8, Problem);

/// Looks `image` up: `oci:DIR[:TAG]` in the layout, everything else in the engine and then in its registry.
///
/// # Errors
/// Exit code and problem: 2 for a name that is none, 4 where there is no such image or it holds no product, 9 where the
/// registry cannot be asked.
pub async fn inspect(image: &str) -> Result<Contents, Failed> {
    if let Some(folder) = image.strip_prefix("oci:") {
        let (folder, tag) = split_layout(folder);
        let missing = |error| (NO_PRODUCT, no_image(image).because(error));
        let labelled = oci_layout::read_labels(&folder, tag.as_deref()).map_err(missing)?;
        if let Some(contents) = Contents::labelled(image, &labelled, "layout") {
            return Ok(contents);
        }
        let base = oci_layout::open(&folder, tag.as_deref(), None).map_err(missing)?;
        return by_files(image, labelled.id, "layout", base, tag.as_deref()).await;
    }
    let reference: ImageRef = image.parse().map_err(|error: Error| {
        let hint = "give a reference such as team/wso2am:4.1.0.10-hf3, or oci:DIR";
        (USAGE, Problem::new("the name of the image cannot be used", hint).because(error))
    })?;
    match in_engine(image, &reference).await {
        Ok(Some(contents)) => contents,
        Ok(None) => in_registry(image, &reference, "is not in the engine").await,
        // Whoever names an engine wrongly is not helped by another answer.
        Err(error @ (Error::Endpoint { .. } | Error::NoSuchContext { .. } | Error::Context { .. })) => {
            Err((Step::BuildImage.exit_code(), engine_problem(error)))
        }
        Err(error) => {
            let problem = engine_problem(error);
            warn!("{}", Failure { step: Step::BuildImage, problem }.chain().join(": "));
            in_registry(image, &reference, "was not looked for in the engine").await
        }
    }
}

async fn in_engine(image: &str, reference: &ImageRef) -> Result<Option<Result<Contents, Failed>>, Error> {
    let engine = Engine::connect().await?;
    let Some(found) = engine.look_up(reference).await? else { return Ok(None) };
    let labels = found.config.and_then(|config| config.labels).unwrap_or_default();
    let labelled = Labelled { id: found.id.unwrap_or_default(), labels: labels.into_iter().collect(), made_by: None };
    if let Some(contents) = Contents::labelled(image, &labelled, "engine") {
        return Ok(Some(Ok(contents)));
    }
    let base = engine.base(reference, Wanted::default()).await?;
    Ok(Some(by_files(image, labelled.id, "engine", base, reference.tag()).await))
}

async fn in_registry(image: &str, reference: &ImageRef, elsewhere: &str) -> Result<Contents, Failed> {
    let unasked = |error| {
        let hint = hint(reference.registry(), &error);
        let what = format!("{image} {elsewhere}, and its registry cannot be asked");
        (Step::PushImage.exit_code(), Problem::new(what, hint).because(error))
    };
    let credentials = credentials_for(reference.registry()).await.map_err(unasked)?;
    let labelled = registry::read_labels(reference, &credentials).await.map_err(unasked)?;
    let labelled = labelled.ok_or_else(|| (NO_PRODUCT, no_image(image)))?;
    if let Some(contents) = Contents::labelled(image, &labelled, "registry") {
        return Ok(contents);
    }
    info!("{image} has no labels of hotfix: fetching it to look for a product in its files");
    let folder = TemporaryFolder::new().map_err(|error| {
        let what = format!("{image} cannot be fetched to {}", temporary_folder().display());
        (NO_PRODUCT, Problem::new(what, "make room, or set TMPDIR to a folder on a larger disk").because(error))
    })?;
    let into = folder.path().join("image");
    let fetched = fetch::fetch(reference, &credentials, None, &into, &CancellationToken::new()).await;
    by_files(image, labelled.id, "registry", fetched.map_err(unasked)?, reference.tag()).await
}

async fn by_files(
    image: &str,
    id: String,
    found_in: &'static str,
    base: BaseImage,
    tag: Option<&str>,
) -> Result<Contents, Failed> {
    let found = ProductImage::find(base, Clues { tag, ..Clues::default() }, ANY_HOST, None).await;
    // To apply, one gives another image; here that is the answer.
    let found = found.map_err(|problem| match problem.hint() == NO_PRODUCT_HINT {
        true => (NO_PRODUCT, problem.with_hint(NOTHING_HINT)),
        false => (NO_PRODUCT, problem),
    })?;
    if let Err(problem) = found.check_place() {
        warn!("{problem}");
    }
    Ok(Contents::of_files(image, id, found_in, &found))
}

fn no_image(image: &str) -> Problem {
    let hint = match image.starts_with("oci:") {
        true => "give oci:DIR, or oci:DIR:TAG where the layout has several images",
        false => "check its name; docker images lists those of the engine",
    };
    Problem::new(format!("there is no image {image}"), hint)
}
