//! What must not reach an image: in `updates/config.json` the user's name, live tokens, and paths of this machine.
//!
//! The fields are those of the vendor's documentation and of files that its tool wrote. Entries of `hotfixes` have no
//! documented shape, so beyond the documented fields every text that holds the user's name, the password, a token or a path
//! of this run is blanked.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;
use serde_json::{Map, Value};

use crate::said_once;
use crate::step::Problem;

const TOKENS: [&str; 2] = ["access-token", "refresh-token"];
/// Documented, and the same for everybody.
const PUBLIC: [&str; 9] =
    ["update-level", "channel", "environment", "pattern", "name", "version", "url", "token-url", "app-key"];
const PERSONAL: [&str; 2] = ["username", "backup-dir"];
/// What holds other fields, or is blanked by itself.
const STRUCTURE: [&str; 6] = ["hotfixes", "product", "service", "services", "backup", "backup-size"];
/// Shorter texts stand in other words: they are blanked only where they are the whole value.
const SHORTEST_PART: usize = 6;

/// Of `config.json`, in bytes: those seen have some kilobytes, and they are in memory as a whole.
pub const LARGEST_RECORDS: u64 = 16 << 20;

/// The content of the `config.json` at `path`, which must be a file: what is behind a link is somebody else's.
///
/// # Errors
/// Where it cannot be read, or is none; [`io::ErrorKind::FileTooLarge`] for more than [`LARGEST_RECORDS`].
pub fn read_records(path: &Path) -> io::Result<Vec<u8>> {
    if !path.symlink_metadata()?.is_file() {
        let reason = format!("{} is no regular file", path.display());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
    }
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = File::options().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    let mut records = Vec::new();
    file.take(LARGEST_RECORDS + 1).read_to_end(&mut records)?;
    if records.len() as u64 > LARGEST_RECORDS {
        let reason = format!("{} is larger than {} MiB", path.display(), LARGEST_RECORDS >> 20);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, reason));
    }
    Ok(records)
}

/// Texts that are known to be private to this run. Debug does not show them.
#[derive(Clone, Default)]
pub struct Private(Vec<String>);

impl std::fmt::Debug for Private {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Private({} texts)", self.0.len())
    }
}

impl Private {
    /// From now on `text` counts as private.
    pub fn add(&mut self, text: impl Into<String>) {
        let text = text.into();
        if !text.is_empty() {
            self.0.push(text);
        }
    }

    fn is_in(&self, value: &str) -> bool {
        self.0.iter().any(|text| value == text || (text.len() >= SHORTEST_PART && value.contains(text.as_str())))
    }
}

