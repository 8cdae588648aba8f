//! `hotfix state`, `backup`, `restore`, `revert` and `migrate`: products that are unpacked, and may be servers.

use std::fmt;
use std::fs::File;
use std::path::Path;

use bytesize::ByteSize;
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::args::Cli;
use super::server_args::{AccountOptions, BackupArgs, BackupChoice, MigrateArgs, RestoreArgs, RevertArgs, StateArgs};
use super::{finish, output, read_credentials, recorder, server_image, show, write_report};
use crate::blocking::blocking;
use crate::credentials::{Credentials, Missing};
use crate::host::Host;
use crate::installation::Installation;
use crate::installation::archive::Backup;
use crate::installation::backup::BackupPlan;
use crate::installation::restore::RestorePlan;
use crate::installation::state::State;
use crate::interrupt::{Interrupt, Signal};
use crate::migration::{Journal, Migrated, Migration, Target, Wish};
use crate::pack::{Product, ProductPack};
use crate::recorder::Recorder;
use crate::source::IMAGE_PREFIX;
use crate::step::{CONDITION, Failure, Problem, Step, USAGE};
use crate::update_tool;

/// Packs are only compared with; their own bound is that of `apply`.
const LARGEST_PACK: u64 = 20_000_000_000;

pub(super) async fn state(cli: &Cli, args: &StateArgs) -> u8 {
    if let Some(image) = args.what.to_str().and_then(|what| what.strip_prefix(IMAGE_PREFIX)) {
        return show(cli, image).await;
    }
    let work = async |_| {
        if !args.what.is_dir() && args.what.exists() {
            let pack = ProductPack::open(&args.what, LARGEST_PACK)?;
            return Ok(output::answer(&cli.talk, &PackState::of(&args.what, &pack)));
        }
        let installation = Installation::open(&args.what)?;
        let tool = match Host::detect() {
            Ok(host) => update_tool::version_of(&installation.home, host.update_tool).await,
            Err(_) => None,
        };
        let pack = args.pack.clone();
        let state = blocking(move || {
            let unfinished = match Journal::find(&installation) {
                Ok(journal) => journal.filter(|journal| journal.has_changed).map(|journal| journal.words()),
                Err(problem) => Some(problem.to_string()),
            };
            let state = State::of(&installation, open(pack.as_deref())?.as_ref(), tool)?;
            Ok(State { unfinished, ..state })
        });
        let state = state.await?;
        Ok(output::answer(&cli.talk, &state))
    };
    interruptible(cli, work).await
}

pub(super) async fn backup(cli: &Cli, args: &BackupArgs) -> u8 {
    let work = async |cancel: CancellationToken| {
        let (home, to, dry_run) = (args.home.clone(), args.to.clone(), args.dry_run);
        let (pack, wishes) = (args.what.pack.clone(), args.what.wishes());
        let answer = blocking(move || {
            let installation = Installation::open(&home)?;
            let _lock = (!dry_run).then(|| at_work_on(&installation)).transpose()?;
            let plan = BackupPlan::new(&installation, open(pack.as_deref())?.as_ref(), &wishes)?;
            match dry_run {
                true => plan.check(&to).map(|()| plan.answer()),
                false => plan.write(&to, &cancel).map(|(_, answer)| answer),
            }
        });
        Ok(output::answer(&cli.talk, &answer.await?))
    };
    interruptible(cli, work).await
}

pub(super) async fn restore(cli: &Cli, args: &RestoreArgs) -> u8 {
    let work = async |cancel: CancellationToken| {
        let (file, home) = (args.file.clone(), args.home.clone());
        let (only, force, dry_run) = (args.only.clone(), args.force, args.dry_run);
        let done = blocking(move || {
            let installation = Installation::open(&home)?;
            let _lock = (!dry_run).then(|| at_work_on(&installation)).transpose()?;
            if !dry_run {
                installation.must_be_stopped()?;
            }
            let backup = Backup::open(&file)?;
            let plan = RestorePlan::new(&backup, &installation, &only, force)?;
            if plan.then != plan.now {
                warn!(
                    "the backup was made at {}, and {} is at {}: what hotfixes or updates have changed in these folders comes back",
                    plan.then,
                    home.display(),
                    plan.now
                );
            }
            if dry_run { Ok(plan) } else { plan.carry_out(&backup, &cancel) }
        });
        let done = done.await?;
        let written = output::answer(&cli.talk, &done);
        if done.done && done.kept > 0 {
            let what = format!("{} files are newer in {} and were kept", done.kept, done.home.display());
            output::error(&cli.talk, &[what], "look at them; --force replaces them as well, --only leaves others out");
            return Ok(CONDITION);
        }
        Ok(written)
    };
    interruptible(cli, work).await
}

