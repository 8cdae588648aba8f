//! Settings in a file: `base-image = "…"` for `--base-image`.

use std::path::Path;

use hotfix_docker::files;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::options::{Kind, Options};
use super::problem;
use super::{Setting, Source};
use crate::step::Problem;

/// The text of the file at `path`. `origin` is who named it, `None` for the file that need not be there.
pub(super) fn text(path: &Path, origin: Option<&str>) -> Result<String, Problem> {
    let hint = "give a readable file of settings, or none";
    let origin = origin.map(|origin| format!("{origin}: ")).unwrap_or_default();
    // A link that leads nowhere was meant to lead somewhere.
    let is_nothing = || origin.is_empty() && std::fs::symlink_metadata(path).is_err();
    let bytes = match read_file(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && is_nothing() => return Ok(String::new()),
        bytes => bytes.map_err(|error| {
            Problem::new(format!("{origin}the file of settings {} cannot be read", path.display()), hint).because(error)
        })?,
    };
    String::from_utf8(bytes)
        .map_err(|_| Problem::new(format!("{origin}the file of settings {} is no text in UTF-8", path.display()), hint))
}

/// Of a pipe or a device nobody knows when it ends, but of the one that means nothing at all.
fn read_file(path: &Path) -> std::io::Result<Vec<u8>> {
    if path == Path::new("/dev/null") { Ok(Vec::new()) } else { files::read(path, files::SMALL) }
}

/// What the file sets, and what is wrong with it, from top to bottom.
pub(super) fn settings(shown: &str, text: &str, options: &Options) -> Vec<Result<Setting, Problem>> {
    let file = File { shown, text, options };
    let table = match DeTable::parse(text) {
        Ok(table) => table,
        // Its Display would show the line, which may hold what nobody should read.
        Err(error) => {
            let place = file.place(error.span().map_or(0, |span| span.start));
            return vec![Err(problem::at(&place, error.message(), "correct the TOML there"))];
        }
    };
    let mut entries: Vec<_> = table.get_ref().iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries.into_iter().map(|(key, value)| file.setting(&file.place(key.span().start), key.get_ref(), value)).collect()
}

struct File<'a> {
    shown: &'a str,
    text: &'a str,
    options: &'a Options,
}

/// Text of a value, and where it is.
type Word = (usize, String);

/// A value of a wrong type: where, and what it is.
struct Wrong(usize, &'static str);

impl File<'_> {
    /// `hotfix.toml:3:1`, lines and characters from 1.
    fn place(&self, at: usize) -> String {
        hotfix_environments::settings::place(self.shown, self.text, at)
    }

    fn setting(&self, place: &str, name: &str, value: &Spanned<DeValue<'_>>) -> Result<Setting, Problem> {
        let kind = self.options.kind(name).ok_or_else(|| problem::unknown(self.options, place, name))?;
        let wrong = |Wrong(at, found): Wrong| {
            let expected = format!("expected {}, found {found}", expected(kind));
            problem::mismatch(self.options, &self.place(at), name, None, &expected)
        };
        let arguments = match times(kind, value).map_err(wrong)? {
            Some(times) => vec![format!("--{name}"); times],
            None => {
                let words = words(kind, value).map_err(wrong)?;
                self.check_keys(kind, name, value)?;
                self.valued(name, words)?
            }
        };
        Ok(Setting { name: name.to_owned(), arguments, source: Source::File, place: place.to_owned() })
    }

    /// With a `=` in its key a pair would be another one: the first `=` is where the key ends.
    fn check_keys(&self, kind: Kind, name: &str, value: &Spanned<DeValue<'_>>) -> Result<(), Problem> {
        let (Kind::Pairs, DeValue::Table(table)) = (kind, value.get_ref()) else { return Ok(()) };
        match table.keys().find(|key| key.get_ref().contains('=')) {
            Some(key) => {
                let place = self.place(key.span().start);
                Err(problem::mismatch(self.options, &place, name, Some(key.get_ref()), "a key has no ="))
            }
            None => Ok(()),
        }
    }

    fn valued(&self, name: &str, words: Vec<Word>) -> Result<Vec<String>, Problem> {
        let checked = words.into_iter().map(|(at, word)| {
            let argument = format!("--{name}={word}");
            let checked = self.options.check(name, &argument);
            checked.map_err(|error| problem::refused(self.options, &self.place(at), name, &error))?;
            Ok(argument)
        });
        checked.collect()
    }
}

/// How often an option is given that has no value; `None` for those that have one.
fn times(kind: Kind, value: &Spanned<DeValue<'_>>) -> Result<Option<usize>, Wrong> {
    match (kind, value.get_ref()) {
        (Kind::Flag | Kind::Count, DeValue::Boolean(given)) => Ok(Some((*given).into())),
        (Kind::Count, DeValue::Integer(_)) => {
            let (at, number) = scalar(value)?;
            number.parse::<u8>().map(|times| Some(times.into())).map_err(|_| Wrong(at, "another number"))
        }
        (Kind::Flag | Kind::Count, _) => Err(wrong(value)),
        _ => Ok(None),
    }
}

fn words(kind: Kind, value: &Spanned<DeValue<'_>>) -> Result<Vec<Word>, Wrong> {
    match (kind, value.get_ref()) {
        (Kind::List | Kind::Pairs, DeValue::Array(items)) => items.iter().map(scalar).collect(),
        (Kind::Pairs, DeValue::Table(table)) => {
            let mut pairs: Vec<_> = table.iter().collect();
            pairs.sort_by_key(|(key, _)| key.span().start);
            let pair = |(key, value): (&Spanned<_>, _)| {
                Ok((key.span().start, format!("{}={}", key.get_ref(), scalar_or_truth(value)?.1)))
            };
            pairs.into_iter().map(pair).collect()
        }
        (Kind::Json, DeValue::Array(items)) => {
            let strings = items.iter().map(|item| Ok(scalar(item)?.1)).collect::<Result<Vec<_>, _>>()?;
            Ok(vec![(value.span().start, serde_json::Value::from(strings).to_string())])
        }
        _ => Ok(vec![scalar(value)?]),
    }
}

fn scalar(value: &Spanned<DeValue<'_>>) -> Result<Word, Wrong> {
    let word = match value.get_ref() {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(number) => i128::from_str_radix(number.as_str(), number.radix())
            .map_or_else(|_| number.as_str().to_owned(), |number| number.to_string()),
        _ => return Err(wrong(value)),
    };
    Ok((value.span().start, word))
}

/// What a variable or a label can be written as.
fn scalar_or_truth(value: &Spanned<DeValue<'_>>) -> Result<Word, Wrong> {
    match value.get_ref() {
        DeValue::Boolean(truth) => Ok((value.span().start, truth.to_string())),
        _ => scalar(value),
    }
}

fn wrong(value: &Spanned<DeValue<'_>>) -> Wrong {
    let found = match value.get_ref() {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or a time of day",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    };
    Wrong(value.span().start, found)
}

fn expected(kind: Kind) -> &'static str {
    match kind {
        Kind::Flag => "true or false",
        Kind::Count => "true, false or how many times (0 to 255)",
        Kind::One => "text or a whole number",
        Kind::Json => "a list of texts",
        Kind::List => "text or a list of texts",
        Kind::Pairs => r#"a table { KEY = "VALUE" }, or a list of "KEY=VALUE""#,
    }
}
