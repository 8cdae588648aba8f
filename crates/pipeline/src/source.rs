//! Where the product comes from: the vendor's pack, or an image that holds it.

use std::path::Path;

use hotfix_docker::Error;
use hotfix_docker::base::{BaseImage, Wanted};
use hotfix_docker::engine::Engine;
use hotfix_docker::oci_layout;

use crate::engine_problem::{base_problem, needed_engine_problem};
use crate::host::Host;
use crate::inputs::{image_name, image_plan};
use crate::pack::{Product, ProductPack};
use crate::plan::{BasePlan, ToolSource};
use crate::product_image::{Clues, ProductImage};
use crate::recorder::Recorder;
use crate::request::Request;
use crate::step::{Failure, Problem, Step};
use crate::tree::BIN;
use crate::update_tool::SETUP_SCRIPT;

/// What stands before the reference where PACK is an image.
pub const IMAGE_PREFIX: &str = "image:";

/// Where the product comes from.
#[derive(Debug, Clone)]
pub enum Source {
    /// A zip of the vendor's.
    Pack(ProductPack),
    /// An image, on which the hotfixes are put as well.
    Image(Box<ProductImage>, Product),
}

impl Source {
    /// Opens the image that PACK names, if it names one. Nothing else about the request is looked at.
    ///
    /// # Errors
    /// Where engine or layout fail, there is no such image, or it holds no product that hotfixes can be put on.
    pub async fn open_image(request: &Request, recorder: &mut Recorder) -> Result<Option<Self>, Failure> {
        let Some(name) = image_name(request) else { return Ok(None) };
        let host = recorder.step(Step::ValidateOs, Host::detect)?;
        let plan = recorder.check(Step::ValidateInputs, || image_of_engine_or_layout(name, request))?;
        let engine = match &plan {
            BasePlan::Engine(_) => {
                let connect = async |_| Engine::connect().await.map_err(needed_engine_problem);
                Some(recorder.look_ahead(Step::BuildImage, connect).await?)
            }
            _ => None,
        };
        let find = async |_| {
            let base = open(&plan, request.wanted(), engine.as_ref()).await?;
            let clues = Clues { asked: request.product_home.as_deref(), folder: None, tag: plan.tag() };
            let image = ProductImage::find(base, clues, host, None).await?;
            let product = image.product()?;
            Ok(Self::Image(Box::new(image), product))
        };
        recorder.look_ahead(Step::ValidateInputs, find).await.map(Some)
    }

    /// What it is.
    pub fn product(&self) -> &Product {
        match self {
            Self::Pack(pack) => &pack.product,
            Self::Image(_, product) => product,
        }
    }

    /// The pack's file name, or `image:` and the image's.
    pub fn name(&self) -> String {
        match self {
            Self::Pack(pack) => pack.path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            Self::Image(image, _) => format!("{IMAGE_PREFIX}{}", image.base.name),
        }
    }

    /// The pack's path, or `image:` and the image's name.
    pub fn location(&self) -> String {
        match self {
            Self::Pack(pack) => pack.path.display().to_string(),
            Self::Image(..) => self.name(),
        }
    }

    /// The pack's file; none for an image.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Pack(pack) => Some(&pack.path),
            Self::Image(..) => None,
        }
    }

    /// Length of the pack, or of the image's layers, in bytes.
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Pack(pack) => pack.bytes,
            Self::Image(image, _) => image.base.size,
        }
    }

    /// Bytes when unpacked; of an image, what all its files take.
    pub fn unpacked_bytes(&self) -> u64 {
        match self {
            Self::Pack(pack) => pack.unpacked_bytes(),
            Self::Image(image, _) => image.base.size,
        }
    }

    /// Time of the newest file, as far as it is known, in seconds since 1970.
    pub fn newest(&self) -> u64 {
        match self {
            Self::Pack(pack) => pack.newest(),
            Self::Image(image, _) => image.facts.time,
        }
    }

    /// Where the update tool for `host` comes from.
    ///
    /// # Errors
    /// Where there is none.
    pub(crate) fn update_tool(&self, host: Host) -> Result<ToolSource, Problem> {
        let source = match self {
            Self::Pack(pack) => {
                let has = |name: &str| pack.nodes.contains_key(&format!("{BIN}/{name}"));
                let in_pack = has(host.update_tool).then_some(ToolSource::InPack);
                in_pack.or(has(SETUP_SCRIPT).then_some(ToolSource::SetupScript))
            }
            Self::Image(image, _) => image.facts.update_tool,
        };
        source.ok_or_else(|| {
            let hint = "download the pack again from the vendor, or run on a machine that it has a tool for";
            no_update_tool(&self.location(), host, hint)
        })
    }
}

/// What `location` lacks.
pub(crate) fn no_update_tool(location: &str, host: Host, hint: &str) -> Problem {
    let tool = host.update_tool;
    Problem::new(
        format!("{location} has no update tool for this machine: neither bin/{tool} nor bin/{SETUP_SCRIPT}"),
        hint,
    )
}

fn image_of_engine_or_layout(name: &str, request: &Request) -> Result<BasePlan, Problem> {
    match image_plan(name, &request.output)? {
        BasePlan::Registry(reference) => Err(Problem::new(
            format!(
                "{IMAGE_PREFIX}{reference} needs an engine to read the product with, and --output oci:DIR works without one"
            ),
            format!("leave --output away, or give {IMAGE_PREFIX}oci:DIR with a layout of the image"),
        )),
        plan => Ok(plan),
    }
}

async fn open(plan: &BasePlan, wanted: Wanted<'_>, engine: Option<&Engine>) -> Result<BaseImage, Problem> {
    let opened = match (plan, engine) {
        (BasePlan::Layout(folder, tag), _) => oci_layout::open(folder, tag.as_deref(), wanted.platform),
        (BasePlan::Engine(reference), Some(engine)) => engine.base(reference, wanted).await,
        // Refused when the name was read.
        _ => Err(Error::Reference { text: plan.to_string(), reason: "it needs an engine".to_owned() }),
    };
    let hint = match plan {
        BasePlan::Layout(..) => "give the folder of an OCI layout, and the tag of an image in it after a colon",
        _ => "check its name, and the engine's way to the registry (docker pull)",
    };
    opened.map_err(|error| base_problem("image", plan, "is not to be had", hint, error))
}
