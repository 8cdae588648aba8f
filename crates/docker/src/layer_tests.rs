use std::io::Read;

use super::*;

fn entry(node: Node) -> Entry {
    Entry { node, metadata: Metadata { mode: 0o640, uid: 10001, gid: 10002, mtime: 1_600_000_000 } }
}

fn sample() -> Layer {
    let long = format!("home/{}/x", "long-name-".repeat(20));
    let mut layer = Layer::new("sample");
    layer.insert(long, entry(Node::File(Arc::new(b"deep".to_vec()))));
    layer.insert("home", entry(Node::Directory));
    layer.insert("home/a.txt", entry(Node::File(Arc::new(vec![7; 1000]))));
    layer.insert("home/gone.jar", entry(Node::Whiteout));
    layer.insert("home/link", entry(Node::Symlink("t/".repeat(80))));
    layer
}

fn bytes_of(layer: &Layer) -> (Vec<u8>, LayerId) {
    let mut bytes = Vec::new();
    let id = layer.write_to(&mut bytes).expect("a layer in memory is written");
    (bytes, id)
}

#[test]
fn size_is_known_before_writing() {
    let layer = sample();
    let (bytes, id) = bytes_of(&layer);
    assert_eq!(layer.size(), bytes.len() as u64);
    assert_eq!(layer.size(), id.size);
    assert_eq!(id.diff_id, crate::hashing::digest_of(&bytes));
}

#[test]
fn an_independent_reader_sees_every_entry() {
    let (bytes, _) = bytes_of(&sample());
    let mut archive = tar::Archive::new(bytes.as_slice());
    let mut seen = Vec::new();
    for entry in archive.entries().expect("readable") {
        let mut entry = entry.expect("readable");
        let path = entry.path().expect("utf-8").to_string_lossy().into_owned();
        let link = entry.link_name().expect("valid").map(|l| l.to_string_lossy().into_owned());
        let mut content = Vec::new();
        entry.read_to_end(&mut content).expect("readable");
        seen.push((path, entry.header().entry_type(), entry.header().uid().expect("number"), link, content.len()));
    }
    let long = format!("home/{}/x", "long-name-".repeat(20));
    assert_eq!(
        seen,
        [
            ("home/".to_owned(), EntryType::Directory, 10001, None, 0),
            ("home/a.txt".to_owned(), EntryType::Regular, 10001, None, 1000),
            ("home/.wh.gone.jar".to_owned(), EntryType::Regular, 0, None, 0),
            ("home/link".to_owned(), EntryType::Symlink, 10001, Some("t/".repeat(80)), 0),
            (long, EntryType::Regular, 10001, None, 4),
        ]
    );
}

#[test]
fn order_of_insertion_does_not_matter() {
    let mut other = Layer::new("another text");
    for (path, entry) in sample().entries().collect::<Vec<_>>().into_iter().rev() {
        other.insert(path, entry.clone());
    }
    assert_eq!(bytes_of(&sample()), bytes_of(&other));
}

struct Lying(u64, Vec<u8>);

impl Content for Lying {
    fn size(&self) -> u64 {
        self.0
    }
    fn copy_to(&self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(&self.1)
    }
}

#[test]
fn content_of_another_length_is_an_error_that_names_the_file() {
    for (size, word) in [(3, "longer"), (5, "shorter")] {
        let mut layer = Layer::new("lying");
        layer.insert("a/b", entry(Node::File(Arc::new(Lying(size, b"four".to_vec())))));
        let error = layer.write_to(io::sink()).expect_err("the content is not of the size it said").to_string();
        assert!(error.starts_with("a/b: ") && error.contains(word), "{error}");
    }
}
