//! The command line, from arguments to exit code. All printing is here.

mod args;
mod cache;
mod cache_args;
mod config;
mod env;
mod env_args;
mod github;
mod image_args;
mod images;
mod output;
mod paths;
mod progress;
mod server;
mod server_args;
mod server_image;
mod shell;
mod warnings;

use std::ffi::OsString;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use bytesize::ByteSize;
use secrecy::ExposeSecret;
use tracing::{debug, info, warn};

use crate::blocking::unless_cancelled;
use crate::credentials::{self, CredentialSources, Credentials, Missing};
use crate::inputs::{check_written_folders, hint_for};
use crate::inspect::inspect;
use crate::interrupt::{Interrupt, Signal};
use crate::pack::printable;
use crate::pipeline;
use crate::plan::{CredentialState, Plan};
use crate::recorder::Recorder;
use crate::report::Report;
use crate::request::{Request, ToolCredentials};
use crate::step::{DEFECT, DONE, Failure, Problem, Step, TIMED_OUT, USAGE};
use crate::stragglers;
use crate::unchanged::Comparison;

use args::{Apply, Cli, Command, Format};
pub use config::SettingsFile;
use config::{Complete, Misuse, Refusal};

/// Threads that still work when everything is decided get this long.
const LAST_CALL: Duration = Duration::from_millis(500);
/// For commands that have no steps: as long as one step may take.
const QUESTION_LIMIT: Duration = Duration::from_secs(30 * 60);

/// Runs the command line `arguments`, the program's name first. A panic is a defect: exit code 1.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let code = std::panic::catch_unwind(AssertUnwindSafe(|| start(arguments)));
    let code = code.unwrap_or(DEFECT);
    progress::end();
    github::end();
    ExitCode::from(code)
}

fn start(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let Complete { cli, warnings, origins } = match config::complete(arguments, std::env::vars_os()) {
        Ok(complete) => complete,
        Err(refusal) => return refuse(refusal),
    };
    output::start_logging(&cli.talk);
    warnings.iter().for_each(|warning| warn!("{warning}"));
    origins.iter().for_each(|origin| debug!("{origin}"));
    // The update tool's files get the same permissions whoever runs us; what is secret is made private one by one.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            return cannot_start(&cli, "the program cannot be started", &error);
        }
    };
    stragglers::adopt();
    let code = runtime.block_on(dispatch(&cli));
    runtime.shutdown_timeout(LAST_CALL);
    code
}

/// Says why there is nothing to do, or shows the help that was asked for; returns the exit code.
fn refuse(refusal: Refusal) -> u8 {
    match refusal {
        Refusal::Help(help) => {
            // Nobody is left to be told that nobody reads.
            let _ = help.print();
            if help.use_stderr() { USAGE } else { DONE }
        }
        Refusal::Wrong(misuse) => {
            let Misuse { talk, problem, run } = *misuse;
            output::start_logging(&talk);
            let (chain, hint) = (problem.chain(), problem.hint().to_owned());
            if let Some(report_folder) = run {
                report_misuse(problem, report_folder.as_deref());
            }
            output::error(&talk, &chain, &hint);
            USAGE
        }
    }
}

/// Whoever reads the report of a run that could not begin must not take that of the run before for it.
fn report_misuse(problem: Problem, folder: Option<&Path>) {
    let mut recorder = Recorder::new(Interrupt::default(), QUESTION_LIMIT);
    let failure = recorder.check(Step::ValidateInputs, || Err::<(), _>(problem)).err();
    let report = Report { exit_code: USAGE, ..recorder.finish(failure.as_ref()) };
    if let Some(commands) = github::commands() {
        commands.report(&report);
    }
    write_report(&report, folder);
}

/// Says that the system does not give us what we need; returns the exit code.
fn cannot_start(cli: &Cli, what: &str, error: &std::io::Error) -> u8 {
    output::error(&cli.talk, &[what.to_owned(), error.to_string()], "check the limits of this user (ulimit)");
    DEFECT
}

/// What asynchronous work runs on.
///
/// # Errors
/// Where the system allows no more threads.
pub fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

