//! `apply-hotfix`.

use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use zip::{System, ZipArchive};

use super::backup;
use super::config::Config;
use super::fault::{self, Group};
use super::product::Product;
use super::stop::Stop;
use super::undo::Undo;
use crate::behaviour::{Fault, ToolBehaviour};
use crate::hotfix_manifest::{Behave, FILES, HotfixManifest, PATH};

/// A hotfix that has been opened.
pub(super) struct Hotfix {
    pub(super) manifest: HotfixManifest,
    zip: ZipArchive<BufReader<File>>,
    file: String,
}

impl Hotfix {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let context = || format!("{} is no hotfix", path.display());
        let file = File::open(path).with_context(context)?;
        let mut zip = ZipArchive::new(BufReader::new(file)).with_context(context)?;
        let manifest = serde_json::from_reader(zip.by_name(PATH).with_context(context)?).with_context(context)?;
        let name = path.file_name().unwrap_or_default();
        Ok(Self { manifest, zip, file: name.to_string_lossy().into_owned() })
    }

    /// A hotfix is for one product, version and level, and comes right after the one before.
    fn check(&self, product: &Product, config: &Config) -> Result<()> {
        let HotfixManifest { product: name, version, update_level, number, .. } = &self.manifest;
        if (name, version) != (&product.name, &product.version) {
            bail!("the hotfix is for {name}-{version}, not for {}", product.pattern());
        }
        if update_level != config.level() {
            bail!("the hotfix is for level {update_level}, not for {}", config.level());
        }
        let next = config.newest_hotfix() + 1;
        if *number != next {
            bail!("hotfix {number} cannot be applied: the next one is {next}");
        }
        Ok(())
    }

    /// Changes the files of the product.
    fn write(&mut self, product: &Product, undo: &mut Undo) -> Result<(), Stop> {
        for index in 0..self.zip.len() {
            self.write_entry(index, product, undo)?;
        }
        for patch in &self.manifest.patches {
            let path = product.home.join(&patch.file);
            let text = fs::read_to_string(&path).unwrap_or_default();
            if !text.contains(&patch.find) {
                let message = format!("{} is not as the hotfix expects it", patch.file);
                return Err(Stop::Conflict(message));
            }
            undo.save(product, &patch.file)?;
            fs::write(&path, text.replace(&patch.find, &patch.replace))
                .with_context(|| format!("cannot write {}", patch.file))?;
        }
        for path in &self.manifest.deletes {
            if product.home.join(path).symlink_metadata().is_err() {
                return Err(Stop::Conflict(format!("{path} is not there to be deleted")));
            }
            undo.save(product, path)?;
            fs::remove_file(product.home.join(path)).with_context(|| format!("cannot delete {path}"))?;
        }
        Ok(())
    }

    fn write_entry(&mut self, index: usize, product: &Product, undo: &mut Undo) -> Result<()> {
        let mut entry = self.zip.by_index(index)?;
        let name = entry.name()?.into_owned();
        let Some(path) = name.strip_prefix(FILES).filter(|_| entry.is_file()) else {
            return Ok(());
        };
        let mode = match (entry.system(), entry.unix_mode()) {
            (System::Unix, Some(mode)) => mode & 0o777,
            _ => 0o644,
        };
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        undo.save(product, path)?;
        write_file(&product.home.join(path), &bytes, mode).with_context(|| format!("cannot write {path}"))
    }
}

/// Into the file that is there, not beside it: who shares that file with another copy of the product, by a hard
/// link, finds out.
fn write_file(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(path, bytes)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    Ok(())
}

pub(super) fn run(
    product: &Product,
    behaviour: &ToolBehaviour,
    config: &mut Config,
    mut hotfix: Hotfix,
) -> Result<(), Stop> {
    hotfix.check(product, config)?;
    let behave = hotfix.manifest.behave;
    if matches!(behave, Behave::Nothing | Behave::NothingAtAll) {
        return Ok(());
    }
    if behaviour.backup {
        config.set_backup_size(backup::take(product)?);
    }
    let number = hotfix.manifest.number;
    let mut undo = Undo::begin(product, number)?;
    hotfix.write(product, &mut undo)?;
    match behave {
        Behave::Error => return Err(anyhow!("the hotfix fails in the middle").into()),
        Behave::Conflict => return Err(Stop::Conflict("the hotfix conflicts".to_owned())),
        Behave::Reverted => {
            undo.run(product)?;
            return Err(Stop::Reverted("the hotfix did not fit".to_owned()));
        }
        Behave::Hang => fault::happen(Fault::Hang)?,
        Behave::HangIgnoringTerm => fault::happen(Fault::HangIgnoringTerm)?,
        Behave::Fork => fault::leave_child_behind(product, Group::Same)?,
        Behave::ForkOwnGroup => fault::leave_child_behind(product, Group::Own)?,
        Behave::Apply | Behave::Nothing | Behave::NothingAtAll => {}
    }
    undo.finish()?;
    config.record_hotfix(number, &hotfix.file);
    config.save(product)?;
    println!("applied hotfix {number}");
    Ok(())
}
