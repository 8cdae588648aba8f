//! `hotfix env`: which hotfixes are in which environment.

use std::fmt;
use std::path::Path;

use hotfix_environments::ledger::{Act, Record};
use hotfix_environments::promote::{From, Promotion};
use hotfix_environments::propagate::{Outcome, Propagation};
use hotfix_environments::show::Shown;
use hotfix_environments::status::Status;
use hotfix_environments::world::World;
use hotfix_environments::{Error, Result};
use jiff::Timestamp;
use serde::Serialize;

use super::args::Cli;
use super::env_args::{EnvCommand, EnvPlace, Opinion, Writing};
use super::{QUESTION_LIMIT, output, too_late};
use crate::interrupt::{Interrupt, Signal};
use crate::step::{CONDITION, DEFECT};

/// Runs the command; returns the exit code.
pub(super) async fn run(cli: &Cli, command: &EnvCommand) -> u8 {
    let interrupt = Interrupt::listen().unwrap_or_default();
    let done = tokio::select! {
        done = answer(cli, command) => done,
        () = tokio::time::sleep(QUESTION_LIMIT) => return too_late(cli),
        () = interrupt.stopped() => return interrupt.signal().map_or(DEFECT, Signal::exit_code),
    };
    done.unwrap_or_else(|error| tell(cli, &error))
}

/// Returns the exit code.
fn tell(cli: &Cli, error: &Error) -> u8 {
    output::error(&cli.talk, &error.chain(), error.hint());
    error.exit_code()
}

async fn answer(cli: &Cli, command: &EnvCommand) -> Result<u8> {
    match command {
        EnvCommand::Status { place, check, html } => status(cli, place, *check, html.as_deref()).await,
        EnvCommand::History { place, env } => {
            let world = open(place).await?;
            let wanted = env.as_ref().map(|name| world.environments.get(name)).transpose()?;
            let facts = world.facts().await?;
            let is_wanted = |record: &&Record| wanted.is_none_or(|environment| record.is_of(environment));
            Ok(output::answer(&cli.talk, &List(facts.history().filter(is_wanted).collect())))
        }
        EnvCommand::Compare { from, to, place } => {
            let world = open(place).await?;
            let (from, to) = (world.environments.get(from)?, world.environments.get(to)?);
            Ok(output::answer(&cli.talk, &world.compare(from, to).await?))
        }
        EnvCommand::Promote { from, image, to, tag, allow_removal, writing } => {
            let world = open(&writing.place).await?;
            let from = match (from, image) {
                (Some(name), _) => From::Environment(world.environments.get(name)?),
                (None, Some(image)) => From::Image(image),
                (None, None) => unreachable!("refused by the command line"),
            };
            let to = world.environments.get(to)?;
            let asked = Promotion { from, to, tag: tag.as_deref(), allow_removal: *allow_removal };
            let promoted = world.promote(&asked, writing.actor(), writing.dry_run).await?;
            Ok(output::answer(&cli.talk, &promoted))
        }
        EnvCommand::Propagate { from, to, through, writing } => propagate(cli, (from, to), *through, writing).await,
        EnvCommand::Rollback { env, to, writing } => {
            let world = open(&writing.place).await?;
            let environment = world.environments.get(env)?;
            let done = world.roll_back(environment, to.as_deref(), writing.actor(), writing.dry_run).await?;
            Ok(output::answer(&cli.talk, &done))
        }
        EnvCommand::FixedIn { hotfix, level, writing } => {
            write(cli, writing, async |world| world.fixed_in(hotfix, level).await).await
        }
        EnvCommand::Solve { hotfix, reason, writing } => {
            write(cli, writing, async |world| world.solve(hotfix, reason.clone()).await).await
        }
        EnvCommand::Verify { env, result, digest, writing } => {
            let verify = async |world: &World| {
                world.verify(world.environments.get(env)?, digest.as_deref(), (*result).into()).await
            };
            write(cli, writing, verify).await
        }
        EnvCommand::Approve(Opinion { env, digest, reason, writing }) => {
            let approve = async |world: &World| {
                world.approve(world.environments.get(env)?, digest.as_deref(), reason.clone()).await
            };
            write(cli, writing, approve).await
        }
        EnvCommand::Reject(Opinion { env, digest, reason, writing }) => {
            let reject = async |world: &World| {
                world.reject(world.environments.get(env)?, digest.as_deref(), reason.clone()).await
            };
            write(cli, writing, reject).await
        }
    }
}

async fn status(cli: &Cli, place: &EnvPlace, check: bool, html: Option<&Path>) -> Result<u8> {
    let (status, problems) = open(place).await?.status().await?;
    if let Some(file) = html {
        let written = std::fs::write(file, status.html(Timestamp::now()));
        written.map_err(|source| Error::File { action: "write", path: file.to_owned(), source })?;
    }
    let written = output::colored_answer(
        &cli.talk,
        &Colored { status: &status, color: output::use_color(&cli.talk, &std::io::stdout()) },
    );
    // What is not known is worse than what is known to be wrong.
    let failed = problems.iter().map(|problem| tell(cli, problem)).max();
    let drifted = (check && !status.drift.is_empty()).then_some(CONDITION);
    Ok(failed.or(drifted).unwrap_or(written))
}

async fn propagate(cli: &Cli, (from, to): (&str, &[String]), through: Option<u32>, writing: &Writing) -> Result<u8> {
    let world = open(&writing.place).await?;
    let environments = &world.environments;
    let from = environments.get(from)?;
    let to = match to.is_empty() {
        // Into production leads a promotion, with its gate.
        true => environments.before(from).iter().filter(|environment| !environment.is_production).collect(),
        false => to.iter().map(|name| environments.get(name)).collect::<Result<_>>()?,
    };
    let asked = Propagation { from, to, through };
    let (done, problems) = world.propagate(&asked, &writing.actor(), writing.dry_run).await?;
    let is_impossible = done.iter().any(|one| matches!(one.outcome, Outcome::Impossible(_)));
    let written = output::answer(&cli.talk, &List(done.iter().collect()));
    let failed = problems.iter().map(|problem| tell(cli, problem)).max();
    Ok(failed.or(is_impossible.then_some(CONDITION)).unwrap_or(written))
}

/// Finds out what to write, and writes it.
async fn write(cli: &Cli, writing: &Writing, find: impl AsyncFnOnce(&World) -> Result<Act>) -> Result<u8> {
    let world = open(&writing.place).await?;
    let act = find(&world).await?;
    let record = match writing.dry_run {
        true => Record::new(writing.actor(), act, &[]),
        false => world.record(writing.actor(), act).await?,
    };
    Ok(output::answer(&cli.talk, &record))
}

async fn open(place: &EnvPlace) -> Result<World> {
    World::open(&place.environments, place.ledger.as_deref(), place.memory()).await
}

/// A status with colours, and without them as JSON.
#[derive(Serialize)]
#[serde(transparent)]
struct Colored<'a> {
    status: &'a Status,
    #[serde(skip)]
    color: bool,
}

impl fmt::Display for Colored<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Shown { status: self.status, color: self.color }.fmt(f)
    }
}

/// Lines of an answer.
#[derive(Serialize)]
#[serde(transparent)]
struct List<'a, T>(Vec<&'a T>);

impl<T: fmt::Display> fmt::Display for List<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return writeln!(f, "nothing");
        }
        self.0.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}