async fn dispatch(cli: &Cli) -> u8 {
    hotfix_docker::retry::set_tries(cli.retries);
    match &cli.command {
        Command::Apply(apply) if apply.dry_run => plan(cli, apply.run.request()).await,
        Command::Apply(apply) => run(cli, apply).await,
        Command::Plan { run } => plan(cli, run.request()).await,
        Command::Inspect { image } => show(cli, image).await,
        Command::Cache(command) => cache::run(cli, command),
        Command::Images(command) => images::run(cli, command).await,
        Command::Env(command) => env::run(cli, command).await,
        Command::State(args) => server::state(cli, args).await,
        Command::Backup(args) => server::backup(cli, args).await,
        Command::Restore(args) => server::restore(cli, args).await,
        Command::Revert(args) => server::revert(cli, args).await,
        Command::Migrate(args) => server::migrate(cli, args).await,
        Command::Completions { shell } => shell::completions(cli, *shell),
        Command::Man { folder } => shell::man(cli, folder),
    }
}

/// Says that somebody else did not come to an end; returns the exit code.
fn too_late(cli: &Cli) -> u8 {
    let what = format!("it took longer than {} minutes", QUESTION_LIMIT.as_secs() / 60);
    output::error(&cli.talk, &[what], "find out what it waited for (-v tells more)");
    TIMED_OUT
}

async fn show(cli: &Cli, image: &str) -> u8 {
    let interrupt = Interrupt::listen().unwrap_or_default();
    let inspected = tokio::select! {
        inspected = inspect(image) => inspected,
        () = tokio::time::sleep(QUESTION_LIMIT) => return too_late(cli),
        () = interrupt.stopped() => {
            // A container that an image was looked into with is being removed.
            tokio::time::sleep(LAST_CALL).await;
            return interrupt.signal().map_or(DEFECT, Signal::exit_code);
        }
    };
    match inspected {
        Ok(contents) => output::answer(&cli.talk, &contents),
        Err((code, problem)) => {
            // The step is of no matter: only messages are taken.
            let failure = Failure { step: Step::ValidateInputs, problem };
            output::error(&cli.talk, &failure.chain(), failure.problem.hint());
            code
        }
    }
}

async fn plan(cli: &Cli, request: Request) -> u8 {
    // In a file or a variable it is for the runs that write one.
    if request.report.is_some() && !cli.set_elsewhere.contains("report") {
        warn!("--report is not written by a plan");
    }
    let mut recorder = Recorder::new(Interrupt::listen().unwrap_or_default(), request.step_timeout);
    match Plan::resolve(&request, CredentialState::NotNeeded, &mut recorder).await {
        Ok(plan) => output::answer(&cli.talk, &plan),
        Err(failure) => {
            let report = recorder.finish(Some(&failure));
            match cli.talk.format {
                // Who reads JSON gets some, as of a run that fails.
                Format::Json => _ = output::lines(&cli.talk, &[report.json()]),
                Format::Text if report.passed().is_empty() => {}
                Format::Text => info!("good before that: {}", report.passed().join(", ")),
            }
            output::failure(&cli.talk, &failure);
            failure.exit_code()
        }
    }
}

async fn run(cli: &Cli, apply: &Apply) -> u8 {
    github::begin();
    let request = apply.run.request();
    let interrupt = match Interrupt::listen() {
        Ok(interrupt) => interrupt,
        Err(error) => {
            return cannot_start(cli, "signals cannot be received", &error);
        }
    };
    if apply.password.as_ref().is_some_and(|password| !credentials::is_empty(password)) {
        warn!(
            "a password on the command line can be read by every user of this machine: use --password-file or --password-stdin"
        );
    }
    if request.tool_credentials == ToolCredentials::Flags {
        warn!(
            "--tool-credentials flags puts the password on the update tool's command line, where every user of this machine can read it"
        );
    }
    if apply.run.work.lacks_cache() {
        info!("nothing is kept for later runs: neither XDG_CACHE_HOME nor HOME says where");
    }
    let mut recorder = recorder(interrupt, request.step_timeout);
    let folders = recorder.check(Step::ValidateInputs, || check_folders(&request));
    let report_folder = if folders.is_ok() { request.report.as_deref() } else { None };
    let result = match folders {
        Ok(()) => apply_hotfixes(&request, apply, &mut recorder).await,
        Err(failure) => Err(failure),
    };
    let report = finish(recorder, result.as_ref().err());
    write_report(&report, report_folder);
    let written = match &result {
        Ok(tags) if cli.talk.format == Format::Text => output::lines(&cli.talk, tags),
        _ if cli.talk.format == Format::Json => output::lines(&cli.talk, &[report.json()]),
        _ => DONE,
    };
    if let Err(failure) = &result {
        output::failure(&cli.talk, failure);
    }
    if report.exit_code == DONE { written } else { report.exit_code }
}

