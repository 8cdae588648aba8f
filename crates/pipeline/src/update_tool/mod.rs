//! The vendor's update tool: run from the product's `bin`, with a home of its own, judged by its exit code alone.
//!
//! Codes, commands, variables and the self-update are those of the vendor's documentation.

mod failure;
mod place;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use secrecy::ExposeSecret;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use crate::credentials::{Credentials, PASSWORD_VARIABLE, USERNAME_VARIABLE};
use crate::home::{ProductHome, set_run_bit};
use crate::hotfix::Hotfix;
use crate::process::{self, Finished};
use crate::redact::Redactor;
use crate::request::ToolCredentials;
use crate::scrub::tokens_in;
use crate::step::{Kind, Problem};
use crate::stragglers;
use crate::tree::BIN;

use failure::{CHECK_ACCOUNT, failed};
pub use place::ToolPlace;

/// Downloads the tool into packs that ship none.
pub const SETUP_SCRIPT: &str = "update_tool_setup.sh";
/// How often a command is run again because the tool updated itself.
const RUN_AGAIN: u32 = 3;
/// A tool that takes longer to say its version has something else in mind.
const VERSION_LIMIT: Duration = Duration::from_secs(10);

/// Exit codes of the tool, as documented.
const DONE: i32 = 0;
const SELF_UPDATED: i32 = 2;
const CONFLICTS: i32 = 3;
const REVERTED: i32 = 4;

/// How far the tool is to update the product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Update {
    /// To this level.
    To(u32),
    /// As far as there are updates.
    ToLatest,
    /// As far as it was asked for before it found conflicts.
    AfterConflicts,
}

impl fmt::Display for Update {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::To(level) => write!(f, "to level {level}"),
            Self::ToLatest => f.write_str("to the latest level"),
            Self::AfterConflicts => f.write_str("after the conflicts"),
        }
    }
}

/// What the tool called `name` in the product `home` says of its version; `None` where it cannot be run, or says nothing.
pub async fn version_of(home: &Path, name: &str) -> Option<String> {
    let bin = home.join(BIN);
    let mut command = Command::new(bin.join(name));
    command.arg("version").current_dir(bin).env_remove(USERNAME_VARIABLE).env_remove(PASSWORD_VARIABLE);
    let cancel = CancellationToken::new();
    let running = process::run(&mut command, &cancel);
    let finished = tokio::time::timeout(VERSION_LIMIT, running).await.ok()?.ok()??;
    let line = finished.output.lines().map(str::trim).find(|line| !line.is_empty())?.to_owned();
    (finished.code == Some(DONE)).then_some(line)
}

/// Who the tool works for.
#[derive(Debug, Clone, Copy)]
pub struct Account<'a> {
    /// User name and password.
    pub credentials: &'a Credentials,
    /// How it gets to know them.
    pub hand_over: ToolCredentials,
}

/// The tool in an unpacked product.
#[derive(Debug)]
pub struct UpdateTool<'a> {
    /// The unpacked product.
    pub home: Arc<ProductHome>,
    /// File name of the tool.
    pub name: &'static str,
    /// Where its own files are.
    pub place: ToolPlace<'a>,
    /// Who it works for.
    pub credentials: &'a Credentials,
    /// How it gets to know that.
    pub hand_over: ToolCredentials,
    /// Whether `apply-hotfix` gets `--offline`.
    pub offline: bool,
    /// Takes secrets out of what it prints.
    pub redactor: Redactor,
    /// Every token that it had in the course of the run.
    pub tokens: Mutex<BTreeSet<String>>,
    /// How long it was at work so far.
    pub busy: Mutex<Duration>,
}

impl<'a> UpdateTool<'a> {
    /// The tool called `name` in `home`, which keeps its own files in `place`.
    pub fn new(home: &Arc<ProductHome>, name: &'static str, place: ToolPlace<'a>, account: Account<'a>) -> Self {
        let Account { credentials, hand_over } = account;
        let mut redactor = Redactor::default();
        let password = credentials.password.expose_secret();
        redactor.add(password);
        // As in the header of HTTP's basic authentication, where it cannot be told apart.
        redactor.add(&format!("{}:{password}", credentials.username));
        Self {
            home: Arc::clone(home),
            name,
            place,
            credentials,
            hand_over,
            offline: false,
            redactor,
            tokens: Mutex::default(),
            busy: Mutex::default(),
        }
    }

    /// Makes the tool ready: downloads it where the pack has none, and lets it update itself.
    ///
    /// # Errors
    /// Where there is no tool, or it fails.
    pub async fn initialize(&self, cancel: &CancellationToken) -> Result<(), Problem> {
        if !self.home.has(&self.path()) {
            self.run_setup_script(cancel).await?;
        }
        self.current_state(cancel).await
    }

