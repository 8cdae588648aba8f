//! Where in an image the product is.

use hotfix_docker::base::BaseImage;
use hotfix_docker::look::FoundPaths;
use serde::Serialize;

use super::{Facts, NO_PRODUCT_HINT, ProductImage, look, unreadable};
use crate::cache::{self, Cache};
use crate::follow::{follow, server_home};
use crate::host::Host;
use crate::pack::{PRODUCT_TXT, printable};
use crate::placement::{VENDOR_HOME, home_in_image};
use crate::step::Problem;

/// What is known before the product is looked for.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Clues<'a> {
    /// The product's folder, where the user says it.
    pub asked: Option<&'a str>,
    /// `wso2am-4.1.0`, which is where the vendor has it.
    pub folder: Option<String>,
    /// The image's tag, which can say the level.
    pub tag: Option<&'a str>,
}

impl ProductImage {
    /// Looks for the product in `base`: where the user says, else where `WSO2_SERVER_HOME` leads, else where the vendor
    /// has it, else anywhere. What was found in the same image before is remembered.
    ///
    /// # Errors
    /// Where there is none or more than one, or the image cannot be looked at.
    pub async fn find(base: BaseImage, clues: Clues<'_>, host: Host, cache: Option<&Cache>) -> Result<Self, Problem> {
        let question = serde_json::json!(["product", clues, host]).to_string();
        let facts = cache::answer(cache, &base, &question, async || find(&base, &clues, host).await).await?;
        Ok(Self { base, facts })
    }
}

async fn find(base: &BaseImage, clues: &Clues<'_>, host: Host) -> Result<Facts, Problem> {
    if let Some(path) = clues.asked {
        let home = home_in_image(path).unwrap_or_default();
        return match look(base, &home, host).await? {
            Some(found) => Facts::read(base, &home, &found, clues.tag, host),
            None => Err(not_there(base, path, &home).await),
        };
    }
    let said = server_home(base);
    if let Some(path) = said
        && let Some((home, found)) = look_where_it_leads(base, path, host).await?
    {
        return Facts::read(base, &home, &found, clues.tag, host);
    }
    let vendors = clues.folder.as_ref().map(|folder| format!("{VENDOR_HOME}/{folder}"));
    let at_vendors = match &vendors {
        Some(home) => look(base, home, host).await?.map(|found| (home.clone(), found)),
        None => None,
    };
    let (home, found) = match at_vendors {
        Some(there) => there,
        None => {
            let home = search(base).await?;
            let found = look(base, &home, host).await?.ok_or_else(|| no_product(base))?;
            (home, found)
        }
    };
    let facts = Facts::read(base, &home, &found, clues.tag, host)?;
    Ok(Facts { contradicted: said.map(str::to_owned), ..facts })
}

/// The product at the place that a path leads to, links followed.
async fn look_where_it_leads(
    base: &BaseImage,
    path: &str,
    host: Host,
) -> Result<Option<(String, FoundPaths)>, Problem> {
    // Mostly it is there, and nothing need be followed: nothing is found below a link.
    if let Some(home) = home_in_image(path)
        && let Some(found) = look(base, &home, host).await?
    {
        return Ok(Some((home, found)));
    }
    let Some(home) = follow(base, path, None).await.map_err(|error| unreadable(base, error))? else { return Ok(None) };
    Ok(look(base, &home, host).await?.map(|found| (home, found)))
}

/// No product at the place that was asked for.
async fn not_there(base: &BaseImage, path: &str, home: &str) -> Problem {
    let what = format!("the image {} holds no product in {path}", base.name);
    match follow(base, path, None).await {
        Err(error) => unreadable(base, error),
        Ok(Some(target)) if target != home => Problem::new(
            format!("{what}: it is a link, or below one, and leads to /{}", printable(&target)),
            format!("give --product-home '/{}', if the product is there", printable(&target)),
        ),
        Ok(_) => Problem::new(
            format!("{what}: there is no {PRODUCT_TXT}"),
            "give --product-home with the product's folder in the image, or leave it away",
        ),
    }
}

/// The only product's folder, wherever it is.
async fn search(base: &BaseImage) -> Result<String, Problem> {
    let ending = format!("/{PRODUCT_TXT}");
    let found = base.find(&ending).await.map_err(|error| unreadable(base, error))?;
    let homes: Vec<&str> = found.keys().filter_map(|path| path.strip_suffix(&ending)).collect();
    match homes.as_slice() {
        [] => Err(no_product(base)),
        [home] => Ok((*home).to_owned()),
        several => {
            let mut vendors = several.iter().filter(|home| home.starts_with(&format!("{VENDOR_HOME}/")));
            if let (Some(home), None) = (vendors.next(), vendors.next()) {
                return Ok((*home).to_owned());
            }
            Err(Problem::new(
                format!("the image {} holds more than one product: in /{}", base.name, printable(&several.join(", /"))),
                "for apply and plan, --product-home says which",
            ))
        }
    }
}

fn no_product(base: &BaseImage) -> Problem {
    Problem::new(format!("the image {} holds no product: there is no {PRODUCT_TXT} in it", base.name), NO_PRODUCT_HINT)
}
