//! Repositories as the user may use them.

use hotfix_docker::auth::credentials_for;
use hotfix_docker::reference::ImageRef;
use hotfix_docker::repository::{Access, Repository};

use crate::{Error, Result};

/// The repository of `reference`, with the credentials of `docker login`; `action` is what for, as in "cannot look at". Blobs can
/// be taken from the repositories `others` of the same registry.
pub(crate) async fn open(reference: &ImageRef, access: Access, others: &[&str], action: &str) -> Result<Repository> {
    let failed = || Error::registry(format!("{action} {reference}"));
    let credentials = credentials_for(reference.registry()).await.map_err(failed())?;
    Repository::open(reference, &credentials, access, others).await.map_err(failed())
}
