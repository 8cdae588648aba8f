//! Reading the file: every mistake is told with its place, and what was expected there.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Environment, Environments, Gate, LEDGER_TAG, LedgerPlace, did_you_mean, place, tag};
use crate::{Error, Result};

const TOP: [&str; 2] = ["ledger", "environments"];
const ENVIRONMENT: [&str; 5] = ["name", "image", "production", "synchronized-with", "gate"];
const GATE: [&str; 3] = ["verified", "soak", "approvals"];
const LIST_HINT: &str =
    "write one [[environments]] with name and image for each, in the order in which images go through them";

type Value<'a> = Spanned<DeValue<'a>>;

/// Parses `text`, which is called `shown` in messages; paths in it are from `folder`.
pub(super) fn parse(shown: &str, text: &str, folder: &Path) -> Result<Environments> {
    let file = File { shown, text };
    let table = DeTable::parse(text).map_err(|error| {
        file.wrong(error.span().map_or(0, |span| span.start), error.message(), "correct the TOML there")
    })?;
    let top = file.keys(table.get_ref(), &TOP)?;
    let Some(entries) = top.get("environments") else {
        return Err(file.wrong(0, "there are no environments", LIST_HINT));
    };
    let DeValue::Array(entries) = entries.get_ref() else {
        return Err(file.wrong(entries.span().start, "'environments' is no list of tables", LIST_HINT));
    };
    let mut list = Vec::new();
    for entry in entries.iter() {
        file.environment(entry, &mut list)?;
    }
    file.check(&list, entries)?;
    let ledger = match top.get("ledger") {
        Some(value) => {
            let place = file.text_of("ledger", value)?;
            LedgerPlace::parse(place, folder).map_err(|reason| file.invalid(value, "ledger", place, &reason))?
        }
        None => default_ledger(&list),
    };
    let environments = Environments { list, ledger };
    environments.check_ledger().map_err(|message| {
        let at = top.get("ledger").map_or(0, |value| value.span().start);
        file.wrong(at, &message, "give the ledger a tag of its own")
    })?;
    Ok(environments)
}

/// Beside the images of production.
fn default_ledger(list: &[Environment]) -> LedgerPlace {
    let production = list.iter().find(|environment| environment.is_production).or(list.last());
    let name = production.map(|environment| format!("{}:{LEDGER_TAG}", environment.image.name()));
    // The name is one already, and stays one with another tag.
    name.and_then(|name| name.parse().ok()).map_or_else(|| LedgerPlace::File(LEDGER_TAG.into()), LedgerPlace::Registry)
}

struct File<'a> {
    shown: &'a str,
    text: &'a str,
}

