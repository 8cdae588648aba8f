//! The image that others are put on: nothing, an image of an engine, or an image of an OCI layout.

use std::fmt;

use serde_json::{Map, Value, json};

use crate::engine::Engine;
use crate::hashing::digest_of;
use crate::oci_layout::LayoutImage;
use crate::reference::ImageRef;

/// Operating system and processor of an image, in the words of the OCI image specification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    /// `linux`.
    pub os: String,
    /// `amd64`, `arm64`, …
    pub architecture: String,
    /// `v8` and the like, where given.
    pub variant: Option<String>,
}

impl Platform {
    /// Linux on this machine's processor.
    pub fn linux_here() -> Self {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        Self { os: "linux".to_owned(), architecture: architecture.to_owned(), variant: None }
    }

    /// Whether an image of this platform is one for `wanted`. A variant counts where one is wanted.
    pub fn is(&self, wanted: &Self) -> bool {
        let variant_is = |variant: &str| match &self.variant {
            Some(own) => own == variant,
            // The only one of 64 bits that there is, and seldom written.
            None => self.architecture == "arm64" && variant == "v8",
        };
        (&self.os, &self.architecture) == (&wanted.os, &wanted.architecture)
            && wanted.variant.as_deref().is_none_or(variant_is)
    }
}

impl std::str::FromStr for Platform {
    type Err = String;

    /// `linux/arm64` or `linux/arm/v7`, as `docker --platform` takes it.
    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split('/').collect();
        let (os, architecture, variant) = match parts.as_slice() {
            [os, architecture] => (os, architecture, None),
            [os, architecture, variant] => (os, architecture, Some((*variant).to_owned())),
            _ => return Err("expected a platform such as linux/amd64 or linux/arm64".to_owned()),
        };
        let is_word =
            |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if !parts.iter().all(is_word) {
            return Err("expected a platform such as linux/amd64 or linux/arm64".to_owned());
        }
        Ok(Self { os: (*os).to_owned(), architecture: (*architecture).to_owned(), variant })
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.iter().try_for_each(|variant| write!(f, "/{variant}"))
    }
}

/// Where the layers of a base are.
#[derive(Debug, Clone)]
pub enum Source {
    /// There are none.
    Scratch,
    /// In an engine.
    Engine {
        /// The engine.
        engine: Engine,
        /// The id that the image has there, `sha256:…`.
        id: String,
    },
    /// In an OCI layout on disk.
    Layout(LayoutImage),
}

/// Which image of a name.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted<'a> {
    /// The platform that it is to be for; where none is given, any.
    pub platform: Option<&'a Platform>,
    /// Whether it is the registry's, also where the engine has one of that name.
    pub pull: bool,
}

/// What an image takes over of the configuration of its base, by the names of the OCI image specification and of Docker's.
const TAKEN_OVER: [&str; 12] = [
    "User",
    "ExposedPorts",
    "Env",
    "Entrypoint",
    "Cmd",
    "Volumes",
    "WorkingDir",
    "Labels",
    "StopSignal",
    "Healthcheck",
    "Shell",
    "OnBuild",
];

/// By what a base is told from others, without fetching it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its digest; the engine's id of it where it was never in a registry, and none for no base.
    pub digest: Option<String>,
    /// Digest of what an image on it takes over: the same in whatever engine, layout or registry it
    /// is, and by whatever name; none for no base.
    pub content: Option<String>,
    /// Operating system and processor.
    pub platform: Platform,
}

impl Identity {
    pub(crate) fn new(digest: String, platform: Platform, config: &Map<String, Value>, diff_ids: &[String]) -> Self {
        let is_said = |value: &&Value| match value {
            Value::Null => false,
            Value::String(text) => !text.is_empty(),
            Value::Array(list) => !list.is_empty(),
            Value::Object(map) => !map.is_empty(),
            Value::Bool(_) | Value::Number(_) => true,
        };
        // Engines write what is not said as empty, or leave it out; and their maps have no order.
        let mut taken_over = json!([TAKEN_OVER.map(|key| config.get(key).filter(is_said)), diff_ids]);
        taken_over.sort_all_objects();
        let content = Some(digest_of(taken_over.to_string().as_bytes()));
        Self { digest: Some(digest), content, platform }
    }
}

/// A base image: what its configuration says, and where its layers are.
#[derive(Debug, Clone)]
pub struct BaseImage {
    /// The name it was asked for by.
    pub name: String,
    /// Digest of its manifest. Of its configuration where it was never in a registry; `None` for no base.
    pub digest: Option<String>,
    /// Operating system and processor.
    pub platform: Platform,
    /// The `config` object of the image configuration: `Env`, `Entrypoint`, `Labels`, …
    pub config: Map<String, Value>,
    /// The `history` of the image configuration.
    pub history: Vec<Value>,
    /// Digests of its uncompressed layers, lowest first.
    pub diff_ids: Vec<String>,
    /// Length of its layers in bytes, as the engine or the layout stores them.
    pub size: u64,
    /// Where its layers are.
    pub source: Source,
}

impl BaseImage {
    /// No base at all, for Linux on this machine's processor.
    pub fn scratch() -> Self {
        Self::scratch_for(Platform::linux_here())
    }

    /// No base at all.
    pub fn scratch_for(platform: Platform) -> Self {
        Self {
            name: "scratch".to_owned(),
            digest: None,
            platform,
            config: Map::new(),
            history: Vec::new(),
            diff_ids: Vec::new(),
            size: 0,
            source: Source::Scratch,
        }
    }

    /// The reference that it was fetched by from its registry, if it was.
    pub fn origin(&self) -> Option<&ImageRef> {
        match &self.source {
            Source::Layout(layout) => layout.origin.as_ref(),
            Source::Scratch | Source::Engine { .. } => None,
        }
    }

    /// By what it is told from others.
    pub fn identity(&self) -> Identity {
        let (digest, platform) = (self.digest.clone(), self.platform.clone());
        match digest {
            Some(digest) => Identity::new(digest, platform, &self.config, &self.diff_ids),
            None => Identity { digest, content: None, platform },
        }
    }

    /// What is the same for images of the same content, and never for others; none for no base.
    pub fn content_id(&self) -> Option<&str> {
        match &self.source {
            Source::Scratch => None,
            Source::Engine { id, .. } => Some(id),
            Source::Layout(_) => self.digest.as_deref(),
        }
    }

    /// One of its labels.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.config.get("Labels")?.get(name)?.as_str()
    }

    /// The value of a variable of its environment.
    pub fn env(&self, name: &str) -> Option<&str> {
        let variables = self.config.get("Env")?.as_array()?;
        variables.iter().filter_map(Value::as_str).find_map(|v| v.strip_prefix(name)?.strip_prefix('='))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variant_counts_where_one_is_wanted() {
        for (own, wanted, expected) in [
            ("linux/amd64", "linux/amd64", true),
            ("linux/amd64", "linux/arm64", false),
            ("windows/amd64", "linux/amd64", false),
            ("linux/arm/v7", "linux/arm", true),
            ("linux/arm/v7", "linux/arm/v6", false),
            ("linux/arm", "linux/arm/v7", false),
            ("linux/arm64", "linux/arm64/v8", true),
            ("linux/arm64/v8", "linux/arm64", true),
        ] {
            let platform = |text: &str| text.parse::<Platform>().expect("a platform");
            assert_eq!(platform(own).is(&platform(wanted)), expected, "{own} for {wanted}");
        }
    }
}
