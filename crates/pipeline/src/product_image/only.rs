//! The one product in an image that somebody else's recipe made.

use hotfix_docker::base::BaseImage;
use hotfix_docker::look::{Found, FoundKind};

use super::{Facts, ProductImage, look, unreadable};
use crate::follow::{follow, server_home};
use crate::host::Host;
use crate::pack::{PRODUCT_TXT, Product, printable, split_product};
use crate::placement::HOME_VARIABLE;
use crate::step::Problem;

const MADE: &str = "the image that the Dockerfile made";

impl ProductImage {
    /// The only `product` in `base`, all of which is read: which of several a container starts, nobody can tell.
    /// `has` tells whether the product itself has a path.
    ///
    /// # Errors
    /// Where there is none or more than one, `WSO2_SERVER_HOME` leads elsewhere, or the image cannot be looked at.
    pub async fn find_only(
        base: BaseImage,
        product: &Product,
        has: impl Fn(&str) -> bool,
        host: Host,
    ) -> Result<Self, Problem> {
        let ending = format!("/{PRODUCT_TXT}");
        let found = base.find(&ending).await.map_err(|error| unreadable(&base, error))?;
        // Nothing but the ending itself is in the root.
        let homes = || found.iter().map(|(path, found)| (path.strip_suffix(&ending).unwrap_or_default(), found));
        let is_part = |home: &str| {
            let inner = |outer: &str| home.strip_prefix(outer).and_then(|rest| rest.strip_prefix('/'));
            homes().filter_map(|(outer, _)| inner(outer)).any(|inner| has(&format!("{inner}/{PRODUCT_TXT}")))
        };
        let ours: Vec<&str> =
            homes().filter(|(home, txt)| may_be(txt, product) && !is_part(home)).map(|(h, _)| h).collect();
        let folder = product.folder();
        let copy = format!("copy {folder}/ from the build context into it, and set {HOME_VARIABLE} to where it is");
        let home = match ours.as_slice() {
            [home] => (*home).to_owned(),
            [] => {
                let what = match homes().next() {
                    None => format!("{MADE} holds no product: there is no {PRODUCT_TXT} in it"),
                    Some((home, _)) => format!("{MADE} holds no {folder}; another product is in /{}", printable(home)),
                };
                return Err(Problem::new(what, copy));
            }
            several => {
                return Err(Problem::new(
                    format!("{MADE} holds {folder} more than once: in /{}", printable(&several.join(" and /"))),
                    format!(
                        "copy {folder}/ from the build context over the one that is there, or begin with an image that has none"
                    ),
                ));
            }
        };
        if let Some(said) = server_home(&base) {
            let leads_to = follow(&base, said, None).await.map_err(|error| unreadable(&base, error))?;
            if leads_to.as_ref() != Some(&home) {
                return Err(Problem::new(
                    format!(
                        "{HOME_VARIABLE} of {MADE} says {}, but {folder} is in /{}",
                        printable(said),
                        printable(&home)
                    ),
                    format!(
                        "let the Dockerfile set {HOME_VARIABLE} to where the product is: ENV {HOME_VARIABLE}=/{home}"
                    ),
                ));
            }
        }
        match look(&base, &home, host).await? {
            Some(found) => Facts::read(&base, &home, &found, None, host).map(|facts| Self { base, facts }),
            None => {
                Err(Problem::new(format!("{MADE} holds no product: /{} is not to be found", printable(&home)), copy))
            }
        }
    }
}

/// Whether a `product.txt` says this product. One that cannot be read, such as a link, may say anything.
fn may_be(product_txt: &Found, product: &Product) -> bool {
    let Some(content) = product_txt.content() else { return product_txt.kind != FoundKind::Directory };
    let text = String::from_utf8_lossy(content);
    split_product(text.trim()) == Some((&product.name, &product.version))
}
