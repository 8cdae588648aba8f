//! What an image holds that is to be promoted, where its labels say nothing: the vendor's.

use hotfix_docker::reference::ImageRef;
use serde_json::Value;
use tracing::warn;

use crate::facts::Facts;
use crate::images::Image;
use crate::labels::Holding;
use crate::{Error, Result};

/// What the image called `reference` holds, for whichever platform: as its labels say; for the vendor's, as its tag says where the
/// user has named it (`is_named`), else as was written down.
pub(crate) fn holding_of(reference: &ImageRef, is_named: bool, image: &Image, facts: &Facts) -> Result<Holding> {
    if let Some(contradiction) = image.contradiction() {
        let hint = "make the images for its platforms from the same pack and hotfixes";
        let message = format!("{reference} cannot be promoted: {contradiction}");
        return Err(Error::Condition { message, hint: hint.to_owned() });
    }
    if let Some(holding) = image.holding() {
        return Ok(holding);
    }
    let said = facts.said_to_hold(&image.digest);
    let tagged = image.configurations().map(|configuration| vendors(reference.tag(), configuration));
    let tagged = tagged.reduce(|one, other| one.filter(|one| Some(one) == other.as_ref())).flatten();
    match (is_named, tagged, said) {
        (true, Some(tagged), Some(said)) if tagged != said => {
            warn!(
                "the ledger says that this image holds {}; it counts as {} from now on, as its tag says",
                said.image_version(),
                tagged.image_version()
            );
            Ok(tagged)
        }
        (_, _, Some(said)) => Ok(said),
        (_, Some(tagged), None) => Ok(tagged),
        (_, None, None) => Err(Error::Input {
            message: format!("{reference} does not say which product and update level it holds"),
            hint: "give an image that hotfix made, or the vendor's by a tag that says its level, such as 4.1.0.20"
                .to_owned(),
        }),
    }
}

/// The vendor's images have the product where the variable says, and the level in their tags.
fn vendors(tag: Option<&str>, configuration: &Value) -> Option<Holding> {
    let variables = configuration.pointer("/config/Env")?.as_array()?;
    let home = variables.iter().filter_map(Value::as_str).find_map(|text| text.strip_prefix("WSO2_SERVER_HOME="))?;
    let (product, version) = home.trim_end_matches('/').rsplit('/').next()?.rsplit_once('-')?;
    let level = tag?.strip_prefix(version)?.strip_prefix('.')?.split('-').next()?;
    // The level 0 of a tag floats, so it says nothing.
    let update_level = level.parse().ok().filter(|level| *level > 0)?;
    Some(Holding {
        product: product.to_owned(),
        version: version.to_owned(),
        update_level,
        pack_sha256: String::new(),
        applied: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vendors_images_say_what_they_hold() {
        let configuration =
            serde_json::json!({ "config": { "Env": ["A=b", "WSO2_SERVER_HOME=/home/wso2carbon/wso2is-km-5.10.0"] } });
        let said =
            |tag| vendors(Some(tag), &configuration).map(|holding| (holding.product.clone(), holding.image_version()));
        let expected = Some(("wso2is-km".to_owned(), "5.10.0.7".to_owned()));
        assert_eq!(said("5.10.0.7"), expected);
        assert_eq!(said("5.10.0.7-alpine"), expected);
        for tag in ["5.10.0.0", "5.10.0", "latest", "5.10.01.7"] {
            assert_eq!(said(tag), None, "{tag}");
        }
        assert_eq!(vendors(Some("5.10.0.7"), &serde_json::json!({})), None);
    }
}
