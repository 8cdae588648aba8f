//! `updates/config.json` as the vendor's tool writes it: two generations, told apart by the object that holds the
//! tokens.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The generation of `updates/config.json`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConfigGeneration {
    /// The newer one: tokens in `service`.
    #[default]
    Service,
    /// The older one: `trial-subscription-id`, and tokens in `services.wso2`.
    Services,
}

const URL: &str = "https://updates.example.invalid/updates";
const TOKEN_URL: &str = "https://tokens.example.invalid/token";
const APP_KEY: &str = "c3RhbmQtaW46bm90LWEtc2VjcmV0";

/// A configuration as packs hold it that nobody has logged in to yet: no user, no tokens, no paths.
#[must_use]
pub fn fresh_config(generation: ConfigGeneration, product: &str, version: &str, level: &str) -> Value {
    let mut config = json!({
        "username": "",
        "update-level": level,
        "channel": "full",
        "environment": "live",
    });
    let mut set = |key: &str, value: Value| config[key] = value;
    if generation == ConfigGeneration::Services {
        set("trial-subscription-id", json!(""));
    }
    set("backup-dir", json!(""));
    set(
        "product",
        json!({
            "pattern": format!("{product}-{version}"),
            "name": product,
            "version": version,
            "backup": "",
            "backup-size": 0,
        }),
    );
    match generation {
        ConfigGeneration::Service => set("service", service_object()),
        ConfigGeneration::Services => set("services", json!({ "wso2": services_object() })),
    }
    set("hotfixes", Value::Null);
    config
}

fn service_object() -> Value {
    json!({
        "url": URL,
        "token-url": TOKEN_URL,
        "app-key": APP_KEY,
        "access-token": "",
        "refresh-token": "",
    })
}

fn services_object() -> Value {
    json!({
        "enabled": true,
        "name": "wso2",
        "url": URL,
        "token-url": TOKEN_URL,
        "app-key": APP_KEY,
        "access-token": "",
        "refresh-token": "",
    })
}

/// The object of either generation that holds the tokens.
pub(crate) fn token_holder(config: &mut Value) -> &mut Value {
    if config.get("services").is_some() { &mut config["services"]["wso2"] } else { &mut config["service"] }
}

/// The configuration as text, ending in a newline.
pub(crate) fn to_text(config: &Value) -> String {
    format!("{config:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(value: &Value) -> Vec<&str> {
        let object = value.as_object().expect("an object");
        object.keys().map(String::as_str).collect()
    }

    #[test]
    fn newer_generation_keeps_the_vendors_order() {
        let config = fresh_config(ConfigGeneration::Service, "wso2am", "4.1.0", "10");
        assert_eq!(
            keys(&config),
            ["username", "update-level", "channel", "environment", "backup-dir", "product", "service", "hotfixes"]
        );
        assert_eq!(config["product"]["pattern"], "wso2am-4.1.0");
        assert_eq!(config["hotfixes"], Value::Null);
    }

    #[test]
    fn older_generation_has_services_in_place_of_service() {
        let config = fresh_config(ConfigGeneration::Services, "wso2am", "4.1.0", "-1");
        assert!(keys(&config).contains(&"trial-subscription-id"));
        assert!(!keys(&config).contains(&"service"));
        assert_eq!(
            keys(&config["services"]["wso2"]),
            ["enabled", "name", "url", "token-url", "app-key", "access-token", "refresh-token"]
        );
    }
}