/// `config.json` without what is private, everything else kept in its order. Unchanged to the byte where nothing was
/// private.
///
/// # Errors
/// Where it is not JSON: what cannot be read cannot be cleaned.
pub fn scrub(config: &[u8], private: &Private) -> Result<Vec<u8>, Problem> {
    let original: Value = parse(config)?;
    // Of a field that is there twice only the last is read, and the other one would stay.
    said_once::check(config).map_err(|error| not_json().because(error))?;
    let mut private = private.clone();
    tokens(&original).into_iter().for_each(|token| private.add(token));
    let mut clean = original.clone();
    blank(&mut clean, &private, true);
    if clean == original {
        return Ok(config.to_vec());
    }
    let mut bytes = serde_json::to_vec_pretty(&clean).map_err(|error| not_json().because(error))?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// The live tokens in `config.json`, none where it is not JSON.
pub fn tokens_in(config: &[u8]) -> Vec<String> {
    parse(config).map(|config| tokens(&config)).unwrap_or_default()
}

fn parse(config: &[u8]) -> Result<Value, Problem> {
    serde_json::from_slice(config).map_err(|error| not_json().because(error))
}

fn not_json() -> Problem {
    Problem::new(
        "updates/config.json cannot be read as JSON, so user name and tokens in it cannot be blanked",
        "run again with --keep-workspace and look at the file that the update tool left",
    )
}

fn tokens(value: &Value) -> Vec<String> {
    match value {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(key, value)| match value {
                Value::String(token) if TOKENS.contains(&key.as_str()) && !token.is_empty() => vec![token.clone()],
                other => tokens(other),
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(tokens).collect(),
        _ => Vec::new(),
    }
}

/// `documented` is whether the vendor documents the fields here.
fn blank(value: &mut Value, private: &Private, documented: bool) {
    match value {
        Value::Object(fields) => {
            blank_keys(fields, private);
            for (key, value) in fields.iter_mut() {
                let documented = documented && key != "hotfixes";
                if TOKENS.contains(&key.as_str()) || PERSONAL.contains(&key.as_str()) {
                    blank_field(value);
                    continue;
                }
                if key == "product" {
                    blank_backup(value);
                }
                // A password that is part of an address must not show by what is missing there.
                if !(documented && value.is_string() && PUBLIC.contains(&key.as_str())) {
                    blank(value, private, documented);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| blank(item, private, documented)),
        Value::String(text) if private.is_in(text) => text.clear(),
        _ => {}
    }
}

/// What hotfixes are filed under can be the path of each. They stay as many as they are, each under a name of its own.
fn blank_keys(fields: &mut Map<String, Value>, private: &Private) {
    if !fields.keys().any(|key| is_named_so(key, private)) {
        return;
    }
    let mut clean = Map::new();
    for (key, value) in &*fields {
        let is_free = |key: &String| !fields.contains_key(key) && !clean.contains_key(key) && !private.is_in(key);
        let other = || (1..).map(|number: u64| format!("#{number}")).find(is_free);
        let key = if is_named_so(key, private) { other().unwrap_or_default() } else { key.clone() };
        clean.insert(key, value.clone());
    }
    *fields = clean;
}

fn is_named_so(key: &str, private: &Private) -> bool {
    let is_documented = [&PUBLIC[..], &TOKENS, &PERSONAL, &STRUCTURE].concat().contains(&key);
    !is_documented && private.is_in(key)
}

/// Where this machine keeps its backup. How large it is goes with that: it counts the log and the names in it, so the
/// same hotfixes would give another layer to another user.
fn blank_backup(product: &mut Value) {
    if let Some(backup) = product.get_mut("backup") {
        blank_field(backup);
    }
    if let Some(size) = product.get_mut("backup-size").filter(|size| size.is_number()) {
        *size = Value::from(0);
    }
}

fn blank_field(value: &mut Value) {
    if !value.is_null() {
        *value = Value::from("");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn scrubbed(config: &Value, private: &Private) -> Value {
        let bytes = scrub(config.to_string().as_bytes(), private).expect("JSON");
        serde_json::from_slice(&bytes).expect("JSON")
    }

    fn after_a_run() -> Value {
        json!({
            "username": "jo@example.org", "update-level": "10", "channel": "full", "environment": "live", "backup-dir": "/tmp/h/.wso2-updates",
            "product": { "pattern": "wso2am-4.1.0", "name": "wso2am", "version": "4.1.0", "backup": "/tmp/h/b", "backup-size": 7 },
            "service": { "url": "https://u", "token-url": "https://t", "app-key": "key", "access-token": "aaaa-1", "refresh-token": "bbbb-2" },
            "hotfixes": [{ "file": "/build/space/x.zip", "by": "jo@example.org", "seen": "Bearer aaaa-1", "n": 1 }]
        })
    }

    #[test]
    fn names_tokens_and_paths_go_and_the_rest_stays() {
        let mut private = Private::default();
        private.add("/build/space");
        private.add("jo@example.org");
        let expected = json!({
            "username": "", "update-level": "10", "channel": "full", "environment": "live", "backup-dir": "",
            "product": { "pattern": "wso2am-4.1.0", "name": "wso2am", "version": "4.1.0", "backup": "", "backup-size": 0 },
            "service": { "url": "https://u", "token-url": "https://t", "app-key": "key", "access-token": "", "refresh-token": "" },
            "hotfixes": [{ "file": "", "by": "", "seen": "", "n": 1 }]
        });
        assert_eq!(scrubbed(&after_a_run(), &private), expected);
    }

    #[test]
    fn the_older_generation_is_cleaned_too() {
        let config = json!({ "trial-subscription-id": "t", "username": "x", "services": { "wso2": { "enabled": true, "name": "n", "app-key": "k", "access-token": "a", "refresh-token": "r" } } });
        let expected = json!({ "trial-subscription-id": "t", "username": "", "services": { "wso2": { "enabled": true, "name": "n", "app-key": "k", "access-token": "", "refresh-token": "" } } });
        assert_eq!(scrubbed(&config, &Private::default()), expected);
        assert_eq!(tokens_in(config.to_string().as_bytes()), ["a", "r"]);
    }

    #[test]
    fn a_clean_file_keeps_its_bytes_and_order() {
        let clean = b"{ \"z\" : 1,\n \"a\": null, \"username\": \"\" }";
        assert_eq!(scrub(clean, &Private::default()).expect("JSON"), clean);
    }

    #[test]
    fn documented_fields_stay_even_where_a_password_is_part_of_them() {
        let mut private = Private::default();
        private.add("wso2am");
        private.add("https://u");
        let clean = scrubbed(&after_a_run(), &private);
        assert_eq!((&clean["product"]["name"], &clean["service"]["url"]), (&json!("wso2am"), &json!("https://u")));
        let undocumented = json!({ "hotfixes": [{ "name": "wso2am" }], "more": "see wso2am" });
        assert_eq!(scrubbed(&undocumented, &private), json!({ "hotfixes": [{ "name": "" }], "more": "" }));
    }

    #[test]
    fn hotfixes_that_are_filed_under_their_paths_stay_as_many() {
        let mut private = Private::default();
        private.add("/build/space");
        let config =
            json!({ "hotfixes": { "/build/space/x": { "n": 1 }, "#1": { "n": 2 }, "/build/space/y": { "n": 3 } } });
        let expected = json!({ "hotfixes": { "#2": { "n": 1 }, "#1": { "n": 2 }, "#3": { "n": 3 } } });
        assert_eq!(scrubbed(&config, &private).to_string(), expected.to_string());
    }

    #[test]
    fn a_token_that_another_one_hides_is_refused() {
        for twice in [
            r#"{ "service": { "access-token": "one", "access-token": "" } }"#,
            r#"{ "hotfixes": [[{ "\u0061": "one", "a": "" }]] }"#,
        ] {
            let refused = scrub(twice.as_bytes(), &Private::default()).expect_err(twice);
            assert!(refused.chain().concat().contains("twice"), "{:?}", refused.chain());
        }
        let once = br#"{ "a": { "a": [1, -1, 1.5, "a", null, true] }, "b": {} }"#;
        assert_eq!(scrub(once, &Private::default()).expect("each is there once"), once);
    }

    #[test]
    fn records_are_of_some_kilobytes() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("config.json");
        let file = File::create(&path).expect("created");
        file.set_len(LARGEST_RECORDS).expect("sparse");
        assert_eq!(read_records(&path).expect("small enough").len() as u64, LARGEST_RECORDS);
        file.set_len(1 << 40).expect("sparse");
        let error = read_records(&path).expect_err("a TiB would be in memory");
        assert!(error.to_string().ends_with("config.json is larger than 16 MiB"), "{error}");
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        assert!(scrub(b"{", &Private::default()).expect_err("no JSON").to_string().contains("as JSON"));
    }
}
