//! What a repository's tags name, and which there are.

use http::header::{ACCEPT, LINK};
use reqwest::{StatusCode, Url};
use serde::Deserialize;

use crate::Result;
use crate::repository::{ACCEPTED, DIGEST, Repository, text};
use crate::retry::tried;
use crate::transport::{content, unexpected};

/// No more pages than this are read: a registry that repeats itself is no reason to hang.
const MOST_PAGES: usize = 10_000;
/// All pages together, in bytes: a tag has 128 at most, so these are hundreds of thousands of tags.
const LARGEST_LIST: u64 = 16 << 20;

struct Page {
    tags: Tags,
    /// Where there are more.
    next: Option<Url>,
    bytes: u64,
}

#[derive(Deserialize)]
struct Tags {
    /// Null where there are none.
    #[serde(default)]
    tags: Option<Vec<String>>,
}

impl Repository {
    /// The digest of what `name` names, asked for without reading it; `None` where there is nothing.
    ///
    /// # Errors
    /// [`crate::Error::Denied`], [`crate::Error::RegistryUnreachable`] or [`crate::Error::Registry`].
    pub async fn digest(&self, name: &str) -> Result<Option<String>> {
        tried(async || self.digest_once(name).await).await
    }

    async fn digest_once(&self, name: &str) -> Result<Option<String>> {
        let answer = self.send(self.http.head(self.at(&format!("manifests/{name}"))).header(ACCEPT, ACCEPTED)).await?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(None),
            _ => {
                return Err(self
                    .refused(&format!("say what {name} is in {}", self.reference().repository()), answer)
                    .await);
            }
        }
        match text(answer.headers(), DIGEST) {
            // The header is no must.
            digest if digest.is_empty() => Ok(self.manifest(name).await?.map(|manifest| manifest.digest)),
            digest => Ok(Some(digest)),
        }
    }

    /// All tags of the repository; `None` where there is no such repository, or the registry gives no such list.
    ///
    /// # Errors
    /// As [`Repository::digest`].
    pub async fn tags(&self) -> Result<Option<Vec<String>>> {
        let action = format!("list the tags of {}", self.reference().repository());
        let mut url = self.at("tags/list");
        let (mut tags, mut left) = (Vec::new(), LARGEST_LIST);
        for _ in 0..MOST_PAGES {
            let Some(page) = tried(async || self.page_of_tags(&url, &action, left).await).await? else {
                return Ok(None);
            };
            tags.extend(page.tags.tags.unwrap_or_default());
            left = left.saturating_sub(page.bytes);
            match page.next {
                // Our credentials are for this registry.
                Some(next) if next.origin() == url.origin() && next != url => url = next,
                _ => return Ok(Some(tags)),
            }
        }
        Err(unexpected(self.reference(), &action, "its list has no end"))
    }

    /// Tags, and where there are more.
    async fn page_of_tags(&self, url: &Url, action: &str, most: u64) -> Result<Option<Page>> {
        let answer = self.send(self.http.get(url.clone())).await?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(None),
            _ => return Err(self.refused(action, answer).await),
        }
        let next = next_page(&text(answer.headers(), LINK.as_str()));
        let next = next.and_then(|next| answer.url().join(&next).ok());
        let wrong = |reason: String| unexpected(self.reference(), action, reason);
        let bytes = content(answer, most, self.reference().registry()).await?;
        let bytes = bytes.ok_or_else(|| wrong(format!("they have more than {} MiB", LARGEST_LIST >> 20)))?;
        let tags = serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
        Ok(Some(Page { tags, next, bytes: bytes.len() as u64 }))
    }
}

/// The address in `<address>; rel="next"`.
pub fn next_page(link: &str) -> Option<String> {
    let (address, relation) = link.strip_prefix('<')?.split_once('>')?;
    relation.to_ascii_lowercase().contains("rel=\"next\"").then(|| address.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found() {
        let address = "/v2/a/tags/list?last=x&n=100";
        assert_eq!(next_page(&format!("<{address}>; rel=\"next\"")), Some(address.to_owned()));
        for other in ["", "nonsense", "<x>; rel=\"prev\"", "<x"] {
            assert_eq!(next_page(other), None, "{other}");
        }
    }
}
