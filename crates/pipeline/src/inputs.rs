//! Step 2: pack, folder, credentials, names, free disk; nothing is unpacked before all of it holds.

use std::io;
use std::path::{Path, PathBuf};

use bytesize::ByteSize;
use hotfix_docker::oci_layout;
use hotfix_docker::reference::{ImageRef, without_password};

use crate::dockerfile;
use crate::pack::{Product, ProductPack, printable};
use crate::plan::{BasePlan, CredentialState, DEFAULT_BASE_IMAGE, Method, image_version, split_layout};
use crate::request::{Output, Request, WorkspaceMode};
use crate::source::{IMAGE_PREFIX, Source};
use crate::step::Problem;
use crate::vendor_image;

/// With less, whatever fails fails for that.
const ALMOST_NOTHING: u64 = 16 << 20;

/// What a run works with, checked as far as it can be without engine, registry and vendor.
pub(crate) struct Inputs {
    /// The product.
    pub(crate) source: Source,
    /// How the image is made.
    pub(crate) method: Method,
}

impl Inputs {
    /// Reads and checks everything but the sequence.
    pub(crate) fn read(
        request: &Request,
        image: Option<Source>,
        credentials: CredentialState,
    ) -> Result<Self, Problem> {
        let source = match image {
            Some(image) => image,
            None => Source::Pack(ProductPack::open(&request.pack, request.max_unpacked_size)?),
        };
        check_folder(&request.hotfix_dir)?;
        match credentials {
            CredentialState::Missing(missing) if request.vendor_image || request.through != Some(0) => {
                return Err(missing.problem());
            }
            _ => {}
        }
        // Parsed here so that a bad name fails in this step; the derived one follows once the sequence is known.
        parse_tags(&request.tags)?;
        request.repository.as_deref().map_or(Ok(()), check_repository)?;
        check_labels(&request.labels)?;
        check_product_home(request.product_home.as_deref())?;
        let method = method(request, &source)?;
        check_workspace_mode(request)?;
        check_written_folders(request)?;
        if let Output::Layout(folder) = &request.output {
            oci_layout::check_target(folder).map_err(|error| {
                Problem::new(
                    format!("the image cannot be written to {}", folder.display()),
                    "give an empty folder, a new one, or an OCI layout",
                )
                .because(error)
            })?;
        }
        Ok(Self { source, method })
    }
}

/// What is laid over a pristine product is no product for others to look at.
fn check_workspace_mode(request: &Request) -> Result<(), Problem> {
    let whole = [("--keep-workspace", request.keep_workspace), ("--vendor-image", request.vendor_image)];
    let wants_whole = whole.into_iter().find(|(_, is_given)| *is_given);
    match (request.workspace_mode, wants_whole) {
        (WorkspaceMode::Overlay, Some((option, _))) => Err(Problem::new(
            format!(
                "--workspace-mode overlay does not go with {option}, which needs the whole product in the workspace"
            ),
            "leave --workspace-mode away, or give copy",
        )),
        _ => Ok(()),
    }
}

/// Folders that will be written to: allowed to us, none of them in the hotfix folder, which stays as it is, and none where another
/// one's content would be taken for its own.
pub(crate) fn check_written_folders(request: &Request) -> Result<(), Problem> {
    check_elsewhere(request, &request.hotfix_dir, "in the hotfix folder, which is never written to")?;
    check_apart(request)?;
    for (option, folder) in written_folders(request) {
        let there = nearest_existing(folder);
        if !there.is_dir() {
            return Err(Problem::new(
                format!("{option} {} cannot be written to: {} is no folder", folder.display(), there.display()),
                "give a folder, or the name of a new one",
            ));
        }
        let access = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
        rustix::fs::access(there, access).map_err(|error| {
            Problem::new(
                format!("{option} {} cannot be written to: {} does not allow it", folder.display(), there.display()),
                "give a folder that can be written to",
            )
            .because(error)
        })?;
    }
    Ok(())
}

fn check_apart(request: &Request) -> Result<(), Problem> {
    let folders: Vec<_> = written_folders(request).map(|(option, folder)| (option, absolute(folder), folder)).collect();
    let of = |wanted: &str| folders.iter().find(|(option, ..)| *option == wanted).map(|(_, place, _)| place);
    let cache = request.cache.as_ref().map(|cache| absolute(&cache.folder));
    for (option, place, folder) in &folders {
        let other = match *option {
            "--output" if of("--workspace") == Some(place) => "the workspace",
            "--output" | "--report" if cache.as_ref().is_some_and(|cache| place.starts_with(cache)) => "the cache",
            _ => continue,
        };
        let what = format!("{option} {} is in {other}, which has content of its own", folder.display());
        return Err(Problem::new(what, "give a folder elsewhere"));
    }
    Ok(())
}