/// The whole job; returns the names of the image.
async fn apply_hotfixes(request: &Request, apply: &Apply, recorder: &mut Recorder) -> Result<Vec<String>, Failure> {
    let credentials = read_credentials(apply.credential_sources(), recorder).await?;
    apply_request(request, credentials, recorder).await
}

/// The one way to the credentials: from then on nobody else's lines show the password.
async fn read_credentials(
    sources: CredentialSources,
    recorder: &mut Recorder,
) -> Result<Result<Credentials, Missing>, Failure> {
    // Whoever is to give the password may never do so.
    let read = async |cancel| unless_cancelled(&cancel, move || sources.read()).await;
    let credentials = recorder.look_ahead(Step::ValidateInputs, read).await?;
    if let (Some(commands), Ok(credentials)) = (github::commands(), &credentials) {
        commands.mask(credentials.password.expose_secret());
    }
    Ok(credentials)
}

async fn apply_request(
    request: &Request,
    credentials: Result<Credentials, Missing>,
    recorder: &mut Recorder,
) -> Result<Vec<String>, Failure> {
    let state = match &credentials {
        _ if request.report_only_changes => CredentialState::NotNeeded,
        Ok(_) => CredentialState::Given,
        Err(missing) => CredentialState::Missing(*missing),
    };
    let plan = Plan::resolve(request, state, recorder).await?;
    info!("{} {} with {} hotfixes", plan.product.name, plan.product.full_version(), plan.hotfixes.as_slice().len());
    let tags = plan.tags.iter().map(ToString::to_string).collect();
    if request.if_changed {
        let changes = compare(&plan, recorder).await?;
        match (request.report_only_changes, changes.is_empty()) {
            (true, _) => return Ok(changes),
            (false, true) => return Ok(tags),
            (false, false) => {}
        }
    }
    let prepared = pipeline::prepare(plan, credentials.ok(), recorder).await?;
    pipeline::execute(prepared, recorder).await?;
    Ok(tags)
}

/// What is not as in the image that is there, if anything, which is told.
async fn compare(plan: &Plan, recorder: &mut Recorder) -> Result<Vec<String>, Failure> {
    let changes = match Comparison::of(plan, recorder).await? {
        Comparison::Unchanged(image) => {
            let names = image.tags.join(", ");
            info!("unchanged: {names} was made from the same pack, hotfixes, base image and options");
            recorder.image(image);
            Vec::new()
        }
        Comparison::Changed(changes) => {
            let changes: Vec<String> = changes.iter().map(|change| printable(change)).collect();
            changes.iter().for_each(|change| info!("changed: {change}"));
            changes
        }
    };
    recorder.changes(changes.clone());
    Ok(changes)
}

/// Nobody wants to learn after minutes that the report cannot be written.
fn check_folders(request: &Request) -> Result<(), Problem> {
    check_written_folders(request)?;
    let Some(folder) = &request.report else { return Ok(()) };
    let writable = std::fs::create_dir_all(folder).and_then(|()| tempfile::tempfile_in(folder).map(drop));
    writable.map_err(|error| {
        let hint = hint_for(&error, folder, "give --report with a folder that can be written to");
        Problem::new(format!("the report cannot be written to {}", folder.display()), hint).because(error)
    })
}

/// With everybody who wants to know how it goes.
fn recorder(interrupt: Interrupt, limit: Duration) -> Recorder {
    let mut recorder = Recorder::new(interrupt, limit);
    recorder.tell(Box::new(progress::Steps::default()));
    if let Some(commands) = github::commands() {
        recorder.tell(Box::new(commands));
    }
    recorder
}

fn finish(recorder: Recorder, failure: Option<&Failure>) -> Report {
    let report = Report { warnings: warnings::until_now(), ..recorder.finish(failure) };
    if let Some(commands) = github::commands() {
        commands.report(&report);
    }
    report
}

fn write_report(report: &Report, folder: Option<&Path>) {
    let Some(folder) = folder else { return };
    match report.write(folder) {
        Ok(()) => info!("report in {}", folder.display()),
        Err(error) => {
            let size = ByteSize(report.size());
            warn!("the report, which takes {size}, could not be written to {}: {error}", folder.display());
        }
    }
}
