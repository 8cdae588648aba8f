//! The command line, completed from the environment and from `hotfix.toml`.
//!
//! A setting becomes the argument that the user could have typed, so that its meaning, its checks and its type are those
//! of the option, and nothing is said twice.

mod environment;
mod file;
mod options;
mod problem;
mod settle;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{ArgMatches, Command, CommandFactory, FromArgMatches, Parser};

use super::args::{Cli, Talk};
use crate::source::IMAGE_PREFIX;
use crate::step::Problem;
use environment::{Environment, variable};
use options::Options;
use settle::Settled;

/// The file that is read where none is named.
const DEFAULT_FILE: &str = "hotfix.toml";

/// Options that say how to talk.
const TALK: [&str; 5] = ["verbose", "quiet", "log-format", "color", "format"];

/// A value of an option from elsewhere than the command line.
#[derive(Clone)]
struct Setting {
    /// The option's long name.
    name: String,
    /// What the user could have typed; nothing for a flag that is off and for an empty list.
    arguments: Vec<String>,
    source: Source,
    /// Where it is, as messages show it.
    place: String,
}

impl Setting {
    fn says_something(&self) -> bool {
        !self.arguments.is_empty()
    }
}

/// Where a setting comes from, beside the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Environment,
    File,
}

/// How a file of settings is read for `hotfix apply`.
pub struct SettingsFile(Options);

impl SettingsFile {
    /// With the options as they are.
    pub fn of_apply() -> Self {
        Self(Options::new(&["apply"]))
    }

    /// What each key in `text`, of the file that is `shown` in messages, stands for on the command line; or what is wrong with it.
    pub fn read(&self, shown: &str, text: &str) -> Vec<Result<Vec<String>, Problem>> {
        file::settings(shown, text, &self.0).into_iter().map(|setting| Ok(setting?.arguments)).collect()
    }
}

/// The whole command line, and what is to be said of its making.
pub(super) struct Complete {
    /// What the user wants.
    pub(super) cli: Cli,
    /// Warnings.
    pub(super) warnings: Vec<String>,
    /// Which option was set where, and which did not count.
    pub(super) origins: Vec<String>,
}

/// Why there is no command line.
pub(super) enum Refusal {
    /// The user asked for help or the version, or needs it.
    Help(Box<clap::Error>),
    /// Something is wrong.
    Wrong(Box<Misuse>),
}

/// What is wrong, and who is to be told.
pub(super) struct Misuse {
    /// How to say so.
    pub(super) talk: Talk,
    /// What is wrong.
    pub(super) problem: Problem,
    /// Where there was to be a run that makes an image, the folder for its report, if any.
    pub(super) run: Option<Option<PathBuf>>,
}