impl File<'_> {
    fn environment(&self, entry: &Value<'_>, list: &mut Vec<Environment>) -> Result<()> {
        let DeValue::Table(table) = entry.get_ref() else {
            return Err(self.wrong(entry.span().start, "an environment is a table", LIST_HINT));
        };
        let keys = self.keys(table, &ENVIRONMENT)?;
        let needed = |key: &str| {
            keys.get(key)
                .copied()
                .ok_or_else(|| self.wrong(entry.span().start, &format!("an environment without '{key}'"), LIST_HINT))
        };
        let (name_value, image_value) = (needed("name")?, needed("image")?);
        let name = self.text_of("name", name_value)?;
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        if name.is_empty() || !name.bytes().all(is_plain) {
            return Err(self.invalid(name_value, "name", name, "expected letters, digits, '-', '_' and '.'"));
        }
        if list.iter().any(|other| other.name == name) {
            return Err(self.invalid(name_value, "name", name, "another environment has it"));
        }
        let text = self.text_of("image", image_value)?;
        let image = tag(text).map_err(|reason| self.invalid(image_value, "image", text, &reason))?;
        if let Some(other) = list.iter().find(|other| other.image == image) {
            let reason = format!("it is what '{}' runs; each has a tag of its own", other.name);
            return Err(self.invalid(image_value, "image", text, &reason));
        }
        list.push(Environment {
            name: name.to_owned(),
            image,
            is_production: keys.get("production").map_or(Ok(false), |value| self.truth_of("production", value))?,
            synchronized_with: match keys.get("synchronized-with") {
                Some(value) => Some(self.text_of("synchronized-with", value)?.to_owned()),
                None => None,
            },
            gate: keys.get("gate").map_or(Ok(Gate::default()), |value| self.gate(value))?,
        });
        Ok(())
    }

    fn gate(&self, value: &Value<'_>) -> Result<Gate> {
        let DeValue::Table(table) = value.get_ref() else {
            return Err(self.expected(
                value,
                "gate",
                "a table such as { verified = true, soak = \"24h\", approvals = 1 }",
            ));
        };
        let keys = self.keys(table, &GATE)?;
        let mut gate = Gate::default();
        if let Some(value) = keys.get("verified") {
            gate.verified = self.truth_of("verified", value)?;
        }
        if let Some(value) = keys.get("soak") {
            let text = self.text_of("soak", value)?;
            gate.soak = duration(text)
                .ok_or_else(|| self.invalid(value, "soak", text, "expected a time such as 30m, 24h or 3d"))?;
        }
        if let Some(value) = keys.get("approvals") {
            let number = match value.get_ref() {
                DeValue::Integer(number) => u32::from_str_radix(number.as_str(), number.radix()).ok(),
                _ => None,
            };
            gate.approvals = number.ok_or_else(|| self.expected(value, "approvals", "a number of people"))?;
        }
        Ok(gate)
    }

    /// What can only be seen of all together.
    fn check(&self, list: &[Environment], entries: &toml::de::DeArray<'_>) -> Result<()> {
        if list.is_empty() {
            return Err(self.wrong(0, "there are no environments", LIST_HINT));
        }
        let place = |number: usize| entries.get(number).map_or(0, |entry| entry.span().start);
        let mut productions = list.iter().enumerate().filter(|(_, environment)| environment.is_production);
        match (productions.next(), productions.next()) {
            (None, _) => {
                return Err(self.wrong(
                    0,
                    "no environment is production",
                    "write production = true where customers are",
                ));
            }
            (_, Some((number, second))) => {
                let message = format!("'{}' is production as well; only one can be", second.name);
                return Err(self.wrong(place(number), &message, "leave production = true where customers are"));
            }
            (Some(_), None) => {}
        }
        for (number, environment) in list.iter().enumerate() {
            let Some(other) = &environment.synchronized_with else { continue };
            if *other == environment.name || !list.iter().any(|known| known.name == *other) {
                let message =
                    format!("'{}' is synchronized with '{other}', which is no other environment", environment.name);
                let names = list.iter().map(|known| known.name.as_str()).filter(|name| *name != environment.name);
                let hint =
                    did_you_mean(other, names).unwrap_or_else(|| "give the name of one of the others".to_owned());
                return Err(self.wrong(place(number), &message, &hint));
            }
        }
        Ok(())
    }

    /// The entries of a table, where it has no others.
    fn keys<'t, 'v>(&self, table: &'t DeTable<'v>, known: &[&str]) -> Result<BTreeMap<&'t str, &'t Value<'v>>> {
        let mut keys = BTreeMap::new();
        for (key, value) in table {
            if !known.contains(&key.get_ref().as_ref()) {
                let hint = did_you_mean(key.get_ref(), known.iter().copied());
                let hint = hint.unwrap_or_else(|| format!("keys here are {}", known.join(", ")));
                return Err(self.wrong(key.span().start, &format!("unknown key '{}'", key.get_ref()), &hint));
            }
            keys.insert(key.get_ref().as_ref(), value);
        }
        Ok(keys)
    }

    fn text_of<'v>(&self, key: &str, value: &'v Value<'_>) -> Result<&'v str> {
        match value.get_ref() {
            DeValue::String(text) => Ok(text),
            _ => Err(self.expected(value, key, "text")),
        }
    }

    fn truth_of(&self, key: &str, value: &Value<'_>) -> Result<bool> {
        match value.get_ref() {
            DeValue::Boolean(truth) => Ok(*truth),
            _ => Err(self.expected(value, key, "true or false")),
        }
    }

    fn expected(&self, value: &Value<'_>, key: &str, what: &str) -> Error {
        self.wrong(value.span().start, &format!("invalid value for '{key}': expected {what}"), "correct it there")
    }

    fn invalid(&self, value: &Value<'_>, key: &str, text: &str, reason: &str) -> Error {
        let shown = hotfix_docker::reference::without_password(text);
        self.wrong(value.span().start, &format!("invalid value '{shown}' for '{key}': {reason}"), "correct it there")
    }

    fn wrong(&self, at: usize, message: &str, hint: &str) -> Error {
        let place = place(self.shown, self.text, at);
        Error::Setting { place, message: message.to_owned(), hint: hint.to_owned() }
    }
}

/// A day has 24 hours here.
fn duration(text: &str) -> Option<Duration> {
    let span: jiff::Span = text.parse().ok()?;
    let duration = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).ok()?;
    duration.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"
[[environments]]
name = "dev"
image = "127.0.0.1:5000/am:dev"