/// Without links, as far as it is there.
fn absolute(folder: &Path) -> PathBuf {
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let there = nearest_existing(&folder);
    let rest = folder.strip_prefix(there).unwrap_or(Path::new(""));
    there.canonicalize().unwrap_or_else(|_| there.to_owned()).join(rest)
}

/// That nothing is written into the folder `kept`; `why` says what it is.
pub(crate) fn check_elsewhere(request: &Request, kept: &Path, why: &str) -> Result<(), Problem> {
    let kept = kept.canonicalize().unwrap_or_else(|_| kept.to_owned());
    let is_in = |folder: &Path| {
        let there = nearest_existing(folder);
        there.canonicalize().unwrap_or_else(|_| there.to_owned()).starts_with(&kept)
    };
    match written_folders(request).find(|(_, folder)| is_in(folder)) {
        None => Ok(()),
        Some((option, folder)) => {
            Err(Problem::new(format!("{option} {} is {why}", folder.display()), "give a folder elsewhere"))
        }
    }
}

/// The folders that a run writes to, by the options that name them.
fn written_folders(request: &Request) -> impl Iterator<Item = (&'static str, &Path)> {
    let layout = match &request.output {
        Output::Layout(folder) => Some(folder),
        Output::Docker => None,
    };
    let cache = request.cache.as_ref().filter(|cache| cache.is_wanted).map(|cache| &cache.folder);
    let folders = [
        ("--workspace", request.workspace.as_ref()),
        ("--report", request.report.as_ref()),
        ("--output", layout),
        ("--cache-dir", cache),
    ];
    folders.into_iter().filter_map(|(option, folder)| Some((option, folder?.as_path())))
}

/// The folder itself, or the first above it that exists.
fn nearest_existing(folder: &Path) -> &Path {
    let there = folder.ancestors().find(|path| path.exists()).unwrap_or(Path::new("."));
    if there.as_os_str().is_empty() { Path::new(".") } else { there }
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
        Some(home) if crate::placement::home_in_image(home).is_none() => Err(Problem::new(
            format!("--product-home {home} is no place in an image"),
            "give an absolute path without . and .., such as /home/wso2carbon/wso2am-4.1.0",
        )),
        _ => Ok(()),
    }
}

fn method(request: &Request, source: &Source) -> Result<Method, Problem> {
    if let (Source::Image(..), Some(name)) = (source, image_name(request)) {
        check_only_the_image(request)?;
        check_owner(request)?;
        return image_plan(name, &request.output).map(Method::FromImage);
    }
    match request {
        Request { from_image: Some(name), .. } => {
            check_owner(request)?;
            image_plan(name, &request.output).map(Method::FromImage)
        }
        Request { dockerfile: Some(file), .. } => dockerfile::method(request, file, source.product()),
        Request { vendor_image: true, output: Output::Layout(_), .. } => Err(vendor_image::needs_engine()),
        Request { vendor_image: true, .. } => Ok(Method::VendorTool),
        _ => base(request).map(Method::Base),
    }
}

/// The image that PACK names, if it names one.
pub(crate) fn image_name(request: &Request) -> Option<&str> {
    request.pack.to_str()?.strip_prefix(IMAGE_PREFIX)
}

fn check_only_the_image(request: &Request) -> Result<(), Problem> {
    let rivals = [
        ("--base-image", request.base_image.is_some()),
        ("--from-image", request.from_image.is_some()),
        ("--dockerfile", request.dockerfile.is_some()),
        ("--vendor-image", request.vendor_image),
    ];
    match rivals.iter().find(|(_, is_given)| *is_given) {
        Some((option, _)) => Err(Problem::new(
            format!("{option} does not go with {}: that image is what the hotfixes are put on", request.pack.display()),
            format!("leave {option} away, or give the pack as a zip"),
        )),
        None => Ok(()),
    }
}

/// In an image that holds the product, everything in it has an owner.
fn check_owner(request: &Request) -> Result<(), Problem> {
    match request.chown {
        Some(_) => Err(Problem::new(
            "--chown does not go with an image that holds the product: owners are those in the image",
            "leave --chown away",
        )),
        None => Ok(()),
    }
}

/// An image that holds the product: from the engine, or `oci:DIR[:TAG]`; without an engine, from its registry.
pub(crate) fn image_plan(name: &str, output: &Output) -> Result<BasePlan, Problem> {
    let hint = "give a reference such as wso2/wso2am:4.1.0.10, or oci:DIR";
    match named_image(name, output, hint, "the name of the image cannot be used")? {
        BasePlan::Scratch => Err(Problem::new("scratch is no image that holds a product", hint)),
        plan => Ok(plan),
    }
}

