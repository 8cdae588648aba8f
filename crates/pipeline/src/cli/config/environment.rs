//! Settings in the environment: `HOTFIX_BASE_IMAGE` for `--base-image`.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::options::{Kind, Options};
use super::problem;
use super::{Setting, Source};
use crate::credentials::{PASSWORD_VARIABLE, USERNAME_VARIABLE};
use crate::step::Problem;

const PREFIX: &str = "HOTFIX_";
const FLAG: &str = "expected true or false (1 or 0, yes or no)";
/// Variables of other programs' making that say what an option says. They too are stronger than a file.
const SAME_AS: [(&str, &str); 4] = [
    ("username", USERNAME_VARIABLE),
    ("password-file", PASSWORD_VARIABLE),
    ("password-stdin", PASSWORD_VARIABLE),
    ("color", "NO_COLOR"),
];

/// The variables of the environment. What is empty is not there: an unset variable of a pipeline is.
pub(super) struct Environment(BTreeMap<String, OsString>);

impl Environment {
    pub(super) fn new(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let named = variables.into_iter().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
        Self(named.filter(|(_, value)| !value.is_empty()).collect())
    }

    /// The value of an option's variable.
    pub(super) fn get(&self, option: &str) -> Option<&OsString> {
        self.0.get(&variable(option))
    }

    /// What the variables set, and what is wrong with them.
    pub(super) fn settings(&self, options: &Options) -> Vec<Result<Setting, Problem>> {
        let mut settings: Vec<_> =
            options.names().into_iter().filter_map(|name| Some(setting(options, name, self.get(name)?))).collect();
        if self.get("password").is_some() {
            settings.push(Err(problem::password(&variable("password"))));
        }
        // They say nothing to the command line: who reads them does so anyway.
        let stand_ins = SAME_AS.iter().filter(|(_, variable)| self.0.contains_key(*variable));
        settings.extend(stand_ins.map(|(name, variable)| {
            let (name, place) = ((*name).to_owned(), (*variable).to_owned());
            Ok(Setting { name, arguments: Vec::new(), source: Source::Environment, place })
        }));
        settings
    }

    /// Warnings about variables that nobody reads and that are, or look like, one of ours.
    pub(super) fn mistyped(&self, options: &Options) -> Vec<String> {
        let known = || options.names().into_iter().chain(["config"]).map(variable);
        let ours = self.0.keys().filter(|name| name.starts_with(PREFIX) && !known().any(|known| known == **name));
        let meant = |name: &String| {
            known().map(|known| (distance(name, &known), known)).min().filter(|(far, known)| {
                // A short name is soon like another one by chance.
                *far <= 2 && far * 3 <= known.len() - PREFIX.len()
            })
        };
        let warning = |name: &String| {
            let option = name[PREFIX.len()..].to_lowercase().replace('_', "-");
            if options.is_of_this_moment(&option) {
                return Some(format!("{name} is not read: give --{option} on the command line"));
            }
            meant(name).map(|(_, known)| format!("{name} is not read: did you mean {known}?"))
        };
        ours.filter_map(warning).collect()
    }
}

/// Whether the variable `name` is of other programs' making: it says what options say, and sets none.
pub(super) fn is_of_others(name: &str) -> bool {
    SAME_AS.iter().any(|(_, variable)| *variable == name)
}

/// The variable of an option.
pub(super) fn variable(option: &str) -> String {
    format!("{PREFIX}{}", option.to_uppercase().replace('-', "_"))
}

fn distance(one: &str, other: &str) -> usize {
    strsim::osa_distance(one, other)
}

fn setting(options: &Options, name: &str, value: &OsString) -> Result<Setting, Problem> {
    let place = variable(name);
    let refuse = |expected: &str| problem::mismatch(options, &place, name, Some(&value.to_string_lossy()), expected);
    let text = value.to_str().ok_or_else(|| refuse("expected text in UTF-8"))?;
    let kind = options.kind(name).unwrap_or(Kind::One);
    let arguments = match kind {
        Kind::Flag => vec![format!("--{name}"); truth(text).ok_or_else(|| refuse(FLAG))?.into()],
        Kind::Count => {
            let times = text.parse::<u8>().ok().or_else(|| truth(text).map(u8::from));
            let times = times.ok_or_else(|| refuse("expected true, false or how many times (0 to 255)"))?;
            vec![format!("--{name}"); times.into()]
        }
        Kind::One | Kind::Json => vec![format!("--{name}={text}")],
        Kind::List | Kind::Pairs => {
            // Indented in a pipeline's file; a value may end with a space.
            let lines = text.lines().map(|line| if kind == Kind::List { line.trim() } else { line.trim_start() });
            lines.filter(|line| !line.is_empty()).map(|line| format!("--{name}={line}")).collect()
        }
    };
    for argument in &arguments {
        options.check(name, argument).map_err(|error| problem::refused(options, &place, name, &error))?;
    }
    Ok(Setting { name: name.to_owned(), arguments, source: Source::Environment, place })
}

fn truth(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "true" | "1" | "yes" => Some(true),
        "false" | "0" | "no" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_is_refused_where_it_is_read() {
        use std::os::unix::ffi::OsStringExt;
        let environment = Environment::new([
            ("HOTFIX_REPORT".into(), OsString::from_vec(vec![b'a', 0xff])),
            (OsString::from_vec(vec![0xff]), "x".into()),
        ]);
        let settings = environment.settings(&Options::new(&["plan"]));
        let [Err(problem)] = settings.as_slice() else { panic!("one problem and nothing else") };
        assert!(problem.to_string().ends_with("for 'report': expected text in UTF-8"), "{problem}");
    }
}
