//! `updates/config.json`: read, changed in place, so that what the tool does not know stays, and written.

use std::fs;
use std::io;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::credentials::Credentials;
use super::product::Product;
use super::stamp;
use super::update::write_whole;
use crate::behaviour::ToolBehaviour;
use crate::config_json::{fresh_config, to_text, token_holder};

const PATH: &str = "updates/config.json";

/// The configuration of a product.
pub(super) struct Config(Value);

impl Config {
    /// What the product has, or a new one.
    pub(super) fn load(product: &Product, behaviour: &ToolBehaviour) -> Result<Self> {
        let mut config = match fs::read_to_string(product.home.join(PATH)) {
            Ok(text) => serde_json::from_str(&text).with_context(|| format!("cannot read {PATH}"))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fresh_config(behaviour.config, &product.name, &product.version, &behaviour.level)
            }
            Err(error) => return Err(error).with_context(|| format!("cannot read {PATH}")),
        };
        if let Some(level) = &behaviour.level_reported {
            config["update-level"] = json!(level);
        }
        Ok(Self(config))
    }

    /// Enters the user, new tokens, and where things are on this machine.
    pub(super) fn log_in(&mut self, credentials: &Credentials, product: &Product) -> Result<()> {
        let config = &mut self.0;
        config["username"] = json!(credentials.username);
        config["backup-dir"] = json!(product.backup_dir());
        config["product"]["backup"] = json!(product.backup());
        let tokens = token_holder(config);
        tokens["access-token"] = json!(stamp::random_hex()?);
        tokens["refresh-token"] = json!(stamp::random_hex()?);
        Ok(())
    }

    pub(super) fn save(&self, product: &Product) -> Result<()> {
        write_whole(&product.home.join(PATH), to_text(&self.0).as_bytes())
            .with_context(|| format!("cannot write {PATH}"))
    }

    pub(super) fn set_level(&mut self, level: u32) {
        self.0["update-level"] = json!(level.to_string());
    }

    /// `-1` and `0` are the same: no update was ever taken.
    pub(super) fn level(&self) -> &str {
        match self.0["update-level"].as_str() {
            None | Some("-1") => "0",
            Some(level) => level,
        }
    }

    /// Access and refresh token.
    pub(super) fn tokens(&self) -> (String, String) {
        let mut config = self.0.clone();
        let tokens = token_holder(&mut config);
        let token = |name: &str| tokens[name].as_str().unwrap_or_default().to_owned();
        (token("access-token"), token("refresh-token"))
    }

    pub(super) fn set_backup_size(&mut self, bytes: u64) {
        self.0["product"]["backup-size"] = json!(bytes);
    }

    /// The number of the newest hotfix applied; 0 for none.
    pub(super) fn newest_hotfix(&self) -> u32 {
        let newest = self.0["hotfixes"].as_array().and_then(|all| all.last());
        let number = newest.and_then(|hotfix| hotfix["number"].as_u64());
        number.and_then(|number| u32::try_from(number).ok()).unwrap_or(0)
    }

    pub(super) fn record_hotfix(&mut self, number: u32, file: &str) {
        let entry = json!({ "number": number, "file": file });
        match self.0["hotfixes"].as_array_mut() {
            Some(all) => all.push(entry),
            None => self.0["hotfixes"] = json!([entry]),
        }
    }

    pub(super) fn forget_newest_hotfix(&mut self) {
        if let Some(all) = self.0["hotfixes"].as_array_mut() {
            all.pop();
            if all.is_empty() {
                self.0["hotfixes"] = Value::Null;
            }
        }
    }

    pub(super) fn print(&self) {
        let product = &self.0["product"]["pattern"];
        println!("product {product}");
        println!("update level {}", self.0["update-level"]);
        println!("hotfixes {}", self.0["hotfixes"]);
    }
}
