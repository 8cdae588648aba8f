//! The image of a product that was migrated: looked at before anything is changed, made afterwards.

use std::fs;
use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;
use tracing::info;

use super::server_args::MigrateArgs;
use super::{apply_request, image_args};
use crate::blocking::blocking;
use crate::credentials::Credentials;
use crate::inputs::check_elsewhere;
use crate::installation::Installation;
use crate::migration::{Migration, Target, check_packable, outline_of, pack_of};
use crate::pipeline::prepare;
use crate::plan::{CredentialState, Plan};
use crate::recorder::Recorder;
use crate::request::Request;
use crate::step::{Failure, Problem, Step};
use crate::workspace::Workspace;

/// The names that the image would get; none where they follow from a level that only the update tool knows.
pub(super) async fn names(
    args: &MigrateArgs,
    migration: &Migration,
    recorder: &mut Recorder,
) -> Result<Vec<String>, Failure> {
    let (_workspace, plan) = outline(args, migration, recorder).await?;
    let are_known = migration.aim.target != Target::Latest || !plan.request.tags.is_empty();
    Ok(plan.tags.iter().filter(|_| are_known).map(ToString::to_string).collect())
}

/// Whether the image can be made, as far as can be told before there is the product that it is made of.
pub(super) async fn check(
    args: &MigrateArgs,
    migration: &Migration,
    credentials: &Credentials,
    recorder: &mut Recorder,
) -> Result<(), Failure> {
    let (_workspace, plan) = outline(args, migration, recorder).await?;
    let (installation, account) = (migration.installation.clone(), credentials.clone());
    let look =
        async |cancel: CancellationToken| blocking(move || check_packable(&installation, &account, &cancel)).await;
    recorder.look_ahead(Step::BuildImage, look).await?;
    prepare(plan, Some(credentials.clone()), recorder).await.map(drop)
}

/// A plan for a product of which only the name and the level are there yet.
async fn outline(
    args: &MigrateArgs,
    migration: &Migration,
    recorder: &mut Recorder,
) -> Result<(Workspace, Plan), Failure> {
    let level = match migration.aim.target {
        Target::Level(level) => level,
        Target::Reverted | Target::Latest => migration.standing.update_level.unwrap_or_default(),
    };
    let home = &migration.installation.home;
    let asked = image_args::request(Path::new(""), Path::new(""), &args.image, &args.work);
    let why = "in the product itself, and would be part of the image";
    recorder.check(Step::ValidateInputs, || check_elsewhere(&asked, home, why))?;
    let (workspace, hotfixes) = workspace(args, recorder)?;
    let pack = recorder.check(Step::ValidateInputs, || outline_of(&migration.installation, level, workspace.path()))?;
    let request = Request { keep_workspace: false, ..request(args, pack, hotfixes) };
    let plan = Plan::resolve(&request, CredentialState::Given, recorder).await?;
    Ok((workspace, plan))
}

/// The image of the level that the product is at now; returns its names.
pub(super) async fn make(
    args: &MigrateArgs,
    installation: &Installation,
    credentials: Credentials,
    recorder: &mut Recorder,
) -> Result<Vec<String>, Failure> {
    let (workspace, hotfixes) = workspace(args, recorder)?;
    let (product, account, folder) = (installation.clone(), credentials.clone(), workspace.path().to_owned());
    let pack = async |cancel: CancellationToken| {
        blocking(move || {
            let level = product.standing()?.update_level.unwrap_or_default();
            pack_of(&product, level, &folder, &account, &cancel)
        })
        .await
    };
    info!("packing {} for an image", installation.home.display());
    let pack = recorder.look_ahead(Step::BuildImage, pack).await?;
    apply_request(&request(args, pack, hotfixes), Ok(credentials), recorder).await
}

/// A place for a pack, and a folder without hotfixes.
fn workspace(args: &MigrateArgs, recorder: &mut Recorder) -> Result<(Workspace, PathBuf), Failure> {
    let parent = image_args::request(Path::new(""), Path::new(""), &args.image, &args.work).workspace;
    let workspace = recorder.check(Step::ValidateInputs, || Workspace::create(parent.as_deref(), false))?;
    let none = workspace.path().join("no-hotfixes");
    recorder.check(Step::ValidateInputs, || {
        fs::create_dir(&none).map_err(|error| {
            Problem::new(format!("{} cannot be made", none.display()), "check the disk of the workspace").because(error)
        })
    })?;
    Ok((workspace, none))
}

fn request(args: &MigrateArgs, pack: PathBuf, hotfix_dir: PathBuf) -> Request {
    Request {
        pack,
        hotfix_dir,
        through: Some(0),
        tool_credentials: args.account.tool_credentials,
        // A pack that is made once is nothing to keep.
        cache: None,
        from_image: None,
        ..image_args::request(Path::new(""), Path::new(""), &args.image, &args.work)
    }
}
