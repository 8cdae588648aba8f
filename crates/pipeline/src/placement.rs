//! Where the product goes in the image, and whose it is there.

use hotfix_docker::base::BaseImage;
use hotfix_docker::layer::{Entry, Layer, Metadata, Node, WHITEOUT_PREFIX};
use hotfix_docker::look::FoundPaths;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::cache::{Cache, find, look};
use crate::follow::{follow, server_home};
use crate::pack::{PRODUCT_TXT, ancestors, printable, split_product};
use crate::plan::Plan;
use crate::request::Owner;
use crate::step::Problem;

/// The vendor's images run as this user and group. From the vendor's documentation.
const VENDOR_OWNER: Owner = Owner { uid: 10001, gid: 10001 };
/// In the environment of the vendor's images. From the vendor's documentation.
pub(crate) const HOME_VARIABLE: &str = "WSO2_SERVER_HOME";
/// Where the vendor's images have the product. From the vendor's documentation.
pub(crate) const VENDOR_HOME: &str = "home/wso2carbon";

/// Where the product goes in the image, and what is there already.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Placement {
    /// Path of the product from the root of the image.
    pub home: String,
    /// Whose its files are.
    pub owner: Owner,
    /// The folders above the product and the product's own: their metadata, outermost first.
    folders: Vec<(String, Metadata)>,
}

/// A path given by a user or an image as one from the root of the image; `None` where it is relative or has parts that
/// lead elsewhere.
pub fn home_in_image(path: &str) -> Option<String> {
    let inner = path.strip_prefix('/')?.trim_end_matches('/');
    let is_plain = |part: &str| {
        let leads_elsewhere = part.is_empty() || part == "." || part == "..";
        !leads_elsewhere && !part.starts_with(WHITEOUT_PREFIX) && !part.chars().any(char::is_control)
    };
    (!inner.is_empty() && inner.split('/').all(is_plain)).then(|| inner.to_owned())
}

impl Placement {
    /// Where the product goes on `base`: where the user says, else where the base says, else where the vendor has it.
    ///
    /// # Errors
    /// Where a folder above is no folder in the base, where the base has a product there, or cannot be looked at.
    pub async fn find(plan: &Plan, base: &BaseImage, cache: Option<&Cache>) -> Result<Self, Problem> {
        let home = home(plan, base)?;
        let mut paths: Vec<String> = ancestors(&home).map(str::to_owned).collect();
        paths.push(home.clone());
        let product_txt = format!("{home}/{PRODUCT_TXT}");
        let looked_for: Vec<String> = paths.iter().cloned().chain([product_txt.clone()]).collect();
        let found = look(cache, base, &looked_for).await.map_err(|error| {
            Problem::new(format!("the base image {} cannot be looked at", base.name), "see the cause").because(error)
        })?;
        if found.contains_key(&product_txt) {
            return Err(has_product(base, &home));
        }
        check_base(plan, base, &home, cache).await?;
        check_env(plan, base, &home, cache).await?;
        if let Some(path) = paths.iter().find(|path| found.get(*path).is_some_and(|found| !found.is_directory())) {
            return Err(Problem::new(
                format!("/{path} is no folder in the base image {}, so the product cannot be put below it", base.name),
                "if it is a link, give --product-home with the path that it leads to",
            ));
        }
        let there = found.get(&home).map(|there| Owner { uid: there.metadata.uid, gid: there.metadata.gid });
        let owner = plan.request.chown.or(there).unwrap_or(VENDOR_OWNER);
        let folders = paths.into_iter().map(|path| {
            let there = found.get(&path).map(|there| there.metadata);
            let folder = there.unwrap_or(Metadata { mode: 0o755, uid: 0, gid: 0, mtime: plan.source.newest() });
            // The product's own folder belongs with the product.
            let is_home = path == home;
            (path, if is_home { Metadata { uid: owner.uid, gid: owner.gid, ..folder } } else { folder })
        });
        Ok(Self { folders: folders.collect(), home, owner })
    }

    /// Where the product is in an image that holds it, as it was found there.
    pub(crate) fn of_image(home: &str, found: &FoundPaths) -> Self {
        let folders = ancestors(home).chain([home]);
        let folders = folders.filter_map(|path| Some((path.to_owned(), found.get(path)?.metadata)));
        let there = found.get(home).map(|there| Owner { uid: there.metadata.uid, gid: there.metadata.gid });
        Self { home: home.to_owned(), owner: there.unwrap_or(VENDOR_OWNER), folders: folders.collect() }
    }

    /// The product in a build context: at its top, and of root, as `docker build` sends everything.
    pub(crate) fn in_build_context(plan: &Plan) -> Self {
        let home = plan.product.folder();
        let owner = Owner { uid: 0, gid: 0 };
        let folder = Metadata { mode: 0o755, uid: 0, gid: 0, mtime: plan.source.newest() };
        Self { folders: vec![(home.clone(), folder)], home, owner }
    }

    /// All that decides what a layer of the product is like at this place.
    pub(crate) fn describe(&self) -> Value {
        let folder =
            |(path, Metadata { mode, uid, gid, mtime }): &(String, Metadata)| json!([path, mode, uid, gid, mtime]);
        json!([self.home, self.owner, self.folders.iter().map(folder).collect::<Vec<_>>()])
    }

