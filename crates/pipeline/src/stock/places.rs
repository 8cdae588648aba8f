//! Which images of a repository are the newest.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use hotfix_environments::labels::Rank;

use super::Stocked;

/// The `keep` newest of `images`, which are of one repository and in the order of their names' times: by those, where the engine knows all of them, else by what they
/// hold, as far as they are of the same product. Several have one place where nothing tells which of them is newer.
pub(super) fn newest<'a>(images: &[&'a Stocked], keep: usize) -> Vec<Vec<&'a Stocked>> {
    if are_known(images) {
        return one_by_one(images).into_iter().take(keep).collect();
    }
    let mut products: BTreeMap<&str, BTreeMap<Reverse<&Rank>, Vec<&Stocked>>> = BTreeMap::new();
    for image in images {
        products.entry(&image.product).or_default().entry(Reverse(&image.rank)).or_default().push(image);
    }
    let places = |same: Vec<&'a Stocked>| if are_known(&same) { one_by_one(&same) } else { vec![same] };
    products.into_values().flat_map(|ranks| ranks.into_values().flat_map(places).take(keep)).collect()
}

fn are_known(images: &[&Stocked]) -> bool {
    images.iter().all(|image| image.tagged.is_some())
}

fn one_by_one<'a>(images: &[&'a Stocked]) -> Vec<Vec<&'a Stocked>> {
    images.iter().map(|image| vec![*image]).collect()
}
