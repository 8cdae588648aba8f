use super::*;
use crate::layer::{Entry, Layer, Metadata, Node};
use std::sync::Arc;

/// Leaves out what is below `logs`, turns every `config` into upper case, and refuses a `bad` file or text.
struct Upper;

impl Rewrite for Upper {
    fn keeps(&self, path: &str) -> bool {
        !path.split('/').any(|name| name == "logs")
    }

    fn file(&self, path: &str, content: &mut dyn Read) -> Result<Option<Vec<u8>>, BoxError> {
        let mut text = String::new();
        content.read_to_string(&mut text)?;
        match path.rsplit('/').next() {
            Some("bad") => Err("it is bad".into()),
            Some("config") => Ok(Some(text.to_uppercase().repeat(200).into_bytes())),
            _ => Ok(None),
        }
    }

    fn text(&self, text: &str) -> Result<(), BoxError> {
        if text == "bad" { Err("it is bad".into()) } else { Ok(()) }
    }
}

fn layer(files: &[(&str, &str)]) -> Vec<u8> {
    let mut layer = Layer::new("test");
    for (path, content) in files {
        let metadata = Metadata { mode: 0o640, uid: 7, gid: 8, mtime: 5 };
        layer.insert(*path, Entry { node: Node::File(Arc::new(content.as_bytes().to_vec())), metadata });
    }
    let mut bytes = Vec::new();
    layer.write_to(&mut bytes).expect("memory");
    bytes
}

/// As an engine saves an image of these layers.
fn saved(layers: &[Vec<u8>]) -> File {
    let mut file = tempfile::tempfile().expect("a file");
    let names: Vec<String> = (0..layers.len()).map(|index| format!("{index}/layer.tar")).collect();
    let diff_ids: Vec<String> = layers.iter().map(|layer| digest_of(layer)).collect();
    let configuration =
        json!({ "config": { "Labels": { "a": "1" }, "Env": ["X=1"] }, "rootfs": { "diff_ids": diff_ids } });
    for (name, bytes) in names.iter().zip(layers) {
        write_file(&mut file, name, bytes).expect("written");
    }
    write_file(&mut file, "c.json", &configuration.to_string().into_bytes()).expect("written");
    let manifest = json!([{ "Config": "c.json", "Layers": names }]);
    write_file(&mut file, "manifest.json", &manifest.to_string().into_bytes()).expect("written");
    file.write_all(&[0; 1024]).expect("written");
    file
}

fn made(layers: &[Vec<u8>]) -> Result<NewImage> {
    let folder = tempfile::tempdir().expect("a folder");
    let labels = [("b".to_owned(), "2".to_owned())].into();
    NewImage::make(saved(layers), folder.path(), &Upper, labels, &CancellationToken::new())
}

fn written(layer: &NewLayer) -> Vec<u8> {
    let mut bytes = Vec::new();
    layer.write_to(&mut bytes).expect("memory");
    assert_eq!(bytes.len() as u64, layer.size());
    bytes
}

#[test]
fn entries_go_and_change_and_the_rest_stays_to_the_byte() {
    let long = format!("home/{}/config", "x".repeat(150));
    let old = [
        layer(&[("bin/sh", "shell")]),
        layer(&[("a", "1"), (&long, "long"), ("p/logs/l.log", "secret"), ("z", &"z".repeat(1000))]),
    ];
    let image = made(&old).expect("nothing is bad");
    let new = layer(&[("a", "1"), (&long, &"LONG".repeat(200)), ("z", &"z".repeat(1000))]);
    assert_eq!(written(&image.layers[0]), old[0]);
    assert_eq!(written(&image.layers[1]), new);
    assert_eq!(image.diff_ids, [digest_of(&old[0]), digest_of(&new)]);
    let configuration: Value = serde_json::from_slice(&image.configuration).expect("JSON");
    assert_eq!(configuration["rootfs"]["diff_ids"], json!(image.diff_ids));
    assert_eq!(configuration["config"], json!({ "Labels": { "a": "1", "b": "2" }, "Env": ["X=1"] }));
}

#[test]
fn compressed_layers_are_read_too() {
    let old = layer(&[("logs", "x"), ("a", "1")]);
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(&old).expect("memory");
    let image = made(&[packed.finish().expect("memory")]).expect("nothing is bad");
    assert_eq!(written(&image.layers[0]), layer(&[("a", "1")]));
}

#[test]
fn what_is_refused_is_named() {
    match made(&[layer(&[("a/bad", "x")])]) {
        Err(Error::Refused { path, .. }) => assert_eq!(path, "a/bad"),
        other => panic!("{:?}", other.map(|image| image.diff_ids)),
    }
    assert!(check_texts(&json!({ "history": [{ "created_by": "bad" }] }), &Upper).is_err());
}
