//! A product that is in an image already: where, which one, at which level, and whose.

mod fixed;
mod only;
mod search;
mod unpack;

use std::collections::BTreeSet;

use hotfix_docker::Error;
use hotfix_docker::base::BaseImage;
use hotfix_docker::look::{FoundKind, FoundPaths};
use serde::{Deserialize, Serialize};

use crate::below::Below;
use crate::cache::{self, Cache};
use crate::changes::PatchedProduct;
use crate::host::Host;
use crate::pack::{CONFIG_JSON, PRODUCT_TXT, Product, Records, ancestors, printable, split_product};
use crate::placement::{HOME_VARIABLE, Placement};
use crate::plan::ToolSource;
use crate::step::Problem;
use crate::tree::BIN;
use crate::update_tool::SETUP_SCRIPT;

pub use search::Clues;

/// What to do about an image without a product that hotfixes are to be put on.
pub(crate) const NO_PRODUCT_HINT: &str =
    "give an image that holds a product, such as the vendor's own; --base-image is for those without";

/// An image that holds a product.
#[derive(Debug, Clone)]
pub struct ProductImage {
    /// The image.
    pub base: BaseImage,
    /// What was found in it.
    pub facts: Facts,
}

/// What an image and its files say of the product in it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Facts {
    /// Where the product is in it, and whose.
    pub placement: Placement,
    /// `wso2am` and `4.1.0`.
    name_and_version: (String, String),
    /// Its update level, where the image says it.
    pub update_level: Option<u32>,
    /// Number of hotfixes that it holds already, as far as it says.
    pub hotfixes: usize,
    /// Where the update tool for this machine comes from.
    pub update_tool: Option<ToolSource>,
    /// Time of its `product.txt`, in seconds since 1970.
    pub time: u64,
    /// What its `WSO2_SERVER_HOME` says, where there is no product and it was found elsewhere.
    contradicted: Option<String>,
}

impl Facts {
    fn read(base: &BaseImage, home: &str, found: &FoundPaths, tag: Option<&str>, host: Host) -> Result<Self, Problem> {
        let file = |path: &str| found.get(&format!("{home}/{path}"));
        let product_txt = file(PRODUCT_TXT).and_then(|found| found.content()).unwrap_or_default();
        let product_txt = String::from_utf8_lossy(product_txt);
        let Some((name, version)) = split_product(product_txt.trim()) else {
            return Err(Problem::new(
                format!("/{home}/{PRODUCT_TXT} in {} says '{}'", base.name, printable(product_txt.trim())),
                "it must say <product>-<version>, or the update tool cannot identify the product",
            ));
        };
        let records = file(CONFIG_JSON).and_then(|found| found.content()).map(Records::read).transpose();
        let records = records.map_err(|error| {
            Problem::new(format!("/{home}/{CONFIG_JSON} in {} is not JSON", base.name), "use another image")
                .because(error)
        })?;
        let labelled = base.label("hotfix.applied").and_then(|list| serde_json::from_str::<Vec<_>>(list).ok());
        let labelled = labelled.map_or(0, |list: Vec<serde_json::Value>| list.len());
        let levels = [
            records.and_then(|records| records.update_level),
            base.label("hotfix.update-level").and_then(|level| level.parse().ok()),
            tag.and_then(|tag| level_in_tag(tag, version)),
        ];
        let has = |name: &str| file(&format!("{BIN}/{name}")).is_some();
        let tool = [(host.update_tool, ToolSource::InPack), (SETUP_SCRIPT, ToolSource::SetupScript)];
        Ok(Self {
            placement: Placement::of_image(home, found),
            name_and_version: (name.to_owned(), version.to_owned()),
            update_level: levels.into_iter().flatten().next(),
            hotfixes: records.map_or(0, |records| records.hotfixes).max(labelled),
            update_tool: tool.into_iter().find(|(name, _)| has(name)).map(|(_, source)| source),
            time: file(PRODUCT_TXT).map_or(0, |found| found.metadata.mtime),
            contradicted: None,
        })
    }
}

impl ProductImage {
    /// `wso2am`.
    pub fn name(&self) -> &str {
        &self.facts.name_and_version.0
    }

    /// `4.1.0`.
    pub fn version(&self) -> &str {
        &self.facts.name_and_version.1
    }

    /// The product, where hotfixes can be put on it.
    ///
    /// # Errors
    /// Where the image does not say its level, holds hotfixes already, or says another place than the product's.
    pub fn product(&self) -> Result<Product, Problem> {
        self.check_place()?;
        self.check_clean()?;
        let (name, version) = self.facts.name_and_version.clone();
        match self.facts.update_level {
            Some(update_level) => Ok(Product { name, version, update_level }),
            None => Err(Problem::new(
                format!("the update level of the product in {} is not known", self.base.name),
                format!("give the image by a tag that says it, such as {version}.10: which hotfixes fit depends on it"),
            )),
        }
    }

    /// Whether the image holds this product in this version.
    ///
    /// # Errors
    /// Where it does not.
    pub fn check_product(&self, product: &Product) -> Result<(), Problem> {
        let hint = "give the image of the same product, version and update level as the pack";
        if (self.name(), self.version()) != (product.name.as_str(), product.version.as_str()) {
            return Err(Problem::new(
                format!(
                    "the image {} holds {}-{}, not {}",
                    self.base.name,
                    self.name(),
                    self.version(),
                    product.folder()
                ),
                hint,
            ));
        }
        Ok(())
    }

