//! What differs between what two environments run: levels, hotfixes, and the files that those changed. The files are read from the layers of
//! the hotfixes; the product's layers are never pulled.

use std::collections::{BTreeMap, BTreeSet};

use hotfix_docker::layer_list::Listed;
use hotfix_docker::repository::Access;
use serde::Serialize;

use crate::graft::{has_parts, hotfix_layer};
use crate::images::Image;
use crate::labels::{Files, Holding};
use crate::repository::open;
use crate::settings::Environment;
use crate::world::World;
use crate::{Error, Result};

/// The tool's own records are in every layer of hotfixes, and are none of their doing.
const RECORDS: &str = "/updates/config.json";

/// How one environment differs from another.
#[derive(Debug, Clone, Serialize)]
pub struct Comparison {
    /// The one.
    pub from: Side,
    /// The other.
    pub to: Side,
    /// Hotfixes that only the one has.
    pub only_from: Vec<String>,
    /// Hotfixes that only the other has, with other content where the number is the same.
    pub only_to: Vec<String>,
    /// Files that differ, from the one to the other; `None` where that cannot be told.
    pub files: Option<Vec<FileDifference>>,
    /// Why not.
    pub remark: Option<String>,
}

/// One of two environments.
#[derive(Debug, Clone, Serialize)]
pub struct Side {
    /// Its name.
    pub environment: String,
    /// What it runs.
    pub digest: String,
    /// `4.1.0.10-hf2`; none where the image is none of ours.
    pub version: Option<String>,
}

/// A file that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileDifference {
    /// Its path in the product.
    pub path: String,
    /// In which way, from the one to the other.
    pub change: Change,
    /// The hotfix that was the last to touch it in the other, else in the one; none where the labels do not say.
    pub hotfix: Option<u32>,
}

/// In which way a file differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// It has another content.
    Changed,
    /// Only the other has it.
    Added,
    /// Only the one has it.
    Removed,
}

impl World {
    /// Compares what two environments run.
    ///
    /// # Errors
    /// [`Error::Input`] where one runs nothing; [`Error::Registry`].
    pub async fn compare(&self, from: &Environment, to: &Environment) -> Result<Comparison> {
        let (one, other) = (self.image_of(from).await?, self.image_of(to).await?);
        let (holds, has) = (one.holding(), other.holding());
        let only = |a: &Option<Holding>, b: &Option<Holding>| -> Vec<String> {
            let Some(a) = a else { return Vec::new() };
            let is_in =
                |applied| b.as_ref().is_some_and(|b| b.update_level == a.update_level && b.applied.contains(applied));
            a.applied.iter().filter(|applied| !is_in(applied)).map(|applied| a.id(applied.number).to_string()).collect()
        };
        let remark = cannot_compare(&one, &other);
        let files = match &remark {
            Some(_) => None,
            None => Some(differences(&layer(from, &one).await?, &layer(to, &other).await?)),
        };
        let side = |environment: &Environment, image: &Image, holding: &Option<Holding>| Side {
            environment: environment.name.clone(),
            digest: image.digest.clone(),
            version: holding.as_ref().map(Holding::image_version),
        };
        Ok(Comparison {
            from: side(from, &one, &holds),
            to: side(to, &other, &has),
            only_from: only(&holds, &has),
            only_to: only(&has, &holds),
            files,
            remark,
        })
    }
}

/// Why the files of two images cannot be compared by their hotfixes alone.
fn cannot_compare(one: &Image, other: &Image) -> Option<String> {
    let (Some(a), Some(b)) = (one.holding(), other.holding()) else {
        return Some("an image was not made by hotfix, so its files are not known".to_owned());
    };
    if (&a.product, &a.version, a.update_level, &a.pack_sha256)
        != (&b.product, &b.version, b.update_level, &b.pack_sha256)
    {
        return Some("they are made from different packs, so more than the hotfixes' files differs".to_owned());
    }
    let both = has_parts(one) && has_parts(other);
    (!both).then(|| "the hotfixes of an image are in no layer of their own".to_owned())
}

