//! The samples fit the packs that they are for.

use update_tool_sim::samples::{sample_hotfixes, sample_hotfixes_for};
use update_tool_sim::{HotfixManifest, Listing, PackBuilder, ToolBehaviour};

use crate::product::{Product, open, with};

#[test]
fn for_the_default_pack() {
    let product = with(ToolBehaviour::default());
    product.run(&["current-state"]);
    let pristine = product.snapshot();
    let samples = sample_hotfixes(product.hotfixes(), "wso2am", "4.1.0", 10);
    assert_eq!(samples.len(), 3);
    for zip in &samples {
        assert_eq!(product.apply(zip), 0);
    }
    let plugin = |name: &str| product.home.join("repository/components/plugins").join(name);
    assert!(!plugin("org.example.a_1.0.0.jar").exists());
    assert!(!plugin("org.example.a_1.0.0.1.jar").exists());
    assert!(plugin("org.example.a_1.0.0.2.jar").exists());
    for _ in &samples {
        assert_eq!(product.run(&["revert-hotfix"]), 0);
    }
    assert_eq!(product.snapshot(), pristine);
}

/// A pack with just the files that the hotfixes change, as the listing has them.
#[test]
fn for_the_full_shapes() {
    for listing in [Listing::Wso2am410, Listing::Wso2is710] {
        let folder = tempfile::TempDir::new().expect("a temporary folder");
        let samples = sample_hotfixes_for(listing, folder.path(), 10, 2_000_000);
        let full = PackBuilder::new(listing.product(), listing.version()).listing(listing);
        for zip in &samples {
            let size = std::fs::metadata(zip).expect("there").len();
            assert!((1_900_000..2_200_000).contains(&size), "{size}");
            let mut zip = open(zip);
            let manifest = zip.by_name("hotfix.json").expect("a manifest");
            let manifest: HotfixManifest = serde_json::from_reader(manifest).expect("JSON");
            for patch in &manifest.patches {
                let text = String::from_utf8(full.content_of(&patch.file)).expect("text");
                assert!(text.contains(&patch.find));
            }
        }
    }
}

/// `cargo test --release -- --ignored for_the_full_packs`
#[test]
#[ignore = "writes 6 GB"]
fn for_the_full_packs() {
    for listing in [Listing::Wso2am410, Listing::Wso2is710] {
        let pack = PackBuilder::new(listing.product(), listing.version())
            .level(10)
            .tool_executable(env!("CARGO_BIN_EXE_update-tool-sim"))
            .listing(listing);
        let product = Product::unpack(pack);
        for zip in sample_hotfixes_for(listing, product.hotfixes(), 10, 2_000_000) {
            assert_eq!(product.apply(&zip), 0, "{}", zip.display());
        }
    }
}
