//! The update tool's `config.json`: what it records, and what of it must not reach an image.

use hotfix_pipeline::pack::Records;
use hotfix_pipeline::scrub::{Private, scrub, tokens_in};
use serde_json::Value;

use crate::assert_well_said;

const BLANKED: [&str; 4] = ["access-token", "refresh-token", "username", "backup-dir"];
const DOCUMENTED: [&str; 9] =
    ["update-level", "channel", "environment", "pattern", "name", "version", "url", "token-url", "app-key"];
/// A shorter text stands in other words.
const SHORTEST_PART: usize = 6;

/// The first line has what is private, with spaces between; the rest is the file.
pub fn check(data: &[u8]) {
    let line = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (line, config) = data.split_at(line);
    let line = String::from_utf8_lossy(line);
    let private: Vec<&str> = line.split(' ').filter(|text| !text.is_empty()).collect();
    check_scrubbed(config, &private);
}

/// What is private is gone, what is recorded is not, and a second time nothing is left to do.
pub fn check_scrubbed(config: &[u8], private: &[&str]) {
    let mut texts = Private::default();
    private.iter().for_each(|text| texts.add(*text));
    let clean = match scrub(config, &texts) {
        Ok(clean) => clean,
        Err(problem) => return assert_well_said(&problem),
    };
    let parsed: Value = serde_json::from_slice(&clean).expect("what was JSON is JSON");
    let tokens = tokens_in(config);
    let private: Vec<&str> = private.iter().copied().chain(tokens.iter().map(String::as_str)).collect();
    assert_blank(&parsed, &private, true);
    assert_not_in_text(&clean, &parsed, &private);
    assert_eq!(Records::read(&clean).ok(), Records::read(config).ok(), "records were changed");
    private.iter().for_each(|text| texts.add(*text));
    assert_eq!(scrub(&clean, &texts).expect("it is JSON"), clean, "a second time something is left to do");
    assert!(tokens_in(&clean).is_empty());
}

fn assert_blank(value: &Value, private: &[&str], documented: bool) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let documented = documented && key != "hotfixes";
                let is_blanked = BLANKED.contains(&key.as_str());
                assert!(!is_blanked || value.is_null() || *value == "", "{key:?} is {value}");
                assert!(!is_private(key, private) || is_known(key), "the name of a field {key:?}");
                if !(documented && DOCUMENTED.contains(&key.as_str()) && value.is_string()) {
                    assert_blank(value, private, documented);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| assert_blank(item, private, documented)),
        Value::String(text) => assert!(!is_private(text, private), "{text:?} is private"),
        _ => {}
    }
}

/// Names of fields that everybody's file has say nothing of anybody.
fn is_known(key: &str) -> bool {
    ["hotfixes", "product", "service", "services", "backup", "backup-size"].contains(&key)
        || BLANKED.contains(&key)
        || DOCUMENTED.contains(&key)
}

fn is_private(text: &str, private: &[&str]) -> bool {
    private.iter().any(|part| text == *part || part.len() >= SHORTEST_PART && text.contains(part))
}

/// Not even where no reader of JSON would see it.
fn assert_not_in_text(clean: &[u8], parsed: &Value, private: &[&str]) {
    let text = String::from_utf8_lossy(clean);
    let compact = parsed.to_string();
    // Letters that are written as `\u0061` are others when they are counted.
    if text.contains('\\') {
        return;
    }
    // Numbers are written in more than one way.
    let is_word = |part: &str| {
        part.bytes().all(|b| b.is_ascii_alphanumeric())
            && part.bytes().any(|b| b.is_ascii_alphabetic() && !b.eq_ignore_ascii_case(&b'e'))
    };
    for part in private.iter().filter(|part| part.len() >= SHORTEST_PART && is_word(part)) {
        let seen = compact.matches(part).count();
        assert!(text.matches(part).count() <= seen, "{part:?} is where no reader sees it");
    }
}
