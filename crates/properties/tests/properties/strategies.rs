//! What is nearly right.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

use crate::raw_zip::{self, Entry};

const PRODUCT: &str = "wso2am-4.1.0";

/// A pack or a hotfix of a few entries, some of which say what they are not.
pub fn zip() -> impl Strategy<Value = Vec<u8>> {
    let small = (vec(entry(), 0..5), option::weighted(0.1, 0..9_u16), option::weighted(0.1, "[a-zP\u{1}]{1,9}"));
    small.prop_map(|(more, count, comment)| {
        let mut entries = vec![Entry::file(format!("{PRODUCT}/updates/product.txt"), PRODUCT.as_bytes())];
        entries.extend(more);
        match (count, comment) {
            (None, None) => raw_zip::zip(&entries),
            (count, comment) => {
                let is = entries.iter().filter(|entry| entry.in_directory).count();
                let count = count.unwrap_or_else(|| u16::try_from(is).expect("few"));
                raw_zip::zip_that_says(&entries, count, comment.unwrap_or_default().as_bytes())
            }
        }
    })
}

fn entry() -> impl Strategy<Value = Entry> {
    let name = vec(select(vec!["a", "A", "b", "..", ".", "", "c:", "x\\y", "\u{1b}", ".wh.a", "é", "e\u{301}"]), 1..4);
    let name = (name, any::<bool>())
        .prop_map(|(parts, ends)| format!("{PRODUCT}/{}{}", parts.join("/"), if ends { "/" } else { "" }));
    let plain = "[ab]/[ab](/[ab])?|[ab]".prop_map(|path| format!("{PRODUCT}/{path}"));
    let name = prop_oneof![1 => name, 4 => plain];
    let data = prop_oneof![vec(any::<u8>(), 0..9), "(\\.\\./|[ab]/|\\./){0,3}[ab.]{1,2}".prop_map(String::into_bytes)];
    let mode = select(vec![0o100_644, 0o100_644, 0o120_777, 0o120_777, 0o040_755, 0o104_755, 0o010_644, 0]);
    let method = prop_oneof![9 => Just(0_u16), 1 => select(vec![8_u16, 12, 99])];
    let size = option::weighted(0.1, prop_oneof![0..20_u32, Just(u32::MAX)]);
    let flags = prop_oneof![9 => Just(0_u16), 1 => any::<u16>()];
    (name, data, mode, method, size, flags, proptest::bool::weighted(0.95)).prop_map(
        |(name, data, mode, method, size, flags, in_directory)| {
            let is_link = mode == 0o120_777;
            let target = String::from_utf8_lossy(&data);
            let plain = if is_link { Entry::link(&name, &target) } else { Entry::file(name, &data) };
            Entry { mode, method, size: size.unwrap_or(plain.size), flags, in_directory, ..plain }
        },
    )
}

/// `wso2am-4.1.0.10-hf-1.zip`, and what people make of it.
pub fn name() -> impl Strategy<Value = String> {
    let name = "(wso2am|WSO2AM|wso2is|)-4\\.1\\.[01](\\.[0-9]{1,3})?([-_][a-z~.é]{0,3})?-?(hf|HF|Hf)-?0{0,3}[0-9]{0,11}\\.(zip|ZIP|tar)";
    let id = "[a-z-]{1,4}-[0-9]{1,2}(\\.[0-9]{0,2}){1,3}/hf-0{0,2}[0-9]{0,10}";
    prop_oneof![4 => name, 1 => id, 1 => "\\PC{0,20}"]
}

/// `host:1/part/part:tag@digest`, each part nearly right.
pub fn reference() -> impl Strategy<Value = String> {
    let host = "([a-zA-Z0-9-]{1,4}(\\.[a-z0-9-]{0,3})?(:[0-9]{0,5})?/)?";
    let path = "[a-z0-9]{1,3}([._-]{0,3}[a-z0-9A]{0,3}){0,2}(/[a-z0-9._-]{0,4}){0,2}";
    let end = "(:[a-zA-Z0-9_.-]{0,5})?(@sha256:[0-9a-f]{63,65}|@sha512:[0-9A-F]{128}|@[a-z0-9]{0,9})?";
    let user = "([a-z]{1,9}:[a-z0-9@]{0,12}@)?";
    let pattern = |text: String| proptest::string::string_regex(&text).expect("a pattern");
    prop_oneof![8 => pattern(format!("{host}{path}{end}")), 1 => pattern(format!("{user}{host}{path}"))]
}

