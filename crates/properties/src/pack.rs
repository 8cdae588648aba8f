//! Zips: packs and hotfixes.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use hotfix_pipeline::hotfix::HotfixSequence;
use hotfix_pipeline::pack::{Node, NodeKind, Product, ProductPack, ancestors};
use tokio_util::sync::CancellationToken;
use walkdir::WalkDir;

use crate::scratch::Scratch;
use crate::{assert_stays_inside, assert_well_said};

/// `--max-unpacked-size`.
pub const LARGEST: u64 = 1 << 20;
const PACK: &str = "wso2am-4.1.0.10.zip";
const HOTFIX: &str = "wso2am-4.1.0.10-hf-1.zip";

thread_local! {
    static SCRATCH: Scratch = Scratch::new();
}

/// What is in a pack and a hotfix, whatever the zip says: nothing outside of it, no more than the bound, and what is unpacked
/// is what its directory said.
pub fn check(zip: &[u8]) {
    SCRATCH.with(|scratch| {
        scratch.used(|scratch| check_pack(scratch, zip));
        scratch.used(|scratch| check_hotfix(scratch, zip));
    });
}

/// The product that the hotfixes are for.
pub fn product() -> Product {
    Product { name: "wso2am".to_owned(), version: "4.1.0".to_owned(), update_level: 10 }
}

fn check_hotfix(scratch: &Scratch, zip: &[u8]) {
    scratch.file(HOTFIX, zip);
    match HotfixSequence::read(scratch.path(), &product(), None) {
        Ok(sequence) => {
            let [hotfix] = sequence.as_slice() else { panic!("one hotfix is there, and {sequence:?} was read") };
            assert_eq!((hotfix.number, hotfix.file.as_str(), hotfix.bytes), (1, HOTFIX, zip.len() as u64));
        }
        Err(problem) => assert_well_said(&problem),
    }
}

fn check_pack(scratch: &Scratch, zip: &[u8]) {
    let pack = match ProductPack::open(&scratch.file(PACK, zip), LARGEST) {
        Ok(pack) => pack,
        Err(problem) => return assert_well_said(&problem),
    };
    assert_eq!((&pack.product, pack.bytes), (&product(), zip.len() as u64));
    check_nodes(&pack.nodes);
    check_contents(&pack);
    let home = scratch.path().join("home");
    match pack.extract(&home, &CancellationToken::new()) {
        Ok(()) => check_home(&home, &pack.nodes),
        Err(problem) => assert_well_said(&problem),
    }
    let made: Vec<_> = fs::read_dir(scratch.path()).expect("it is there").flatten().collect();
    assert!(made.len() <= 2, "something was written beside the product: {made:?}");
}

fn check_nodes(nodes: &BTreeMap<String, Node>) {
    let total = nodes.values().try_fold(0_u64, |total, node| total.checked_add(node.size()));
    assert!(total.is_some_and(|total| total <= LARGEST), "{total:?} bytes were accepted");
    let mut alike = HashSet::new();
    for (path, node) in nodes {
        assert_stays_inside(path);
        assert!(!path.contains('\\') && !path.chars().any(char::is_control), "{path:?} was accepted");
        assert!(path.split('/').all(|part| !part.starts_with(".wh.")), "{path:?} deletes something in an image");
        assert!(alike.insert(path.to_lowercase()), "{path:?} is another one but for case");
        for folder in ancestors(path) {
            assert_eq!(nodes.get(folder).map(|node| &node.kind), Some(&NodeKind::Directory), "{folder:?}");
        }
        if let NodeKind::Symlink { target } = &node.kind {
            // Also where nothing is there now.
            let up = target.split('/').take_while(|part| *part == "..").count();
            assert!(!target.starts_with('/') && up <= ancestors(path).count(), "{path:?} leads out, to {target:?}");
        }
        assert_eq!(node.mode & !0o777, 0, "{path:?} has the mode {:o}", node.mode);
    }
}

/// Everything can be read up to what it says to be, and not one byte more comes out.
fn check_contents(pack: &ProductPack) {
    for (path, node) in pack.nodes.iter() {
        let NodeKind::File { index, size } = node.kind else { continue };
        let mut written = Counting(0);
        let copied = pack.copy_entry(index, &mut written);
        // The one byte more is how it is known.
        assert!(written.0 <= size + 1, "{path:?} gave {} bytes of {size}", written.0);
        assert!(copied.is_err() || written.0 == size, "{path:?} gave {} bytes of {size}", written.0);
    }
}

/// What was unpacked is what the directory says, and no link leads out of it.
fn check_home(home: &Path, nodes: &BTreeMap<String, Node>) {
    let root = home.canonicalize().expect("it was made");
    let mut found = 0;
    for entry in WalkDir::new(home).min_depth(1) {
        let entry = entry.expect("what was unpacked can be read");
        let path = entry.path().strip_prefix(home).expect("below it").to_str().expect("UTF-8");
        let node = nodes.get(path).unwrap_or_else(|| panic!("{path:?} is in no directory"));
        let metadata = entry.metadata().expect("it was found");
        match &node.kind {
            NodeKind::Directory => assert!(metadata.is_dir(), "{path:?}"),
            NodeKind::File { size, .. } => assert!(metadata.is_file() && metadata.len() == *size, "{path:?}"),
            NodeKind::Symlink { target } => {
                assert_eq!(fs::read_link(entry.path()).expect("a link"), Path::new(target));
                // What leads nowhere, or in a circle, leads to nothing outside.
                let end = entry.path().canonicalize();
                assert!(end.is_err() || end.is_ok_and(|end| end.starts_with(&root)), "{path:?} leads out");
            }
        }
        found += 1;
    }
    assert_eq!(found, nodes.len(), "something was not unpacked");
}

struct Counting(u64);

impl Write for Counting {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0 += buffer.len() as u64;
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