fn base(request: &Request) -> Result<BasePlan, Problem> {
    let named = match (request.base_image.as_deref(), &request.output) {
        (Some(name), _) => name,
        (None, Output::Layout(_)) => "scratch",
        (None, Output::Docker) => DEFAULT_BASE_IMAGE,
    };
    let hint = "give a reference such as eclipse-temurin:11-jdk, scratch, or oci:DIR";
    named_image(named, &request.output, hint, "the name of the base image cannot be used")
}

fn named_image(name: &str, output: &Output, hint: &str, wrong: &str) -> Result<BasePlan, Problem> {
    if name == "scratch" {
        return Ok(BasePlan::Scratch);
    }
    if let Some(folder) = name.strip_prefix("oci:") {
        let (folder, tag) = split_layout(folder);
        return Ok(BasePlan::Layout(folder, tag));
    }
    let from = match output {
        Output::Docker => BasePlan::Engine,
        Output::Layout(_) => BasePlan::Registry,
    };
    name.parse().map(from).map_err(|error: hotfix_docker::Error| Problem::new(wrong, hint).because(error))
}

/// Names of the image: those asked for, else the derived one.
pub(crate) fn tags(request: &Request, product: &Product, hotfixes: usize) -> Result<Vec<ImageRef>, Problem> {
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
        let is_same = |other: &ImageRef| {
            (other.registry(), other.repository(), other.tag())
                == (reference.registry(), reference.repository(), reference.tag())
        };
        if !parsed.iter().any(is_same) {
            parsed.push(reference);
        }
    }
    Ok(parsed)
}

fn check_repository(repository: &str) -> Result<(), Problem> {
    let last = repository.rsplit('/').next().unwrap_or(repository);
    if repository.parse::<ImageRef>().is_ok() && last.contains([':', '@']) {
        return Err(Problem::new(
            format!(
                "--repository {repository} has a tag or a digest, and the tag is derived: version, level, hotfixes"
            ),
            format!("give --tag {repository} for a name of your own, or a repository without a tag"),
        ));
    }
    let reference: Result<ImageRef, _> = format!("{repository}:tag").parse();
    reference.map(drop).map_err(|_| {
        Problem::new(
            format!("--repository {} is no name of a repository", printable(&without_password(repository))),
            "give lower-case letters, digits and . _ - with / between parts, such as registry.example.org/team/wso2am",
        )
    })
}

/// Bytes that are free on the disk of `place`.
///
/// # Errors
/// Where the system does not say.
pub(crate) fn free_disk(place: &Path) -> rustix::io::Result<u64> {
    rustix::fs::statvfs(place).map(|stat| stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Whether a disk is full, or what of it this user may have.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// What to do about `error`, which was met where something was written to `place`.
pub(crate) fn hint_for(error: &io::Error, place: &Path, otherwise: &str) -> String {
    if !is_full(error) {
        return otherwise.to_owned();
    }
    format!("{}: make room there, or {otherwise}", room_at(place))
}

/// What to do where `place` may be on a disk that is full, as others than we have `said`; nothing where there is room.
pub(crate) fn hint_of_full_disk(place: &Path, said: &str) -> Option<String> {
    let is_said = ["No space left on device", "Disk quota exceeded"].iter().any(|words| said.contains(words));
    let is_full = is_said || free_disk(place).is_ok_and(|free| free < ALMOST_NOTHING);
    is_full.then(|| format!("{}: make room there, or use a larger one", room_at(place)))
}

/// How much is free there: either can run out.
fn room_at(place: &Path) -> String {
    let place = nearest_existing(place);
    match rustix::fs::statvfs(place) {
        Ok(stat) => {
            let bytes = ByteSize(stat.f_bavail.saturating_mul(stat.f_frsize));
            format!("the disk of {} has {bytes} and {} files free", place.display(), stat.f_favail)
        }
        Err(_) => format!("the disk of {} is full", place.display()),
    }
}

/// Free disk where the workspace will be, in bytes; a problem where it is less than `needed`.
pub(crate) fn check_disk(request: &Request, needed: u64) -> Result<u64, Problem> {
    let wanted = request.workspace.clone().unwrap_or_else(crate::workspace::temporary_folder);
    let there = nearest_existing(&wanted);
    let free = free_disk(there).map_err(|error| {
        Problem::new(format!("the free disk of {} is not known", there.display()), "give --no-disk-check")
            .because(error)
    })?;
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
