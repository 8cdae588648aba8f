//! `revert-hotfix`.

use anyhow::{Result, ensure};

use super::config::Config;
use super::product::Product;
use super::undo::Undo;

/// Undoes the newest hotfix, and changes to configuration since.
pub(super) fn run(product: &Product, config: &mut Config) -> Result<()> {
    let number = config.newest_hotfix();
    ensure!(number > 0, "no hotfix is applied");
    let undo = Undo::load(product, number)?;
    undo.restore_configuration(product)?;
    undo.put_back(product)?;
    config.forget_newest_hotfix();
    config.save(product)?;
    // Last: whoever is stopped before has it for another time.
    undo.forget()?;
    println!("reverted hotfix {number}");
    Ok(())
}
