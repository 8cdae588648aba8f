//! What the command line says of an image, and of the work on it.

// The comments on arguments are their help, where `<product>` is a placeholder.
#![allow(rustdoc::invalid_html_tags)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytesize::ByteSize;
use clap::Args;
use hotfix_docker::base::Platform;

use super::args::{duration, size};
use super::cache_args::CacheOptions;
use super::paths::{output, place};
use crate::plan::DEFAULT_BASE_IMAGE;
use crate::request::{Output, Owner, Request, ToolCredentials, WorkspaceMode};

/// What the image is like.
#[derive(Debug, Args)]
#[command(next_help_heading = "Image")]
pub struct ImageOptions {
    #[arg(long, value_name = "REF", value_parser = place, help = format!("OS and Java to put the product on; scratch for none, oci:DIR[:TAG] for a layout [default: {DEFAULT_BASE_IMAGE}, with --output oci:DIR scratch]"))]
    base_image: Option<String>,
    /// An image that already holds the product, such as the vendor's own: only the hotfixes are added
    #[arg(long, value_name = "REF", value_parser = place, conflicts_with_all = ["base_image", "dockerfile", "vendor_image", "chown"])]
    from_image: Option<String>,
    /// A Dockerfile of your own; its folder and the hotfixed <product>-<version>/ are the context
    #[arg(long, value_name = "FILE", conflicts_with_all = ["base_image", "vendor_image", "entrypoint", "env", "product_home", "chown"])]
    dockerfile: Option<PathBuf>,
    /// A build argument of the Dockerfile; without a value, that of the environment; can be given many times
    #[arg(long, value_name = "K[=V]", requires = "dockerfile", value_parser = build_arg)]
    build_arg: Vec<(String, String)>,
    /// Let the update tool build the image (create-docker), as the old script did
    #[arg(long, conflicts_with_all = ["base_image", "entrypoint", "env", "product_home", "chown", "platform", "pull"])]
    vendor_image: bool,
    /// Platform of the image, such as linux/arm64 [default: that of the base image here]
    #[arg(long, value_parser = linux, value_name = "OS/ARCH")]
    platform: Option<Platform>,
    /// Take the base image from its registry, also where the engine has one of that name (docker build --pull)
    #[arg(long)]
    pull: bool,
    /// Entry point of the image, a JSON array [default: the base's]
    #[arg(long, value_name = "JSON", value_parser = json_strings)]
    entrypoint: Option<JsonStrings>,
    /// A variable of the image; can be given many times
    #[arg(long, value_name = "K=V", value_parser = key_value)]
    env: Vec<(String, String)>,
    /// Where the product is in the image [default: WSO2_SERVER_HOME of the base, else /home/wso2carbon/<product>-<version>]
    #[arg(long, value_name = "PATH")]
    product_home: Option<String>,
    /// Whose the product is in the image [default: the owner of its place in the base, else 10001:10001]
    #[arg(long, value_name = "UID:GID")]
    chown: Option<Owner>,
    /// A name of the image; can be given many times [default: <product>:<version>.<level>-hf<n>]
    #[arg(short, long, value_name = "REF")]
    tag: Vec<String>,
    /// Repository of the default name
    #[arg(long, value_name = "REPO", conflicts_with = "tag")]
    repository: Option<String>,
    /// A label of the image; can be given many times
    #[arg(long, value_name = "K=V", value_parser = key_value)]
    label: Vec<(String, String)>,
    /// Where the image goes: docker, or oci:DIR for an OCI image layout that needs no engine
    #[arg(long, value_name = "WHERE", default_value = "docker", value_parser = output)]
    output: Output,
    /// Push every name
    #[arg(long)]
    push: bool,
}

/// How the work is done.
#[derive(Debug, Args)]
#[command(next_help_heading = "Work")]
pub struct WorkOptions {
    /// Where the workspace is made [default: the folder for temporary files]
    #[arg(long, value_name = "DIR")]
    workspace: Option<PathBuf>,
    /// Leave the workspace where it is; it is cleaned of secrets
    #[arg(long)]
    keep_workspace: bool,
    /// How the product gets into the workspace
    #[arg(long, value_enum, default_value = "auto", value_name = "MODE")]
    workspace_mode: WorkspaceMode,
    /// The cache
    #[command(flatten)]
    pub cache: CacheOptions,
    /// Unpack the pack into the workspace, and keep nothing of it
    #[arg(long, conflicts_with_all = ["cache_dir", "cache_size"])]
    no_cache: bool,
    /// Write report.json, summary.md, junit.xml and report.html here
    #[arg(long, value_name = "DIR")]
    pub report: Option<PathBuf>,
    /// Bound on each step
    #[arg(long, value_name = "TIME", default_value = "30m", value_parser = duration)]
    pub step_timeout: Duration,
    /// Bound on the unpacked pack
    #[arg(long, value_name = "SIZE", default_value = "20GB", value_parser = size)]
    max_unpacked_size: ByteSize,
    /// Do not check the free disk
    #[arg(long)]
    pub no_disk_check: bool,
}

