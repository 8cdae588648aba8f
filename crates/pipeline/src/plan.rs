//! What a run would do: made by reading, never by writing.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use bytesize::ByteSize;
use hotfix_docker::oci_layout;
use hotfix_docker::reference::ImageRef;
use serde::{Serialize, Serializer};

use crate::credentials;
use crate::host::Host;
use crate::hotfix::HotfixSequence;
use crate::pack::{Product, ProductPack};
use crate::report::Recorder;
use crate::request::{Output, Request};
use crate::step::{Failure, Problem, Step};
use crate::tree::BIN;
use crate::update_tool::SETUP_SCRIPT;

/// OS and Java for products when nothing else is asked for. The vendor's recipes for both generations of its products
/// start from this family.
pub const DEFAULT_BASE_IMAGE: &str = "eclipse-temurin:11-jdk";
/// From the vendor's documentation: 3 × pack size + updates × update size + 500 MB.
const DISK_RESERVE: u64 = 500_000_000;

/// Whether credentials for the update tool are at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialState {
    /// Nobody will need them.
    NotNeeded,
    /// They are.
    Given,
    /// They are not.
    Missing,
}

/// Where the base image comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BasePlan {
    /// None.
    Scratch,
    /// From the engine, which pulls it where it lacks it.
    Engine(ImageRef),
    /// From an OCI layout.
    Layout(PathBuf, Option<String>),
}

