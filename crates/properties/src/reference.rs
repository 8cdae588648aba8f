//! Names of images.

use hotfix_docker::reference::{ImageRef, without_password};
use oci_spec::distribution::Reference;

/// What is shown is read again as the same; another parser reads the same; what is refused is said without a password.
pub fn check(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    // Docker takes a first part with capitals for a host, since a user's name has none; the other parser does not.
    let is_host = text.split_once('/').is_some_and(|(first, _)| first.bytes().any(|b| b.is_ascii_uppercase()));
    let ours = text.parse::<ImageRef>();
    if !is_host {
        let other = Some(text).filter(|text| text.is_ascii()).and_then(|text| text.parse::<Reference>().ok());
        assert_eq!(ours.as_ref().ok().map(parts), other.as_ref().map(parts_of_other), "{text:?}");
    }
    match ours {
        Ok(ours) => check_parts(text, &ours),
        Err(error) => check_refusal(text, &error.to_string()),
    }
}

/// Registry, repository, tag and digest.
type Parts<'a> = (&'a str, &'a str, Option<&'a str>, Option<&'a str>);

fn parts(reference: &ImageRef) -> Parts<'_> {
    (reference.registry(), reference.repository(), reference.tag(), reference.digest())
}

fn parts_of_other(reference: &Reference) -> Parts<'_> {
    (reference.registry(), reference.repository(), reference.tag(), reference.digest())
}

fn check_parts(text: &str, reference: &ImageRef) {
    let shown = reference.as_str();
    assert_eq!(shown.parse::<ImageRef>().ok().as_ref(), Some(reference), "{text:?} is shown as {shown}");
    assert!(shown.strip_prefix(text).is_some_and(|added| matches!(added, "" | ":latest")), "{text:?}");
    let tag = reference.tag().map(|tag| format!(":{tag}")).unwrap_or_default();
    let digest = reference.digest().map(|digest| format!("@{digest}")).unwrap_or_default();
    assert_eq!(format!("{}{tag}{digest}", reference.name()), reference.as_str());
    assert!(reference.name().ends_with(reference.repository().trim_start_matches("library/")), "{reference}");
    // They become a part of an address.
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-' | b'/');
    assert!(reference.repository().bytes().all(is_plain) && reference.repository().len() <= 255, "{reference}");
    assert!(reference.repository().split('/').all(|part| !matches!(part, "" | "." | "..")), "{reference}");
    assert!(!reference.registry().contains(['/', '@']), "{reference}");
}

/// A part before an `@` that begins no digest may be a password.
fn check_refusal(text: &str, said: &str) {
    let shown = without_password(text);
    assert_eq!(without_password(&shown), shown, "{text:?}");
    let Some((before, after)) = text.rsplit_once('@') else { return };
    let is_digest = after.starts_with("sha256:") || after.starts_with("sha512:");
    let secret = if is_digest { before.rsplit_once('@').map(|(secret, _)| secret) } else { Some(before) };
    // A short one stands in the rest of the message too.
    if let Some(secret) = secret.filter(|secret| secret.len() >= 8 && !text[secret.len()..].contains(secret)) {
        assert!(!said.contains(secret), "{said:?} shows what may be a password");
    }
}