[[environments]]
name = "preprod"
image = "127.0.0.1:5000/am:preprod"
synchronized-with = "prod"

[[environments]]
name = "prod"
image = "127.0.0.1:5001/live/am:prod"
production = true
gate = { verified = true, soak = "1d", approvals = 2 }
"#;

    fn parsed(text: &str) -> Result<Environments> {
        parse("environments.toml", text, Path::new("there"))
    }

    #[test]
    fn all_of_it_is_read() {
        let environments = parsed(WHOLE).expect("valid");
        let names: Vec<_> = environments.all().iter().map(|environment| environment.name.as_str()).collect();
        assert_eq!(names, ["dev", "preprod", "prod"]);
        let prod = environments.production().expect("one");
        assert_eq!(prod.gate, Gate { verified: true, soak: Duration::from_secs(86400), approvals: 2 });
        assert_eq!(environments.before(prod).len(), 2);
        let LedgerPlace::Registry(ledger) = &environments.ledger else { panic!("{:?}", environments.ledger) };
        assert_eq!(ledger.as_str(), "127.0.0.1:5001/live/am:hotfix-ledger");
    }

    #[test]
    fn a_ledger_can_be_a_file_beside_it() {
        let environments = parsed(&format!("ledger = \"file:ledger.jsonl\"\n{WHOLE}")).expect("valid");
        assert_eq!(environments.ledger, LedgerPlace::File("there/ledger.jsonl".into()));
    }

    #[test]
    fn mistakes_have_a_place_and_a_hint() {
        let one = |more: &str| format!("[[environments]]\nname = \"a\"\nimage = \"h.example/a:b\"\n{more}\n");
        for (text, place, message, hint) in [
            ("x = ", "1:5", "", "correct the TOML"),
            ("", "1:1", "there are no environments", "[[environments]]"),
            ("environments = 3", "1:16", "no list of tables", "[[environments]]"),
            (&one("imge = 3"), "4:1", "unknown key 'imge'", "did you mean 'image'?"),
            (&one("colour = 3"), "4:1", "unknown key 'colour'", "keys here are name, image"),
            (&one(""), "1:1", "no environment is production", "production = true"),
            (&one("production = 1"), "4:14", "expected true or false", "correct it"),
            (&one("gate = 1"), "4:8", "expected a table", "correct it"),
            (&one("gate = { soak = \"x\" }"), "4:17", "expected a time such as", "correct it"),
            (&one("gate = { soak = \"-1h\" }"), "4:17", "expected a time such as", "correct it"),
            (&one("gate = { approvals = -1 }"), "4:22", "a number of people", "correct it"),
            (&one("gate = { approval = 1 }"), "4:10", "unknown key 'approval'", "did you mean 'approvals'?"),
            (&one("production = true\nsynchronized-with = \"a\""), "1:1", "no other environment", "one of the others"),
            (&format!("{}{}", one("production = true"), one("")), "6:8", "another environment has it", "correct it"),
            ("[[environments]]\nname = \"a\"", "1:1", "without 'image'", "[[environments]]"),
            ("[[environments]]\nname = \"a b\"\nimage = \"a:b\"", "2:8", "expected letters", "correct it"),
            ("[[environments]]\nname = \"a\"\nimage = \"A\"", "3:9", "not an image reference", "correct it"),
            ("[[environments]]\nname = \"a\"\nimage = \"u:secret@h/A\"", "3:9", "'***@h/A'", "correct it"),
        ] {
            let error = parsed(text).expect_err(text);
            let shown = error.to_string();
            assert!(shown.starts_with(&format!("environments.toml:{place}: ")), "{text}: {shown}");
            assert!(shown.contains(message), "{text}: {shown}");
            assert!(error.hint().contains(hint), "{text}: {}", error.hint());
            assert!(!shown.contains("secret"), "{shown}");
        }
    }

    #[test]
    fn two_environments_have_two_tags() {
        let text = format!("{WHOLE}[[environments]]\nname = \"other\"\nimage = \"127.0.0.1:5000/am:dev\"\n");
        assert!(parsed(&text).expect_err("twice").to_string().contains("it is what 'dev' runs"));
    }

    #[test]
    fn an_unknown_name_is_told_with_the_nearest() {
        let environments = parsed(WHOLE).expect("valid");
        assert_eq!(environments.get("prd").expect_err("none").hint(), "did you mean 'prod'?");
        assert_eq!(environments.get("elsewhere").expect_err("none").hint(), "there are dev, preprod, prod");
        assert_eq!(environments.get("dev").expect("one").image.tag(), Some("dev"));
    }
}
