//! What a wrong setting is told, the same from every source: where, which key, what was expected, what to do next.

use clap::error::{ContextKind, ContextValue, ErrorKind};

use hotfix_docker::reference::without_password;

use super::options::{Options, long_name};
use crate::credentials::PASSWORD_VARIABLE;
use crate::pack::printable;
use crate::step::Problem;

/// A key that no command has.
pub(super) fn unknown(options: &Options, place: &str, name: &str) -> Problem {
    if name == "password" {
        return password(place);
    }
    let hint = match (options.positional(name), options.nearest(name)) {
        _ if name == "config" => "give it as --config or HOTFIX_CONFIG: a file cannot name another one".to_owned(),
        _ if options.is_of_the_moment(name) => {
            format!("give --{name} on the command line: it is said each time, and is no setting")
        }
        (Some(positional), _) => format!("give {positional} on the command line: it is no option"),
        (None, Some(nearest)) => format!("did you mean '{nearest}'?"),
        (None, None) => "keys are the long names of options: see 'hotfix apply --help'".to_owned(),
    };
    at(place, &format!("unknown key '{name}'"), hint)
}

/// A password where many can read it.
pub(super) fn password(place: &str) -> Problem {
    let hint = format!("put it into a file and set 'password-file', or into the variable {PASSWORD_VARIABLE}");
    at(place, "a password is never a setting", hint)
}

/// A value of a wrong type.
pub(super) fn mismatch(options: &Options, place: &str, name: &str, shown: Option<&str>, expected: &str) -> Problem {
    let shown = shown.map(|value| format!(" '{value}'")).unwrap_or_default();
    at(place, &format!("invalid value{shown} for '{name}': {expected}"), correct_it(options, name))
}

/// A value that the command line would not take either.
pub(super) fn refused(options: &Options, place: &str, name: &str, error: &clap::Error) -> Problem {
    let value = without_password(&text_of(error, ContextKind::InvalidValue).unwrap_or_default());
    let expected = one_of(error).unwrap_or_else(|| match std::error::Error::source(error) {
        Some(reason) => reason.to_string(),
        None => "expected a value".to_owned(),
    });
    let hint = meant(error).unwrap_or_else(|| correct_it(options, name));
    at(place, &format!("invalid value '{value}' for '{name}': {expected}"), hint)
}

/// What clap says of the command line, or of the command line with `places` that set more.
pub(super) fn command_line(options: &Options, error: &clap::Error, places: &[&str]) -> Problem {
    if let Some(problem) = surplus(options, error) {
        return problem;
    }
    let rendered = error.render().to_string();
    let first = rendered.split("\n\n").next().unwrap_or(&rendered);
    let mut message = first.trim_start_matches("error: ").lines().map(str::trim).collect::<Vec<_>>().join(" ");
    if let Some(ContextValue::String(value)) = error.get(ContextKind::InvalidValue) {
        message = message.replace(value.as_str(), &without_password(value));
    }
    if let Some(expected) = one_of(error) {
        let said = message.split(" [possible values").next().unwrap_or(&message);
        message = format!("{said}: {expected}");
    }
    let place = [&["command line"], places].concat().join(", ");
    let usage = || text_of(error, ContextKind::Usage).map(|usage| usage.trim_start_matches("Usage: ").to_owned());
    let option = || text_of(error, ContextKind::InvalidArg).and_then(|shown| long_name(&shown));
    let hint = meant(error)
        .or_else(|| text_of(error, ContextKind::Suggested).filter(|_| error.kind() != ErrorKind::UnknownArgument))
        .or_else(|| usage().map(|usage| format!("{usage}; --help says more")))
        .or_else(|| option().map(|option| correct_it(options, &option)));
    at(&place, &message, hint.unwrap_or_else(|| "see 'hotfix --help'".to_owned()))
}

/// Of a command that takes a password, one word too many: it can be the password, where another was to be in quotes.
fn surplus(options: &Options, error: &clap::Error) -> Option<Problem> {
    let word = text_of(error, ContextKind::InvalidArg).filter(|_| error.kind() == ErrorKind::UnknownArgument)?;
    let is_letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    // Of a word with one dash, clap names the first letter.
    let is_letter_option = word.starts_with('-') && word.chars().count() == 2;
    let is_option = is_letter_option
        || word
            .strip_prefix("--")
            .is_some_and(|name| name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(is_letter));
    if is_option || !options.take_password() {
        return None;
    }
    let message = "there is a word too many, which is not shown, since it can be the password";
    let hint = "put quotes around a path with a space in it; after PACK, HOTFIX_DIR, USERNAME and PASSWORD there are options only, \
                and a password that begins with a dash is given by --password-file";
    Some(at("command line", message, hint))
}

/// Something that is wrong at `place`. Keys and values can hold what would fool a terminal.
pub(super) fn at(place: &str, message: &str, hint: impl AsRef<str>) -> Problem {
    Problem::new(printable(&format!("{place}: {message}")), printable(hint.as_ref()))
}

fn correct_it(options: &Options, name: &str) -> String {
    format!("correct it there; '{} --help' describes --{name}", options.command_with(name))
}

fn meant(error: &clap::Error) -> Option<String> {
    let kinds = [ContextKind::SuggestedArg, ContextKind::SuggestedValue, ContextKind::SuggestedSubcommand];
    kinds.into_iter().find_map(|kind| text_of(error, kind)).map(|text| format!("did you mean '{text}'?"))
}

/// The values of an option that has only so many.
fn one_of(error: &clap::Error) -> Option<String> {
    let Some(ContextValue::Strings(values)) = error.get(ContextKind::ValidValue) else { return None };
    let (last, others) = values.split_last()?;
    Some(if others.is_empty() {
        format!("expected {last}")
    } else {
        format!("expected {} or {last}", others.join(", "))
    })
}

/// A part of an error as one line.
fn text_of(error: &clap::Error, kind: ContextKind) -> Option<String> {
    let text = match error.get(kind)? {
        ContextValue::String(text) => text.clone(),
        ContextValue::Strings(texts) => texts.first()?.clone(),
        ContextValue::StyledStr(text) => text.to_string(),
        ContextValue::StyledStrs(texts) => texts.first()?.to_string(),
        _ => return None,
    };
    Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
}
