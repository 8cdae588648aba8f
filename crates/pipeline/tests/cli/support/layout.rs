//! An OCI layout read independently of the code that wrote it.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// An entry of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    pub kind: tar::EntryType,
    pub mode: u32,
    pub owner: (u64, u64),
    pub mtime: u64,
    pub content: Vec<u8>,
}

pub type Files = BTreeMap<String, File>;

pub struct Layout {
    folder: PathBuf,
    pub manifest: Value,
    pub manifest_digest: String,
    pub config: Value,
}

impl Layout {
    /// The image under `tag`.
    pub fn open(folder: &Path, tag: &str) -> Self {
        assert_eq!(json(&folder.join("oci-layout"))["imageLayoutVersion"], "1.0.0");
        let index = json(&folder.join("index.json"));
        let entries = index["manifests"].as_array().expect("a list");
        let entry = entries
            .iter()
            .find(|m| m["annotations"]["org.opencontainers.image.ref.name"] == tag)
            .expect("the tag is there");
        let blob = |descriptor: &Value| json(&blob_path(folder, descriptor["digest"].as_str().expect("a digest")));
        let manifest = blob(entry);
        let config = blob(&manifest["config"]);
        let manifest_digest = entry["digest"].as_str().expect("a digest").to_owned();
        Self { folder: folder.to_owned(), manifest, manifest_digest, config }
    }

    pub fn labels(&self) -> &Value {
        &self.config["config"]["Labels"]
    }

    /// The manifest, to the byte.
    pub fn manifest_bytes(&self) -> Vec<u8> {
        fs::read(blob_path(&self.folder, &self.manifest_digest)).expect("there")
    }

    pub fn diff_ids(&self) -> Vec<String> {
        strings(&self.config["rootfs"]["diff_ids"])
    }

    pub fn layer_digests(&self) -> Vec<String> {
        self.manifest["layers"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|l| l["digest"].as_str().expect("text").to_owned())
            .collect()
    }

    /// The uncompressed tar of a layer, counted from the lowest.
    pub fn layer_bytes(&self, index: usize) -> Vec<u8> {
        let file = fs::File::open(blob_path(&self.folder, &self.layer_digests()[index])).expect("the blob is there");
        let mut bytes = Vec::new();
        flate2::read::MultiGzDecoder::new(file).read_to_end(&mut bytes).expect("gzip");
        bytes
    }

    pub fn layer(&self, index: usize) -> Files {
        read_tar(&self.layer_bytes(index))
    }

    /// What a container of the image would see.
    pub fn files(&self) -> Files {
        let mut files = Files::new();
        for index in 0..self.layer_digests().len() {
            apply(&mut files, self.layer(index));
        }
        files
    }
}

pub fn strings(value: &Value) -> Vec<String> {
    value.as_array().expect("a list").iter().map(|item| item.as_str().expect("text").to_owned()).collect()
}

pub fn read_tar(bytes: &[u8]) -> Files {
    let mut files = Files::new();
    for entry in tar::Archive::new(bytes).entries().expect("a tar") {
        let mut entry = entry.expect("an entry");
        let path = entry.path().expect("UTF-8").to_str().expect("UTF-8").trim_end_matches('/').to_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).expect("content");
        let header = entry.header();
        let owner = (header.uid().expect("a number"), header.gid().expect("a number"));
        let file = File {
            kind: header.entry_type(),
            mode: header.mode().expect("a number"),
            owner,
            mtime: header.mtime().expect("a number"),
            content,
        };
        assert!(files.insert(path.clone(), file).is_none(), "{path} is there twice");
    }
    files
}

fn apply(files: &mut Files, layer: Files) {
    for path in layer.keys() {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        if let Some(gone) = name.strip_prefix(".wh.") {
            let gone = if parent.is_empty() { gone.to_owned() } else { format!("{parent}/{gone}") };
            let below = format!("{gone}/");
            files.retain(|known, _| *known != gone && !known.starts_with(&below));
        }
    }
    files.extend(
        layer.into_iter().filter(|(path, _)| !path.rsplit('/').next().is_some_and(|name| name.starts_with(".wh."))),
    );
}

fn blob_path(folder: &Path, digest: &str) -> PathBuf {
    folder.join("blobs").join(digest.replace(':', "/"))
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))).expect("JSON")
}