/// Where the update tool comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
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
    /// The pack.
    #[serde(serialize_with = "pack_summary")]
    pub pack: ProductPack,
    /// The hotfixes in the order in which they are applied.
    pub hotfixes: HotfixSequence,
    /// The update tool's file for this machine.
    #[serde(rename = "update_tool", serialize_with = "tool_name")]
    pub host: Host,
    /// Where the update tool comes from; none where no hotfix is applied.
    pub update_tool_source: Option<ToolSource>,
    /// The base image.
    #[serde(serialize_with = "as_text")]
    pub base: BasePlan,
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
    pub fn resolve(request: &Request, credentials: CredentialState, recorder: &mut Recorder) -> Result<Self, Failure> {
        let host = recorder.step(Step::ValidateOs, Host::detect)?;
        let inputs = recorder.step(Step::ValidateInputs, || Inputs::read(request, credentials))?;
        recorder.pack(&inputs.pack);
        let hotfixes = recorder.step(Step::ValidateSequence, || {
            HotfixSequence::read(&request.hotfix_dir, &inputs.pack.product, request.through)
        })?;
        let update_tool_source = match hotfixes.as_slice() {
            [] => None,
            _ => Some(recorder.check(Step::InitializeUpdateTool, || tool_source(&inputs.pack, host))?),
        };
        let bytes = hotfixes.as_slice().iter().map(|hotfix| hotfix.bytes);
        let disk_needed = 3 * inputs.pack.unpacked_bytes() + bytes.sum::<u64>() + DISK_RESERVE;
        let disk_free = recorder.step(Step::ValidateInputs, || check_disk(request, disk_needed))?;
        let tags =
            recorder.step(Step::ValidateInputs, || tags(request, &inputs.pack.product, hotfixes.as_slice().len()))?;
        Ok(Self {
            product: inputs.pack.product.clone(),
            pack: inputs.pack,
            hotfixes,
            host,
            update_tool_source,
            base: inputs.base,
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

struct Inputs {
    pack: ProductPack,
    base: BasePlan,
}

impl Inputs {
    fn read(request: &Request, credentials: CredentialState) -> Result<Self, Problem> {
        let pack = ProductPack::open(&request.pack, request.max_unpacked_size)?;
        check_folder(&request.hotfix_dir)?;
        if credentials == CredentialState::Missing && request.through != Some(0) {
            return Err(credentials::missing());
        }
        // Parsed here so that a bad name fails in this step; the derived one follows once the sequence is known.
        parse_tags(&request.tags)?;
        check_labels(&request.labels)?;
        check_product_home(request.product_home.as_deref())?;
        let base = base(request)?;
        if let Output::Layout(folder) = &request.output {
            if request.push {
                return Err(Problem::new(
                    "--push needs --output docker",
                    "push the layout with a tool such as skopeo, or leave --output away",
                ));
            }
            oci_layout::check_target(folder).map_err(|error| {
                Problem::new(
                    format!("the image cannot be written to {}", folder.display()),
                    "give an empty folder, a new one, or an OCI layout",
                )
                .because(error)
            })?;
        }
        Ok(Self { pack, base })
    }
}

fn check_folder(folder: &Path) -> Result<(), Problem> {
    let hint = "give the folder that holds the hotfix zips";
    let metadata = std::fs::metadata(folder).map_err(|error| {
        Problem::new(format!("there is no hotfix folder {}", folder.display()), hint).because(error)
    })?;
    if metadata.is_dir() {
        Ok(())
    } else {
        Err(Problem::new(format!("the hotfix folder {} is a file", folder.display()), hint))
    }
}

fn check_labels(labels: &[(String, String)]) -> Result<(), Problem> {
    let ours = |key: &str| key.starts_with("hotfix.") || crate::image::IMAGE_LABELS.contains(&key);
    match labels.iter().find(|(key, _)| ours(key)) {
        Some((key, _)) => {
            Err(Problem::new(format!("the label {key} is given by hotfix itself"), "choose another name for it"))
        }
        None => Ok(()),
    }
}

fn check_product_home(home: Option<&str>) -> Result<(), Problem> {
    match home {
        Some(home) if crate::image::home_in_image(home).is_none() => Err(Problem::new(
            format!("--product-home {home} is no place in an image"),
            "give an absolute path without . and .., such as /home/wso2carbon/wso2am-4.1.0",
        )),
        _ => Ok(()),
    }
}

fn base(request: &Request) -> Result<BasePlan, Problem> {
    let to_layout = matches!(request.output, Output::Layout(_));
    let named = match request.base_image.as_deref() {
        Some(name) => name,
        None if to_layout => "scratch",
        None => DEFAULT_BASE_IMAGE,
    };
    if named == "scratch" {
        return Ok(BasePlan::Scratch);
    }
    if let Some(folder) = named.strip_prefix("oci:") {
        let (folder, tag) = split_layout(folder);
        return Ok(BasePlan::Layout(folder, tag));
    }
    if to_layout {
        return Err(Problem::new(
            format!("the base image {named} is in an engine or a registry, and --output oci:… works without either"),
            "give --base-image scratch or --base-image oci:DIR, or leave --output away",
        ));
    }
    named.parse().map(BasePlan::Engine).map_err(|error: hotfix_docker::Error| {
        Problem::new(
            "the name of the base image cannot be used",
            "give a reference such as eclipse-temurin:11-jdk, scratch, or oci:DIR",
        )
        .because(error)
    })
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

fn tool_source(pack: &ProductPack, host: Host) -> Result<ToolSource, Problem> {
    let has = |name: &str| pack.nodes.contains_key(&format!("{BIN}/{name}"));
    if has(host.update_tool) {
        return Ok(ToolSource::InPack);
    }
    if has(SETUP_SCRIPT) {
        return Ok(ToolSource::SetupScript);
    }
    Err(Problem::new(
        format!(
            "{} has no update tool for this machine: neither bin/{} nor bin/{SETUP_SCRIPT}",
            pack.path.display(),
            host.update_tool
        ),
        "download the pack again from the vendor, or run on a machine that it has a tool for",
    ))
}

fn check_disk(request: &Request, needed: u64) -> Result<u64, Problem> {
    let wanted = request.workspace.clone().unwrap_or_else(std::env::temp_dir);
    let there = wanted.ancestors().find(|path| path.exists()).unwrap_or(Path::new("."));
    let there = if there.as_os_str().is_empty() { Path::new(".") } else { there };
    let stat = rustix::fs::statvfs(there).map_err(|error| {
        Problem::new(format!("the free disk of {} is not known", there.display()), "give --no-disk-check")
            .because(error)
    })?;
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    if request.disk_check && free < needed {
        return Err(Problem::new(
            format!(
                "{} has {} free, and {} are needed (3 × product + hotfixes + 500 MB, the vendor's rule)",
                wanted.display(),
                ByteSize(free),
                ByteSize(needed)
            ),
            "make room, give --workspace on a larger disk, or --no-disk-check to try all the same",
        ));
    }
    Ok(free)
}

fn image_version(product: &Product, hotfixes: usize) -> String {
    match hotfixes {
        0 => product.full_version(),
        count => format!("{}-hf{count}", product.full_version()),
    }
}

fn tags(request: &Request, product: &Product, hotfixes: usize) -> Result<Vec<ImageRef>, Problem> {
    if !request.tags.is_empty() {
        return parse_tags(&request.tags);
    }
    let repository = request.repository.clone().unwrap_or_else(|| product.name.to_lowercase());
    parse_tags(&[format!("{repository}:{}", image_version(product, hotfixes))])
}

fn parse_tags(tags: &[String]) -> Result<Vec<ImageRef>, Problem> {
    let hint = "give a tag as docker does, such as registry.example.org/team/wso2am:4.1.0.10-hf3";
    let mut parsed: Vec<ImageRef> = Vec::new();
    for tag in tags {
        let reference: ImageRef = tag.parse().map_err(|error: hotfix_docker::Error| {
            Problem::new("a tag of the image cannot be used", hint).because(error)
        })?;
        if reference.digest().is_some() {
            return Err(Problem::new(
                format!("the tag {tag} has a digest, which only an image that exists can have"),
                hint,
            ));
        }
        if !parsed.contains(&reference) {
            parsed.push(reference);
        }
    }
    Ok(parsed)
}

impl fmt::Display for BasePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scratch => f.write_str("scratch"),
            Self::Engine(reference) => reference.fmt(f),
            Self::Layout(folder, tag) => {
                write!(f, "oci:{}{}", folder.display(), tag.as_ref().map(|tag| format!(":{tag}")).unwrap_or_default())
            }
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pack = self.pack.path.file_name().unwrap_or_default().to_string_lossy();
        let product = &self.product;
        writeln!(f, "product   {} {} at update level {}", product.name, product.version, product.update_level)?;
        writeln!(
            f,
            "pack      {pack} ({}; {} in {} files unpacked)",
            ByteSize(self.pack.bytes),
            ByteSize(self.pack.unpacked_bytes()),
            self.pack.files()
        )?;
        match self.update_tool_source {
            None => {}
            Some(ToolSource::InPack) => writeln!(f, "tool      bin/{}", self.host.update_tool)?,
            Some(ToolSource::SetupScript) => {
                writeln!(f, "tool      bin/{}, downloaded by bin/{SETUP_SCRIPT}", self.host.update_tool)?
            }
        }
        if self.hotfixes.as_slice().is_empty() {
            writeln!(f, "hotfixes  none")?;
        }
        for (position, hotfix) in self.hotfixes.as_slice().iter().enumerate() {
            let title = if position == 0 { "hotfixes" } else { "" };
            writeln!(f, "{title:<10}{} {} ({})", hotfix.number, hotfix.file, ByteSize(hotfix.bytes))?;
        }
        writeln!(f, "base      {}", self.base)?;
        writeln!(f, "disk      {} needed, {} free", ByteSize(self.disk_needed), ByteSize(self.disk_free))?;
        writeln!(f, "output    {}", self.output)?;
        let verb = if self.push { "tag, push" } else { "tag" };
        for tag in &self.tags {
            writeln!(f, "{verb:<10}{tag}")?;
        }
        Ok(())
    }
}

fn pack_summary<S: Serializer>(pack: &ProductPack, serializer: S) -> Result<S::Ok, S::Error> {
    let mut summary = BTreeMap::new();
    summary.insert("file", serde_json::json!(pack.path));
    summary.insert("bytes", serde_json::json!(pack.bytes));
    summary.insert("unpacked_bytes", serde_json::json!(pack.unpacked_bytes()));
    summary.insert("files", serde_json::json!(pack.files()));
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