    /// Lets the tool look at the product, and write down what it finds.
    ///
    /// # Errors
    /// Where it fails.
    pub async fn current_state(&self, cancel: &CancellationToken) -> Result<(), Problem> {
        self.run_until_settled(&["current-state"], &[], "show the current state", cancel).await
    }

    /// Takes the newest hotfix back, and configuration that was changed since.
    ///
    /// # Errors
    /// Where the tool fails. Whether the hotfix is gone, its records say.
    pub async fn revert_hotfix(&self, cancel: &CancellationToken) -> Result<(), Problem> {
        let action = "revert the newest hotfix";
        // The vendor documents 4 as "reverted", and not of which command.
        let reverted = self.run_until(&[DONE, REVERTED], &["revert-hotfix"], &[], action, cancel).await;
        let hint = "see what it said; it needs what it has kept in ~/.wso2-updates since the hotfix was applied, by the same user";
        reverted.map_err(|problem| problem.of_kind(Kind::Failed).with_hint(hint))
    }

    /// Takes updates up to `level`, or all that there are. After conflicts it goes on with what was decided.
    ///
    /// # Errors
    /// Where the tool fails; of the kind [`Kind::Conflict`] where there is something to decide.
    pub async fn update(&self, way: Update, cancel: &CancellationToken) -> Result<(), Problem> {
        let level = match way {
            Update::To(level) => vec!["--level".to_owned(), level.to_string()],
            Update::ToLatest => Vec::new(),
            Update::AfterConflicts => vec!["--continue".to_owned()],
        };
        let arguments: Vec<&str> = level.iter().map(String::as_str).collect();
        let updated = self.run_until_settled(&arguments, &[], &format!("take updates {way}"), cancel).await;
        updated.map_err(|problem| match problem.kind {
            Kind::Failed => problem.with_hint("see what it said; check account and network; -v shows all it said"),
            _ => problem,
        })
    }

    /// Applies one hotfix, whose copy is in the folder `copies`.
    ///
    /// # Errors
    /// Where the tool fails, or finds conflicts.
    pub async fn apply(&self, hotfix: &Hotfix, copies: &Path, cancel: &CancellationToken) -> Result<(), Problem> {
        let zip = copies.join(&hotfix.file);
        let zip = zip.to_string_lossy();
        let mut arguments = vec!["apply-hotfix"];
        if self.offline {
            arguments.push("--offline");
        }
        arguments.push(&zip);
        let action = format!("apply hotfix {} ({})", hotfix.number, hotfix.file);
        let applied = self.run_until_settled(&arguments, &[], &action, cancel).await;
        applied.map_err(|problem| match problem.hint() {
            // It has logged in before.
            CHECK_ACCOUNT => problem.with_hint(
                "see what it said; if the network is not to blame, ask the vendor about this hotfix; -v shows all it said",
            ),
            _ => problem,
        })
    }

    /// Has the tool build an image called `tag`, with `environment` for the `docker` that it runs.
    ///
    /// # Errors
    /// Where the tool fails, in whatever way.
    pub async fn create_docker(
        &self,
        tag: &str,
        environment: &[(&str, OsString)],
        cancel: &CancellationToken,
    ) -> Result<(), Problem> {
        let arguments = ["create-docker", "-t", tag];
        let action = "build the image (create-docker)";
        let created = self.run_until_settled(&arguments, environment, action, cancel).await;
        let hint = "see what it said; it runs docker, mostly as root; -v shows all it said";
        created.map_err(|problem| problem.of_kind(Kind::Failed).with_hint(hint))
    }

    /// From the product's folder.
    fn path(&self) -> String {
        format!("{BIN}/{}", self.name)
    }