    /// Whether the image holds this product, at this level and without hotfixes.
    ///
    /// # Errors
    /// Where it does not.
    pub fn check_is(&self, product: &Product) -> Result<(), Problem> {
        self.check_product(product)?;
        self.check_place()?;
        let hint = "give the image of the same product, version and update level as the pack";
        match self.facts.update_level {
            Some(level) if level != product.update_level => {
                return Err(Problem::new(
                    format!(
                        "the image {} is at update level {level}, the pack at {}",
                        self.base.name, product.update_level
                    ),
                    hint,
                ));
            }
            Some(_) => {}
            None => tracing::warn!(
                "the image {} does not say its update level; it is taken to be {}",
                self.base.name,
                product.update_level
            ),
        }
        self.check_clean()
    }

    /// What the image has where `product` differs from the pristine one. Warns of files that whoever made the image had
    /// changed, since the hotfixes' take their place.
    ///
    /// # Errors
    /// Where the image cannot be looked at.
    pub async fn below(&self, product: &PatchedProduct, cache: Option<&Cache>) -> Result<Below, Problem> {
        let changed = product.changes.keys().map(String::as_str).chain(product.config.iter().map(|_| CONFIG_JSON));
        let changed: Vec<&str> = changed.collect();
        let paths: BTreeSet<String> = changed
            .iter()
            .flat_map(|path| ancestors(path).chain([*path]))
            .map(|path| self.facts.placement.path(path))
            .collect();
        let found = cache::look(cache, &self.base, &Vec::from_iter(paths)).await;
        let found = found.map_err(|error| unreadable(&self.base, error))?;
        for path in changed.into_iter().filter(|path| *path != CONFIG_JSON) {
            let expected = product.pristine.digest(path).ok().flatten();
            let is_no_folder =
                |above: &str| found.get(&self.facts.placement.path(above)).is_some_and(|f| !f.is_directory());
            // Below a link nothing is found; whoever makes the layer says so.
            let Some(expected) = expected.filter(|_| !ancestors(path).any(is_no_folder)) else { continue };
            let here = found.get(&self.facts.placement.path(path)).map(|found| &found.kind);
            let is_other = !matches!(here, Some(FoundKind::File { sha256, .. }) if *sha256 == expected);
            // Of a file that has another name in another level, only the new one would take a place.
            if here.is_none() || is_other && self.facts.update_level.is_none() {
                return Err(self.is_not_of_the_pack(path, here.is_none()));
            }
            if is_other {
                tracing::warn!(
                    "the image {} has another {path} than the pack; the hotfix's takes its place",
                    self.base.name
                );
            }
        }
        Ok(Below::of_image(&found, &self.facts.placement))
    }

    /// Whether `WSO2_SERVER_HOME` of the image leads to the product: what the image starts is there, patched or not.
    ///
    /// # Errors
    /// Where it leads elsewhere.
    pub fn check_place(&self) -> Result<(), Problem> {
        match &self.facts.contradicted {
            None => Ok(()),
            Some(said) => Err(Problem::new(
                format!(
                    "{HOME_VARIABLE} of the image {} says {}, where no product is; one is in /{}",
                    self.base.name,
                    printable(said),
                    printable(&self.facts.placement.home)
                ),
                format!(
                    "if that is the product that the image starts, give --product-home '/{}'",
                    self.facts.placement.home
                ),
            )),
        }
    }

    fn is_not_of_the_pack(&self, path: &str, is_missing: bool) -> Problem {
        let what = if is_missing { "lacks" } else { "does not say its update level, and has another" };
        Problem::new(
            format!("the image {} {what} {}, which a hotfix changes in the pack", self.base.name, printable(path)),
            "give an image that was made from this pack: on another one the fix would not be whole",
        )
    }

    fn check_clean(&self) -> Result<(), Problem> {
        match self.facts.hotfixes {
            0 => Ok(()),
            count => Err(Problem::new(
                format!("the image {} already holds {count} hotfixes", self.base.name),
                "give the image that it was made from: hotfixes are applied in order, from the first",
            )),
        }
    }
}

/// What is at the product's folder, where there is one.
async fn look(base: &BaseImage, home: &str, host: Host) -> Result<Option<FoundPaths>, Problem> {
    let inside = [PRODUCT_TXT.to_owned(), CONFIG_JSON.to_owned()]
        .into_iter()
        .chain([host.update_tool, SETUP_SCRIPT].map(|name| format!("{BIN}/{name}")));
    let paths = ancestors(home).map(str::to_owned).chain([home.to_owned()]);
    let paths: Vec<String> = paths.chain(inside.map(|path| format!("{home}/{path}"))).collect();
    let found = base.look(&paths).await.map_err(|error| unreadable(base, error))?;
    Ok(found.contains_key(&format!("{home}/{PRODUCT_TXT}")).then_some(found))
}

fn unreadable(base: &BaseImage, error: Error) -> Problem {
    Problem::new(format!("the image {} cannot be looked at", base.name), "see the cause").because(error)
}

/// The level in a tag of the vendor's form `<version>.<level>[-<os>]`; `.0` floats, so it says nothing.
fn level_in_tag(tag: &str, version: &str) -> Option<u32> {
    let rest = tag.strip_prefix(version)?.strip_prefix('.')?;
    let digits = rest.split('-').next()?;
    digits.parse().ok().filter(|level| *level != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_in_the_vendors_tags() {
        for (tag, level) in [
            ("4.1.0.10", Some(10)),
            ("4.1.0.10-alpine", Some(10)),
            ("4.1.0.0", None),
            ("4.1.0", None),
            ("4.1.0.x", None),
            ("4.1.01.10", None),
            ("latest", None),
        ] {
            assert_eq!(level_in_tag(tag, "4.1.0"), level, "{tag}");
        }
    }
}