/// Text that was a JSON array of strings.
pub type JsonStrings = std::sync::Arc<[String]>;

impl ImageOptions {
    /// Which options say that there is to be an image, and where: what stands in a file for other commands does not.
    pub fn that_ask_for_an_image(&self, set_elsewhere: &BTreeSet<String>) -> Vec<&'static str> {
        let asked = [
            ("tag", !self.tag.is_empty()),
            ("repository", self.repository.is_some()),
            ("push", self.push),
            ("output", self.output != Output::Docker),
            ("from-image", self.from_image.is_some()),
        ];
        let here = asked.into_iter().filter(|(name, is_set)| *is_set && !set_elsewhere.contains(*name));
        here.map(|(name, _)| name).collect()
    }
}

impl WorkOptions {
    /// Whether nothing is kept although nobody said so: no folder is known.
    pub(super) fn lacks_cache(&self) -> bool {
        !self.no_cache && self.cache.request().is_none()
    }
}

/// A request for an image of `pack` with all hotfixes in `hotfix_dir`.
pub(super) fn request(pack: &Path, hotfix_dir: &Path, image: &ImageOptions, work: &WorkOptions) -> Request {
    Request {
        pack: pack.to_owned(),
        hotfix_dir: hotfix_dir.to_owned(),
        through: None,
        tool_credentials: ToolCredentials::Env,
        offline: false,
        base_image: image.base_image.clone(),
        from_image: image.from_image.clone(),
        dockerfile: image.dockerfile.clone(),
        build_args: image.build_arg.clone(),
        vendor_image: image.vendor_image,
        platform: image.platform.clone(),
        pull: image.pull,
        entrypoint: image.entrypoint.as_ref().map(|strings| strings.to_vec()),
        env: image.env.clone(),
        product_home: image.product_home.clone(),
        chown: image.chown,
        tags: image.tag.clone(),
        repository: image.repository.clone(),
        labels: image.label.clone(),
        output: image.output.clone(),
        push: image.push,
        if_changed: false,
        report_only_changes: false,
        workspace: work.workspace.clone(),
        keep_workspace: work.keep_workspace,
        workspace_mode: work.workspace_mode,
        cache: work.cache.request().filter(|_| !work.no_cache),
        report: work.report.clone(),
        step_timeout: work.step_timeout,
        max_unpacked_size: work.max_unpacked_size.as_u64(),
        disk_check: !work.no_disk_check,
    }
}

fn key_value(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(key, _)| !key.is_empty());
    let (key, value) = pair.ok_or_else(|| "expected KEY=VALUE".to_owned())?;
    Ok((key.to_owned(), value.to_owned()))
}

/// The product's scripts are for Linux, and so is every layer of ours.
fn linux(text: &str) -> Result<Platform, String> {
    match text.parse::<Platform>()? {
        platform if platform.os == "linux" => Ok(platform),
        _ => Err("expected a platform of Linux, such as linux/amd64 or linux/arm64".to_owned()),
    }
}

/// As `docker build` takes it: a name alone passes the variable of the environment on.
fn build_arg(text: &str) -> Result<(String, String), String> {
    if text.contains('=') || text.is_empty() {
        return key_value(text);
    }
    let value = std::env::var(text).map_err(|_| format!("expected KEY=VALUE: the environment has no {text}"))?;
    Ok((text.to_owned(), value))
}

fn json_strings(text: &str) -> Result<JsonStrings, String> {
    let strings: Vec<String> = serde_json::from_str(text)
        .map_err(|_| r#"expected a JSON array of strings, such as ["/entrypoint.sh"]"#.to_owned())?;
    Ok(strings.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_or_refused_with_what_was_expected() {
        assert_eq!(key_value("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert!(key_value("=b").is_err() && key_value("a").is_err());
        assert!(json_strings(r#"["a"]"#).is_ok() && json_strings("a").is_err());
        assert!("0:0".parse::<Owner>().is_ok() && "root:root".parse::<Owner>().is_err());
        assert!("oci:".parse::<Output>().is_err() && "podman".parse::<Output>().is_err());
    }
}