pub(super) async fn revert(cli: &Cli, args: &RevertArgs) -> u8 {
    let mut recorder = recorder(Interrupt::listen().unwrap_or_default(), args.step_timeout);
    let wish = wish(&args.home, Target::Reverted, &args.backup);
    let wish = Wish { only_newest: !args.all, allow_root: args.allow_root, dry_run: args.dry_run, ..wish };
    let planned = plan(wish, &args.backup, &mut recorder).await;
    let done = async {
        let planned = planned?;
        if args.dry_run || planned.is_done() {
            return Ok(output::answer(&cli.talk, &Planned { migration: planned, images: None }));
        }
        let credentials = credentials_of(&args.account, &mut recorder).await?;
        let migrated = planned.carry_out(&credentials, args.account.tool_credentials, &mut recorder).await?;
        Ok(output::answer(&cli.talk, &migrated))
    };
    done.await.unwrap_or_else(|failure| failed(cli, &failure))
}

pub(super) async fn migrate(cli: &Cli, args: &MigrateArgs) -> u8 {
    let asked = args.image.that_ask_for_an_image(&cli.set_elsewhere);
    if asked.contains(&"from-image") {
        let what = "command line: --from-image does not go with migrate: the product is that of HOME".to_owned();
        output::error(&cli.talk, &[what], "give --base-image, --dockerfile or --vendor-image");
        return USAGE;
    }
    let wants_image = !asked.is_empty();
    let mut recorder = recorder(Interrupt::listen().unwrap_or_default(), args.work.step_timeout)
        .with_steps(Step::of_migration(wants_image));
    let done = migrate_recorded(cli, args, wants_image, &mut recorder).await;
    let report = finish(recorder, done.as_ref().err());
    if !args.dry_run {
        write_report(&report, args.work.report.as_deref());
    }
    done.unwrap_or_else(|failure| failed(cli, &failure))
}

async fn migrate_recorded(
    cli: &Cli,
    args: &MigrateArgs,
    wants_image: bool,
    recorder: &mut Recorder,
) -> Result<u8, Failure> {
    let wish = wish(&args.home, args.to_level, &args.backup);
    let wish =
        Wish { disk_check: !args.work.no_disk_check, allow_root: args.allow_root, dry_run: args.dry_run, ..wish };
    let planned = plan(wish, &args.backup, recorder).await?;
    let installation = planned.installation.clone();
    recorder.installed(installation.as_it_stands());
    let is_done = planned.is_done();
    if args.dry_run || is_done && !wants_image {
        let images = match wants_image {
            true => Some(server_image::names(args, &planned, recorder).await?),
            false => None,
        };
        return Ok(output::answer(&cli.talk, &Planned { migration: planned, images }));
    }
    let credentials = credentials_of(&args.account, recorder).await?;
    if wants_image {
        let checked = server_image::check(args, &planned, &credentials, recorder).await;
        // What was looked at was a pack of a level that the product is not at yet.
        recorder.installed(installation.as_it_stands());
        checked?;
    }
    let migrated = match is_done {
        true => None,
        false => {
            let migrated = planned.carry_out(&credentials, args.account.tool_credentials, recorder).await;
            recorder.installed(installation.as_it_stands());
            Some(migrated?)
        }
    };
    let made = match wants_image {
        true => server_image::make(args, &installation, credentials, recorder).await,
        false => Ok(Vec::new()),
    };
    let images = made.as_ref().map_or_else(|_| Vec::new(), Clone::clone);
    // What was done to the product was done, whatever became of the image.
    let written = output::answer(&cli.talk, &MigrateAnswer { migrated, images });
    made.map(|_| written).map_err(|failure| without_image(failure, &installation))
}

/// For whoever has to go on where only the image is missing.
fn without_image(Failure { step, problem }: Failure, installation: &Installation) -> Failure {
    let Ok(standing) = installation.standing() else { return Failure { step, problem } };
    let hint =
        format!("{}; the product itself is at {standing}: the same command makes only the image", problem.hint());
    Failure { step, problem: problem.with_hint(hint) }
}

