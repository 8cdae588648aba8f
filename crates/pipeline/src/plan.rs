//! What a run would do: made by reading, never by writing.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use hotfix_docker::reference::ImageRef;
use serde::{Deserialize, Serialize, Serializer};

use crate::credentials::Missing;
use crate::host::Host;
use crate::hotfix::HotfixSequence;
use crate::inputs::{Inputs, check_disk, tags};
use crate::pack::Product;
use crate::recorder::Recorder;
use crate::request::{Output, Request};
use crate::source::Source;
use crate::step::{Failure, Step};

/// OS and Java for products when nothing else is asked for. The vendor's public Dockerfiles (wso2/docker-apim,
/// wso2/docker-is) install JDKs of Eclipse Temurin, of a version that depends on the product's.
pub const DEFAULT_BASE_IMAGE: &str = "eclipse-temurin:11-jdk";
/// From the vendor's documentation: 3 × pack size + updates × update size + 500 MB.
const DISK_RESERVE: u64 = 500_000_000;

/// Bytes that the update tool needs for a product of so many, without its updates.
pub(crate) fn disk_needed(product: u64) -> u64 {
    3 * product + DISK_RESERVE
}

/// Whether credentials for the update tool are at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialState {
    /// Nobody will need them.
    NotNeeded,
    /// They are.
    Given,
    /// They are not.
    Missing(Missing),
}

/// Where the base image comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BasePlan {
    /// None.
    Scratch,
    /// From the engine, which pulls it where it lacks it.
    Engine(ImageRef),
    /// From its registry, with no engine between.
    Registry(ImageRef),
    /// From an OCI layout.
    Layout(PathBuf, Option<String>),
}

/// How the image is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Method {
    /// The product and the hotfixes are put on a base image.
    Base(BasePlan),
    /// The hotfixes are put on an image that holds the product.
    FromImage(BasePlan),
    /// The user's own Dockerfile.
    Dockerfile(PathBuf),
    /// The update tool's `create-docker`.
    VendorTool,
}

/// Where the update tool comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ToolSource {
    /// The pack ships it.
    InPack,
    /// The pack's setup script downloads it.
    SetupScript,
}

/// A run that can be carried out, as far as can be told without engine, registry and vendor.
#[derive(Debug, Clone, Serialize)]
pub struct Plan {
    /// What the pack is a pack of.
    pub product: Product,
    /// Where it comes from.
    #[serde(rename = "pack", serialize_with = "source_summary")]
    pub source: Source,
    /// The hotfixes in the order in which they are applied.
    pub hotfixes: HotfixSequence,
    /// The update tool's file for this machine.
    #[serde(rename = "update_tool", serialize_with = "tool_name")]
    pub host: Host,
    /// Where the update tool comes from; none where nothing is left for it to do.
    pub update_tool_source: Option<ToolSource>,
    /// How the image is made.
    #[serde(serialize_with = "as_text")]
    pub method: Method,
    /// Where the image goes.
    #[serde(serialize_with = "as_text")]
    pub output: Output,
    /// Names of the image.
    #[serde(serialize_with = "tag_names")]
    pub tags: Vec<ImageRef>,
    /// Whether they are pushed.
    pub push: bool,
    /// Disk that is needed, by the vendor's formula, in bytes.
    pub disk_needed: u64,
    /// Disk that is free where the workspace will be, in bytes.
    pub disk_free: u64,
    /// What was asked for.
    #[serde(skip)]
    pub request: Request,
}

