//! One digest of everything that goes in and can make a difference to an image: known before anything is unpacked.

use std::collections::BTreeMap;

use hotfix_docker::base::{BaseImage, Platform};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::checksums::InputDigests;
use crate::plan::Plan;

/// What the product is put on, as far as it makes a difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BaseIdentity {
    /// Its digest; none for `scratch`.
    pub(crate) digest: Option<String>,
    /// What it is for.
    pub(crate) platform: Platform,
}

impl From<&BaseImage> for BaseIdentity {
    fn from(base: &BaseImage) -> Self {
        Self { digest: base.digest.clone(), platform: base.platform.clone() }
    }
}

/// Of an image of layers on a base. What was not asked for, such as the product's place, follows from the base.
pub(crate) fn of_layers(plan: &Plan, base: &BaseIdentity, digests: &InputDigests) -> String {
    let request = &plan.request;
    let Platform { os, architecture, variant } = &base.platform;
    let own = json!({
        "base": base.digest,
        "platform": [os, architecture, variant],
        "home": request.product_home,
        "owner": request.chown,
        "entrypoint": request.entrypoint,
        "env": request.env,
    });
    of(plan, digests, own)
}

/// Of an image that is made in another way, with what is `own` to that.
pub(crate) fn of(plan: &Plan, digests: &InputDigests, own: Value) -> String {
    let inputs = json!({
        "tool": env!("CARGO_PKG_VERSION"),
        "level": plan.product.update_level,
        "pack": digests.pack,
        "hotfixes": digests.hotfixes,
        "labels": plan.request.labels.iter().cloned().collect::<BTreeMap<String, String>>(),
        "own": own,
    });
    hex::encode(Sha256::digest(inputs.to_string()))
}