fn wish(home: &Path, target: Target, backup: &BackupChoice) -> Wish {
    Wish {
        home: home.to_owned(),
        target,
        only_newest: false,
        backup: backup.backup.clone(),
        no_backup: backup.no_backup.clone(),
        wishes: backup.what.wishes(),
        disk_check: false,
        allow_root: false,
        dry_run: false,
    }
}

async fn plan(wish: Wish, backup: &BackupChoice, recorder: &mut Recorder) -> Result<Migration, Failure> {
    let host = recorder.step(Step::ValidateOs, Host::detect)?;
    let pack = backup.what.pack.clone();
    let plan = async |_| blocking(move || Migration::plan(wish, host, open(pack.as_deref())?.as_ref())).await;
    recorder.look_ahead(Step::ValidateInputs, plan).await
}

async fn credentials_of(account: &AccountOptions, recorder: &mut Recorder) -> Result<Credentials, Failure> {
    let credentials = read_credentials(account.credentials.sources(), recorder).await?;
    recorder.check(Step::ValidateInputs, || credentials.map_err(Missing::problem))
}

/// Keeps others from it, and tells what they have not finished.
fn at_work_on(installation: &Installation) -> Result<File, Problem> {
    let lock = installation.lock()?;
    if let Some(journal) = Journal::find(installation).ok().flatten().filter(|journal| journal.has_changed) {
        warn!(
            "{} is in the middle of {}, and what is still to come can change it",
            installation.home.display(),
            journal.words()
        );
    }
    Ok(lock)
}

fn open(pack: Option<&Path>) -> Result<Option<ProductPack>, Problem> {
    pack.map(|pack| ProductPack::open(pack, LARGEST_PACK)).transpose()
}

fn failed(cli: &Cli, failure: &Failure) -> u8 {
    output::failure(&cli.talk, failure);
    failure.exit_code()
}

/// Does `work` until it is done or a signal comes; returns the exit code.
async fn interruptible(cli: &Cli, work: impl AsyncFnOnce(CancellationToken) -> Result<u8, Problem>) -> u8 {
    let interrupt = Interrupt::listen().unwrap_or_default();
    let done = work(interrupt.child_token()).await;
    match (done, interrupt.signal()) {
        (Ok(code), _) => code,
        (Err(problem), signal) => {
            output::error(&cli.talk, &problem.chain(), problem.hint());
            // Of the step only its code is taken.
            signal.map_or_else(|| Failure { step: Step::ValidateInputs, problem }.exit_code(), Signal::exit_code)
        }
    }
}

/// What a pack is.
#[derive(Serialize)]
struct PackState {
    pack: String,
    #[serde(flatten)]
    product: Product,
    bytes: u64,
    files: usize,
    unpacked_bytes: u64,
}

impl PackState {
    fn of(path: &Path, pack: &ProductPack) -> Self {
        Self {
            pack: path.display().to_string(),
            product: pack.product.clone(),
            bytes: pack.bytes,
            files: pack.files(),
            unpacked_bytes: pack.unpacked_bytes(),
        }
    }
}

impl fmt::Display for PackState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Product { name, version, update_level } = &self.product;
        writeln!(f, "product   {name} {version} at update level {update_level}")?;
        writeln!(f, "pack      {} ({})", self.pack, ByteSize(self.bytes))?;
        writeln!(f, "hotfixes  none")?;
        writeln!(f, "unpacked  {} in {} files", ByteSize(self.unpacked_bytes), self.files)
    }
}

/// What would be done.
struct Planned {
    migration: Migration,
    images: Option<Vec<String>>,
}

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.migration.fmt(f)?;
        let Some(images) = &self.images else { return Ok(()) };
        let names = if images.is_empty() { "named by its level then".to_owned() } else { images.join(", ") };
        writeln!(f, "image     {names}")
    }
}

impl Serialize for Planned {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut json = self.migration.json();
        json["images"] = serde_json::json!(self.images);
        json.serialize(serializer)
    }
}

/// What was done, and the names of the image.
#[derive(Serialize)]
struct MigrateAnswer {
    #[serde(flatten)]
    migrated: Option<Migrated>,
    images: Vec<String>,
}

impl fmt::Display for MigrateAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(migrated) = &self.migrated {
            migrated.fmt(f)?;
        }
        self.images.iter().try_for_each(|image| writeln!(f, "image {image}"))
    }
}