/// The command line `arguments`, completed.
pub(super) fn complete(
    arguments: impl IntoIterator<Item = OsString>,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Complete, Refusal> {
    let typed: Vec<OsString> = arguments.into_iter().collect();
    let environment = Environment::new(variables);
    let matches = partial().try_get_matches_from(&typed).map_err(|error| refusal(&typed, &environment, error))?;
    let (path, innermost) = innermost(&matches);
    let options = Options::new(&path);
    let given = given(&path, innermost);
    let (settings, problems) = settings(&matches, &environment, &options);
    let wrong = |problem: Problem, settings: &[Setting]| misuse(&typed, settings, problem);
    if let Some(problem) = problems.into_iter().next() {
        return Err(wrong(problem, &settle::strongest(settings, &given, &options)));
    }
    // Also what is wrong among the settings is said, and reported, as the others ask for.
    let strongest = settle::strongest(settings.clone(), &given, &options);
    let Settled { held: settled, dropped } =
        settle::settle(settings, &given, &options).map_err(|problem| wrong(problem, &strongest))?;
    let cli = parse(&with(&typed, &settled)).map_err(|error| {
        // Only where the command line is right by itself can a setting have to do with it.
        let alone = parse(&typed).err();
        let places: Vec<&str> = settled.iter().map(|setting| setting.place.as_str()).collect();
        let places = if alone.is_some() { Vec::new() } else { places };
        wrong(problem::command_line(&options, &alone.unwrap_or(error), &places), &settled)
    })?;
    let set_elsewhere = settled.iter().map(|setting| setting.name.clone()).collect();
    let cli = Cli { set_elsewhere, ..cli };
    let origins = settled.iter().filter(|setting| !environment::is_of_others(&setting.place));
    let origins = origins.map(|setting| format!("--{} is set by {}", setting.name, setting.place));
    let origins = origins.chain(dropped).collect();
    Ok(Complete { cli, warnings: environment.mistyped(&options), origins })
}

/// What a command line says that is complete.
fn parse(words: &[OsString]) -> Result<Cli, clap::Error> {
    let cli = Cli::try_parse_from(words)?;
    // Clap asks for no option that would not go with another one that is given, and what needed it would be without effect.
    let without_rivals = options::with_each_option(Cli::command(), |arg| arg.conflicts_with(options::none()));
    without_rivals.try_get_matches_from(words).map(|_| cli)
}

/// The definition of a command line that the settings will complete.
fn partial() -> Command {
    options::with_each_option(options::checked(), |arg| arg.requires(options::none()))
}

fn refusal(typed: &[OsString], environment: &Environment, error: clap::Error) -> Refusal {
    use clap::error::ErrorKind::{DisplayHelp, DisplayHelpOnMissingArgumentOrSubcommand, DisplayVersion};
    match error.kind() {
        DisplayHelp | DisplayVersion | DisplayHelpOnMissingArgumentOrSubcommand => Refusal::Help(Box::new(error)),
        _ => {
            let matches = forgiving(typed).unwrap_or_default();
            let options = Options::new(&innermost(&matches).0);
            let settings = settings(&matches, environment, &options).0;
            misuse(typed, &settings, problem::command_line(&options, &error, &[]))
        }
    }
}

fn misuse(typed: &[OsString], settings: &[Setting], problem: Problem) -> Refusal {
    let is_run = forgiving(typed).is_some_and(|matches| innermost(&matches).0 == ["apply"]);
    let is_written = is_run && !typed.iter().any(|word| word == "--dry-run");
    let run =
        is_written.then(|| given_on(typed, "--report").or_else(|| value_of(settings, "report")).map(PathBuf::from));
    Refusal::Wrong(Box::new(Misuse { talk: talk(typed, settings), problem, run }))
}

/// The value of an option on a command line that is read only as far as it is right.
fn given_on(typed: &[OsString], option: &str) -> Option<OsString> {
    let mut words = typed.iter().take_while(|word| *word != "--");
    while let Some(word) = words.next() {
        match word.to_str().and_then(|word| word.strip_prefix(option)) {
            Some("") => return words.next().cloned(),
            Some(value) if value.starts_with('=') => return Some(value[1..].into()),
            _ => {}
        }
    }
    None
}

fn value_of(settings: &[Setting], name: &str) -> Option<OsString> {
    let setting = settings.iter().find(|setting| setting.name == name)?;
    setting.arguments.last()?.split_once('=').map(|(_, value)| value.into())
}

/// The command of this run, by names from the outside in, and what was given to it.
fn innermost(matches: &ArgMatches) -> (Vec<&str>, &ArgMatches) {
    let (mut path, mut here) = (Vec::new(), matches);
    while let Some((name, inner)) = here.subcommand() {
        path.push(name);
        here = inner;
    }
    (path, here)
}

/// Long names of the options on the command line.
fn given(path: &[&str], matches: &ArgMatches) -> BTreeSet<String> {
    let mut root = Cli::command();
    root.build();
    let command = path.iter().fold(&root, |command, name| command.find_subcommand(name).unwrap_or(command));
    let given = command
        .get_arguments()
        .filter(|arg| matches.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine));
    // PACK as an image is both pack and `--from-image`, and what is no match for that is none for it.
    let is_image = |pack: &PathBuf| pack.to_str().is_some_and(|pack| pack.starts_with(IMAGE_PREFIX));
    let pack = matches.try_get_one::<PathBuf>("pack").ok().flatten();
    let from_image = pack.is_some_and(is_image).then(|| "from-image".to_owned());
    given.filter_map(|arg| options::setting_name(path, arg)).map(str::to_owned).chain(from_image).collect()
}

/// Settings from everywhere, the stronger first, and what is wrong with others.
fn settings(matches: &ArgMatches, environment: &Environment, options: &Options) -> (Vec<Setting>, Vec<Problem>) {
    let mut read = environment.settings(options);
    let (path, origin) = match (matches.get_one::<PathBuf>("config"), environment.get("config")) {
        (Some(path), _) => (path.clone(), Some("command line".to_owned())),
        (None, Some(path)) => (path.into(), Some(variable("config"))),
        (None, None) => (DEFAULT_FILE.into(), None),
    };
    match file::text(Path::new(&path), origin.as_deref()) {
        Ok(text) => read.extend(file::settings(&path.display().to_string(), &text, options)),
        Err(problem) => read.push(Err(problem)),
    }
    let (mut settings, mut problems) = (Vec::new(), Vec::new());
    for result in read {
        match result {
            Ok(setting) => settings.push(setting),
            Err(problem) => problems.push(problem),
        }
    }
    (settings, problems)
}

/// The command line with what `settings` say, before the `--` that ends the options.
fn with(typed: &[OsString], settings: &[Setting]) -> Vec<OsString> {
    let end = typed.iter().position(|argument| argument == "--").unwrap_or(typed.len());
    let (options, rest) = typed.split_at(end);
    let more = settings.iter().flat_map(|setting| &setting.arguments).map(OsString::from);
    options.iter().cloned().chain(more).chain(rest.iter().cloned()).collect()
}

/// How to say that something is wrong, from what is right.
fn talk(typed: &[OsString], settings: &[Setting]) -> Talk {
    // Of every command, and first: what is wrong ends the reading.
    let talks = |setting: &&Setting| TALK.contains(&setting.name.as_str());
    let more = settings.iter().filter(talks).flat_map(|setting| &setting.arguments).map(OsString::from);
    let (program, rest) = typed.split_at(typed.len().min(1));
    let words: Vec<OsString> = program.iter().cloned().chain(more).chain(rest.iter().cloned()).collect();
    let matches = forgiving(&words);
    matches.and_then(|matches| Talk::from_arg_matches(&matches).ok()).unwrap_or_default()
}

/// What can be understood of a command line that is wrong.
fn forgiving(arguments: &[OsString]) -> Option<ArgMatches> {
    let command = options::with_each_option(partial(), |arg| arg.required(false).conflicts_with(options::none()));
    command.ignore_errors(true).try_get_matches_from(arguments).ok()
}
