//! Whether an image that somebody else's recipe made holds the product as the hotfixes left it: its labels are going to
//! say so.

use std::collections::BTreeSet;
use std::io;

use hotfix_docker::look::{Found, FoundKind};

use super::{ProductImage, unreadable};
use crate::changes::{Change, PatchedProduct};
use crate::checksums::Sha256Digest;
use crate::pack::{CONFIG_JSON, NodeKind, Records, printable};
use crate::step::Problem;
use crate::tree::{Kind, Node};

const HINT: &str = "see to it that the Dockerfile takes the whole product from <product>-<version>/ of its build context; a \
                    file that it replaces on purpose must have a content of its own";

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Absent,
    File(Sha256Digest),
    Link(String),
    /// A folder, or what is no matter of hotfixes.
    Other,
}

impl ProductImage {
    /// Whether the image has what the hotfixes changed. Warns of files that the recipe has replaced by ones of its own.
    ///
    /// # Errors
    /// Where a file is in it as it was before the hotfixes or after some of them, or is not in it.
    pub async fn check_fixed(&self, product: &PatchedProduct) -> Result<(), Problem> {
        let changed: BTreeSet<&str> =
            product.changes.keys().chain(product.contents.keys()).map(String::as_str).collect();
        let paths = changed.iter().copied().chain([CONFIG_JSON]).map(|path| self.facts.placement.path(path));
        let found = self.base.look(&Vec::from_iter(paths)).await.map_err(|error| unreadable(&self.base, error))?;
        let found = |path: &str| found.get(&self.facts.placement.path(path));
        for path in changed {
            let unreadable = |error: io::Error| {
                Problem::new(
                    format!("{} cannot be compared with the image's", printable(path)),
                    "check the workspace's disk",
                )
                .because(error)
            };
            let before = before(product, path).map_err(unreadable)?;
            let after = after(product, path, &before).map_err(unreadable)?;
            check_path(path, &here(found(path)), &before, &after, product)?;
        }
        check_records(product, found(CONFIG_JSON))
    }
}

fn check_path(
    path: &str,
    here: &State,
    before: &State,
    after: &State,
    product: &PatchedProduct,
) -> Result<(), Problem> {
    if here == after || *after == State::Other {
        return Ok(());
    }
    let is_of_a_hotfix = |digest: &Sha256Digest| product.contents.get(path).is_some_and(|all| all.contains(digest));
    let path_shown = printable(path);
    match here {
        // What is as in the pack in the end may be left out as anything else in the pack.
        State::Absent if after == before => {}
        State::Absent => {
            return Err(Problem::new(
                format!("{path_shown} is not in the image, and the hotfixes changed or added it"),
                HINT,
            ));
        }
        State::File(_) | State::Link(_) if here == before => {
            return Err(Problem::new(format!("{path_shown} is in the image as it was before the hotfixes"), HINT));
        }
        State::File(digest) if is_of_a_hotfix(digest) => {
            return Err(Problem::new(format!("{path_shown} is in the image as an earlier hotfix left it"), HINT));
        }
        State::File(_) | State::Link(_) | State::Other => {}
    }
    tracing::warn!("{path_shown} is not in the image as the hotfixes left it");
    Ok(())
}

/// The tool's own records: a hotfix can be nothing else.
fn check_records(product: &PatchedProduct, found: Option<&Found>) -> Result<(), Problem> {
    let Some((records, _)) = &product.config else { return Ok(()) };
    let hotfixes = |bytes: &[u8]| Records::read(bytes).map_or(0, |records| records.hotfixes);
    match found.and_then(Found::content) {
        Some(here) if hotfixes(here) < hotfixes(records) => {
            Err(Problem::new(format!("{CONFIG_JSON} in the image records fewer hotfixes than there are"), HINT))
        }
        Some(_) => Ok(()),
        None => {
            tracing::warn!("{CONFIG_JSON} is not in the image as the hotfixes left it");
            Ok(())
        }
    }
}

fn here(found: Option<&Found>) -> State {
    match found.map(|found| &found.kind) {
        None => State::Absent,
        Some(FoundKind::File { sha256, .. }) => State::File(*sha256),
        Some(FoundKind::Symlink(target)) => State::Link(target.clone()),
        Some(FoundKind::Directory | FoundKind::Other) => State::Other,
    }
}

fn before(product: &PatchedProduct, path: &str) -> io::Result<State> {
    Ok(match product.pristine.nodes.get(path).map(|node| &node.kind) {
        None => State::Absent,
        Some(NodeKind::File { .. }) => product.pristine.digest(path)?.map_or(State::Absent, State::File),
        Some(NodeKind::Symlink { target }) => State::Link(target.clone()),
        Some(NodeKind::Directory) => State::Other,
    })
}

fn after(product: &PatchedProduct, path: &str, before: &State) -> io::Result<State> {
    Ok(match product.changes.get(path) {
        None => before.clone(),
        Some(Change::Removed) => State::Absent,
        Some(Change::Present { node: Node { kind, .. }, .. }) => match kind {
            Kind::File => State::File(product.home.digest(path)?),
            Kind::Symlink(target) => State::Link(target.clone()),
            Kind::Directory | Kind::Other => State::Other,
        },
    })
}
