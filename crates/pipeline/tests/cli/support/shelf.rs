//! A registry in which everything is made by hand, so that it can be wrong.

use std::collections::BTreeMap;
use std::io::Write;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::http::{Answer, Request, Server};

pub const OCI: &str = "application/vnd.oci.image";
pub const DOCKER: &str = "application/vnd.docker";

/// What a registry has, made by hand.
#[derive(Default, Clone)]
pub struct Shelf {
    /// Manifests by tag and digest, with their types.
    pub manifests: BTreeMap<String, (String, Vec<u8>)>,
    pub blobs: BTreeMap<String, Vec<u8>>,
}

pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// A layer with one file, as it is and as it is stored.
fn layer(file: &str, compression: &str) -> (Vec<u8>, Vec<u8>) {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(4);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(1);
    header.set_cksum();
    tar.append_data(&mut header, file, &b"text"[..]).expect("in memory");
    let tar = tar.into_inner().expect("in memory");
    let stored = match compression {
        "gzip" => {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            gzip.write_all(&tar).expect("in memory");
            gzip.finish().expect("in memory")
        }
        "zstd" => zstd::encode_all(tar.as_slice(), 0).expect("in memory"),
        _ => tar.clone(),
    };
    (tar, stored)
}

impl Shelf {
    pub fn blob(&mut self, media_type: &str, bytes: Vec<u8>) -> Value {
        let descriptor = json!({ "mediaType": media_type, "digest": digest(&bytes), "size": bytes.len() });
        self.blobs.insert(digest(&bytes), bytes);
        descriptor
    }

    pub fn manifest(&mut self, tag: &str, media_type: &str, content: &Value) -> Value {
        let bytes = content.to_string().into_bytes();
        let named = (media_type.to_owned(), bytes.clone());
        self.manifests.insert(tag.to_owned(), named.clone());
        self.manifests.insert(digest(&bytes), named);
        json!({ "mediaType": media_type, "digest": digest(&bytes), "size": bytes.len() })
    }

    /// An image of one layer; its name says its processor and its layer's type.
    pub fn image(&mut self, architecture: &str, layer_type: &str, compression: &str) -> Value {
        let (tar, stored) = layer(&format!("etc/{architecture}"), compression);
        self.image_with(architecture, layer_type, &[digest(&tar)], &[stored])
    }

    /// An image with layers that are stored like that; what they are as they are, nobody looks at.
    pub fn image_of(&mut self, architecture: &str, layer_type: &str, stored: &[Vec<u8>]) -> Value {
        let diff_ids: Vec<String> = stored.iter().map(|layer| digest(layer)).collect();
        self.image_with(architecture, layer_type, &diff_ids, stored)
    }

    fn image_with(&mut self, architecture: &str, layer_type: &str, diff_ids: &[String], stored: &[Vec<u8>]) -> Value {
        let config = json!({
            "os": "linux", "architecture": architecture, "config": { "Env": ["A=1"] },
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
        });
        let (manifest_type, config_type) = match layer_type.starts_with(DOCKER) {
            true => (format!("{DOCKER}.distribution.manifest.v2+json"), format!("{DOCKER}.container.image.v1+json")),
            false => (format!("{OCI}.manifest.v1+json"), format!("{OCI}.config.v1+json")),
        };
        let config = self.blob(&config_type, config.to_string().into_bytes());
        let layers: Vec<Value> = stored.iter().map(|layer| self.blob(layer_type, layer.clone())).collect();
        let manifest = json!({ "schemaVersion": 2, "mediaType": manifest_type, "config": config, "layers": layers });
        self.manifest(architecture, &manifest_type, &manifest)
    }

    pub fn index(&mut self, tag: &str, media_type: &str, images: &[(&str, Value)]) -> String {
        let manifests = images.iter().map(|(architecture, image)| {
            let mut image = image.clone();
            image["platform"] = json!({ "os": "linux", "architecture": architecture });
            image
        });
        let index = json!({ "schemaVersion": 2, "mediaType": media_type, "manifests": manifests.collect::<Vec<_>>() });
        self.manifest(tag, media_type, &index)["digest"].as_str().expect("a digest").to_owned()
    }

    pub fn serve(&self) -> Server {
        let shelf = self.clone();
        Server::start(move |request| shelf.answer(request))
    }

    /// What it says to a request.
    pub fn answer(&self, request: &Request) -> Answer {
        let name = request.address.rsplit('/').next().expect("a path");
        let found = match request.address.split('/').nth(4) {
            _ if request.address == "/v2/" => return Answer::new(200),
            Some("manifests") => self.manifests.get(name).cloned(),
            _ => self.blobs.get(name).map(|bytes| ("application/octet-stream".to_owned(), bytes.clone())),
        };
        match found {
            Some((media_type, bytes)) => Answer::new(200).header("content-type", media_type).body(bytes),
            None => Answer::new(404),
        }
    }
}
