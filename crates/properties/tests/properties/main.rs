//! The properties hold for every seed, for seeds that were changed, and for what is made to be nearly right.
//!
//! An input that a fuzzer finds becomes a file in `fuzz/seeds`, and is replayed here from then on.

#[path = "../../../pipeline/tests/cli/support/raw_zip.rs"]
mod raw_zip;
mod seeds;
mod strategies;

use hotfix_docker::answers::Manifest;
use hotfix_docker::oci_layout;
use hotfix_pipeline::cli::SettingsFile;
use hotfix_pipeline::hotfix::split_number;
use hotfix_pipeline::installation::archive::Backup;
use hotfix_pipeline::pack::ProductPack;
use hotfix_properties::{backup, config_json, hotfix_name, pack, reference, registry_answers, settings};
use proptest::prelude::*;

use seeds::{mutated, seed, seeds_of};

/// So many that all of this takes seconds. What fails is kept as a seed, not by proptest.
fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

type Check = fn(&[u8]);

const TARGETS: [(&str, Check); 7] = [
    ("backup", backup::check),
    ("config_json", config_json::check),
    ("hotfix_name", hotfix_name::check),
    ("pack", pack::check),
    ("reference", reference::check),
    ("registry_answers", registry_answers::check),
    ("settings", settings::check),
];

#[test]
fn they_hold_for_every_seed() {
    for (target, check) in TARGETS {
        let seeds = seeds_of(target);
        assert!(seeds.len() >= 7, "{target} has {} seeds", seeds.len());
        seeds.iter().for_each(|seed| check(seed));
    }
}

/// What holds of nothing says nothing: the good seeds are taken.
#[test]
fn good_seeds_are_taken() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).expect("a temporary file");
        path
    };
    for good in ["pack", "link", "config", "deflated", "zip64"] {
        let pack = ProductPack::open(&file("wso2am-4.1.0.10.zip", &seed("pack", good)), pack::LARGEST);
        assert_eq!(pack.map(|pack| pack.product).map_err(|problem| problem.chain()), Ok(pack::product()), "{good}");
    }
    for (good, entries) in [("empty", 0), ("whole", 3)] {
        let compressed = zstd::encode_all(seed("backup", good).as_slice(), 1).expect("memory");
        let backup = Backup::open(&file("backup", &compressed)).map_err(|problem| problem.chain());
        assert_eq!(backup.map(|backup| backup.manifest.entries.len()), Ok(entries), "{good}");
    }
    let text = String::from_utf8(seed("settings", "example")).expect("text");
    assert!(SettingsFile::of_apply().read("hotfix.toml", &text).iter().all(Result::is_ok));
    let manifest: Manifest = serde_json::from_slice(&seed("registry_answers", "manifest")).expect("a manifest");
    assert_eq!(manifest.layer_bytes(), u64::MAX, "what cannot be counted is as much as can be");
    for layout in ["layout", "layout_platforms"] {
        let text = String::from_utf8(seed("registry_answers", layout)).expect("text");
        registry_answers::with_layout(&text, |folder| oci_layout::open(folder, None, None)).expect(layout);
    }
    assert_eq!(split_number("wso2am-4.1.0.10-hf-1.zip"), Some(("wso2am-4.1.0.10", 1)));
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn they_hold_for_changed_backups(tar in mutated("backup")) {
        backup::check(&tar);
    }

    #[test]
    fn they_hold_for_changed_records(config in mutated("config_json")) {
        config_json::check(&config);
    }

    #[test]
    fn they_hold_for_changed_names(name in mutated("hotfix_name")) {
        hotfix_name::check(&name);
    }

    #[test]
    fn they_hold_for_changed_zips(zip in mutated("pack")) {
        pack::check(&zip);
    }

    #[test]
    fn they_hold_for_changed_references(text in mutated("reference")) {
        reference::check(&text);
    }

    #[test]
    fn they_hold_for_changed_answers(answer in mutated("registry_answers")) {
        registry_answers::check(&answer);
    }

    #[test]
    fn they_hold_for_changed_settings(text in mutated("settings")) {
        settings::check(&text);
    }

    #[test]
    fn they_hold_for_zips_entry_by_entry(zip in strategies::zip()) {
        pack::check(&zip);
    }

    #[test]
    fn they_hold_for_names_that_are_nearly_right(name in strategies::name()) {
        hotfix_name::check(name.as_bytes());
    }

    #[test]
    fn they_hold_for_references_that_are_nearly_right(text in strategies::reference()) {
        reference::check(text.as_bytes());
    }

    #[test]
    fn they_hold_for_records_of_any_shape((config, private) in strategies::records()) {
        let private: Vec<&str> = private.iter().map(String::as_str).collect();
        config_json::check_scrubbed(config.as_bytes(), &private);
    }

    #[test]
    fn they_hold_for_settings_of_any_type(text in strategies::settings()) {
        settings::check(text.as_bytes());
    }

    #[test]
    fn they_hold_for_manifests_of_any_size(answer in strategies::manifest()) {
        registry_answers::check(answer.as_bytes());
    }
}
