//! An image with the hotfixes of another one: that one's layer of hotfixes in place of its own, and labels that say so. Nothing
//! but a few kilobytes of JSON is made anew.

use hotfix_docker::hashing::digest_of;
use serde_json::{Value, json};

use crate::images::Image;
use crate::labels::{FILES_LABEL, Holding};

/// The label that says how far an image's hotfixes go, from the OCI image specification.
const VERSION: &str = "org.opencontainers.image.version";
const APPLIED: &str = "hotfix.applied";
const FINGERPRINT: &str = "hotfix.fingerprint";
/// Of what the fingerprint is made.
const INPUTS: &str = "hotfix.inputs";
/// Labels in which two images differ that are the same but for their hotfixes.
const OF_HOTFIXES: [&str; 4] = [VERSION, APPLIED, FINGERPRINT, INPUTS];

fn is_of_hotfixes(label: &str) -> bool {
    OF_HOTFIXES.contains(&label) || label.starts_with(FILES_LABEL)
}

/// An image made of the layers of one and the hotfixes of another.
#[derive(Debug)]
pub(crate) enum Graft {
    /// It is the other one.
    TheOther,
    /// It is a new one.
    New {
        /// Its configuration; the manifest lacks its digest and size.
        configuration: Value,
        /// Its manifest.
        manifest: Value,
    },
}

/// The image's layers without that of the hotfixes, and that one, where it has any; `None` where it was made in a way that
/// leaves them in no layer of their own.
#[derive(Debug)]
struct Parts {
    below: Vec<Value>,
    hotfixes: Option<Layer>,
}

#[derive(Debug)]
struct Layer {
    diff_id: Value,
    history: Value,
    descriptor: Value,
}

/// `target` with the hotfixes of `source`.
///
/// # Errors
/// Why that cannot be.
pub(crate) fn graft(target: &Image, source: &Image) -> Result<Graft, String> {
    if !target.platforms.is_empty() || !source.platforms.is_empty() {
        return Err("an image is for several platforms, and hotfixes are propagated to one at a time".to_owned());
    }
    let (Some(holds), Some(brings)) = (target.holding(), source.holding()) else {
        return Err("its labels are not hotfix's".to_owned());
    };
    let other_way = |whose: &str| {
        format!(
            "the hotfixes of {whose} are in no layer of their own: it was made by a Dockerfile, or by the update tool"
        )
    };
    let own = parts(target, &holds).ok_or_else(|| other_way("its image"))?;
    let theirs = parts(source, &brings).ok_or_else(|| other_way("the image that they come from"))?;
    let hotfixes = theirs.hotfixes.ok_or("there are no hotfixes to bring")?;
    if own.below.last() != theirs.below.last() {
        return Err("the product in it is not in the same layer: it was made from another image, or has the product in another place".to_owned());
    }
    if own.below == theirs.below && without_hotfixes(&target.configuration) == without_hotfixes(&source.configuration) {
        return Ok(Graft::TheOther);
    }
    let manifest = manifest(target, own.hotfixes.is_some(), &hotfixes)?;
    Ok(Graft::New { configuration: configuration(target, source, own.hotfixes.is_some(), &hotfixes), manifest })
}

/// The layer that holds an image's hotfixes, as its manifest describes it; `None` where it has no such layer.
pub(crate) fn hotfix_layer(image: &Image) -> Option<Value> {
    parts(image, &image.holding()?)?.hotfixes.map(|layer| layer.descriptor)
}

/// Whether an image has its hotfixes in a layer of their own, or none.
pub(crate) fn has_parts(image: &Image) -> bool {
    image.holding().is_some_and(|holding| parts(image, &holding).is_some())
}

fn parts(image: &Image, holding: &Holding) -> Option<Parts> {
    let mut below = image.configuration.pointer("/rootfs/diff_ids")?.as_array()?.clone();
    if holding.applied.is_empty() {
        return Some(Parts { below, hotfixes: None });
    }
    let history = image.configuration["history"].as_array()?.iter().rfind(|entry| entry["empty_layer"] != true)?;
    let files: Vec<&str> = holding.applied.iter().map(|applied| applied.file.as_str()).collect();
    // As the layer is called by whoever makes it.
    (history["created_by"] == format!("hotfix: {}", files.join(", "))).then_some(())?;
    let layer = Layer {
        diff_id: below.pop()?,
        history: history.clone(),
        descriptor: image.manifest["layers"].as_array()?.last()?.clone(),
    };
    Some(Parts { below, hotfixes: Some(layer) })
}

/// What two images have in common that differ in their hotfixes only.
fn without_hotfixes(configuration: &Value) -> Value {
    let mut common = configuration["config"].clone();
    if let Some(labels) = common.get_mut("Labels").and_then(Value::as_object_mut) {
        labels.retain(|label, _| !is_of_hotfixes(label));
    }
    let platform = ["os", "architecture", "variant"].map(|key| configuration[key].clone());
    json!([common, platform])
}

fn configuration(target: &Image, source: &Image, had_hotfixes: bool, hotfixes: &Layer) -> Value {
    let mut made = target.configuration.clone();
    replace_last(made.pointer_mut("/rootfs/diff_ids"), had_hotfixes, &hotfixes.diff_id);
    replace_last(made.get_mut("history"), had_hotfixes, &hotfixes.history);
    made["created"] = source.configuration["created"].clone();
    let prints = [target, source].map(|image| image.labels().remove(FINGERPRINT).unwrap_or_default());
    let fingerprint = digest_of(prints.concat().as_bytes());
    if let Some(labels) = made.pointer_mut("/config/Labels").and_then(Value::as_object_mut) {
        labels.retain(|label, _| !is_of_hotfixes(label));
        let theirs = source.labels().into_iter().filter(|(label, _)| is_of_hotfixes(label));
        labels.extend(theirs.map(|(label, value)| (label, value.into())));
        // No run with any inputs has made it.
        labels.remove(INPUTS);
        labels.insert(FINGERPRINT.to_owned(), fingerprint.trim_start_matches("sha256:").into());
    }
    made
}

fn manifest(target: &Image, had_hotfixes: bool, hotfixes: &Layer) -> Result<Value, String> {
    let mut made = target.manifest.clone();
    let kind = |layer: &Value| layer["mediaType"].as_str().unwrap_or_default().to_owned();
    let is_of_docker = |kind: &str| kind.starts_with("application/vnd.docker.");
    let like = made["layers"].as_array().and_then(|layers| layers.last()).map(&kind).unwrap_or_default();
    let mut descriptor = hotfixes.descriptor.clone();
    let own = kind(&descriptor);
    if is_of_docker(&own) != is_of_docker(&like) {
        // The same bytes under the name that the manifest's own standard has for them.
        descriptor["mediaType"] = match own.as_str() {
            "application/vnd.docker.image.rootfs.diff.tar.gzip" => "application/vnd.oci.image.layer.v1.tar+gzip",
            "application/vnd.oci.image.layer.v1.tar+gzip" => "application/vnd.docker.image.rootfs.diff.tar.gzip",
            other => return Err(format!("its manifest knows no layers of the type {other}")),
        }
        .into();
    }
    replace_last(made.get_mut("layers"), had_hotfixes, &descriptor);
    Ok(made)
}

fn replace_last(list: Option<&mut Value>, is_there: bool, with: &Value) {
    if let Some(list) = list.and_then(Value::as_array_mut) {
        if is_there {
            list.pop();
        }
        list.push(with.clone());
    }
}