impl Plan {
    /// Reads and checks everything that can be checked beforehand; writes nothing.
    ///
    /// # Errors
    /// The first of the steps 1 to 3 that fails, or `initialize-update-tool` where the pack has no update tool.
    pub async fn resolve(
        request: &Request,
        credentials: CredentialState,
        recorder: &mut Recorder,
    ) -> Result<Self, Failure> {
        let image = Source::open_image(request, recorder).await?;
        let host = recorder.step(Step::ValidateOs, Host::detect)?;
        let inputs = recorder.step(Step::ValidateInputs, || Inputs::read(request, image, credentials))?;
        let product = inputs.source.product().clone();
        recorder.source(&inputs.source);
        let hotfixes = recorder
            .step(Step::ValidateSequence, || HotfixSequence::read(&request.hotfix_dir, &product, request.through))?;
        let update_tool_source = match (hotfixes.as_slice(), &inputs.method) {
            ([], method) if *method != Method::VendorTool => None,
            _ => Some(recorder.check(Step::InitializeUpdateTool, || inputs.source.update_tool(host))?),
        };
        let bytes = hotfixes.as_slice().iter().map(|hotfix| hotfix.bytes);
        let disk_needed = disk_needed(inputs.source.unpacked_bytes()) + bytes.sum::<u64>();
        let disk_free = recorder.step(Step::ValidateInputs, || check_disk(request, disk_needed))?;
        let tags = recorder.step(Step::ValidateInputs, || tags(request, &product, hotfixes.as_slice().len()))?;
        Ok(Self {
            product,
            source: inputs.source,
            hotfixes,
            host,
            update_tool_source,
            method: inputs.method,
            output: request.output.clone(),
            tags,
            push: request.push,
            disk_needed,
            disk_free,
            request: request.clone(),
        })
    }

    /// `4.1.0.10-hf3`, or `4.1.0.10` without hotfixes.
    pub fn image_version(&self) -> String {
        image_version(&self.product, self.hotfixes.as_slice().len())
    }
}

/// `DIR` or `DIR:TAG`; a colon in the name of a folder that exists is part of it.
pub fn split_layout(text: &str) -> (PathBuf, Option<String>) {
    if !Path::new(text).is_dir()
        && let Some((folder, tag)) = text.rsplit_once(':')
    {
        return (folder.into(), Some(tag.to_owned()));
    }
    (text.into(), None)
}

pub(crate) fn image_version(product: &Product, hotfixes: usize) -> String {
    match hotfixes {
        0 => product.full_version(),
        count => format!("{}-hf{count}", product.full_version()),
    }
}

impl BasePlan {
    /// The image's tag, where it is named by one.
    pub fn tag(&self) -> Option<&str> {
        match self {
            Self::Scratch => None,
            Self::Engine(reference) | Self::Registry(reference) => reference.tag(),
            Self::Layout(_, tag) => tag.as_deref(),
        }
    }
}

impl fmt::Display for BasePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scratch => f.write_str("scratch"),
            Self::Engine(reference) | Self::Registry(reference) => reference.fmt(f),
            Self::Layout(folder, tag) => {
                write!(f, "oci:{}{}", folder.display(), tag.as_ref().map(|tag| format!(":{tag}")).unwrap_or_default())
            }
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Base(base) => write!(f, "on {base}"),
            Self::FromImage(image) => write!(f, "from {image}, which holds the product"),
            Self::Dockerfile(file) => write!(f, "by {}", file.display()),
            Self::VendorTool => f.write_str("by the update tool's create-docker"),
        }
    }
}

fn source_summary<S: Serializer>(source: &Source, serializer: S) -> Result<S::Ok, S::Error> {
    let mut summary = BTreeMap::new();
    summary.insert("file", serde_json::json!(source.location()));
    summary.insert("bytes", serde_json::json!(source.bytes()));
    summary.insert("unpacked_bytes", serde_json::json!(source.unpacked_bytes()));
    if let Source::Pack(pack) = source {
        summary.insert("files", serde_json::json!(pack.files()));
    }
    summary.serialize(serializer)
}

fn tool_name<S: Serializer>(host: &Host, serializer: S) -> Result<S::Ok, S::Error> {
    host.update_tool.serialize(serializer)
}

fn as_text<S: Serializer>(value: &impl fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn tag_names<S: Serializer>(tags: &[ImageRef], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(tags.iter().map(ImageRef::as_str))
}
