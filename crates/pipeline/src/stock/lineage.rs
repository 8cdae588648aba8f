//! Which image is built on which.

use hotfix_docker::inventory::Held;

use super::OURS;
use crate::image::IMAGE_LABELS;
use crate::layers::MADE_BY;

/// Tells the hotfixes of an image.
const APPLIED: &str = "hotfix.applied";

/// Whether somebody has built it on one of ours, rather than we.
pub(super) fn is_somebodys(image: &Held, all: &[Held]) -> bool {
    let is_ours_below = image.history.iter().skip(1).any(|made_by| made_by.starts_with(MADE_BY));
    (is_ours_below && has_more_on_top(image)) || all.iter().any(|other| is_derived(image, other))
}

/// Whether `upper` is built on `lower`, by somebody or by us.
pub(super) fn is_on(upper: &Held, lower: &Held) -> bool {
    is_derived(upper, lower) || names_as_base(upper, lower)
}

/// The layers of the product alone begin those of all images with hotfixes, which are not built on the image without any for that. So somebody has to be seen in it: by
/// labels, which are inherited, or by what we did not do.
fn is_derived(upper: &Held, lower: &Held) -> bool {
    // What only changes the settings adds to the history alone.
    let is_more = (upper.layers.len(), upper.history.len()) > (lower.layers.len(), lower.history.len());
    let is_same_run = upper.labels.get(OURS) == lower.labels.get(OURS);
    let is_theirs = match upper.history.is_empty() {
        // On the same hotfixes we put nothing.
        true => upper.layers.len() > lower.layers.len() && upper.labels.get(APPLIED) == lower.labels.get(APPLIED),
        false => has_more_on_top(upper) && !have_we_gone_on(upper, lower),
    };
    is_more && upper.layers.starts_with(&lower.layers) && (is_same_run || is_theirs)
}

/// Whether what was done first on `lower` was done by us, as in what somebody has built on an image with hotfixes, where `lower` has none.
fn have_we_gone_on(upper: &Held, lower: &Held) -> bool {
    let more = upper.history.strip_suffix(&lower.history[..]).filter(|_| !lower.history.is_empty());
    more.and_then(<[String]>::last).is_some_and(|made_by| made_by.starts_with(MADE_BY))
}

/// Whether what was done last was not done by us. Where the history is not known, that is not either.
fn has_more_on_top(image: &Held) -> bool {
    image.history.first().is_some_and(|made_by| !made_by.starts_with(MADE_BY))
}

/// As images of ours say it; without hotfixes one has no layer more than its base.
fn names_as_base(upper: &Held, lower: &Held) -> bool {
    let [_, _, base_digest] = IMAGE_LABELS;
    let base = upper.labels.get(base_digest);
    upper.layers.starts_with(&lower.layers)
        && base.is_some_and(|base| *base == lower.id || lower.digests.contains(base))
}
