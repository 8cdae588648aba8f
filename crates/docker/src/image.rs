//! The configuration of an image put together from a base and layers.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::base::BaseImage;
use crate::layer::{Blob, Layer, LayerId};

/// What an image has beside its files.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// In place of the base's entry point and command.
    pub entrypoint: Option<Vec<String>>,
    /// Variables added to the base's environment, or put in place of those of the same name.
    pub env: Vec<(String, String)>,
    /// Labels added to the base's, or put in place of those of the same name.
    pub labels: BTreeMap<String, String>,
    /// Time of creation, RFC 3339. Given, not taken from the clock: the same inputs give the same image.
    pub created: String,
}

/// An image to be made: a base, layers on top of it, and settings.
#[derive(Debug, Clone)]
pub struct Image {
    /// What it is put on.
    pub base: BaseImage,
    /// What is put on it, lowest first.
    pub layers: Vec<Layer>,
    /// What it has beside files.
    pub settings: Settings,
}

/// An image that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltImage {
    /// The engine's id of the image; digest of the manifest for a layout. `sha256:…`.
    pub id: String,
    /// Digest of the manifest, where it is known.
    pub digest: Option<String>,
    /// The layers that were added to the base, lowest first.
    pub layers: Vec<LayerId>,
    /// The same layers compressed, where we did that; else none.
    pub blobs: Vec<Blob>,
}

impl Image {
    /// The image configuration as JSON, see "OCI Image Configuration". `layers` are this image's own, as written.
    pub fn configuration(&self, layers: &[LayerId]) -> Vec<u8> {
        let mut diff_ids: Vec<&str> = self.base.diff_ids.iter().map(String::as_str).collect();
        diff_ids.extend(layers.iter().map(|layer| layer.diff_id.as_str()));
        let mut configuration = json!({
            "created": self.settings.created,
            "architecture": self.base.platform.architecture,
            "os": self.base.platform.os,
            "config": self.config(),
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
            "history": self.history(),
        });
        if let Some(variant) = &self.base.platform.variant {
            configuration["variant"] = json!(variant);
        }
        configuration.to_string().into_bytes()
    }

    fn config(&self) -> Map<String, Value> {
        let mut config = self.base.config.clone();
        if let Some(entrypoint) = &self.settings.entrypoint {
            config.insert("Entrypoint".to_owned(), json!(entrypoint));
            // As in a Dockerfile: a new entry point makes the base's command meaningless.
            config.remove("Cmd");
        }
        if !self.settings.env.is_empty() {
            config.insert("Env".to_owned(), json!(self.environment()));
        }
        let mut labels: BTreeMap<String, Value> = match config.get("Labels") {
            Some(Value::Object(labels)) => labels.clone().into_iter().collect(),
            _ => BTreeMap::new(),
        };
        labels.extend(self.settings.labels.iter().map(|(key, value)| (key.clone(), json!(value))));
        config.insert("Labels".to_owned(), json!(labels));
        config
    }

    fn environment(&self) -> Vec<String> {
        let mut variables: Vec<String> = match self.base.config.get("Env") {
            Some(Value::Array(variables)) => variables.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            _ => Vec::new(),
        };
        for (name, value) in &self.settings.env {
            let variable = format!("{name}={value}");
            match variables.iter_mut().find(|v| v.split_once('=').is_some_and(|(n, _)| n == name)) {
                Some(existing) => *existing = variable,
                None => variables.push(variable),
            }
        }
        variables
    }

    fn history(&self) -> Vec<Value> {
        let own =
            self.layers.iter().map(|layer| json!({ "created": self.settings.created, "created_by": layer.history }));
        self.base.history.iter().cloned().chain(own).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(base: Value, settings: Settings) -> Value {
        let mut scratch = BaseImage::scratch();
        scratch.config = base.as_object().expect("an object").clone();
        let image = Image { base: scratch, layers: Vec::new(), settings };
        let configuration: Value = serde_json::from_slice(&image.configuration(&[])).expect("JSON");
        configuration["config"].clone()
    }

    #[test]
    fn settings_are_laid_over_those_of_the_base() {
        let base = json!({ "Env": ["A=1", "B=2"], "Cmd": ["sh"], "User": "app", "Labels": { "x": "old", "y": "kept" }, "Healthcheck": { "Test": ["NONE"] } });
        let settings = Settings {
            entrypoint: Some(vec!["/run".to_owned()]),
            env: vec![("B".to_owned(), "3=4".to_owned()), ("C".to_owned(), "5".to_owned())],
            labels: [("x".to_owned(), "new".to_owned())].into(),
            created: "2026-01-01T00:00:00Z".to_owned(),
        };
        assert_eq!(
            image(base, settings),
            json!({ "Env": ["A=1", "B=3=4", "C=5"], "User": "app", "Labels": { "x": "new", "y": "kept" }, "Healthcheck": { "Test": ["NONE"] }, "Entrypoint": ["/run"] })
        );
    }

    #[test]
    fn without_settings_the_base_is_kept() {
        let base = json!({ "Env": ["A=1"], "Cmd": ["sh"], "Entrypoint": ["/e"] });
        let kept = image(base.clone(), Settings::default());
        assert_eq!(
            (&kept["Cmd"], &kept["Entrypoint"], &kept["Env"]),
            (&base["Cmd"], &base["Entrypoint"], &base["Env"])
        );
    }
}