    /// How long it was at work so far, all runs together.
    pub fn busy(&self) -> Duration {
        *self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn run_setup_script(&self, cancel: &CancellationToken) -> Result<(), Problem> {
        let script = format!("{BIN}/{SETUP_SCRIPT}");
        info!("the pack ships no {}, running bin/{SETUP_SCRIPT}", self.name);
        let finished = self.run(&script, &[], None, cancel).await?;
        if finished.code != Some(DONE) {
            return Err(self.failed(&format!("bin/{SETUP_SCRIPT} could not get the update tool"), &finished));
        }
        if !self.home.has(&self.path()) {
            let what = format!("bin/{SETUP_SCRIPT} ended with success, but there is no bin/{}", self.name);
            return Err(self.failed(&what, &finished));
        }
        Ok(())
    }

    async fn run_until_settled(
        &self,
        arguments: &[&str],
        environment: &[(&str, OsString)],
        action: &str,
        cancel: &CancellationToken,
    ) -> Result<(), Problem> {
        self.run_until(&[DONE], arguments, environment, action, cancel).await
    }

    async fn run_until(
        &self,
        done: &[i32],
        arguments: &[&str],
        environment: &[(&str, OsString)],
        action: &str,
        cancel: &CancellationToken,
    ) -> Result<(), Problem> {
        for _ in 0..=RUN_AGAIN {
            let finished = self.run(&self.path(), arguments, Some(environment), cancel).await?;
            match finished.code {
                Some(code) if done.contains(&code) => return Ok(()),
                Some(SELF_UPDATED) => info!("the update tool updated itself, running it again"),
                _ => return Err(self.failed(&format!("the update tool could not {action}"), &finished)),
            }
        }
        Err(Problem::new(
            format!("the update tool updated itself {} times in a row and still could not {action}", RUN_AGAIN + 1),
            "its download may be broken: try again later, or ask the vendor",
        ))
    }

    /// Runs the file `program` of the product. Commands that log in get credentials, and `authenticated` in their environment.
    async fn run(
        &self,
        program: &str,
        arguments: &[&str],
        authenticated: Option<&[(&str, OsString)]>,
        cancel: &CancellationToken,
    ) -> Result<Finished, Problem> {
        let shown = self.home.path().join(program);
        self.home.locate(program).and_then(|program| set_run_bit(&program)).map_err(|error| {
            let hint =
                "the pack lacks the update tool, or it vanished while it updated itself; download the pack again";
            Problem::new(format!("{} cannot be made executable", shown.display()), hint).because(error)
        })?;
        debug!(?arguments, "running {}", shown.display());
        let mut command = self.command(program, arguments, authenticated);
        self.note_tokens();
        let start = Instant::now();
        let strays = stragglers::watch();
        let finished = process::run(&mut command, cancel).await;
        drop(strays);
        *self.busy.lock().unwrap_or_else(PoisonError::into_inner) += start.elapsed();
        self.place.end_stragglers();
        self.note_tokens();
        let finished = finished.map_err(|error| {
            let hint = match error.kind() {
                io::ErrorKind::PermissionDenied => {
                    "the workspace's disk may forbid to run programs (noexec): give --workspace"
                }
                // It is there, or it could not have been made executable.
                io::ErrorKind::NotFound => {
                    "this system lacks what starts it: the vendor's tool needs glibc, which Alpine has not; run hotfix on a usual Linux"
                }
                _ => "the file may be for another processor or damaged: download the pack again",
            };
            Problem::new(format!("{} cannot be run", shown.display()), hint).because(error)
        })?;
        let mut finished =
            finished.ok_or_else(|| Problem::new("the update tool was stopped", "run the same command again"))?;
        finished.output = self.redacted(&finished.output);
        debug!(code = finished.code, "the update tool said:\n{}", finished.output.trim_end());
        Ok(finished)
    }

    fn command(&self, program: &str, arguments: &[&str], authenticated: Option<&[(&str, OsString)]>) -> Command {
        let mut command = Command::new(self.home.path().join(program));
        command.args(arguments);
        self.home.enter(&mut command, BIN);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("HOTFIX_") {
                command.env_remove(name);
            }
        }
        command.env_remove(USERNAME_VARIABLE).env_remove(PASSWORD_VARIABLE);
        self.place.set(&mut command);
        if let Some(environment) = authenticated {
            command.envs(environment.iter().map(|(name, value)| (name, value)));
            let (username, password) = (&self.credentials.username, self.credentials.password.expose_secret());
            match self.hand_over {
                ToolCredentials::Env => command.env(USERNAME_VARIABLE, username).env(PASSWORD_VARIABLE, password),
                ToolCredentials::Flags => command.args(["--username", username, "--password", password]),
            };
        }
        command
    }

    /// Tokens are fresh after each run, and it may show those from before as well.
    fn note_tokens(&self) {
        let config = self.home.records().unwrap_or_default();
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).extend(tokens_in(&config));
    }

    /// Every token that the tool had so far.
    pub fn tokens(&self) -> Vec<String> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// `output` without what nobody is to know.
    pub fn redacted(&self, output: &str) -> String {
        let mut redactor = self.redactor.clone();
        self.tokens().iter().for_each(|token| redactor.add(token));
        redactor.redact(output)
    }

    fn failed(&self, what: &str, finished: &Finished) -> Problem {
        failed(what, finished, [self.home.path(), &self.place.path()])
    }
}