/// The layer of an image's hotfixes, by path in the product, and what the labels say of the files.
struct Layer {
    entries: BTreeMap<String, Listed>,
    files: BTreeMap<u32, Files>,
}

async fn layer(environment: &Environment, image: &Image) -> Result<Layer> {
    let files = Files::in_labels(&image.labels());
    let Some(descriptor) = hotfix_layer(image) else { return Ok(Layer { entries: BTreeMap::new(), files }) };
    let reference = &environment.image;
    let descriptor = serde_json::from_value(descriptor).map_err(|error| Error::Input {
        message: format!("the manifest of {reference} is damaged: {error}"),
        hint: "push the image again".to_owned(),
    })?;
    let action = "read the hotfixes of";
    let repository = open(reference, Access::Pull, &[], action).await?;
    let listed = repository.list_layer(&descriptor).await;
    let listed = listed.map_err(Error::registry(format!("{action} {reference}")))?;
    Ok(Layer { entries: in_product(listed, &files), files })
}

/// By path in the product: it is where all files are that the labels name, and where the tool's records are.
fn in_product(listed: BTreeMap<String, Listed>, files: &BTreeMap<u32, Files>) -> BTreeMap<String, Listed> {
    let named: BTreeSet<&str> =
        files.values().flat_map(Files::all).map(String::as_str).chain(["updates/config.json"]).collect();
    let parts = |path: &str| path.match_indices('/').map(|(at, _)| at + 1).collect::<Vec<_>>();
    let home = listed.keys().find_map(|path| {
        let home = [0].into_iter().chain(parts(path)).find(|at| named.contains(&path[*at..]));
        home.map(|at| path[..at].to_owned())
    });
    let home = home.unwrap_or_default();
    let inner = listed
        .into_iter()
        .filter(|(path, listed)| *listed != Listed::Directory && !format!("/{path}").ends_with(RECORDS));
    inner.map(|(path, listed)| (path.strip_prefix(&home).map(str::to_owned).unwrap_or(path), listed)).collect()
}

impl Layer {
    /// What the labels say of each file.
    fn touched(&self) -> BTreeMap<&str, Touched> {
        let mut touched = BTreeMap::new();
        for (number, files) in &self.files {
            let added = files.added.iter().map(|file| (file, true));
            let others = files.changed.iter().chain(&files.removed).map(|file| (file, false));
            for (file, is_new) in added.chain(others) {
                // The first one tells what the product itself had.
                touched.entry(file.as_str()).or_insert(Touched { last: *number, is_new }).last = *number;
            }
        }
        touched
    }
}

/// What hotfixes did to a file.
#[derive(Debug, Clone, Copy)]
struct Touched {
    /// The last one that did something.
    last: u32,
    /// Whether the product itself lacks it.
    is_new: bool,
}

fn differences(one: &Layer, other: &Layer) -> Vec<FileDifference> {
    let paths: BTreeSet<&String> = one.entries.keys().chain(other.entries.keys()).collect();
    let (of_one, of_other) = (one.touched(), other.touched());
    let is_new =
        |touched: &BTreeMap<&str, Touched>, path: &str| touched.get(path).is_some_and(|touched| touched.is_new);
    let difference = |path: &String| {
        let (a, b) = (one.entries.get(path), other.entries.get(path));
        let change = match (a, b) {
            (a, b) if a == b => return None,
            (Some(Listed::Removed), None) => Change::Added,
            (_, Some(Listed::Removed)) => Change::Removed,
            (Some(Listed::Removed), Some(_)) => Change::Added,
            (None, Some(_)) if is_new(&of_other, path) => Change::Added,
            (Some(_), None) if is_new(&of_one, path) => Change::Removed,
            _ => Change::Changed,
        };
        let hotfix = of_other.get(path.as_str()).or_else(|| of_one.get(path.as_str())).map(|touched| touched.last);
        Some(FileDifference { path: path.clone(), change, hotfix })
    };
    paths.into_iter().filter_map(difference).collect()
}
