//! `create-docker`: an image of the product as it is, built by whatever `docker` is there.

use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::config::Config;
use super::product::Product;

/// Builds an image on the base that `SIM_BASE_IMAGE` names, `scratch` without it.
pub(super) fn build(product: &Product, config: &Config, tag: &Option<String>, os: &Option<String>) -> Result<()> {
    let suffix = os.as_ref().map_or(String::new(), |os| format!("-{os}"));
    let (name, version, level) = (&product.name, &product.version, config.level());
    let tag = tag.clone().unwrap_or_else(|| format!("{name}:{version}.{level}{suffix}"));
    let base = std::env::var("SIM_BASE_IMAGE").unwrap_or_else(|_| "scratch".to_owned());
    let home = format!("/home/wso2carbon/{}", product.pattern());
    let dockerfile =
        format!("FROM {base}\nCOPY --chown=10001:10001 . {home}\nENV WSO2_SERVER_HOME={home}\nUSER 10001:10001\n");

    let mut docker = Command::new("docker")
        .args(["build", "-t", &tag, "-f", "-"])
        .arg(&product.home)
        .stdin(Stdio::piped())
        .spawn()
        .context("create-docker needs docker")?;
    let mut stdin = docker.stdin.take().context("docker has no stdin")?;
    stdin.write_all(dockerfile.as_bytes())?;
    drop(stdin);
    let status = docker.wait()?;
    ensure!(status.success(), "docker build failed: {status}");
    println!("built {tag}");
    Ok(())
}
