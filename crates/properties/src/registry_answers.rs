//! What registries and token servers answer, and image layouts.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use hotfix_docker::answers::{
    Challenge, Manifest, TokenAnswer, Unfit, choose, index_in, message_in, next_page, parts_of, retry_after,
};
use hotfix_docker::base::Platform;
use hotfix_docker::hashing::{digest_of, is_digest};
use hotfix_docker::oci_layout;
use http::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};

use crate::scratch::Scratch;

/// A line that separates the documents of a layout.
const NEXT: &str = "\n---\n";

thread_local! {
    static SCRATCH: Scratch = Scratch::new();
}

/// The same bytes as each kind of answer: headers, a token, messages, an index, a manifest, a layout.
pub fn check(answer: &[u8]) {
    let text = String::from_utf8_lossy(answer);
    check_message(&text);
    check_headers(answer);
    if let Ok(answer) = serde_json::from_slice::<TokenAnswer>(answer) {
        check_token(answer);
    }
    if let Ok(parts) = parts_of(answer) {
        assert!(parts.manifests.iter().chain(&parts.blobs).all(|part| is_digest(&part.digest)));
    }
    check_index(answer);
    check_manifest(answer);
    check_layout(&text);
}

/// A line that can be shown and read.
fn check_message(text: &str) {
    let message = message_in(text);
    assert!(!message.chars().any(char::is_control), "{message:?}");
    assert!(message.chars().count() <= 1000, "{} characters", message.chars().count());
}

/// Each line is the value of a header.
fn check_headers(lines: &[u8]) {
    let values = lines.split(|byte| *byte == b'\n').filter_map(|line| HeaderValue::from_bytes(line).ok());
    let values: Vec<HeaderValue> = values.collect();
    let headers = |name: HeaderName| values.iter().map(|value| (name.clone(), value.clone())).collect::<HeaderMap>();
    if let Challenge::Token { realm, service } = Challenge::in_answer(&headers(WWW_AUTHENTICATE)) {
        let said = [Some(realm), service].into_iter().flatten();
        said.for_each(|text| assert!(!text.chars().any(|c| c.is_control() && c != '\t'), "{text:?}"));
    }
    if let Some(pause) = retry_after(&headers(RETRY_AFTER)) {
        // It is printed, and compared with the longest that is waited for.
        assert!(pause.as_secs_f64().is_finite() && format!("{:.1}", pause.as_secs_f64()).parse::<f64>().is_ok());
    }
    for link in values.iter().filter_map(|value| value.to_str().ok()) {
        let Some(address) = next_page(link) else { continue };
        assert!(link.contains(&format!("<{address}>")) && !address.contains('>'), "{link:?}");
    }
}

/// It can be sent, and a clock can count how long it is good.
fn check_token(answer: TokenAnswer) {
    let Some((token, life)) = answer.into_token() else { return };
    assert!(!token.is_empty() && HeaderValue::from_str(&format!("Bearer {token}")).is_ok(), "{token:?}");
    assert!(life <= Duration::from_secs(24 * 60 * 60) && Instant::now().checked_add(life).is_some());
}

/// What is chosen is the digest of an image for that platform.
fn check_index(answer: &[u8]) {
    let wanted: Platform = "linux/amd64".parse().expect("a platform");
    let Some(index) = index_in(answer) else { return };
    let known: Vec<String> = index.manifests.iter().map(|manifest| manifest.digest.clone()).collect();
    match choose(index, &wanted) {
        Ok(digest) => assert!(is_digest(&digest) && known.contains(&digest), "{digest:?}"),
        Err(Unfit::Platform(reason) | Unfit::Damaged(reason)) => assert!(!reason.is_empty()),
    }
}

fn check_manifest(answer: &[u8]) {
    let Ok(manifest) = serde_json::from_slice::<Manifest>(answer) else { return };
    let largest = manifest.layers.iter().map(|layer| layer.size).max().unwrap_or_default();
    assert!(manifest.layer_bytes() >= largest);
    let again = serde_json::to_vec(&manifest).expect("it is JSON");
    let again: Manifest = serde_json::from_slice(&again).expect("it is a manifest");
    let digests = |manifest: &Manifest| {
        manifest.layers.iter().chain([&manifest.config]).map(|blob| blob.digest.clone()).collect::<Vec<_>>()
    };
    assert_eq!(digests(&again), digests(&manifest));
}

fn check_layout(text: &str) {
    let (labels, image) =
        with_layout(text, |folder| (oci_layout::read_labels(folder, None), oci_layout::open(folder, None, None)));
    match image {
        Ok(image) => {
            assert!(labels.is_ok(), "an image that can be opened has labels that can be read");
            assert!(image.digest.is_some_and(|digest| is_digest(&digest)));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// Hands the layout that is written as `text` to `work`: documents with a line of `---` between them are its index, and blobs. `@1` in
/// those before stands for the digest of the second document, and so on.
pub fn with_layout<T>(text: &str, work: impl FnOnce(&Path) -> T) -> T {
    SCRATCH.with(|scratch| {
        scratch.used(|scratch| {
            write_layout(scratch, text);
            work(scratch.path())
        })
    })
}

fn write_layout(scratch: &Scratch, text: &str) {
    scratch.file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#);
    let blobs = scratch.path().join("blobs/sha256");
    fs::create_dir_all(&blobs).expect("the temporary folder can be written to");
    let mut documents: Vec<String> = text.split(NEXT).take(9).map(str::to_owned).collect();
    while documents.len() > 1 {
        let number = documents.len() - 1;
        let document = documents.pop().unwrap_or_default();
        let digest = digest_of(document.as_bytes());
        scratch.file(Path::new("blobs/sha256").join(digest.trim_start_matches("sha256:")), document.as_bytes());
        documents.iter_mut().for_each(|before| *before = before.replace(&format!("@{number}"), &digest));
    }
    scratch.file("index.json", documents.concat().as_bytes());
}
