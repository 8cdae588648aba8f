//! The steps in their order, and nothing else: `prepare` checks what can be checked before anything is unpacked,
//! `execute` does the work.

use crate::cache::Cache;
use crate::checksums::{InputDigests, read_inputs};
use crate::credentials::Credentials;
use crate::delivery::Destination;
use crate::leaks;
use crate::patching::Work;
use crate::plan::Plan;
use crate::pushing::{PushTarget, push_all, push_targets};
use crate::recipe::Recipe;
use crate::recorder::Recorder;
use crate::report::ImageReport;
use crate::step::{Failure, Step};
use crate::workspace::Workspace;

/// A plan for which everything outside was found ready.
#[derive(Debug)]
pub struct Prepared {
    plan: Plan,
    credentials: Option<Credentials>,
    destination: Destination,
    recipe: Recipe,
    push_targets: Vec<PushTarget>,
    digests: InputDigests,
    workspace: Workspace,
    cache: Option<Cache>,
}

/// Finds engine, base image and the right to push, before anything is unpacked.
///
/// # Errors
/// Where one of them is missing, with the step that would have failed for it.
pub async fn prepare(
    plan: Plan,
    credentials: Option<Credentials>,
    recorder: &mut Recorder,
) -> Result<Prepared, Failure> {
    if let Some(credentials) = &credentials {
        recorder.check(Step::ValidateInputs, || leaks::check_request(&plan.request, credentials))?;
    }
    let destination = recorder.look_ahead(Step::BuildImage, async |_| Destination::connect(&plan).await).await?;
    let workspace = recorder.step(Step::ValidateInputs, || {
        Workspace::create(plan.request.workspace.as_deref(), plan.request.keep_workspace)
    })?;
    let cache = recorder.check(Step::ValidateInputs, || Cache::for_request(plan.request.cache.as_ref()))?;
    let recipe =
        Recipe::prepare(&plan, &destination, &workspace, cache.as_ref(), credentials.as_ref(), recorder).await?;
    let push_targets = recorder.look_ahead(Step::PushImage, async |_| push_targets(&plan, &destination).await).await?;
    let digests = recorder
        .look_ahead(Step::ValidateInputs, async |_| read_inputs(&plan, &workspace, cache.as_ref()).await)
        .await?;
    recorder.inputs(plan.hotfixes.as_slice(), &digests);
    Ok(Prepared { plan, credentials, destination, recipe, push_targets, digests, workspace, cache })
}

/// Unpacks, applies, builds and pushes.
///
/// # Errors
/// The step that failed. What the run made is gone again, but for a workspace that is to be kept.
pub async fn execute(prepared: Prepared, recorder: &mut Recorder) -> Result<(), Failure> {
    let Prepared { plan, credentials, destination, recipe, push_targets, digests, workspace, cache } = prepared;
    let credentials = credentials.filter(|_| plan.update_tool_source.is_some());
    let work = match &credentials {
        Some(credentials) => {
            Some(Work::begin(&plan, &workspace, credentials, &digests, cache.as_ref(), recorder).await?)
        }
        None => None,
    };
    let patched = match &work {
        Some(work) => Some(work.patch(recorder).await?),
        None => None,
    };
    if !recipe.needs_tool() {
        workspace.remove_tools_files();
    }
    let (built, guard) = recorder
        .run(Step::BuildImage, async |cancel| {
            recipe.build(&plan, &destination, &digests, work.as_ref().zip(patched.as_ref()), &cancel).await
        })
        .await?;
    let digest = if plan.push {
        let origin = recipe.origin();
        let push = async |cancel| push_all(&destination, &built, origin, &push_targets, &cancel).await;
        match recorder.run(Step::PushImage, push).await {
            Ok(digest) => digest,
            Err(failure) => {
                guard.undo(&built).await;
                return Err(failure);
            }
        }
    } else {
        built.digest.clone()
    };
    guard.keep();
    recorder.image(ImageReport {
        tags: plan.tags.iter().map(ToString::to_string).collect(),
        id: built.id,
        digest,
        base: recipe.base_name().to_owned(),
        hotfix_layer_bytes: Some(match patched {
            Some(_) => built.layers.last().map_or(0, |layer| layer.size),
            None => 0,
        }),
    });
    Ok(())
}
