//! What can be set, read from the definition of the command line: a new option is covered by itself.

use std::collections::BTreeSet;

use clap::builder::Resettable;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, Command, CommandFactory};

use super::super::args::Cli;
use super::super::paths;

/// Options that are no settings: they end the run, or say where the settings are.
const NO_SETTINGS: [&str; 3] = ["help", "version", "config"];
/// Commands whose options are mostly no settings.
const OF_THE_MOMENT: [&str; 7] = ["env", "images", "state", "backup", "restore", "revert", "migrate"];
/// How alike two names must be for one to be meant by the other: half of the letters.
const ALIKE: f64 = 0.5;

/// Every option of every command by its long name.
pub(super) struct Options {
    /// The command of this run first.
    commands: Vec<Definition>,
}

/// A command, as it is and without what an option asks of others.
struct Definition {
    path: Vec<String>,
    strict: Command,
    lenient: Command,
}

/// What an option takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing: it is there or not.
    Flag,
    /// Nothing, and it can be there more than once.
    Count,
    /// One value.
    One,
    /// One value, a JSON array.
    Json,
    /// Any number of values.
    List,
    /// Any number of KEY=VALUE.
    Pairs,
}

impl Options {
    /// `path` is the command of this run, without the program's name.
    pub(super) fn new(path: &[&str]) -> Self {
        let strict = commands(Cli::command());
        let lenient = commands(with_each_option(checked(), |arg| arg.required(false).conflicts_with(none())));
        let pairs = strict.into_iter().zip(lenient);
        let definition = |((at, strict), (_, lenient)): ((Vec<String>, _), (_, _))| {
            (at != path, Definition { path: at, strict, lenient })
        };
        let mut commands: Vec<(bool, Definition)> = pairs.map(definition).collect();
        commands.sort_by_key(|(other, _)| *other);
        Self { commands: commands.into_iter().map(|(_, definition)| definition).collect() }
    }

    /// All names.
    pub(super) fn names(&self) -> BTreeSet<&str> {
        self.commands.iter().flat_map(Definition::settings).map(|(name, _)| name).collect()
    }

    /// Whether it is an option that is said each time, on the command line, and no setting: of any command.
    pub(super) fn is_of_the_moment(&self, name: &str) -> bool {
        !self.names().contains(name) && self.commands.iter().any(|definition| definition.has(name))
    }

    /// The same, of the command of this run.
    pub(super) fn is_of_this_moment(&self, name: &str) -> bool {
        self.is_of_the_moment(name) && self.commands.first().is_some_and(|definition| definition.has(name))
    }

    /// Whether the command of this run has the option.
    pub(super) fn apply_here(&self, name: &str) -> bool {
        self.commands.first().is_some_and(|definition| definition.option(name).is_some())
    }

    /// What the option takes; `None` where no command has it.
    pub(super) fn kind(&self, name: &str) -> Option<Kind> {
        let option = self.definition(name)?.option(name)?;
        let value_is = |text: &str| option.get_value_names().unwrap_or_default().iter().any(|name| name.contains(text));
        Some(match option.get_action() {
            ArgAction::SetTrue | ArgAction::SetFalse => Kind::Flag,
            ArgAction::Count => Kind::Count,
            ArgAction::Append if value_is("=") => Kind::Pairs,
            ArgAction::Append => Kind::List,
            _ if value_is("JSON") => Kind::Json,
            _ => Kind::One,
        })
    }

    /// Whether the command line would take `argument`, `--name=value`. Values for other commands are left to those: they may
    /// need what is not there now.
    pub(super) fn check(&self, name: &str, argument: &str) -> Result<(), clap::Error> {
        match self.probe(name, &[argument.to_owned()]) {
            Err(error) if self.apply_here(name) && error.kind() != ErrorKind::MissingRequiredArgument => Err(error),
            _ => Ok(()),
        }
    }

    /// Whether the command of this run takes a password.
    pub(super) fn take_password(&self) -> bool {
        let command = self.commands.first().map(|definition| &definition.strict);
        command.is_some_and(|command| command.get_positionals().any(|arg| arg.get_id() == "password"))
    }

    /// Names of the options that must be there where the option is given as `arguments`.
    pub(super) fn needs(&self, name: &str, arguments: &[String]) -> Vec<String> {
        let error = self.probe(name, arguments).err();
        match error.as_ref().and_then(|error| error.get(ContextKind::InvalidArg)) {
            Some(ContextValue::Strings(options)) => options.iter().filter_map(|text| long_name(text)).collect(),
            _ => Vec::new(),
        }
    }

