//! A registry asked directly, with no engine between.

use crate::auth::Credentials;
use crate::base::{Identity, Platform};
use crate::fetch;
use crate::oci_layout::{self, Labelled};
use crate::reference::ImageRef;
use crate::repository::{Repository, Upload};
use crate::transport::Access;
use crate::{Error, Result};

/// Whether `credentials` may push to the repository of `reference`: begins an upload there and calls it off.
///
/// # Errors
/// [`Error::Denied`] where they may not, [`Error::RegistryUnreachable`] where nobody answers, [`Error::Untrusted`] where
/// nobody vouches for who does, [`Error::Registry`] else.
pub async fn check_push(reference: &ImageRef, credentials: &Credentials) -> Result<()> {
    let repository = Repository::open(reference, credentials, Access::Push, &[]).await?;
    if let Upload::To(upload) = repository.begin_upload(None).await? {
        repository.call_off(upload).await;
    }
    Ok(())
}

/// By what the image `reference` for `platform` in its registry is told from others; none of its layers is fetched.
///
/// # Errors
/// As [`fetch::fetch`].
pub async fn identify(
    reference: &ImageRef,
    credentials: &Credentials,
    platform: Option<&Platform>,
) -> Result<Identity> {
    let repository = Repository::open(reference, credentials, Access::Pull, &[]).await?;
    let resolved = fetch::resolve(&repository, platform).await?;
    let configuration = fetch::configuration(&repository, &resolved.manifest).await?;
    let (platform, config) = (oci_layout::platform_in(&configuration), oci_layout::config_in(&configuration));
    Ok(Identity::new(resolved.digest, platform, &config, &oci_layout::diff_ids_in(&configuration)))
}

/// The labels of the image `reference` in its registry, `None` where it has no such image.
///
/// # Errors
/// As [`check_push`].
pub async fn read_labels(reference: &ImageRef, credentials: &Credentials) -> Result<Option<Labelled>> {
    let repository = Repository::open(reference, credentials, Access::Pull, &[]).await?;
    match fetch::resolve(&repository, None).await {
        Ok(resolved) => {
            let configuration = fetch::configuration(&repository, &resolved.manifest).await?;
            Ok(Some(Labelled::of(resolved.raw.digest, &configuration)))
        }
        Err(Error::NotInRegistry { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