    /// A layer with the folders that lead to the product and nothing else.
    pub(crate) fn layer(&self, history: String) -> Layer {
        let mut layer = Layer::new(history);
        for (path, metadata) in &self.folders {
            layer.insert(path.clone(), Entry { node: Node::Directory, metadata: *metadata });
        }
        layer
    }

    /// Path in the image of a path in the product.
    pub(crate) fn path(&self, inner: &str) -> String {
        format!("{}/{inner}", self.home)
    }

    /// Metadata of something in the product.
    pub(crate) fn metadata(&self, mode: u32, mtime: u64) -> Metadata {
        Metadata { mode, uid: self.owner.uid, gid: self.owner.gid, mtime }
    }
}

/// Whether what the user sets as `WSO2_SERVER_HOME` leads to the product, which is in `home`: what the image starts is there. Where it
/// leads to nothing, that is warned of.
///
/// # Errors
/// Where it leads to another product, or the image cannot be looked at.
pub(crate) async fn check_env(plan: &Plan, base: &BaseImage, home: &str, cache: Option<&Cache>) -> Result<(), Problem> {
    let Some((_, said)) = plan.request.env.iter().rfind(|(key, _)| key == HOME_VARIABLE) else { return Ok(()) };
    let unreadable =
        |error| Problem::new(format!("the image {} cannot be looked at", base.name), "see the cause").because(error);
    let leads_to = follow(base, said, cache).await.map_err(unreadable)?.filter(|leads_to| leads_to != home);
    let other = leads_to.iter().map(|leads_to| format!("{leads_to}/{PRODUCT_TXT}")).collect::<Vec<_>>();
    let has_other = !other.is_empty() && !look(cache, base, &other).await.map_err(unreadable)?.is_empty();
    let said = printable(said);
    if has_other {
        return Err(Problem::new(
            format!(
                "--env {HOME_VARIABLE} says {said}, where the image has another product: it would be started, without the hotfixes"
            ),
            format!("leave it away, or give --env {HOME_VARIABLE}=/{home}, where the product goes"),
        ));
    }
    if leads_to.is_some() || home_in_image(&said).is_none() {
        tracing::warn!("--env {HOME_VARIABLE} says {said}, but the product goes to /{home}");
    }
    Ok(())
}

/// Whether the base has no product where its own entry point would look for it: that one would be started, without the
/// hotfixes.
async fn check_base(plan: &Plan, base: &BaseImage, home: &str, cache: Option<&Cache>) -> Result<(), Problem> {
    let unreadable = |error| {
        Problem::new(format!("the base image {} cannot be looked at", base.name), "see the cause").because(error)
    };
    if let Some(said) = server_home(base) {
        let leads_to = follow(base, said, cache).await.map_err(unreadable)?;
        if leads_to.as_deref() != Some(home) {
            if let Some(other) = &leads_to {
                let product_txt = format!("{other}/{PRODUCT_TXT}");
                let found = look(cache, base, std::slice::from_ref(&product_txt)).await.map_err(unreadable)?;
                if found.contains_key(&product_txt) {
                    return Err(has_product(base, other));
                }
            }
            if !plan.request.env.iter().any(|(key, _)| key == HOME_VARIABLE) {
                tracing::warn!(
                    "{HOME_VARIABLE} of the base image {} says {}, but the product goes to /{home}: --env \
                     {HOME_VARIABLE}=/{home} would say so",
                    base.name,
                    printable(said)
                );
            }
        }
    }
    // All of the base is read for it, so only where there is anything.
    let vendors = VENDOR_HOME.to_owned();
    if !look(cache, base, std::slice::from_ref(&vendors)).await.map_err(unreadable)?.contains_key(&vendors) {
        return Ok(());
    }
    let vendors = follow(base, &format!("/{VENDOR_HOME}"), cache).await.map_err(unreadable)?.unwrap_or(vendors);
    let ending = format!("/{PRODUCT_TXT}");
    let found = find(cache, base, &ending).await.map_err(unreadable)?;
    let mut homes = found.keys().filter_map(|path| path.strip_suffix(&ending));
    let is_vendors = |home: &&str| {
        let folder = home.strip_prefix(vendors.as_str()).and_then(|rest| rest.strip_prefix('/'));
        folder.is_some_and(|folder| split_product(folder).is_some())
    };
    homes.find(is_vendors).map_or(Ok(()), |home| Err(has_product(base, home)))
}

fn has_product(base: &BaseImage, home: &str) -> Problem {
    Problem::new(
        format!("the base image {} already has a product in /{}", base.name, printable(home)),
        "give a base image with only OS and Java; --from-image is for images that hold the product",
    )
}

fn home(plan: &Plan, base: &BaseImage) -> Result<String, Problem> {
    let asked = plan.request.product_home.as_deref();
    match asked.or_else(|| base.env(HOME_VARIABLE)) {
        None => Ok(format!("{VENDOR_HOME}/{}", plan.product.folder())),
        Some(path) => home_in_image(path).ok_or_else(|| {
            Problem::new(
                format!("{HOME_VARIABLE} of {} is {path}, which is no place in an image", base.name),
                "give --product-home",
            )
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_is_an_absolute_plain_path() {
        assert_eq!(home_in_image("/home/x/"), Some("home/x".to_owned()));
        for path in ["", "/", "home/x", "/a/../b", "/a//b", "/a/./b", "/a/\n", "/.wh.a"] {
            assert_eq!(home_in_image(path), None, "{path:?}");
        }
    }
}
