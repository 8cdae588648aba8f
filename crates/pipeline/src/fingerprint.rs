//! One digest of everything that goes in and can make a difference to an image: known before anything is unpacked.

use std::collections::{BTreeMap, BTreeSet};

use hotfix_docker::base::{Identity, Platform};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::checksums::InputDigests;
use crate::plan::{Method, Plan};
use crate::source::Source;

/// What the pack is called among what goes in.
pub(crate) const PACK: &str = "pack";
/// The hotfixes, in order.
pub(crate) const HOTFIXES: &str = "hotfixes";
/// What the product is put on.
pub(crate) const BASE: &str = "base";
/// The version of this program.
pub(crate) const TOOL: &str = "tool";
/// What it is for.
pub(crate) const PLATFORM: &str = "platform";
/// A Dockerfile with its folder and its arguments.
pub(crate) const DOCKERFILE: &str = "dockerfile";
/// The update tool's own way.
pub(crate) const VENDOR_IMAGE: &str = "vendor-image";
/// What is there for images that are made in one way only, but for the usual one.
pub(crate) const WAYS: [&str; 2] = [DOCKERFILE, VENDOR_IMAGE];
/// Digits of an input's digest that the label has: enough to tell two values apart.
const SHORT: usize = 16;

/// Digests of what goes in, in hexadecimal digits, each by its name: an option's own, without the dashes, or one of those above.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fingerprint(BTreeMap<String, String>);

impl Fingerprint {
    /// Of an image of layers on a base. What was not asked for, such as the product's place, follows from the base.
    pub(crate) fn of_layers(plan: &Plan, base: &Identity, digests: &InputDigests) -> Self {
        let request = &plan.request;
        let Platform { os, architecture, variant } = &base.platform;
        let own = [
            (BASE, json!(base.content)),
            ("from-image", is_from_image(plan)),
            (PLATFORM, json!([os, architecture, variant])),
            ("product-home", json!(request.product_home.as_ref().map(|home| home.trim_end_matches('/')))),
            ("chown", json!(request.chown)),
            // An empty one is one.
            ("entrypoint", json!(request.entrypoint)),
            ("env", json!(Some(&request.env).filter(|env| !env.is_empty()))),
        ];
        Self::of(plan, digests, own)
    }

    /// Of an image that is made in another way, with what is `own` to that.
    pub(crate) fn of<'a>(plan: &Plan, digests: &InputDigests, own: impl IntoIterator<Item = (&'a str, Value)>) -> Self {
        let pack = match &plan.source {
            Source::Pack(_) => Some(digests.pack.clone()),
            Source::Image(image, _) => image.base.identity().content,
        };
        let labels: BTreeMap<String, String> = plan.request.labels.iter().cloned().collect();
        let every = [
            (TOOL, json!(env!("CARGO_PKG_VERSION"))),
            (PACK, json!([pack, plan.product.update_level])),
            (HOTFIXES, json!(digests.hotfixes)),
            ("label", json!(Some(labels).filter(|labels| !labels.is_empty()))),
        ];
        let is_given = |(_, value): &(&str, Value)| !value.is_null();
        let digest = |(name, value): (&str, Value)| (name.to_owned(), hex::encode(Sha256::digest(value.to_string())));
        Self(every.into_iter().chain(own).filter(is_given).map(digest).collect())
    }

    /// Of all that goes in.
    pub(crate) fn whole(&self) -> String {
        hex::encode(Sha256::digest(json!(self.0).to_string()))
    }

    /// The beginnings of the digests, as JSON: by them an image tells later in what it differs.
    pub(crate) fn inputs(&self) -> String {
        let short = self.0.iter().map(|(name, digest)| (name, &digest[..SHORT]));
        json!(short.collect::<BTreeMap<_, _>>()).to_string()
    }

    /// What is not as an image's `inputs` say, by name; none where they say nothing.
    pub(crate) fn differences(&self, inputs: &str) -> Option<Vec<(String, Change)>> {
        let then: BTreeMap<String, String> = serde_json::from_str(inputs).ok()?;
        let names: BTreeSet<&String> = self.0.keys().chain(then.keys()).collect();
        let change = |name: &String| match (then.get(name), self.0.get(name)) {
            (Some(then), Some(now)) => (*then != now[..SHORT]).then_some(Change::Another),
            (None, _) => Some(Change::New),
            (_, None) => Some(Change::Gone),
        };
        Some(names.into_iter().filter_map(|name| Some((name.clone(), change(name)?))).collect())
    }
}

/// On the same image the product is put in one way, and the hotfixes alone in another.
fn is_from_image(plan: &Plan) -> Value {
    match plan.method {
        Method::FromImage(_) => json!(true),
        Method::Base(_) | Method::Dockerfile(_) | Method::VendorTool => Value::Null,
    }
}

/// In which way something is not as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// It was not there.
    New,
    /// It is not there any more.
    Gone,
    /// It has another value.
    Another,
}
