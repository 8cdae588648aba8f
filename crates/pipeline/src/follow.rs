//! Where a path that an image's configuration says leads: as the kernel would go there, links and all.

use hotfix_docker::Result;
use hotfix_docker::base::BaseImage;
use hotfix_docker::look::FoundKind;

use crate::cache::{Cache, look};
use crate::placement::{HOME_VARIABLE, home_in_image};

/// A chain of more links than this is taken for a circle.
const MOST_LINKS: usize = 16;

/// What the image's `WSO2_SERVER_HOME` says, where it says anything.
pub(crate) fn server_home(base: &BaseImage) -> Option<&str> {
    base.env(HOME_VARIABLE).filter(|said| !said.is_empty())
}

/// The place that `path` leads to in the image, from the image's root; a relative one begins in its working folder.
/// There need be nothing. `None` where it is no place: the root itself, a circle of links.
///
/// # Errors
/// Where the image cannot be looked at.
pub(crate) async fn follow(base: &BaseImage, path: &str, cache: Option<&Cache>) -> Result<Option<String>> {
    let mut names = Vec::new();
    if !path.starts_with('/') {
        let folder = base.config.get("WorkingDir").and_then(serde_json::Value::as_str);
        names.extend(names_of(folder.unwrap_or_default()));
    }
    names.extend(names_of(path));
    for _ in 0..=MOST_LINKS {
        if let Some(above) = names.iter().position(|name| name == "..") {
            // What is above a link is above its target, so links go first.
            match first_link(base, &names[..above], cache).await? {
                Some(link) => names = link.replaced(&names),
                None => drop(names.drain(above.saturating_sub(1)..=above)),
            }
            continue;
        }
        match first_link(base, &names, cache).await? {
            Some(link) => names = link.replaced(&names),
            None => return Ok(home_in_image(&format!("/{}", names.join("/")))),
        }
    }
    Ok(None)
}

struct Link {
    /// The number of names above it.
    depth: usize,
    target: String,
}

impl Link {
    fn replaced(&self, names: &[String]) -> Vec<String> {
        let above = if self.target.starts_with('/') { &[] } else { &names[..self.depth] };
        above.iter().cloned().chain(names_of(&self.target)).chain(names[self.depth + 1..].iter().cloned()).collect()
    }
}

/// The first of the folders on the way that is a link.
async fn first_link(base: &BaseImage, names: &[String], cache: Option<&Cache>) -> Result<Option<Link>> {
    let paths: Vec<String> = (1..=names.len()).map(|count| names[..count].join("/")).collect();
    let found = look(cache, base, &paths).await?;
    Ok(paths.iter().enumerate().find_map(|(depth, path)| match &found.get(path)?.kind {
        FoundKind::Symlink(target) => Some(Link { depth, target: target.clone() }),
        _ => None,
    }))
}

fn names_of(path: &str) -> impl Iterator<Item = String> {
    path.split('/').filter(|name| !name.is_empty() && *name != ".").map(str::to_owned)
}