    /// Whether a command has both and takes only one of them.
    pub(super) fn are_rivals(&self, one: &str, other: &str) -> bool {
        self.commands.iter().any(|definition| {
            let (Some(a), Some(b)) = (definition.option(one), definition.option(other)) else { return false };
            let refuses = |a: &Arg, b: &Arg| {
                definition.strict.get_arg_conflicts_with(a).iter().any(|rival| rival.get_id() == b.get_id())
            };
            refuses(a, b) || refuses(b, a)
        })
    }

    /// The name that is most like `wrong`, if any is.
    pub(super) fn nearest(&self, wrong: &str) -> Option<&str> {
        let wrong = wrong.to_lowercase().replace('_', "-");
        let likeness = |name: &&str| strsim::normalized_damerau_levenshtein(name, &wrong);
        let alike = self.names().into_iter().filter(|name| likeness(name) >= ALIKE);
        alike.max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
    }

    /// The argument without dashes that is called so, as help shows it: `PACK`.
    pub(super) fn positional(&self, name: &str) -> Option<String> {
        let positionals = self.commands.iter().flat_map(|definition| definition.strict.get_positionals());
        let mut shown = positionals.map(|arg| arg.get_id().as_str().to_uppercase());
        shown.find(|shown| shown.eq_ignore_ascii_case(&name.replace('-', "_")))
    }

    /// A command whose help describes the option: `hotfix apply`.
    pub(super) fn command_with(&self, name: &str) -> &str {
        let has_it =
            |definition: &&Definition| definition.strict.get_arguments().any(|arg| arg.get_long() == Some(name));
        let here = self.commands.first().filter(has_it);
        here.or_else(|| self.definition(name))
            .and_then(|definition| definition.strict.get_bin_name())
            .unwrap_or("hotfix")
    }

    fn definition(&self, name: &str) -> Option<&Definition> {
        self.commands.iter().find(|definition| definition.option(name).is_some())
    }

    fn probe(&self, name: &str, arguments: &[String]) -> Result<(), clap::Error> {
        let Some(definition) = self.definition(name) else { return Ok(()) };
        definition.lenient.clone().no_binary_name(true).try_get_matches_from(arguments).map(drop)
    }
}

impl Definition {
    fn settings(&self) -> impl Iterator<Item = (&str, &Arg)> {
        self.strict.get_arguments().filter_map(|arg| Some((setting_name(&self.path, arg)?, arg)))
    }

    fn has(&self, name: &str) -> bool {
        !NO_SETTINGS.contains(&name) && self.strict.get_arguments().any(|arg| arg.get_long() == Some(name))
    }

    fn option(&self, name: &str) -> Option<&Arg> {
        self.settings().find(|(setting, _)| *setting == name).map(|(_, arg)| arg)
    }
}

/// The long name of an option of the command at `path` that can be set. With environments, images and servers, what is done to which is
/// said each time, and its options are named as others' are; where and how is in those with a heading.
pub(super) fn setting_name<'a>(path: &[impl AsRef<str>], arg: &'a Arg) -> Option<&'a str> {
    let is_of_the_moment = path.first().is_some_and(|command| OF_THE_MOMENT.contains(&command.as_ref()));
    let is_setting = !is_of_the_moment || arg.get_help_heading().is_some();
    arg.get_long().filter(|name| is_setting && !NO_SETTINGS.contains(name))
}

/// `base-image` of `--base-image <REF>`.
pub(super) fn long_name(shown: &str) -> Option<String> {
    let name = shown.strip_prefix("--")?;
    Some(name.split([' ', '=', '[']).next().unwrap_or(name).to_owned())
}

/// The definition of the command line, with paths looked at as they are given.
pub(super) fn checked() -> Command {
    with_each_option(Cli::command(), paths::checked)
}

/// What takes a relation between options away.
pub(super) fn none() -> Resettable<clap::Id> {
    Resettable::Reset
}

/// The command with every option of it and of its subcommands changed.
pub(super) fn with_each_option(command: Command, change: fn(Arg) -> Arg) -> Command {
    command.mut_args(change).mut_subcommands(|command| with_each_option(command, change))
}

/// Commands that can be run, with how they are called.
fn commands(mut root: Command) -> Vec<(Vec<String>, Command)> {
    root.build();
    let mut found = Vec::new();
    let mut open = vec![(Vec::new(), &root)];
    while let Some((path, command)) = open.pop() {
        let inner = command.get_subcommands().filter(|inner| inner.get_name() != "help");
        let inner: Vec<_> =
            inner.map(|inner| ([path.clone(), vec![inner.get_name().to_owned()]].concat(), inner)).collect();
        if inner.is_empty() {
            found.push((path, command.clone()));
        }
        open.extend(inner.into_iter().rev());
    }
    found
}