/// JSON of any shape with the fields of a `config.json`, and what of it is private.
pub fn records() -> impl Strategy<Value = (String, Vec<String>)> {
    let text =
        select(vec!["jo@example.org", "/build/space", "/build/space/x.zip", "Bearer token-1", "jo", "", "10", "#1"]);
    let text = text.prop_map(|text| json!(text));
    let number = any::<i64>().prop_map(|number| json!(number));
    let leaf = prop_oneof![6 => text, 1 => number, 1 => Just(Value::Null), 1 => Just(json!(true))];
    let key = select(vec![
        "username",
        "access-token",
        "refresh-token",
        "backup-dir",
        "update-level",
        "name",
        "url",
        "hotfixes",
        "product",
        "backup",
        "backup-size",
        "services",
        "more",
        "/build/space/y",
        "jo@example.org",
        "token-1",
        "jo",
        "#1",
        "#2",
    ]);
    let value = leaf.prop_recursive(4, 24, 5, move |inner| {
        let fields = vec((key.clone(), inner.clone()), 0..5);
        let fields = fields.prop_map(|fields| fields.into_iter().map(|(key, value)| (key.to_owned(), value)));
        prop_oneof![1 => vec(inner, 0..4).prop_map(Value::Array), 4 => fields.prop_map(|f| Value::Object(Map::from_iter(f)))]
    });
    let private = vec(select(vec!["jo@example.org", "/build/space", "token-1", "jo", "#1", "#2"]), 0..4);
    let private = private.prop_map(|texts| texts.into_iter().map(str::to_owned).collect());
    (value.prop_map(|value| value.to_string()), private)
}

/// Lines of a `hotfix.toml`: any option with any value.
pub fn settings() -> impl Strategy<Value = String> {
    let key = select(vec![
        "tag",
        "env",
        "label",
        "push",
        "retries",
        "verbose",
        "base-image",
        "entrypoint",
        "step-timeout",
        "format",
        "pack",
        "platform",
        "password",
        "password-file",
        "config",
        "through",
        "tga",
        "max-unpacked-size",
        "\"\\u001b[2J\"",
    ]);
    let value = prop_oneof![
        "\"[a-z0-9:/.=@]{0,8}\"",
        "-?[0-9]{1,12}",
        "(true|false|1\\.5|0x1f|2024-01-01)",
        "\\[(\"[a-z=]{0,3}\"(,\"[a-z=]{0,3}\"){0,2})?\\]",
        "\\{ ([A-Z]{1,2}|\"=\") = (\"[a-z]{0,3}\"|true|1|\\[\\]) \\}",
        "\"\\\\u001b[a-z]{0,3}\"",
        "\\PC{0,6}",
    ];
    vec((key, value), 1..5).prop_map(|lines| lines.iter().map(|(key, value)| format!("{key} = {value}\n")).collect())
}

/// A manifest or an index with sizes and digests of any kind.
pub fn manifest() -> impl Strategy<Value = String> {
    let digest = prop_oneof!["sha256:[0-9a-f]{64}", "sha256:[0-9a-fA-F/.]{62,65}", "(latest|\\.\\./x|sha512:00|)"];
    let size = prop_oneof![any::<u64>(), Just(u64::MAX)];
    let platform = select(vec!["amd64", "arm64", "unknown"]);
    let descriptor = (digest, size, option::of(platform)).prop_map(|(digest, size, platform)| {
        let platform = platform.map(|architecture| json!({ "os": "linux", "architecture": architecture }));
        json!({ "mediaType": "x", "digest": digest, "size": size, "platform": platform })
    });
    let (one, some) = (descriptor.boxed(), |one: &BoxedStrategy<Value>| vec(one.clone(), 0..4));
    let index = some(&one).prop_map(|manifests| json!({ "schemaVersion": 2, "manifests": manifests }));
    let layers = some(&one);
    let image =
        (one, layers).prop_map(|(config, layers)| json!({ "schemaVersion": 2, "config": config, "layers": layers }));
    prop_oneof![index, image].prop_map(|answer| answer.to_string())
}
