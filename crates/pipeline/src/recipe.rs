//! How the image is made: one variant a way, each found ready before anything is unpacked.

use hotfix_docker::base::BaseImage;
use hotfix_docker::image::BuiltImage;
use tokio_util::sync::CancellationToken;

use crate::changes::PatchedProduct;
use crate::checksums::InputDigests;
use crate::delivery::{Destination, TagGuard, build};
use crate::image::assemble;
use crate::placement::Placement;
use crate::plan::{Method, Plan};
use crate::recorder::Recorder;
use crate::step::{Failure, Problem, Step};

/// A way to make the image, with everything that it needs from outside.
#[derive(Debug)]
pub enum Recipe {
    /// The product's layer and that of the hotfixes on a base image.
    Layers {
        /// What they are put on.
        base: BaseImage,
        /// Where they go.
        placement: Placement,
    },
}

impl Recipe {
    /// Finds what the plan's way needs.
    ///
    /// # Errors
    /// Where it is not to be had, as a failure of `build-image`.
    pub async fn prepare(plan: &Plan, destination: &Destination, recorder: &mut Recorder) -> Result<Self, Failure> {
        let Method::Base(base) = &plan.method else { unreachable!("refused when the plan was made") };
        let platform = plan.request.platform.as_ref();
        let base = recorder
            .look_ahead(Step::BuildImage, async |cancel| destination.base(base, platform, &cancel).await)
            .await?;
        let placement = recorder.look_ahead(Step::BuildImage, async |_| Placement::find(plan, &base).await).await?;
        Ok(Self::Layers { base, placement })
    }

    /// What the image is put on, for reports.
    pub fn base_name(&self) -> &str {
        match self {
            Self::Layers { base, .. } => &base.name,
        }
    }

    /// Makes the image and gives it its names; what was done before a failure is undone.
    ///
    /// # Errors
    /// Where engine or disk fail.
    pub async fn build(
        &self,
        plan: &Plan,
        destination: &Destination,
        digests: &InputDigests,
        patched: Option<&PatchedProduct>,
        cancel: &CancellationToken,
    ) -> Result<(BuiltImage, Option<TagGuard>), Problem> {
        match self {
            Self::Layers { base, placement } => {
                let image = assemble(plan, base.clone(), placement, digests, patched)?;
                build(destination, plan, &image, cancel).await
            }
        }
    }
}
